// SPDX-License-Identifier: Apache-2.0
// Makes HAProxy on a host serve a configuration. One short run; changes nothing where it does already.
import type { HostOwner } from '../../host-driver.ts';
import { claimFunction, missingCheck, TELL } from '../claim-script.ts';
import { heredoc, quote } from '../job/shell.ts';
import { HAPROXY_MARKER, PRELUDE } from '../traces.ts';

/** The file that every distribution's HAProxy reads. */
export const CONFIG_FILE = '/etc/haproxy/haproxy.cfg';
/** What was there before us, for the clean-up to put back. */
export const BEFORE_FILE = `${CONFIG_FILE}.before-ts-provider`;
/** There when we installed the package, and the clean-up takes it away. */
export const INSTALLED_FILE = '/etc/haproxy/installed-by-ts-provider';
/** Hash of what the running HAProxy serves. Gone after a reboot, as the process is. */
export const STAMP_FILE = '/run/ts-provider-haproxy';

/** What {@link applyScript} is made from. */
export interface Applied {
  readonly text: string;
  readonly hash: string;
  readonly port: number;
  readonly owner: HostOwner;
}

/**
 * Prints one line `ts-provider: <word> <rest>`: `applied`; `missing <attempts to install>`; `foreign <owner>`; `refused <why>`, the
 * configuration is wrong; `failed <why>`, HAProxy does not serve it. After the last two whatever ran before still runs, with its old file.
 */
export function applyScript({ text, hash, port, owner }: Applied): string {
  return [
    PRELUDE,
    `config=${CONFIG_FILE} before=${BEFORE_FILE} stamp=${STAMP_FILE} pidfile=/run/haproxy.pid\n`,
    `marker=${quote(HAPROXY_MARKER)} hash=${quote(hash)} port=${port}\n`,
    `hexport=${port.toString(16).toUpperCase().padStart(4, '0')}\n`,
    TELL,
    PROCESSES,
    LOAD,
    claimFunction(owner),
    // The whole script is there before any of it runs: a link may be cut in the middle.
    `apply() {\nclaim\n${missingCheck('haproxy', owner)}`,
    `${WRITE.replace('INPUT', () => heredoc(text).trimEnd())}\n${SERVE}}\napply\nexit 0\n`,
  ].join('');
}

const PROCESSES = String.raw`
has_systemd() { [ -d /run/systemd/system ] && have systemctl; }
nap() { sleep 0.2 2>/dev/null || sleep 1; }
# Processes of HAProxy with our file; their workers too.
balancers() {
  for one in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$one/comm" && [ "$name" = haproxy ] || continue
    case " $(tr '\000' ' ' 2>/dev/null <"$one/cmdline")" in *" $config "*) say "${'$'}{one#/proc/}" ;; esac
  done
}
main_process() {
  if has_systemd; then systemctl show --property=MainPID --value haproxy 2>/dev/null; return; fi
  read -r main 2>/dev/null <"$pidfile" || return 1
  # Debian's own script starts it without a main process that could be told to reload.
  case " $(tr '\000' ' ' 2>/dev/null <"/proc/$main/cmdline")" in *haproxy*' -W '*) say "$main" ;; *) return 1 ;; esac
}
workers() { cat /proc/[0-9]*/stat 2>/dev/null | awk -v main="$1" '$2 == "(haproxy)" && $4 == main { print $1 }'; }
is_listening() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v port=":$hexport$" '$4 == "0A" && $2 ~ port { found = 1 } END { exit !found }'
}
is_running() {
  if has_systemd; then systemctl is-active --quiet haproxy; else main_process >/dev/null; fi
}
`;

/**
 * A reload starts new workers beside the old ones, which end what they have. The main process stays whatever happens, so a new worker is
 * the proof that it took the file. Without systemd the main process is one that we start.
 */
const LOAD = String.raw`
start_or_reload() {
  if has_systemd; then
    systemctl enable --quiet haproxy 2>/dev/null
    if [ -n "$known" ]; then bounded 5 systemctl reload haproxy; return; fi
    systemctl reset-failed haproxy 2>/dev/null
    bounded 5 systemctl start haproxy
    return
  fi
  if [ -n "$known" ]; then kill -s USR2 "$(main_process)"; return; fi
  others=$(balancers | tr '\n' ' ')
  if [ -n "$others" ]; then others="-sf $others"; fi
  haproxy -W -D -p "$pidfile" -f "$config" $others </dev/null
}
load() {
  known=
  if is_running; then known=" $(workers "$(main_process)" | tr '\n' ' ') "; fi
  said=$(start_or_reload 2>&1) || return 1
  tries=0
  while [ $tries -lt 15 ]; do
    # It starts itself anew when it reloads: for an instant it is not to be found.
    for worker in $(workers "$(main_process || say none)"); do
      case "$known" in *" $worker "*) ;; *) is_listening && return 0 ;; esac
    done
    tries=$((tries + 1))
    nap
  done
  return 1
}
`;

const WRITE = String.raw`
mkdir -p ${'$'}{config%/*}
new=$config.new-ts-provider
saved=$config.old-ts-provider
trap 'rm -f "$new" "$saved"' EXIT
base64 -d >"$new" INPUT
# SELinux lets it listen and connect on usual ports only.
if have getsebool && getsebool haproxy_connect_any 2>/dev/null | grep -q 'off$'; then
  bounded 20 setsebool -P haproxy_connect_any=1
fi
changed=
if [ "$(cat "$new")" != "$(cat "$config" 2>/dev/null)" ]; then
  said=$(haproxy -c -f "$new" 2>&1) || tell "refused $(say "$said" | grep -iE 'alert|error' | head -n 1)"
  if [ -e "$config" ]; then
    grep -q "^$marker" "$config" || cp -p "$config" "$before"
    cp -p "$config" "$saved"
  fi
  chmod 644 "$new"
  mv -f "$new" "$config" || tell "failed $config cannot be written"
  changed=yes
fi
`;

const SERVE = String.raw`
if [ -z "$changed" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && is_running && is_listening; then tell applied; fi
rm -f "$stamp"
said=
if load; then
  say "$hash" >"$stamp"
  tell applied
fi
why=$(say "$said" | grep -v '^$' | tail -n 1)
# What was served before goes on being served, also after a restart.
if [ -e "$saved" ]; then
  mv -f "$saved" "$config"
  load
fi
tell "failed HAProxy does not listen on port $port with it: ${'$'}{why:-is another program there?}"
`;
