// SPDX-License-Identifier: Apache-2.0
// Whatever AWS does to calls, and whenever the manager dies: a hundred machines are a hundred instances, and none when they are gone.
import { RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import { TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
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
  type Region,
  startRegion,
  tagOf,
} from './aws-region.ts';
import { shuffled, type Trouble, TROUBLES } from './aws-trouble.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { type Writes, watchWrites } from './machine-writes.ts';
import { conditionText } from './machines.ts';
import { bundleManager } from './manager-bundle.ts';
import { seeded } from './seeded.ts';

const MACHINES = 100;
/** Of each trouble, so that some die in it and some are born into it. */
const LIVES = 2;
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_122);

const soon = { timeout: 150_000, interval: 500 };

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
  await moto?.stop();
});

/** One cluster in a region of its own. */
interface Site {
  readonly region: Region;
  readonly cluster: BareCluster;
  readonly writes: Writes;
  readonly random: () => number;
  readonly flags: readonly string[];
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
      machine: { aws: { instanceType: 'm5.large', image: { lookup: { ...IMAGE } } } },
    },
  });
  await createIdentity(environment.client, purpose, [cluster.namespace]);
  const writes = watchWrites(environment, cluster.namespace);
  return { region, cluster, writes, random: seeded(SEED), flags, before };
}

async function closeSite(site: Site | undefined): Promise<void> {
  site?.writes.end();
  await site?.region.stop();
}

describe('each trouble after the other', () => {
  let site: Site;
  let survivor: Provider;

  beforeAll(async () => {
    site = await openSite('us-east-1', ['--aws-consistency-window=12s']);
  });
  afterAll(() => closeSite(site));

  it(`killed ${LIVES} times in each of them while ${MACHINES} machines are made: exactly ${MACHINES} instances`, async () => {
    const { region, cluster, random } = site;
    const share = MACHINES / TROUBLES.length;
    for (const trouble of shuffled(TROUBLES, random)) {
      await endure(site, [trouble], async () => {
        await cluster.addMachines(1, { controlPlane: true });
        await cluster.addMachines(share - 1);
      });
    }
    survivor = await start(site);
    onTestFailed(() => console.log(survivor.server.tail(30)));
    await expect.poll(() => cluster.provisioned(), soon).toBe(MACHINES);
    await eachHasItsOwn(site);
    expect(await region.instances(), `seed ${SEED}`).toHaveLength(MACHINES);
  });

  it('two instances of one machine: a condition that names both, and the others go on', async () => {
    const { region, cluster } = site;
    onTestFailed(() => console.log(survivor.server.tail(30)));
    const [machine] = await cluster.tsMachines();
    const twin = await launchTwin(region, machine!);
    const ready = async () =>
      conditionText(await environment.client.get(TSMachineKind, nameOf(machine!)), 'Ready');
    await expect.poll(ready, soon).toMatch(/^False DuplicateInstances: /);
    expect(await ready()).toContain(twin);
    await cluster.addMachines(1);
    await expect.poll(() => cluster.provisioned(), soon).toBe(MACHINES + 1);
    await region.ec2.send(new TerminateInstancesCommand({ InstanceIds: [twin] }));
    await expect.poll(ready, soon).toMatch(/^True/);
  });

  it('the same while they are deleted: nothing is left', async () => {
    const { region, cluster, random } = site;
    await survivor.server.kill();
    const made = (await region.instances()).length;
    const share = Math.ceil((MACHINES + 1) / TROUBLES.length);
    for (const trouble of shuffled(TROUBLES, random))
      await endure(site, [trouble], () => cluster.deleteTSMachines(share));
    survivor = await start(site);
    onTestFailed(() => console.log(survivor.server.tail(30)));
    await nothingIsLeft(site);
    expect(await region.instances(), `seed ${SEED}: made for machines that are to go`).toHaveLength(made);
  });
});

