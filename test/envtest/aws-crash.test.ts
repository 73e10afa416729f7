// SPDX-License-Identifier: Apache-2.0
// Whatever AWS does to calls, and whenever the manager dies: a hundred machines are a hundred instances, and none when they are gone.
import { RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, it } from 'vitest';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import { TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine, TSMachineSpec } from '../../api/tsmachine.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { pause } from '../../hack/stack/process.ts';
import { PROVIDER_ACCOUNT, type Provider } from '../../hack/stack/provider.ts';
import { serviceAccountKubeconfig } from '../../hack/stack/service-account.ts';
import { nameOf } from '../../runtime/object.ts';
import {
  clusterSpec,
  createIdentity,
  createVPC,
  IMAGE,
  PROFILES,
  type Region,
  startRegion,
  tagOf,
} from './aws-region.ts';
import { shuffled, type Trouble, TROUBLES } from './aws-trouble.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { becomes } from './host-story.ts';
import { conditionText } from './machines.ts';
import { bundleManager } from './manager-bundle.ts';
import { seeded } from './seeded.ts';

const MACHINES = 100;
const INLINE: AWSMachineSpec = { instanceType: 'm5.large', image: { lookup: { ...IMAGE } } };
/** The bootstrap data of every second machine wait in Secrets Manager. Nobody fetches them here: that is for the manager to clean up. */
const STORED: TSMachineSpec = {
  aws: { ...INLINE, iamInstanceProfile: PROFILES.node, userData: { storage: 'SecretsManager' } },
};
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_122);

/** What a hundred machines may take when all is well again, with three cores too few. */
const LONG_MS = 200_000;
/** Of these there is enough in a story where all reads are stale. */
const IS_STALE = /seconds old$/;
const FIRST_ACT_MS = 12_000;
/** Machines of a story of their own. */
const FEW = 4;
const STORE = 'CreateSecret';
const ACTS = ['RunInstances', 'TerminateInstances', STORE];

let environment: Environment;
let moto: Moto;
let kubeconfig: string;
let main: string;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  const { stack, apiServer } = environment;
  [kubeconfig, main, moto] = await Promise.all([
    serviceAccountKubeconfig({ stack, apiServer, ...PROVIDER_ACCOUNT }),
    bundleManager(environment.dir),
    startMoto({ dir: environment.dir }),
  ]);
});

afterAll(async () => {
  await environment?.stop();
  for (const { region } of sites) await region.stop();
  await moto?.stop();
});

const sites: Site[] = [];

/** One cluster in a region of its own. */
interface Site {
  readonly region: Region;
  readonly cluster: BareCluster;
  readonly random: () => number;
  readonly flags: readonly string[];
  readonly lives: Life[];
  /** Of the region, with nothing of the cluster. */
  readonly before: string;
}

async function openSite(name: string, flags: readonly string[]): Promise<Site> {
  const region = await startRegion({ moto, kubernetes: environment.stack.versions.kubernetes, name });
  const vpc = await createVPC(region);
  const before = await region.snapshot();
  const purpose = `crash-${name}`;
  const cluster = await bareCluster(environment, {
    purpose,
    infrastructure: {
      cluster: clusterSpec(region, vpc, purpose),
      machine: { aws: INLINE },
    },
  });
  await createIdentity(environment.client, purpose, [cluster.namespace]);
  const site = { region, cluster, random: seeded(SEED), flags, lives: [], before };
  sites.push(site);
  return site;
}

it.concurrent(
  `each trouble after the other, killed in each: ${MACHINES} machines are exactly ${MACHINES} instances, and none when they are gone`,
  { timeout: 600_000 },
  async ({ expect }) => {
    const site = await openSite('us-east-1', ['--aws-consistency-window=15s']);
    const { region, cluster, random } = site;
    // Also between the troubles, so that what a manager has made when it dies is not there for the next to see: the token alone knows.
    region.proxy.options.staleMs = 5_000;
    const share = MACHINES / TROUBLES.length;
    for (const trouble of shuffled(TROUBLES, random)) {
      await endure(site, [trouble], async () => {
        await cluster.addMachines(1, { controlPlane: true });
        await cluster.addMachines(share / 2 - 1);
        await cluster.addMachines(share / 2, { spec: STORED });
      });
    }
    const survivor = await start(site);
    await becomes('provisioned', () => cluster.provisioned(), MACHINES, LONG_MS);
    expect(await ownInstances(site), `seed ${SEED}`).toEqual(await wantedInstances(site));
    expect(await region.instances(), `seed ${SEED}`).toHaveLength(MACHINES);
    await endureTwin(site);
    await survivor.server.kill();

    const made = (await region.instances()).length;
    for (const trouble of shuffled(TROUBLES, random))
      await endure(site, [trouble], () =>
        cluster.deleteTSMachines(Math.ceil((MACHINES + 1) / TROUBLES.length)),
      );
    await start(site);
    await nothingIsLeft(site);
    // What was made and known is ended, and nothing is made for a machine that is to go.
    expect(await region.instances(), `seed ${SEED}`).toHaveLength(made);
    expect(await region.snapshot()).toBe(site.before);
    // The kills hit work in progress, or the above says little.
    const isMaking = ({ stored, launches }: Life) => stored + launches > 0;
    expect(site.lives.filter(isMaking).length).toBeGreaterThan(TROUBLES.length / 3);
    expect(site.lives.filter(({ ends }) => ends > 0).length).toBeGreaterThan(TROUBLES.length / 3);
  },
);

