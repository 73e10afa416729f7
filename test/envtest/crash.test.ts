// SPDX-License-Identifier: Apache-2.0
// kill -9 at any line is safe: the manager dies again and again while it makes and removes a hundred machines.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NodeKind } from '../../api/kinds.ts';
import type { InMemoryCloud } from '../../backends/inmemory/cloud.ts';
import { openInMemoryCloud } from '../../backends/inmemory/sqlite-cloud.ts';
import { serviceAccountKubeconfig } from '../../hack/stack/service-account.ts';
import { PROVIDER_ACCOUNT } from '../../hack/stack/provider.ts';
import { pause } from '../../hack/stack/process.ts';
import { systemClock } from '../../runtime/clock.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { type Writes, watchWrites } from './machine-writes.ts';
import { bundleManager } from './manager-bundle.ts';
import { seeded } from './seeded.ts';

const MACHINES = 100;
const LIVES = 50;
const DELETE_LIVES = 10;
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_121);

const soon = { timeout: 120_000, interval: 250 };

let environment: Environment;
let cluster: BareCluster;
let cloud: InMemoryCloud;
let kubeconfig: string;
let main: string;
let writes: Writes;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  const { stack, apiServer } = environment;
  kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...PROVIDER_ACCOUNT });
  main = await bundleManager(environment.dir);
  cluster = await bareCluster(environment, { purpose: 'crash', joins: true });
  cloud = openInMemoryCloud({ path: `${environment.dir}/cloud.sqlite`, clock: systemClock });
  writes = watchWrites(environment, cluster.namespace);
});

afterAll(async () => {
  writes?.end();
  cloud?.close();
  await environment?.stop();
});

it(
  `IM-15, design invariants 1 and 2: killed ${LIVES} times while ${MACHINES} machines are made, it makes exactly ${MACHINES} instances and loses none`,
  { timeout: 400_000 },
  async () => {
    const random = seeded(SEED);
    const lives: Life[] = [];
    for (let count = 0; count < LIVES; count++)
      lives.push(await live({ random, work: () => cluster.addMachines(MACHINES / LIVES) }));
    const survivor = await start();
    await expect.poll(() => cluster.provisioned(), soon).toBe(MACHINES);
    await expect.poll(() => nodes(), soon).toHaveLength(MACHINES);
    report('made', lives);

    const providerIDs = (await cluster.tsMachines()).map(({ spec }) => spec.providerID ?? '');
    const joined = (await nodes()).map(({ spec }) => spec?.providerID ?? '');
    expect(cloud.counts().instancesMade, `seed ${SEED}`).toBe(MACHINES);
    expect(new Set(providerIDs).size).toBe(MACHINES);
    expect(joined.sort()).toEqual(providerIDs.sort());
    await survivor.server.kill();

    // The kills hit work in progress, or the above says little.
    expect(those(lives, 'writes')).toBeGreaterThan(LIVES / 2);
    expect(those(lives, 'instances')).toBeGreaterThan(LIVES / 3);
    expect(those(lives, 'promised')).toBeGreaterThan(0);
    expect(those(lives, 'underWay')).toBeGreaterThan(LIVES / 5);
  },
);

it(
  `IM-12: killed ${DELETE_LIVES} times while ${MACHINES} machines are removed, it leaves nothing behind`,
  { timeout: 300_000 },
  async () => {
    const random = seeded(SEED + 1);
    const tokens = (await cluster.tsMachines()).map(({ spec }) => spec.createIntent!.clientToken);
    const lives: Life[] = [];
    const work = () => cluster.deleteTSMachines(MACHINES / DELETE_LIVES);
    for (let count = 0; count < DELETE_LIVES; count++)
      lives.push(await live({ random, work, flags: ['--tsmachine-concurrency=1'] }));
    await start();
    await expect.poll(() => cluster.tsMachines(), soon).toEqual([]);
    await expect.poll(() => nodes(), soon).toEqual([]);
    report('removed', lives);
    const states = tokens.map((clientToken) => cloud.find({ clientToken })?.state);
    expect(new Set(states)).toEqual(new Set(['terminated']));
    expect(cloud.counts().instancesMade).toBe(MACHINES);
    expect(those(lives, 'writes')).toBeGreaterThan(DELETE_LIVES / 2);
    expect(those(lives, 'leaving')).toBeGreaterThan(DELETE_LIVES / 5);
  },
);

/** What one manager got done before it was killed, and how it left things. */
interface Life {
  readonly writes: number;
  readonly instances: number;
  /** Machines with a create intent and no providerID: perhaps made, nobody knows. */
  readonly promised: number;
  /** Machines with a providerID that are not provisioned yet. */
  readonly underWay: number;
  /** Machines that are to go and have not gone. */
  readonly leaving: number;
}

interface LifeOptions {
  readonly random: () => number;
  /** Done while the manager starts. */
  readonly work: () => Promise<void>;
  readonly flags?: readonly string[];
}

/**
 * From start to SIGKILL. Every fifth dies at any moment, also while it starts; of the others half die within 60 ms after their first
 * write, where the steps follow one another, and half within 600 ms.
 */
async function live({ random, work, flags = [] }: LifeOptions): Promise<Life> {
  const [writesBefore, instancesBefore] = [writes.count(), cloud.counts().instancesMade];
  const first = writes.next();
  const [{ server }] = await Promise.all([start({ waitReady: false, flags }), work()]);
  const kind = random();
  if (kind < 0.2) await pause(50 + random() * 1_950);
  else {
    await Promise.race([first, pause(60_000)]);
    await pause(kind < 0.6 ? random() * 60 : random() * 600);
  }
  await server.kill();
  const instances = cloud.counts().instancesMade - instancesBefore;
  return { writes: writes.count() - writesBefore, instances, ...(await unfinished()) };
}

async function unfinished(): Promise<Pick<Life, 'promised' | 'underWay' | 'leaving'>> {
  const machines = await cluster.tsMachines();
  const promised = machines.filter(({ spec }) => spec.createIntent && !spec.providerID);
  const known = machines.filter(({ spec }) => spec.providerID);
  const underWay = known.filter(({ status }) => status?.initialization?.provisioned !== true);
  const leaving = machines.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
  return { promised: promised.length, underWay: underWay.length, leaving: leaving.length };
}

function start({ flags = [], waitReady = true }: { flags?: readonly string[]; waitReady?: boolean } = {}) {
  const database = `${environment.dir}/cloud.sqlite`;
  const all = [`--namespace=${cluster.namespace}`, ...flags];
  return environment.startProvider({ kubeconfig, main, flags: all, database, waitReady });
}

async function nodes() {
  return (await environment.workloadClient()).list(NodeKind);
}

/** In how many lives this is more than none. */
function those(lives: readonly Life[], what: keyof Life): number {
  return lives.filter((life) => life[what] > 0).length;
}

function report(what: string, lives: readonly Life[]): void {
  const counts = lives.map(
    (one) => `${one.writes}/${one.instances}/${one.promised}/${one.underWay}/${one.leaving}`,
  );
  console.log(
    `${what}, seed ${SEED}; writes/instances/promised/under way/leaving at each kill: ${counts.join(' ')}`,
  );
}
