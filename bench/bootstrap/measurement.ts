// SPDX-License-Identifier: Apache-2.0
// One burst, one candidate: everything is made paused, unpaused at once, and watched from outside.
import { NamespaceKind } from '../../hack/stack/kinds.ts';
import { pause } from '../../hack/stack/process.ts';
import {
  byVerb,
  failed,
  ofWork,
  type Request,
  secretWrites,
  tokensMade,
  type Window,
  within,
} from './audit-log.ts';
import { type Candidate, startCandidate } from './candidate.ts';
import { machineTime, shareOfOthers } from './machine-load.ts';
import { createPaused, type Plan, unpause } from './objects.ts';
import { observe, type Observer } from './observer.ts';
import type { BootstrapOptions, CandidateName } from './options.ts';
import { type ServerCPU, type Target, withWorld, type World } from './world.ts';

/** What one burst took. */
export interface Measurement {
  readonly candidate: CandidateName;
  readonly kind: Plan['kind'];
  /** KubeadmConfigs. */
  readonly count: number;
  /** From the first unpaused Cluster until the last KubeadmConfig says that its data Secret is there. */
  readonly seconds: number;
  /** Requests by verb and resource, watches and leases left out. */
  readonly requests: Readonly<Record<Target, ReadonlyMap<string, number>>>;
  /** How many of these were answered with an error. */
  readonly failures: number;
  /** Bootstrap tokens made beyond one for each worker; fewer than 0 would be too few. */
  readonly secondTokens: number;
  /** Writes of data Secrets beyond one each. */
  readonly secondWrites: number;
  readonly peakMiB: number;
  /** Of the provider, until it is quiet. */
  readonly cpuSeconds: number;
  /** Of the servers that it talks to. */
  readonly serverCPU: ServerCPU;
  /** Share of the machine's processors, 0 to 1, that something else had during {@link seconds}: much of it makes them worthless. */
  readonly others: number;
  /** `undefined` for a program without an event loop. */
  readonly eventLoopP99Ms: number | undefined;
  /** `undefined` where it was not asked for. */
  readonly idle: Idle | undefined;
}

/** Requests per minute once all is done. */
export interface Idle {
  readonly management: number;
  readonly workload: number;
  readonly leases: number;
  readonly watches: number;
}

const NAMESPACE = 'bench';
const TIMEOUT_MS = 900_000;
/** Silence of this length is the end of the work: what a program does twice, it does after the last config is done. */
const QUIET_MS = 5_000;
const LOOK_MS = 500;
/** One that is never quiet is measured up to here. */
const LONGEST_TAIL_MS = 120_000;

export interface Burst {
  readonly candidate: CandidateName;
  plan(namespace: string): Plan;
  /** 0: no idle window. */
  readonly idleSeconds: number;
}

/** Runs one burst on API servers of its own. */
export function measure(burst: Burst, options: BootstrapOptions): Promise<Measurement> {
  return withWorld(async (world) => {
    const candidate = await startCandidate(world, burst.candidate, options);
    try {
      return await run(world, candidate, burst);
    } catch (error) {
      throw new Error(`${candidate.name}: ${(error as Error).message}\n${candidate.tail()}`, {
        cause: error,
      });
    } finally {
      await candidate.stop();
    }
  });
}

async function run(world: World, candidate: Candidate, burst: Burst): Promise<Measurement> {
  const { client } = world;
  await client.create(NamespaceKind, namespaceOf(NAMESPACE));
  const plan = burst.plan(NAMESPACE);
  const observer = observe(client, NAMESPACE);
  try {
    await createPaused(client, plan, world.workload);
    await observer.until('paused', { count: plan.configs.length, timeoutMs: TIMEOUT_MS });
    // Its connection to the workload cluster stands by then, too: how long a program waits for its first one is not the question.
    await untilQuiet(world, candidate);
    const work = await during(world, candidate, () => unpauseAndWait(world, plan, observer));
    const idle = burst.idleSeconds > 0 ? await idleFor(world, candidate, burst.idleSeconds) : undefined;
    return { ...facts(plan, candidate, work), idle };
  } finally {
    observer.stop();
  }
}

/** Milliseconds from the first request to the last sighting. */
async function unpauseAndWait({ client }: World, plan: Plan, observer: Observer): Promise<number> {
  const startedMs = Date.now();
  const [doneMs] = await Promise.all([
    observer.until('done', { count: plan.configs.length, timeoutMs: TIMEOUT_MS }),
    unpause(client, plan),
  ]);
  return doneMs - startedMs;
}