describe('several at once, and what is read is half a minute old', () => {
  let site: Site;
  let survivor: Provider;
  const ROUNDS = 5;

  beforeAll(async () => {
    site = await openSite('us-west-2', []);
    site.region.proxy.options.staleMs = 30_000;
  });
  afterAll(() => closeSite(site));

  it(`${MACHINES} machines, a tenth of them deleted at once: an instance for each that stays`, async () => {
    const { cluster, random } = site;
    const some = () =>
      shuffled(TROUBLES, random)
        .slice(0, 3)
        .filter(({ what }) => !/old$/.test(what));
    for (let round = 0; round < ROUNDS; round++) {
      await endure(site, some(), async () => {
        await cluster.addMachines(MACHINES / ROUNDS);
        await pause(random() * 2_000);
        await cluster.deleteTSMachines(MACHINES / ROUNDS / 10);
      });
    }
    survivor = await start(site);
    onTestFailed(() => console.log(survivor.server.tail(30)));
    await expect.poll(() => cluster.provisioned(), soon).toBe(MACHINES * 0.9);
    await expect.poll(async () => (await cluster.tsMachines()).length, soon).toBe(MACHINES * 0.9);
    await eachHasItsOwn(site);
  });

  it('nothing is left', async () => {
    const { cluster, random } = site;
    await survivor.server.kill();
    const some = () =>
      shuffled(TROUBLES, random)
        .slice(0, 3)
        .filter(({ what }) => !/old$/.test(what));
    for (let round = 0; round < 2; round++)
      await endure(site, some(), () => cluster.deleteTSMachines(MACHINES / 2));
    survivor = await start(site);
    onTestFailed(() => console.log(survivor.server.tail(30)));
    await nothingIsLeft(site);
  });
});

/** Managers that live and die while it lasts. The work is done beside the first of them. */
async function endure(site: Site, troubles: readonly Trouble[], work: () => Promise<void>): Promise<void> {
  const ends = troubles.map((trouble) => trouble.begin(site.region));
  const lives: string[] = [];
  try {
    for (let life = 0; life < LIVES; life++)
      lives.push(await live(site, life === 0 ? work : () => Promise.resolve()));
  } finally {
    for (const end of ends) end();
  }
  console.log(
    `${troubles.map(({ what }) => what).join(', ')}; writes/instances in each life: ${lives.join(' ')}`,
  );
}

/**
 * From start to SIGKILL. One in five dies at any moment, also while it starts; of the others half die right after their first write, where
 * the steps follow one another, and half later.
 */
async function live({ region, writes, random, ...site }: Site, work: () => Promise<void>): Promise<string> {
  const [writesBefore, madeBefore] = [writes.count(), (await region.instances()).length];
  const first = writes.next();
  const [{ server }] = await Promise.all([start({ ...site, region }, { waitReady: false }), work()]);
  const kind = random();
  if (kind < 0.2) await pause(100 + random() * 2_500);
  else {
    await Promise.race([first, pause(6_000)]);
    await pause(kind < 0.6 ? random() * 250 : random() * 2_500);
  }
  await server.kill();
  return `${writes.count() - writesBefore}/${(await region.instances()).length - madeBefore}`;
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

/** One living instance for each TSMachine, and it knows which. */
async function eachHasItsOwn({ region, cluster }: Site): Promise<void> {
  const machines = await cluster.tsMachines();
  const wanted = machines.map(
    ({ metadata, spec }) => `${metadata.name} ${spec.providerID?.split('/').at(-1)}`,
  );
  const found = (await region.living()).map(
    (one) => `${tagOf(one, 'ts-provider/machine').split('/').at(-1)} ${one.InstanceId}`,
  );
  expect(found.sort(), `seed ${SEED}`).toEqual(wanted.sort());
}

async function nothingIsLeft({ region, cluster, before }: Site): Promise<void> {
  const { client } = environment;
  await expect.poll(async () => (await cluster.tsMachines()).length, soon).toBe(0);
  expect(await region.living(), `seed ${SEED}`).toEqual([]);
  const [tsCluster] = await client.list(TSClusterKind, { namespace: cluster.namespace });
  await client.delete(TSClusterKind, nameOf(tsCluster!));
  await expect.poll(() => client.get(TSClusterKind, nameOf(tsCluster!)), soon).toBeUndefined();
  expect(await region.snapshot()).toBe(before);
}

/** As if the cloud had made two for one request. Answers its id. */
async function launchTwin(region: Region, machine: TSMachine): Promise<string> {
  const id = machine.spec.providerID?.split('/').at(-1);
  const model = (await region.living()).find(({ InstanceId }) => InstanceId === id);
  const { ImageId, InstanceType, SubnetId, Tags } = model!;
  const { Instances } = await region.ec2.send(
    new RunInstancesCommand({
      ...{ ImageId, InstanceType, SubnetId, MinCount: 1, MaxCount: 1 },
      TagSpecifications: [{ ResourceType: 'instance', Tags }],
    }),
  );
  return Instances?.[0]?.InstanceId ?? '';
}
