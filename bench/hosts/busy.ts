// SPDX-License-Identifier: Apache-2.0
// Machines are made on hosts, all at once, and given back: what it costs, and what of the time is the provider's own.
import type { HostMachineSpec } from '../../api/host.ts';
import type { HostRecord } from '../../hack/ssh-hosts/record.ts';
import { mustScrape, requestsBetween, writesOf } from '../manager-process.ts';
import { machineTime, shareOfOthers } from '../bootstrap/machine-load.ts';
import type { Scrape } from '../scrape.ts';
import { observeMachines, type MachineTimes } from './observer.ts';
import { histogramQuantile } from './quantile.ts';
import { type HostWorld, until } from './world.ts';

/** Seconds of one machine. */
export interface MachineShare {
  readonly host: string;
  /** From the TSMachine's creation to its job on the host. */
  readonly toJob: number;
  /** From the end of the job to a provisioned TSMachine. */
  readonly toProvisioned: number;
  /** From the creation to provisioned, the job included. */
  readonly total: number;
}

/** What one run found; counts are of this run only. */
export interface BusyRun {
  readonly machines: number;
  readonly shares: readonly MachineShare[];
  readonly seconds: number;
  readonly writes: number;
  readonly requests: ReadonlyMap<string, number>;
  readonly sessions: number;
  readonly connections: number;
  readonly mostOpen: number;
  readonly cpuSeconds: number;
  readonly rssMiB: number;
  /** Share of the processors, 0 to 1, that others had. */
  readonly others: number;
  /** p99 of the wait in the queue of the TSHost controller, the upper end of its bucket, in seconds. */
  readonly queueP99: number;
}

export interface BusyOptions {
  readonly prefix: string;
  readonly machines: number;
  /** Machines on other hosts are not waited for. */
  readonly isHealthy?: (host: string) => boolean;
  /** What each asks of its host. */
  readonly asks?: HostMachineSpec;
}

/** Makes machines and waits until those on healthy hosts are provisioned. */
export async function makeMachines(world: HostWorld, options: BusyOptions): Promise<BusyRun> {
  const { client, site } = world;
  const times = observeMachines(client, site.namespace);
  const start = await sample(world);
  const createdMs = new Map<string, number>();
  const names = Array.from({ length: options.machines }, (_, index) => `${options.prefix}-${index}`);
  const isHealthy = options.isHealthy ?? (() => true);
  const isDone = () =>
    times.hosts.size >= names.length &&
    names.every((name) => times.provisioned.has(name) || !isHealthy(times.hosts.get(name) ?? ''));
  try {
    await Promise.all(
      names.map(async (name) => {
        await site.addMachine(name, options.asks);
        createdMs.set(name, Date.now());
      }),
    );
    await until('machines on healthy hosts', isDone);
    const end = await sample(world);
    const shares = names
      .filter((name) => times.provisioned.has(name) && isHealthy(times.hosts.get(name) ?? ''))
      .map((name) => shareOf(name, { createdMs, times, records: end.records }));
    return { machines: names.length, shares, ...between(start, end) };
  } finally {
    times.stop();
  }
}

/** Gives machines back, and waits until they are gone. */
export async function giveBack(world: HostWorld, prefix: string): Promise<Omit<BusyRun, 'shares'>> {
  const { client, site } = world;
  const start = await sample(world);
  const names = (await site.machines())
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith(prefix));
  const times = observeMachines(client, site.namespace);
  try {
    await Promise.all(names.map((name) => site.deleteMachine(name)));
    await until('machines to go', async () => (await site.machines()).length === 0);
    await world.allAvailable();
    return { machines: names.length, ...between(start, await sample(world)) };
  } finally {
    times.stop();
  }
}

interface Sample {
  readonly atMs: number;
  readonly scrape: Scrape;
  readonly records: readonly HostRecord[];
  readonly usage: ReturnType<HostWorld['manager']['usage']>;
  readonly machine: ReturnType<typeof machineTime>;
}

/** What everybody has counted up to now. */
export async function sample({ manager, hosts }: HostWorld): Promise<Sample> {
  const scrape = await mustScrape(manager);
  const records = await hosts.records();
  return { atMs: Date.now(), scrape, records, usage: manager.usage(), machine: machineTime() };
}

/** What was counted between two moments. */
export function between(start: Sample, end: Sample): Omit<BusyRun, 'machines' | 'shares'> {
  const requests = requestsBetween(start.scrape, end.scrape);
  const sum = (records: readonly HostRecord[], of: (record: HostRecord) => number) =>
    records.reduce((total, record) => total + of(record), 0);
  const cpuSeconds = end.usage.cpuSeconds - start.usage.cpuSeconds;
  const grown = (of: (record: HostRecord) => number) => sum(end.records, of) - sum(start.records, of);
  return {
    seconds: (end.atMs - start.atMs) / 1_000,
    writes: writesOf(requests),
    requests,
    sessions: grown(({ sessions }) => sessions),
    connections: grown(({ connections }) => connections),
    mostOpen: sum(end.records, ({ open }) => open),
    cpuSeconds,
    rssMiB: end.usage.rssMiB,
    others: shareOfOthers(start.machine, end.machine, cpuSeconds),
    queueP99: histogramQuantile([start.scrape, end.scrape], {
      name: 'workqueue_queue_duration_seconds',
      labels: { controller: 'tshost' },
      share: 0.99,
    }),
  };
}

function shareOf(
  name: string,
  seen: {
    readonly createdMs: ReadonlyMap<string, number>;
    readonly times: MachineTimes;
    readonly records: readonly HostRecord[];
  },
): MachineShare {
  const host = seen.times.hosts.get(name) ?? '';
  const created = seen.createdMs.get(name) ?? NaN;
  const provisioned = seen.times.provisioned.get(name) ?? NaN;
  const job = seen.records
    .find((record) => record.name === host)
    ?.jobs.findLast(({ owner }) => owner !== undefined);
  const { begunMs = NaN, endsMs = NaN } = job ?? {};
  return {
    host,
    toJob: (begunMs - created) / 1_000,
    toProvisioned: (provisioned - endsMs) / 1_000,
    total: (provisioned - created) / 1_000,
  };
}
