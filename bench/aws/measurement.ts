// SPDX-License-Identifier: Apache-2.0
// One candidate, one number of machines: they are made at once, looked at, and deleted at once.
import { pause } from '../../hack/stack/process.ts';
import { byVerb, failed, ofWork, type Request, within } from '../bootstrap/audit-log.ts';
import { machineTime, shareOfOthers } from '../bootstrap/machine-load.ts';
import { growth } from '../scrape.ts';
import type { Candidate } from './candidate.ts';
import type { CloudServers, Instances } from './cloud.ts';
import { total } from './counts.ts';
import type { CandidateName } from './options.ts';
import { type ServerCPU, withWorld, type World } from './world.ts';

/** What one of the two halves took: making all machines, or deleting them. */
export interface Phase {
  /** From the first request of the bench until the last machine was seen to be provisioned, or gone. */
  readonly seconds: number;
  /** Cloud calls by service and action until the candidate is quiet, retries counted each. */
  readonly calls: ReadonlyMap<string, number>;
  /** How many of them were answered with an error. */
  readonly callFailures: number;
  /** The candidate's requests at the API server by verb and resource, watches and leases left out, until it is quiet. */
  readonly requests: ReadonlyMap<string, number>;
  /** Those of them that were answered with an error: `409 patch tsmachines` -> 5. */
  readonly requestFailures: ReadonlyMap<string, number>;
  /** CPU seconds of the candidate until it is quiet. */
  readonly cpuSeconds: number;
  /** CPU seconds of the servers that it waits for. */
  readonly serverCPU: ServerCPU;
  /** Share of the machine's processors, 0 to 1, that something else had during {@link seconds}. */
  readonly others: number;
}

export interface Measurement {
  readonly candidate: CandidateName;
  /** For tables: {@link Candidate.name}. */
  readonly title: string;
  /** Machines. */
  readonly count: number;
  readonly create: Phase;
  readonly delete: Phase;
  /** After create; {@link count} of each is right. */
  readonly instances: Instances;
  /** After delete; {@link count} made and 0 living is right. */
  readonly leftOver: Instances;
  /** Of the candidate, at any time. */
  readonly peakMiB: number;
}

/** Silence of this length is the end of the work. */
const QUIET_MS = 5_000;
const LOOK_MS = 500;
/** One that is never quiet is measured up to here. */
const LONGEST_TAIL_MS = 60_000;

export interface Plan {
  readonly name: CandidateName;
  readonly candidate: Candidate;
  /** Machines. */
  readonly count: number;
}

/** In a world of its own, but for moto, which is emptied before. */
export async function measure(servers: CloudServers, plan: Plan): Promise<Measurement> {
  const { candidate } = plan;
  const cloud = await servers.renew();
  return withWorld(cloud, async (world) => {
    try {
      await candidate.start(world);
      await untilQuiet(world, candidate);
      return await run(world, plan);
    } catch (error) {
      throw new Error(`${candidate.name}: ${(error as Error).message}\n${candidate.tail()}`, {
        cause: error,
      });
    } finally {
      await candidate.stop();
    }
  });
}

async function run(world: World, { name, candidate, count }: Plan): Promise<Measurement> {
  const create = await during(world, candidate, async () => {
    await candidate.createMachines(count);
    await candidate.untilProvisioned();
  });
  const instances = await world.cloud.instances();
  const gone = await during(world, candidate, async () => {
    await candidate.deleteMachines();
    await candidate.untilGone();
  });
  return {
    candidate: name,
    title: candidate.name,
    count,
    create,
    delete: gone,
    instances,
    leftOver: await world.cloud.instances(),
    peakMiB: candidate.usage().peakMiB,
  };
}

/** Runs `act`, and tells what it took. */
async function during(world: World, candidate: Candidate, act: () => Promise<void>): Promise<Phase> {
  const { cloud } = world;
  const before = { cpu: cpuOf(world, candidate), machine: machineTime() };
  const counted = { calls: await cloud.calls(), failures: await cloud.failures() };
  const fromMs = Date.now();
  await act();
  const seconds = (Date.now() - fromMs) / 1000;
  const done = { cpu: cpuOf(world, candidate), machine: machineTime() };
  await untilQuiet(world, candidate);
  const after = cpuOf(world, candidate);
  const requests = requestsSince(world, candidate, fromMs);
  const grown = (key: keyof ServerCPU) => after[key] - before.cpu[key];
  return {
    seconds,
    calls: growth(counted.calls, await cloud.calls()),
    callFailures: (await cloud.failures()) - counted.failures,
    requests: byVerb(requests),
    requestFailures: failuresOf(requests),
    cpuSeconds: after.candidate - before.cpu.candidate,
    serverCPU: {
      apiServer: grown('apiServer'),
      etcd: grown('etcd'),
      core: grown('core'),
      moto: grown('moto'),
      proxy: grown('proxy'),
    },
    others: shareOfOthers(before.machine, done.machine, sum(done.cpu) - sum(before.cpu)),
  };
}

/** Until the candidate has asked for nothing for a while, neither the cloud nor the API server. */
async function untilQuiet(world: World, candidate: Candidate): Promise<void> {
  const startedMs = Date.now();
  let [quietSinceMs, calls] = [startedMs, total(await world.cloud.calls())];
  while (Date.now() - quietSinceMs < QUIET_MS && Date.now() - startedMs < LONGEST_TAIL_MS) {
    await pause(LOOK_MS);
    const now = total(await world.cloud.calls());
    if (now !== calls) [quietSinceMs, calls] = [Date.now(), now];
    for (const { atMs } of requestsSince(world, candidate, quietSinceMs))
      quietSinceMs = Math.max(quietSinceMs, atMs + 1);
  }
}

/** What the candidate asked of the API server, watches and leases left out. */
function requestsSince(world: World, { user }: Candidate, fromMs: number) {
  const all = within(world.requests(), { fromMs, toMs: Date.now() });
  return ofWork(all).filter((one) => one.user === user);
}

function failuresOf(requests: readonly Request[]): ReadonlyMap<string, number> {
  return byVerb(failed(requests).map((one) => ({ ...one, verb: `${one.code} ${one.verb}` })));
}

/** CPU seconds up to now of all that belongs to the measurement. */
function cpuOf(world: World, candidate: Candidate) {
  const { user, system } = process.cpuUsage();
  return { candidate: candidate.usage().cpuSeconds, ...world.serverCPU(), bench: (user + system) / 1e6 };
}

function sum(cpu: Readonly<Record<string, number>>): number {
  return Object.values(cpu).reduce((all, seconds) => all + seconds, 0);
}
