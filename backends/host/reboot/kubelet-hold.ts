// SPDX-License-Identifier: Apache-2.0
// Keeps the kubelet of a host from starting, over a reboot, until it is let go. For dash, bash and busybox.

/**
 * With systemd by a condition that names the very file in which it stands: whoever removes the file, such as the clean-up, lets the
 * kubelet go. Without, by taking away its configuration, for which a kubelet waits. Both tell in which boot they were made: only what is
 * older than the present boot has kept the kubelet from it. Needs the prelude, `$state` and `$boot`.
 */
export const HOLD = String.raw`
dropin=/etc/systemd/system/kubelet.service.d/00-ts-provider-hold.conf
config=/var/lib/kubelet/config.yaml
aside=$config.held-by-ts-provider
has_systemd() { [ -d /run/systemd/system ]; }
note() {
  if ! [ -d "$state" ]; then mkdir -p "$state" && chmod 700 "$state" || return 1; fi
  grep -Fxqs -- "$1" "$state/manifest" || say "$1" >>"$state/manifest"
}
# Prints the boot in which it was made; fails where nothing is held.
held_since() {
  if [ -e "$dropin" ]; then sed -n 's/^# Made in boot //p' "$dropin"
  elif [ -e "$aside" ] && [ ! -e "$config" ]; then cat "$aside.boot" 2>/dev/null
  else return 1
  fi
}
hold_kubelet() {
  if held_since >/dev/null; then return 0; fi
  if has_systemd; then
    folder=${'$'}{dropin%/*}
    if ! [ -d "$folder" ]; then note "created-folder $folder" && mkdir -p "$folder" || return 1; fi
    note "created-file $dropin" && note "created-file $dropin.new" || return 1
    {
      say "# Made in boot $boot"
      say '[Unit]'
      say "ConditionPathExists=!$dropin"
    } >"$dropin.new" && mv -f -- "$dropin.new" "$dropin"
  elif [ -e "$config" ]; then
    say "$boot" >"$aside.boot" && mv -f -- "$config" "$aside"
  fi
}
`;

/** Started once more where the last run was cut off in the middle: what is to be done stands in a file that goes last. */
export const RELEASE = String.raw`
begun=/run/ts-provider-release-kubelet
release_kubelet() {
  if held_since >/dev/null; then : >"$begun" || return 1; fi
  [ -e "$begun" ] || return 0
  rm -f -- "$dropin" "$dropin.new" || return 1
  if [ -e "$aside" ] && [ ! -e "$config" ]; then mv -f -- "$aside" "$config" || return 1; fi
  rm -f -- "$aside" "$aside.boot"
  if has_systemd; then
    rmdir -- "${'$'}{dropin%/*}" 2>/dev/null
    bounded 30 systemctl daemon-reload
    bounded 10 systemctl reset-failed kubelet 2>/dev/null
    # One that is not enabled no boot would have started.
    if bounded 10 systemctl is-enabled --quiet kubelet 2>/dev/null; then
      bounded 20 systemctl start --no-block kubelet || return 1
    fi
  elif have rc-service; then bounded 60 rc-service --ifexists kubelet start >/dev/null 2>&1
  elif [ -x /etc/init.d/kubelet ]; then bounded 60 /etc/init.d/kubelet start >/dev/null 2>&1
  fi
  rm -f -- "$begun"
}
`;