it.concurrent(
  'several at once, what is read half a minute old, some machines deleted while they are made: an instance for each that stays',
  { timeout: 600_000 },
  async ({ expect }) => {
    const site = await openSite('us-west-2', []);
    const { region, cluster, random } = site;
    region.proxy.options.staleMs = 30_000;
    await dieBeforeAsking(site);
    await dieBeforeStoring(site);
    const some = () =>
      shuffled(
        TROUBLES.filter(({ what }) => !IS_STALE.test(what)),
        random,
      ).slice(0, 3);
    const rounds = 5;
    for (let round = 0; round < rounds; round++) {
      await endure(site, some(), async () => {
        await cluster.addMachines(MACHINES / rounds / 2);
        await cluster.addMachines(MACHINES / rounds / 2, { spec: STORED });
        await pause(random() * 2_000);
        await cluster.deleteTSMachines(2, { newest: true });
      });
    }
    const survivor = await start(site);
    const stay = FEW + MACHINES - 2 * rounds;
    await becomes('machines', async () => (await cluster.tsMachines()).length, stay, LONG_MS);
    await becomes('provisioned', () => cluster.provisioned(), stay, LONG_MS);
    // The end of those that were deleted may not be visible yet.
    await becomes('instances', async () => (await region.living()).length, stay);
    expect(await ownInstances(site), `seed ${SEED}`).toEqual(await wantedInstances(site));
    await survivor.server.kill();

    for (let round = 0; round < 2; round++)
      await endure(site, some(), () => cluster.deleteTSMachines(MACHINES / 2));
    await start(site);
    await nothingIsLeft(site);
    expect(await region.snapshot(), `seed ${SEED}`).toBe(site.before);
  },
);

/** Chance hits this moment too seldom: data are stored, no instance was asked for, and the next manager has only to delete. */
async function dieBeforeAsking(site: Site): Promise<void> {
  const { region, cluster } = site;
  const { proxy } = region;
  const lost = proxy.faults.add({ kind: 'lostRequest', actions: ['RunInstances'], rate: 1 });
  const { server } = await start(site);
  await cluster.addMachines(FEW, { spec: STORED });
  const secrets = async () => (JSON.parse(await region.snapshot()) as { secrets: unknown[] }).secrets.length;
  await becomes('the secrets', secrets, FEW);
  await server.kill();
  lost.remove();
  await cluster.deleteTSMachines(FEW);
  const next = await start(site);
  await becomes('machines', async () => (await cluster.tsMachines()).length, 0, LONG_MS);
  await next.server.kill();
}

/** Nor this one: data of an attempt that was refused are there still, the next attempt is recorded, and nothing is stored for it. */
async function dieBeforeStoring(site: Site): Promise<void> {
  const { region, cluster } = site;
  const { faults, options } = region.proxy;
  const stay = faults.add({ kind: 'lostRequest', actions: ['DeleteSecret'], rate: 1 });
  options.noCapacity = ['a', 'b', 'c'].map((zone) => ({ availabilityZone: `${region.name}${zone}` }));
  const { server } = await start(site);
  await cluster.addMachines(FEW, { spec: STORED });
  const second = async () =>
    (await cluster.tsMachines()).some(({ spec }) => (spec.createIntent?.attempt ?? 0) > 1);
  await becomes('a second attempt', second, true, LONG_MS);
  await server.kill();
  stay.remove();
  options.noCapacity = [];
}

/** As if the cloud had made two for one request. */
async function endureTwin(site: Site): Promise<void> {
  const { region, cluster } = site;
  const [machine] = await cluster.tsMachines();
  const twin = await launchTwin(region, machine!);
  const ready = async () =>
    conditionText(await environment.client.get(TSMachineKind, nameOf(machine!)), 'Ready');
  await becomes('the condition', ready, new RegExp(`^False DuplicateInstances: .*${twin}`));
  await cluster.addMachines(1);
  await becomes('the others', () => cluster.provisioned(), MACHINES + 1);
  await region.ec2.send(new TerminateInstancesCommand({ InstanceIds: [twin] }));
  await becomes('the condition', ready, /^True/);
}