interface Work {
  readonly elapsedMs: number;
  readonly requests: Readonly<Record<Target, readonly Request[]>>;
  readonly cpuSeconds: number;
  readonly serverCPU: ServerCPU;
  readonly others: number;
  readonly eventLoopP99Ms: number | undefined;
}

/** Runs `act`, and tells what it took. */
async function during(world: World, candidate: Candidate, act: () => Promise<number>): Promise<Work> {
  await candidate.eventLoopP99Ms(); // Begins anew.
  const before = { machine: machineTime(), cpu: cpuOf(world, candidate) };
  const fromMs = Date.now();
  const elapsedMs = await act();
  const done = { machine: machineTime(), cpu: cpuOf(world, candidate) };
  const eventLoopP99Ms = await candidate.eventLoopP99Ms();
  await untilQuiet(world, candidate);
  const after = cpuOf(world, candidate);
  return {
    elapsedMs,
    requests: requestsOf(world, candidate, { fromMs, toMs: Date.now() }),
    cpuSeconds: after.provider - before.cpu.provider,
    serverCPU: {
      management: after.management - before.cpu.management,
      workload: after.workload - before.cpu.workload,
      etcd: after.etcd - before.cpu.etcd,
    },
    others: shareOfOthers(before.machine, done.machine, sum(done.cpu) - sum(before.cpu)),
    eventLoopP99Ms,
  };
}

/** CPU seconds up to now of all that belongs to the measurement. */
function cpuOf(world: World, candidate: Candidate) {
  const { user, system } = process.cpuUsage();
  return { provider: candidate.usage().cpuSeconds, ...world.serverCPU(), bench: (user + system) / 1e6 };
}

function sum(cpu: Readonly<Record<string, number>>): number {
  return Object.values(cpu).reduce((total, seconds) => total + seconds, 0);
}

/** Until the candidate has asked for nothing for a while. */
async function untilQuiet(world: World, candidate: Candidate): Promise<void> {
  const startedMs = Date.now();
  let quietSinceMs = startedMs;
  while (Date.now() - quietSinceMs < QUIET_MS && Date.now() - startedMs < LONGEST_TAIL_MS) {
    await pause(LOOK_MS);
    const { management, workload } = requestsOf(world, candidate, { fromMs: quietSinceMs, toMs: Date.now() });
    for (const { atMs } of ofWork([...management, ...workload]))
      quietSinceMs = Math.max(quietSinceMs, atMs + 1);
  }
}

async function idleFor(world: World, candidate: Candidate, seconds: number): Promise<Idle> {
  const fromMs = Date.now();
  await pause(1_000 * seconds);
  const { management, workload } = requestsOf(world, candidate, { fromMs, toMs: Date.now() });
  const all = [...management, ...workload];
  const perMinute = (requests: readonly Request[]) => (60 * requests.length) / seconds;
  return {
    management: perMinute(ofWork(management)),
    workload: perMinute(ofWork(workload)),
    leases: perMinute(all.filter(({ resource }) => resource === 'leases')),
    watches: perMinute(all.filter(({ verb }) => verb === 'watch')),
  };
}

/** What the candidate asked for. Nobody else but the server itself talks to the workload API server. */
function requestsOf(world: World, { user }: Candidate, window: Window) {
  const management = within(world.requests('management'), window).filter((one) => one.user === user);
  const workload = within(world.requests('workload'), window).filter(
    (one) => one.user !== 'system:apiserver',
  );
  return { management, workload };
}

function facts(plan: Plan, candidate: Candidate, work: Work): Omit<Measurement, 'idle'> {
  const count = plan.configs.length;
  const management = ofWork(work.requests.management);
  const workload = ofWork(work.requests.workload);
  const names = new Set(plan.configs.map(({ name }) => name));
  return {
    candidate: candidate.name,
    kind: plan.kind,
    count,
    seconds: work.elapsedMs / 1000,
    requests: { management: byVerb(management), workload: byVerb(workload) },
    failures: failed([...management, ...workload]).length,
    secondTokens: tokensMade(workload) - (plan.kind === 'workers' ? count : 0),
    secondWrites: secretWrites(management, names) - count,
    peakMiB: candidate.usage().peakMiB,
    cpuSeconds: work.cpuSeconds,
    serverCPU: work.serverCPU,
    others: work.others,
    eventLoopP99Ms: work.eventLoopP99Ms,
  };
}

function namespaceOf(name: string) {
  return { apiVersion: NamespaceKind.apiVersion, kind: NamespaceKind.kind, metadata: { name } };
}
