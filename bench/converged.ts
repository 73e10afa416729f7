// SPDX-License-Identifier: Apache-2.0
// A fleet in which nothing is to be done: what does it cost to start on it, and to keep it?
import { randomUUID } from 'node:crypto';
import type { TSMachineSpec } from '../api/tsmachine.ts';
import { openInMemoryCloud } from '../backends/inmemory/sqlite-cloud.ts';
import { pause } from '../hack/stack/process.ts';
import { systemClock } from '../runtime/clock.ts';
import {
  bootstrapData,
  createClusters,
  createRunningMachines,
  type MachinePlan,
  planFleet,
} from './fleet.ts';
import { type ManagerProcess, type Milestones, mustScrape, untilQuiet } from './manager-process.ts';
import { apiRequests, reconciles, requestsBetween, writesOf } from './manager-process.ts';
import type { BenchOptions } from './options.ts';
import { usageOf } from './process-usage.ts';
import { digits, listed, promise, type Report, type Row, target } from './report.ts';
import type { Scrape } from './scrape.ts';
import { withWorld, type World } from './world.ts';

const TIMEOUT_MS = 900_000;
const QUIET_MS = 3_000;
const SAMPLE_MS = 5_000;

/** Numbers of the design, section 7. */
const HOLD = { startSeconds: 15, rssMiB: 512, cloudCallsPerSecond: 1 };

/** Runs the suite; `say` gets a line per step. */
export function converged(options: BenchOptions, say: (line: string) => void): Promise<Report> {
  return withWorld(options, async (world) => {
    const machines = options.converged;
    const plan = planFleet(await world.namespace(), machines);
    say(`making ${machines} instances and as many Machines and TSMachines`);
    const identities = makeInstances(world.database, plan.machines);
    await createClusters(world.client, plan, undefined);
    await createRunningMachines(world.client, plan, identities);

    // Identity is in spec, status is not there: as after a move. This run writes it.
    say('first start: status is observed anew');
    const lost = await run(world, machines, ({ milestones, manager }) => ({
      seconds: (milestones.lastManagementMs - milestones.readyMs) / 1000,
      requests: apiRequests(milestones.scrape),
      cpuSeconds: manager.usage().cpuSeconds,
    }));

    say('second start: nothing to do');
    const rows = await run(world, machines, async (started) => [
      ...startRows(started, machines),
      ...(await idleRows(started.manager, world, options.idleSeconds, say)),
      instancesRow(world, machines),
    ]);
    return {
      title: `${digits(machines)} converged machines, ${options.idleSeconds} s idle`,
      rows: [
        ...rows,
        { what: 'before: status of all written anew, as after a move', value: `${digits(lost.seconds)} s` },
        { what: 'before: requests for that', value: listed(lost.requests) },
        { what: 'before: CPU of the manager for that', value: `${digits(lost.cpuSeconds)} s` },
      ],
    };
  });
}

interface Started {
  readonly manager: ManagerProcess;
  readonly milestones: Milestones;
}

async function run<T>(world: World, machines: number, look: (started: Started) => T): Promise<Awaited<T>> {
  const manager = await world.startManager();
  const milestones = await untilQuiet(manager, { machines, quietMs: QUIET_MS, timeoutMs: TIMEOUT_MS });
  const found = await look({ manager, milestones });
  await manager.server.stop();
  return found;
}

/** Running instances in the backend's database, and what the spec of their TSMachine holds. */
function makeInstances(
  database: string,
  machines: readonly MachinePlan[],
): Map<string, Partial<TSMachineSpec>> {
  const cloud = openInMemoryCloud({ path: database, clock: systemClock });
  const specs = new Map<string, Partial<TSMachineSpec>>();
  for (const machine of machines) {
    const intent = { attempt: 1, clientToken: randomUUID(), requestHash: 'made by the bench' };
    const { providerID } = cloud.run({
      ...intent,
      ...machine,
      controlPlane: false,
      version: 'v1.36.3',
      failureDomain: undefined,
      capacity: { cpu: '4', memory: '8Gi' },
      rehearsal: { bootDelayMs: 0 },
      bootstrapData,
    });
    specs.set(machine.name, { providerID, createIntent: intent });
  }
  cloud.advance();
  // Their guests have joined long ago.
  const claim = { owner: 'bench', limit: machines.length, perCluster: machines.length, leaseMs: 600_000 };
  for (const job of cloud.claim(claim)) cloud.settle(job, claim.owner, { kind: 'done' });
  cloud.close();
  return specs;
}

