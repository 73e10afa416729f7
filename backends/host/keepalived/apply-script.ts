// SPDX-License-Identifier: Apache-2.0
// Makes keepalived on a host serve a configuration. One short run; changes nothing where it does already.
import type { VirtualIPConfig } from '../../host-driver.ts';
import { claimFunction, missingCheck, TELL } from '../claim-script.ts';
import { heredoc, quote } from '../job/shell.ts';
import { KEEPALIVED_CONFIG, KEEPALIVED_MARKER, PRELUDE, SHARED_ADDRESS } from '../traces.ts';
import { BEGIN_FILE, CHECK_FILE, CHECK_SCRIPT, RUN_FOLDER } from './check-script.ts';
import { INTERFACE } from './config.ts';

/** What was there before us, for the clean-up to put back. */
export const BEFORE_FILE = `${KEEPALIVED_CONFIG}.before-ts-provider`;
/** There when we installed the package, and the clean-up takes it away. */
export const INSTALLED_FILE = '/etc/keepalived/installed-by-ts-provider';
/** Whether the service began with each boot before us: what `systemctl is-enabled` said. */
export const ENABLED_FILE = '/etc/keepalived/enabled-before-ts-provider';
/** A keepalived that was killed leaves the address where it is: it comes back, and then takes it away or holds it. */
export const UNIT_FILE = '/etc/systemd/system/keepalived.service.d/ts-provider.conf';
/** Hash of what the running keepalived serves. Gone after a reboot. */
export const STAMP_FILE = `${RUN_FOLDER}/applied`;

const UNIT = '[Service]\nRestart=always\nRestartSec=1\n';

/** What {@link applyScript} is made from. `text` has a placeholder for the interface. */
export interface Applied {
  readonly text: string;
  readonly hash: string;
  readonly config: VirtualIPConfig;
}

/**
 * Prints one line `ts-provider: <word> <rest>`: `applied`; `missing <attempts to install>`; `foreign <owner>`; `refused <why>`, the
 * configuration cannot be served here; `failed <why>`, keepalived does not run with it. After `refused` whatever ran before still runs.
 */
export function applyScript({ text, hash, config }: Applied): string {
  const { address, own, peers, owner, start } = config;
  return [
    PRELUDE,
    SHARED_ADDRESS,
    `config=${KEEPALIVED_CONFIG} before=${BEFORE_FILE} enabled=${ENABLED_FILE} unit=${UNIT_FILE}\n`,
    `check=${CHECK_FILE} run=${RUN_FOLDER} stamp=${STAMP_FILE} begin=${BEGIN_FILE} pidfile=/run/keepalived.pid\n`,
    `marker=${quote(KEEPALIVED_MARKER)} hash=${quote(hash)} address=${address} own=${own}\n`,
    `port=${config.port} peers=${quote(peers.join(' '))} start=${start ? 'yes' : ''}\n`,
    TELL,
    PROCESSES,
    claimFunction(owner),
    // The whole script is there before any of it runs: a link may be cut in the middle.
    `apply() {\nclaim\n${missingCheck('keepalived', owner)}${PLACE}`,
    `base64 -d >"$new.check" ${heredoc(CHECK_SCRIPT)}`,
    `base64 -d >"$new.unit" ${heredoc(UNIT)}`,
    `base64 -d >"$new.text" ${heredoc(text)}`,
    `${WRITE}${RIGHTS}${SERVE}}\napply\nexit 0\n`,
  ].join('');
}

const PROCESSES = String.raw`
has_systemd() { [ -d /run/systemd/system ] && have systemctl; }
nap() { sleep 0.2 2>/dev/null || sleep 1; }
main_process() {
  if has_systemd; then systemctl show --property=MainPID --value keepalived 2>/dev/null; return; fi
  read -r main 2>/dev/null <"$pidfile" || return 1
  grep -qsx keepalived "/proc/$main/comm" && say "$main"
}
# The one of the two that speaks VRRP.
has_child() { awk -v main="$1" '$2 == "(keepalived)" && $4 == main { found = 1 } END { exit !found }' /proc/[0-9]*/stat 2>/dev/null; }
is_running() {
  main=$(main_process) && [ "${'$'}{main:-0}" != 0 ] && has_child "$main"
}
start_or_reload() {
  if is_running; then kill -s HUP "$main"; return; fi
  if has_systemd; then
    systemctl enable --quiet keepalived 2>/dev/null
    systemctl reset-failed keepalived 2>/dev/null
    bounded 10 systemctl restart keepalived
    return
  fi
  keepalived -f "$config" -p "$pidfile" </dev/null
}
# A reload keeps the address where it is; one that was refused ends the program.
load() {
  said=$(start_or_reload 2>&1) || return 1
  nap
  tries=0
  while [ $tries -lt 15 ]; do
    if is_running; then return 0; fi
    tries=$((tries + 1))
    nap
  done
  return 1
}
`;

