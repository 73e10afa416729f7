// SPDX-License-Identifier: Apache-2.0
// What the hosts themselves say of who worked on them, read from the outside: neither our status nor our connections are trusted.
import type { TestHost } from '../../hack/hosts/world.ts';

const EVERY_MS = 400;

/** Our folder on a host: who has it, and every step that was begun or ended. */
const LOOK = `
cd /var/lib/ts-provider 2>/dev/null || exit 0
echo "owner $(cat owner 2>/dev/null)"
for journal in jobs/*/journal; do
  [ -f "$journal" ] || continue
  job=\${journal#jobs/}
  sed "s|^|\${job%/journal} |" "$journal"
done
`;

/** Everything that was seen of one host. */
export interface HostHistory {
  /** Owners in the order in which they were seen. */
  readonly owners: string[];
  /** `<job> <step>` -> how often it was begun. */
  readonly begun: Map<string, number>;
  /** Jobs of two owners that were seen at the same time. */
  readonly overlaps: string[];
}

export interface HostRecord {
  history(host: string): HostHistory;
  /** Every step of a bootstrap that was ever begun: `<host> <job> <step>`, sorted. */
  steps(): string[];
  /** Steps that were begun more than once, on any host. */
  repeated(): string[];
  stop(): Promise<void>;
}

/** Nothing seen yet. */
function history(): HostHistory {
  return { owners: [], begun: new Map(), overlaps: [] };
}

/** Looks at all hosts a few times a second until it is stopped. */
export function recordHosts(hosts: readonly TestHost[]): HostRecord {
  const histories = new Map(hosts.map((host) => [host.name, history()]));
  let stopped = false;
  const loops = hosts.map(async (host) => {
    while (!stopped) {
      const { stdout } = await host.exec(['sh', '-c', LOOK]).catch(() => ({ stdout: '' }));
      note(histories.get(host.name)!, stdout);
      await new Promise((resolve) => void setTimeout(resolve, EVERY_MS));
    }
  });
  return {
    history: (name) => histories.get(name)!,
    steps: () =>
      [...histories]
        .flatMap(([host, { begun }]) => [...begun.keys()].map((step) => `${host} ${step}`))
        .filter((step) => step.includes(' bootstrap-'))
        .sort(),
    repeated: () =>
      [...histories].flatMap(([host, { begun }]) =>
        [...begun].filter(([, times]) => times > 1).map(([step, times]) => `${host}: ${step} ${times} times`),
      ),
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

function note(history: HostHistory, text: string): void {
  const lines = text.split('\n').filter((line) => line !== '');
  noteOwner(history, lines);
  const starts = startsIn(lines);
  for (const [step, times] of starts) {
    history.begun.set(step, Math.max(times, history.begun.get(step) ?? 0));
  }
  const jobs = new Set([...starts.keys()].map((key) => key.split(' ')[0]!));
  const bootstraps = [...jobs].filter((job) => job.startsWith('bootstrap-'));
  if (bootstraps.length > 1) history.overlaps.push(bootstraps.join(' and '));
}

function noteOwner(history: HostHistory, lines: readonly string[]): void {
  const owner = lines.find((line) => line.startsWith('owner '))?.slice('owner '.length) ?? '';
  if (owner !== '' && history.owners.at(-1) !== owner) history.owners.push(owner);
}

/** `<job> <step>` -> lines of the journal that say that it begins. */
function startsIn(lines: readonly string[]): ReadonlyMap<string, number> {
  const starts = new Map<string, number>();
  for (const line of lines) {
    const [job, what, step] = line.split(' ');
    if (what !== 'start') continue;
    const key = `${job} ${step}`;
    starts.set(key, (starts.get(key) ?? 0) + 1);
  }
  return starts;
}