function startRows({ manager, milestones }: Started, machines: number): Row[] {
  const since = (ms: number) => (ms - manager.startedMs) / 1000;
  const { readyMs, firstReconcileMs, allReconciledMs, longestPauseMs, scrape } = milestones;
  const requests = apiRequests(scrape);
  const first = since(firstReconcileMs);
  const { rssMiB, peakMiB, cpuSeconds } = manager.usage();
  const limit = HOLD.startSeconds;
  return [
    { what: 'process start to ready', value: `${digits(since(readyMs))} s` },
    {
      what: 'process start to first reconcile',
      value: `${digits(first)} s`,
      hold: target(`< ${limit} s`, first < limit),
    },
    { what: 'process start to all reconciled once', value: `${digits(since(allReconciledMs))} s` },
    { what: 'longest pause of the event loop until then', value: `${digits(longestPauseMs)} ms` },
    { what: 'reconciles for that', value: digits(reconciles(scrape)) },
    { what: 'CPU of the manager for that', value: `${digits(cpuSeconds)} s` },
    {
      what: 'writes for that',
      value: digits(writesOf(requests)),
      hold: promise('0', writesOf(requests) === 0),
    },
    { what: 'requests for that', value: listed(requests) },
    { what: 'RSS after that', value: `${digits(rssMiB)} MiB` },
    {
      what: 'RSS, the most until then',
      value: `${digits(peakMiB)} MiB`,
      hold: target(`<= ${HOLD.rssMiB} MiB at 10,000`, machines > 10_000 || peakMiB <= HOLD.rssMiB),
    },
  ];
}

async function idleRows(
  manager: ManagerProcess,
  world: World,
  seconds: number,
  say: (line: string) => void,
): Promise<Row[]> {
  say(`idle for ${seconds} s`);
  const apiServerPid = world.apiServer.process().pid;
  const apiServerBefore = usageOf(apiServerPid);
  const before = { scrape: await mustScrape(manager), usage: manager.usage(), calls: callsOf(world) };
  const startedMs = Date.now();
  const rss = await sampleRSS(manager, seconds);
  const elapsed = (Date.now() - startedMs) / 1000;
  const after = { scrape: await mustScrape(manager), usage: manager.usage() };
  const calls = callsOf(world) - before.calls + feedCalls(after.scrape) - feedCalls(before.scrape);
  const requests = requestsBetween(before.scrape, after.scrape);
  const cpu = after.usage.cpuSeconds - before.usage.cpuSeconds;
  const perSecond = calls / elapsed;
  return [
    { what: 'idle: writes', value: digits(writesOf(requests)), hold: promise('0', writesOf(requests) === 0) },
    { what: 'idle: requests', value: listed(requests) },
    { what: 'idle: reconciles', value: digits(reconciles(after.scrape) - reconciles(before.scrape)) },
    {
      what: 'idle: calls to the backend, its change feed included',
      value: `${digits(perSecond)}/s`,
      hold: target(`< ${HOLD.cloudCallsPerSecond}/s`, perSecond < HOLD.cloudCallsPerSecond),
    },
    {
      what: 'idle: RSS, least to most',
      value: `${digits(Math.min(...rss))} to ${digits(Math.max(...rss))} MiB`,
      hold: target(`<= ${HOLD.rssMiB} MiB at 10,000`, Math.max(...rss) <= HOLD.rssMiB),
    },
    { what: 'idle: JavaScript heap in use', value: heap(after.scrape) },
    { what: 'idle: CPU of the manager', value: `${digits((100 * cpu) / elapsed)} % of one core` },
    {
      what: 'idle: CPU of the API server',
      value: `${digits((100 * (usageOf(apiServerPid).cpuSeconds - apiServerBefore.cpuSeconds)) / elapsed)} % of one core`,
    },
    { what: 'idle: event loop lag, 99 % and most', value: lag(after.scrape) },
  ];
}

/** The backend does not count its change feed; the ticker that asks it does. */
function feedCalls(scrape: Scrape): number {
  return scrape.sum('ts_provider_ticker_time_seconds_count', { ticker: 'in-memory-changes' });
}

/** RSS in MiB, now and every few seconds. */
async function sampleRSS(manager: ManagerProcess, seconds: number): Promise<readonly number[]> {
  const deadline = Date.now() + seconds * 1000;
  const samples = [manager.usage().rssMiB];
  while (Date.now() < deadline) {
    await pause(Math.min(SAMPLE_MS, Math.max(0, deadline - Date.now())));
    samples.push(manager.usage().rssMiB);
  }
  return samples;
}

function instancesRow(world: World, machines: number): Row {
  const made = world.cloudCounts().instancesMade;
  return {
    what: 'instances ever made',
    value: digits(made),
    hold: promise(digits(machines), made === machines),
  };
}

function callsOf(world: World): number {
  return Object.values(world.cloudCounts().calls).reduce((sum, calls) => sum + calls, 0);
}

/** Since the scrape before. */
function lag(scrape: Scrape): string {
  const ms = (name: string) => digits(1000 * scrape.sum(`nodejs_eventloop_lag_${name}_seconds`));
  return `${ms('p99')} ms, ${ms('max')} ms`;
}

function heap(scrape: Scrape): string {
  return `${digits(scrape.sum('nodejs_heap_size_used_bytes') / 2 ** 20)} MiB`;
}
