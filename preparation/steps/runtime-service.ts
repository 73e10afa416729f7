// SPDX-License-Identifier: Apache-2.0
// The container runtime runs, with the configuration that is there.
import type { PreparationInput } from '../input.ts';
import { quote } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { proxyDropIn, PROXY_ENVIRONMENT_FILE } from './proxy.ts';
import { RUNTIME_FILES } from './runtime-config.ts';
import { RESTARTS } from './service.ts';

/** Of the run that we began: process, when it started, and the hash of what it read. Gone with a reboot. */
const STAMP = '/run/ts-provider-runtime';

const SOCKETS = { containerd: '/run/containerd/containerd.sock', crio: '/run/crio/crio.sock' } as const;

/**
 * The step `runtime_service`. Restarts the runtime only when what runs was started with another configuration, or another program: pods
 * survive it, but nothing starts meanwhile.
 */
export function runtimeServiceSteps(input: PreparationInput): PreparationStep[] {
  const type = input.spec.containerRuntime?.type ?? 'containerd';
  const files = [...RUNTIME_FILES[type], proxyDropIn(type), PROXY_ENVIRONMENT_FILE];
  const settings = [
    `unit=${type}`,
    `socket=${SOCKETS[type]}`,
    `files=${quote(files.join(' '))}`,
    RUNNING,
  ].join('\n');
  return [
    {
      id: 'runtime_service',
      impact: 'restart',
      deadlineSeconds: 300,
      check: `${RESTARTS}${settings}${CHECK}`,
      apply: `${RESTARTS}${settings}${APPLY}`,
    },
  ];
}

const RUNNING = String.raw`
main_process() { systemctl show -p MainPID --value "$unit" 2>/dev/null; }
# Ticks since the boot of the machine.
started() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
there() { for file in $files "$(command -v "$unit")"; do if [ -f "$file" ]; then say "$file"; fi; done; }
read_hash() { there | while read -r file; do hash_of "$file"; done | sha256sum | cut -d ' ' -f 1; }
stamp() { pid=$(main_process); say "$pid $(started "$pid") $(read_hash)"; }
# After a reboot there is no stamp, and after a crash another process: both have read what is older than they are. The time at which a
# process started is known to a second.
is_newer_than_files() {
  newest=$(there | while read -r file; do stat -L -c %Z -- "$file"; done | sort -n | tail -n 1)
  awk -v ticks="$(started "$(main_process)")" -v newest="$newest" -v rate="$(getconf CLK_TCK 2>/dev/null || say 100)" '
    $1 == "btime" { exit !(ticks != "" && newest != "" && $2 + ticks / rate > newest + 1) }' /proc/stat
}
is_current() { [ "$(cat ${STAMP} 2>/dev/null)" = "$(stamp)" ] || is_newer_than_files; }
is_up() { systemctl is-active --quiet "$unit" && [ -S "$socket" ]; }
`;

/** A repair of the configuration has to come by here as well, so its files are laid down by this step, too. */
const CHECK = String.raw`
if ! has_systemd; then return 0; fi
is_up && is_current || return 1
for file in $files; do if [ -f "$file" ]; then lay "$file"; fi; done
`;

const APPLY = String.raw`
systemctl daemon-reload
if systemctl is-active --quiet "$unit"; then verb=restart; else verb=start; fi
if [ "$verb" = start ] || ! is_current; then
  systemctl reset-failed "$unit" 2>/dev/null
  said=$(systemctl "$verb" "$unit" 2>&1) || failed PreparationFailed "$unit does not $verb: $said $(last_words "$unit")"
fi
waited=0
until is_up; do
  waited=$((waited + 1))
  [ "$waited" -lt 60 ] || failed PreparationFailed "$unit does not make $socket: $(last_words "$unit")"
  sleep 1
done
stamp >${STAMP}
`;
