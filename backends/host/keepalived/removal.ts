// SPDX-License-Identifier: Apache-2.0
// Ends the part of a host in a virtual address, from nothing but what is there. Harmless where there is nothing of ours, and as often as one likes.
import { KEEPALIVED_CONFIG, KEEPALIVED_MARKER, PRELUDE, SHARED_ADDRESS } from '../traces.ts';
import { BEFORE_FILE, ENABLED_FILE, INSTALLED_FILE, UNIT_FILE } from './apply-script.ts';
import { CHECK_FILE, RUN_FOLDER } from './check-script.ts';

const OURS = `${PRELUDE}${SHARED_ADDRESS}
config=${KEEPALIVED_CONFIG} before=${BEFORE_FILE} installed=${INSTALLED_FILE} enabled=${ENABLED_FILE}
unit=${UNIT_FILE} check=${CHECK_FILE} run=${RUN_FOLDER} marker='${KEEPALIVED_MARKER}'
${String.raw`
has_systemd() { [ -d /run/systemd/system ] && have systemctl; }
running() { # process ids
  grep -lsx keepalived /proc/[0-9]*/comm | cut -d / -f 3
}
held() { # interfaces that have the address
  ip -o -4 addr show 2>/dev/null | awk -v one="$address/32" '$4 == one { print $2 }'
}
# Told to end, it tells the others, and takes the address away.
stop() {
  if has_systemd; then
    systemctl disable --quiet keepalived 2>/dev/null
    bounded 10 systemctl stop keepalived 2>/dev/null
  fi
  for signal in TERM KILL; do
    pids=$(running)
    [ -n "$pids" ] || break
    kill -s "$signal" $pids 2>/dev/null
    tries=0
    while [ $tries -lt 25 ] && [ -n "$(running)" ]; do sleep 0.2 2>/dev/null || sleep 1; tries=$((tries + 1)); done
  done
  [ -z "$(running)" ] || { echo 'error: keepalived does not end'; return 1; }
  address=$(shared_address)
  [ -n "$address" ] && have ip || return 0
  for link in $(held); do ip addr del "$address/32" dev "$link"; done
  [ -z "$(held)" ] || { echo "error: the address $address cannot be taken away"; return 1; }
}
is_ours() { [ -e "$installed" ] || grep -qs "^$marker" "$config"; }
`}`;

/** The first thing of all: the address moves while the API server of the host still answers. */
export const STOP_KEEPALIVED = `${OURS}
if is_ours; then stop || exit 1; fi
exit 0
`;

/** Uninstalled if we installed it, else its file as it was. Ends with 1 when something of ours stays. */
export const REMOVE_KEEPALIVED = `${OURS}${String.raw`
uninstall() {
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  if have apt-get; then apt-get --quiet --yes -o DPkg::Lock::Timeout=120 --purge --auto-remove remove keepalived
  elif have dnf; then dnf --assumeyes remove keepalived
  elif have yum; then yum --assumeyes remove keepalived
  elif have zypper; then zypper --non-interactive remove --clean-deps keepalived
  fi
}
if is_ours; then
  stop || exit 1
  if [ -e "$installed" ]; then
    if have keepalived; then uninstall || { echo 'error: keepalived cannot be uninstalled'; exit 1; }; fi
    rm -f "$config"
  elif [ -e "$before" ]; then
    mv -f "$before" "$config"
  else
    rm -f "$config"
  fi
  if has_systemd && have keepalived; then
    systemctl reset-failed keepalived 2>/dev/null
    if grep -qsx enabled "$enabled"; then systemctl enable --quiet keepalived 2>/dev/null; fi
  fi
fi
rm -f "$check" "$check.new" "$installed" "$before" "$enabled" "$config".new-ts-provider "$config".new-ts-provider.*
rmdir "${'$'}{check%/*}" "${'$'}{config%/*}" 2>/dev/null
rm -rf --one-file-system "$run"
if [ -e "$unit" ]; then
  rm -f "$unit"
  rmdir "${'$'}{unit%/*}" 2>/dev/null
  if has_systemd; then systemctl daemon-reload; fi
fi
exit 0
`}`;