/**
 * An address that answers in the network before any of our hosts can hold it is somebody else's. A neighbour that was known before may be
 * gone, so it is forgotten first.
 */
const PLACE = String.raw`
have ip || tell 'refused the program ip is not there: install iproute2'
interface=$(ip -o -4 addr show 2>/dev/null | awk -v own="$own" '{ split($4, part, "/") } part[1] == own { print $2; exit }')
[ -n "$interface" ] || tell "refused no interface of the host has its address $own"
if [ "$(shared_address)" != "$address" ]; then
  if ip -o -4 addr show 2>/dev/null | awk -v one="$address" '{ split($4, part, "/") } part[1] == one { found = 1 } END { exit !found }'; then
    tell "refused $address is an address of the host already: choose one that is free in the network of the hosts"
  fi
  if [ -z "$peers" ] && have genhash; then
    ip neigh flush to "$address" dev "$interface" 2>/dev/null
    bounded 2 genhash -s "$address" -p "$port" -u / >/dev/null 2>&1
    holder=$(ip neigh show to "$address" dev "$interface" 2>/dev/null | sed -n 's/.*lladdr \([0-9a-f:]*\).*/\1/p')
    [ -z "$holder" ] || tell "refused $address is in use already, by the network card $holder: choose one that is free in the network of the hosts"
  fi
fi
mkdir -p "${'$'}{config%/*}" "${'$'}{check%/*}" "$run" || tell 'failed folders cannot be made'
new=$config.new-ts-provider
trap 'rm -f "$new" "$new".*' EXIT
umask 077
`;

/** The test looks at the script, too: it is there first. */
const WRITE = String.raw`
sed "s/${INTERFACE}/$interface/g" "$new.text" >"$new"
changed=
if ! cmp -s "$new.check" "$check"; then
  # keepalived may be about to run the one that is there.
  cp "$new.check" "$check.new" && chmod 755 "$check.new" && mv -f "$check.new" "$check" || tell "failed $check cannot be written"
  if have restorecon; then restorecon "$check" 2>/dev/null; fi
fi
if has_systemd; then
  [ -e "$enabled" ] || systemctl is-enabled keepalived >"$enabled" 2>/dev/null
  if ! cmp -s "$new.unit" "$unit"; then
    mkdir -p "${'$'}{unit%/*}" && cp "$new.unit" "$unit" && chmod 644 "$unit" || tell "failed $unit cannot be written"
    chmod 755 "${'$'}{unit%/*}"
    systemctl daemon-reload
  fi
fi
if ! cmp -s "$new" "$config"; then
  said=$(keepalived -t -l -f "$new" 2>&1) || tell "refused keepalived does not take its configuration: $(say "$said" | grep -v '^$' | grep -v 'Starting\|Running\|Command line\|Configuration file' | tail -n 1)"
  if [ -e "$config" ] && ! grep -q "^$marker" "$config"; then cp -p "$config" "$before"; fi
  mv -f "$new" "$config" || tell "failed $config cannot be written"
  changed=yes
fi
`;

/** Alone, and nothing has been made of the host yet: there is no API server anywhere, and the first one needs the address. */
const RIGHTS = String.raw`
made=
if grep -qs '^done ' "$state"/jobs/bootstrap-*/journal; then made=yes; fi
if [ -e /etc/kubernetes/kubelet.conf ] && ! ls "$state"/jobs/bootstrap-*/journal >/dev/null 2>&1; then made=yes; fi
if [ -z "$peers" ] && [ -z "$made" ]; then : >"$begin"; else rm -f "$begin"; fi
`;

const SERVE = String.raw`
if [ -z "$start" ] && ! is_running; then
  rm -f "$stamp"
  tell applied
fi
if [ -z "$changed" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && is_running; then tell applied; fi
rm -f "$stamp"
said=
if load; then
  say "$hash" >"$stamp"
  tell applied
fi
tell "failed keepalived does not run: $(say "${'$'}{said:-see its log}" | grep -v '^$' | tail -n 1)"
`;
