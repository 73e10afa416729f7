// SPDX-License-Identifier: Apache-2.0
import { HAPROXY_MARKER, PRELUDE } from '../traces.ts';
import { BEFORE_FILE, CONFIG_FILE, INSTALLED_FILE, STAMP_FILE } from './apply-script.ts';
import { SOCKET } from './config.ts';

/**
 * Takes away what balancing has left on a host, from nothing but what is there: HAProxy stopped; uninstalled if we installed it, else its
 * file as it was. Harmless where there is nothing of ours, and as often as one likes. Ends with 1 when something of ours stays.
 */
export const REMOVE_HAPROXY = `${PRELUDE}
config=${CONFIG_FILE} before=${BEFORE_FILE} installed=${INSTALLED_FILE} stamp=${STAMP_FILE} socket=${SOCKET}
${String.raw`
balancers() {
  for one in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$one/comm" && [ "$name" = haproxy ] || continue
    case " $(tr '\000' ' ' 2>/dev/null <"$one/cmdline")" in *" $config "*) echo "${'$'}{one#/proc/}" ;; esac
  done
}
stop() {
  if [ -d /run/systemd/system ] && have systemctl; then bounded 60 systemctl stop haproxy 2>/dev/null; fi
  for signal in TERM KILL; do
    pids=$(balancers)
    [ -n "$pids" ] || return 0
    kill -s "$signal" $pids 2>/dev/null
    tries=0
    while [ $tries -lt 25 ] && [ -n "$(balancers)" ]; do sleep 0.2 2>/dev/null || sleep 1; tries=$((tries + 1)); done
  done
  [ -z "$(balancers)" ] || { echo 'error: HAProxy does not end'; return 1; }
}
uninstall() {
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  if have apt-get; then apt-get --quiet --yes -o DPkg::Lock::Timeout=120 --purge --auto-remove remove haproxy
  elif have dnf; then dnf --assumeyes remove haproxy
  elif have yum; then yum --assumeyes remove haproxy
  elif have zypper; then zypper --non-interactive remove --clean-deps haproxy
  fi
}

is_ours=
if [ -e "$installed" ] || grep -qs '^MARKER' "$config"; then is_ours=yes; fi
if [ -z "$is_ours" ]; then
  rm -f "$stamp" "$config.new-ts-provider" "$config.old-ts-provider"
  exit 0
fi
stop || exit 1
if [ -e "$installed" ]; then
  if have haproxy; then uninstall || { echo 'error: HAProxy cannot be uninstalled'; exit 1; }; fi
  rm -f "$config"
  # What the package makes and leaves.
  rm -rf --one-file-system /var/lib/haproxy /run/haproxy /run/haproxy-master.sock
elif [ -e "$before" ]; then
  mv -f "$before" "$config"
else
  rm -f "$config"
fi
if [ -z "$(balancers)" ] && [ -d /run/systemd/system ] && have systemctl; then
  systemctl disable --quiet haproxy 2>/dev/null
  systemctl reset-failed haproxy 2>/dev/null
fi
rm -f "$installed" "$before" "$stamp" "$socket" /run/haproxy.pid "$config".*-ts-provider
rmdir "${'$'}{config%/*}" "${'$'}{socket%/*}" 2>/dev/null
exit 0
`.replace('MARKER', HAPROXY_MARKER)}`;