/** What a manager got done before it was killed. */
interface Life {
  readonly stored: number;
  readonly launches: number;
  readonly ends: number;
  /** Instances that came to be. */
  readonly made: number;
}

/** A manager that lives and dies while it lasts. The work is done beside its start; what it leaves is for the next. */
async function endure(site: Site, troubles: readonly Trouble[], work: () => Promise<void>): Promise<void> {
  const began = Date.now();
  const ends = troubles.map((trouble) => trouble.begin(site.region));
  try {
    const life = await live(site, work);
    site.lives.push(life);
    const { stored, launches, ends: ended, made } = life;
    const seconds = ((Date.now() - began) / 1_000).toFixed(1);
    const what = troubles.map((trouble) => trouble.what).join(', ');
    console.log(
      `${site.region.name}: ${what}; ${seconds} s, stored ${stored}, asked for ${launches}, made ${made}, ended ${ended}`,
    );
  } finally {
    for (const end of ends) end();
  }
}

/**
 * From start to SIGKILL. One in five dies at any moment, also while it starts; of the others half die right after their first call that
 * makes or ends instances or stores data for one, where the steps follow one another, and half later.
 */
async function live(site: Site, work: () => Promise<void>): Promise<Life> {
  const { region, random } = site;
  const { proxy } = region;
  const counts = () => ACTS.map((action) => proxy.countOf(action));
  const [before, madeBefore] = [counts(), (await region.instances()).length];
  const [{ server }] = await Promise.all([start(site, { waitReady: false }), work()]);
  const kind = random();
  if (kind < 0.2) await pause(100 + random() * 2_500);
  else {
    const isHasty = kind < 0.6;
    const acts = () =>
      counts().some((count, index) => count > (before[index] ?? 0) && (isHasty || ACTS[index] !== STORE));
    await becomes('its first act', acts, true, FIRST_ACT_MS).catch(() => undefined);
    await pause(isHasty ? random() * 200 : random() * 2_000);
  }
  await server.kill();
  const [launches = 0, ends = 0, stored = 0] = counts().map((count, index) => count - (before[index] ?? 0));
  return { stored, launches, ends, made: (await region.instances()).length - madeBefore };
}

let started = 0;

function start(
  { region, cluster, flags }: Pick<Site, 'region' | 'cluster' | 'flags'>,
  { waitReady = true }: { readonly waitReady?: boolean } = {},
): Promise<Provider> {
  const all = [`--namespace=${cluster.namespace}`, ...flags];
  return environment.startProvider({
    ...{ kubeconfig, main, env: region.env, waitReady },
    ...{ flags: all, name: `manager-${started++}` },
  });
}

/** What lives, as `machine instance`. */
async function ownInstances({ region }: Site): Promise<string[]> {
  const living = await region.living();
  return living
    .map((one) => `${tagOf(one, 'ts-provider/machine').split('/').at(-1)} ${one.InstanceId}`)
    .sort();
}

/** What shall live: one for each TSMachine, the one that it names. */
async function wantedInstances({ cluster }: Site): Promise<string[]> {
  const machines = await cluster.tsMachines();
  return machines
    .map(({ metadata, spec }) => `${metadata.name} ${spec.providerID?.split('/').at(-1)}`)
    .sort();
}

/** Machines and instances are gone, and then the cluster. */
async function nothingIsLeft({ region, cluster }: Site): Promise<void> {
  const { client } = environment;
  await becomes('machines', async () => (await cluster.tsMachines()).length, 0, LONG_MS);
  await becomes('instances', async () => (await region.living()).length, 0);
  const [tsCluster] = await client.list(TSClusterKind, { namespace: cluster.namespace });
  await client.delete(TSClusterKind, nameOf(tsCluster!));
  const isGone = async () => (await client.get(TSClusterKind, nameOf(tsCluster!))) === undefined;
  await becomes('the TSCluster gone', isGone, true, LONG_MS);
}

/** Answers its id. */
async function launchTwin(region: Region, machine: TSMachine): Promise<string> {
  const id = machine.spec.providerID?.split('/').at(-1);
  const model = (await region.living()).find(({ InstanceId }) => InstanceId === id);
  const { ImageId, InstanceType, SubnetId, Tags } = model!;
  const { Instances } = await region.ec2.send(
    new RunInstancesCommand({
      ...{ ImageId, InstanceType, MinCount: 1, MaxCount: 1 },
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId, DeleteOnTermination: true }],
      TagSpecifications: [{ ResourceType: 'instance', Tags }],
    }),
  );
  return Instances?.[0]?.InstanceId ?? '';
}
