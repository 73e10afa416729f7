// SPDX-License-Identifier: Apache-2.0
// Where the time of a machine goes, as an onlooker sees it: until its host is claimed, each step of its preparation, kubeadm, Node Ready.
import { MachineKind, TSMachineKind } from '../../api/kinds.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { isReady, nodes, type Workload } from '../hosts/cluster.ts';
import { type Management, NAMESPACE } from '../hosts/site.ts';

const EVERY_MS = 300;

/** Journals of the jobs that a host has at present. */
const LOOK = `
cd /var/lib/ts-provider/jobs 2>/dev/null || exit 0
for journal in */journal; do
  [ -f "$journal" ] && sed "s|^|\${journal%/journal} |" "$journal"
done
exit 0`;

interface Times {
  readonly host: string;
  readonly made: number;
  claimed?: number;
  /** `<job> <line of the journal>` -> when it was first seen. */
  readonly lines: Map<string, number>;
  ready?: number;
}

export interface PreparationTimes {
  /** Two tables in Markdown: a row for each machine, and a row for each step of a preparation. */
  stop(): Promise<string>;
}

/** Looks a few times a second until it is stopped; `workload` answers once there is an API. */
export function recordPreparations(
  at: Management,
  hosts: readonly TestHost[],
  workload: () => Workload | undefined,
): PreparationTimes {
  const machines = new Map<string, Times>();
  const began = new Map<string, number>();
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      await look({ at, hosts, workload: workload(), machines, began }).catch(() => undefined);
      await new Promise((resolve) => void setTimeout(resolve, EVERY_MS));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      await look({ at, hosts, workload: workload(), machines, began });
      return `${machineTable(machines)}\n\n${stepTable(machines)}`;
    },
  };
}

interface Looking {
  readonly at: Management;
  readonly hosts: readonly TestHost[];
  readonly workload: Workload | undefined;
  readonly machines: Map<string, Times>;
  /** Machine -> when it was first seen. */
  readonly began: Map<string, number>;
}

async function look({ at, hosts, workload, machines, began }: Looking): Promise<void> {
  for (const { metadata } of await at.client.list(MachineKind, { namespace: NAMESPACE }))
    if (!began.has(metadata.name)) began.set(metadata.name, Date.now());
  const ready = workload === undefined ? [] : (await nodes(workload).catch(() => [])).filter(isReady);
  const claimed = (await at.client.list(TSMachineKind, { namespace: NAMESPACE })).filter(
    ({ spec }) => spec.providerID !== undefined,
  );
  await Promise.all(
    claimed.map(async ({ metadata: { name }, spec }) => {
      const host = hosts.find((one) => one.name === spec.providerID!.split('/')[3])!;
      const now = Date.now();
      const times: Times = machines.get(name) ?? {
        host: host.name,
        made: began.get(name) ?? now,
        lines: new Map(),
      };
      machines.set(name, times);
      times.claimed ??= now;
      if (times.ready !== undefined) return;
      const { stdout } = await host.exec(['sh', '-c', LOOK]);
      for (const line of stdout.split('\n').filter((text) => text !== ''))
        if (!times.lines.has(line)) times.lines.set(line, Date.now());
      if (ready.some((node) => node.spec?.providerID === spec.providerID)) times.ready = Date.now();
    }),
  );
}

/** When a line that matches was first, or last, seen. */
function seen(times: Times, pattern: RegExp, which: 'first' | 'last' = 'first'): number | undefined {
  const found = [...times.lines].filter(([line]) => pattern.test(line)).map(([, at]) => at);
  return found.length === 0 ? undefined : which === 'first' ? Math.min(...found) : Math.max(...found);
}

function machineTable(machines: ReadonlyMap<string, Times>): string {
  const head = [
    'machine',
    'host',
    'until claimed',
    'until prepared',
    'until kubeadm',
    'kubeadm',
    'until Ready',
    'all',
  ];
  const rows = [...machines]
    .filter(([, { ready }]) => ready !== undefined)
    .map(([name, times]) => {
      const points = [
        times.made,
        times.claimed!,
        seen(times, /^prepare-\S+ done succeeded/, 'last') ?? times.claimed!,
        seen(times, /^bootstrap-\S+ begin/) ?? times.ready!,
        seen(times, /^bootstrap-\S+ done/, 'last') ?? times.ready!,
        times.ready!,
      ];
      const spans = points.slice(1).map((point, index) => seconds(point - points[index]!));
      return [name, times.host, ...spans, seconds(times.ready! - times.made)];
    });
  return table(head, rows);
}

function stepTable(machines: ReadonlyMap<string, Times>): string {
  const spans = new Map<string, number[]>();
  for (const { lines } of machines.values()) {
    for (const [line, ended] of lines) {
      const [job = '', what, step = '', hash] = line.split(' ');
      if (!job.startsWith('prepare-') || what !== 'end') continue;
      const started = lines.get(`${job} start ${step} ${hash}`);
      if (started !== undefined) spans.set(step, [...(spans.get(step) ?? []), ended - started]);
    }
  }
  const rows = [...spans].map(([step, all]) => {
    const sorted = [...all].sort((a, b) => a - b);
    return [
      step,
      seconds(sorted[Math.floor(sorted.length / 2)]!),
      seconds(sorted.at(-1)!),
      String(all.length),
    ];
  });
  return table(['step of the preparation', 'median', 'longest', 'times'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
