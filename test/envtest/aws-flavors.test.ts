// SPDX-License-Identifier: Apache-2.0
// The flavors of AWS that are more than one cluster of machines on EC2: from a ClusterClass, and with a pool of workers on hosts. Both
// are in one account at once, and neither leaves anything there.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed, vi } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { ClusterKind, MachineKind, NodeKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { ClusterClassKind } from '../../hack/stack/kinds.ts';
import type { Behaviour } from '../aws/proxy/behaviour.ts';
import { ourRefusals, ourWrites, readAuditLog } from './audit.ts';
import { withGivenControlPlane } from './aws-given-control-plane.ts';
import { type Guests, startGuests } from './aws-guests.ts';
import { createIdentity, type Region, tagOf } from './aws-region.ts';
import { clusterVariables, startStoryWorld, type StoryWorld } from './aws-story-world.ts';
import { conditionOf, conditionText, phaseOf } from './machines.ts';
import { growth, quietFor } from './quiet.ts';

/** AWS takes its time, here a little of it. */
const LIKE_AWS: Partial<Behaviour> = { pendingMs: 500, shuttingDownMs: 500, natGatewayPendingMs: 500 };

const soon = { timeout: 120_000, interval: 300 };
vi.setConfig({ testTimeout: 180_000 });

let world: StoryWorld;
/** The account before there is a cluster. */
let before: string;

/** A cluster of one flavor, in a namespace and with an API server of its own. */
interface Story {
  readonly name: string;
  readonly namespace: string;
  readonly guests: Guests;
  /** Instances that were ever made for it. */
  instances(): ReturnType<Region['instances']>;
}

const stories: Partial<Record<'classy' | 'hybrid', Story>> = {};

beforeAll(async () => {
  world = await startStoryWorld(LIKE_AWS);
  before = await world.region.snapshot();
  const [classy, hybrid] = await Promise.all([
    begin('classy', 'aws-topology', (namespace, manifest) => `${classIn(namespace)}---\n${manifest}`),
    begin('hybrid', 'aws-hosts', (_namespace, manifest) => manifest),
  ]);
  Object.assign(stories, { classy, hybrid });
});

afterAll(async () => {
  for (const story of Object.values(stories)) await story.guests.stop();
  await world?.stop();
});

beforeEach(() => onTestFailed(() => console.log(world.provider.server.tail(30))));

async function begin(
  name: string,
  flavor: string,
  complete: (namespace: string, manifest: string) => string,
): Promise<Story> {
  const { environment, region } = world;
  const namespace = await environment.namespace(name);
  await createIdentity(environment.client, namespace, [namespace]);
  const api = await environment.workloadClient(name);
  const instances = async () =>
    (await region.instances()).filter((one) => tagOf(one, `kubernetes.io/cluster/${name}`) === 'owned');
  const version = environment.stack.versions.kubernetes;
  const guests = startGuests({ region: { ...region, instances }, api, version });
  await environment.cluster({
    ...{ namespace, name, workload: name, template: `cluster-template-${flavor}.yaml` },
    variables: clusterVariables(region, namespace),
    change: (manifest, endpoint) => withGivenControlPlane(complete(namespace, manifest), endpoint),
  });
  return { name, namespace, guests, instances };
}

/** The ClusterClass of the release and its templates. clusterctl brings them from there, and names the namespace as here. */
function classIn(namespace: string): string {
  const file = new URL('../../config/templates/clusterclass-aws.yaml', import.meta.url);
  const documents = parseAllDocuments(readFileSync(file, 'utf8'));
  for (const document of documents) document.setIn(['metadata', 'namespace'], namespace);
  return documents.map((document) => stringify(document.toJS())).join('---\n');
}

function told(name: keyof typeof stories): Story {
  const story = stories[name];
  if (story === undefined) throw new Error(`${name} has not begun`);
  return story;
}

/** TSMachines by where they are. */
async function tsMachines({ namespace }: Story): Promise<{ aws: TSMachine[]; hosts: TSMachine[] }> {
  const all = await world.environment.client.list(TSMachineKind, { namespace });
  const [aws, hosts] = [true, false].map((is) => all.filter(({ spec }) => (spec.aws !== undefined) === is));
  return { aws: aws ?? [], hosts: hosts ?? [] };
}

/** Phase of each Machine, `control plane Running`, sorted; those that wait for a host are left out. */
async function phases(story: Story): Promise<string[]> {
  const { namespace } = story;
  const machines = await world.environment.client.list(MachineKind, { namespace });
  const waiting = new Set((await tsMachines(story)).hosts.map(({ metadata }) => metadata.name));
  return machines
    .filter(({ spec }) => !waiting.has(spec.infrastructureRef.name))
    .map((one) => {
      const isControlPlane = one.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
      return `${isControlPlane ? 'control plane' : 'worker'} ${phaseOf(one)}`;
    })
    .sort();
}

describe('the flavor aws-topology', () => {
  it('has a ClusterClass that core takes, and a topology that it reconciles', async () => {
    const { name, namespace } = told('classy');
    const ofClass = (type: string) =>
      conditionOf(world.environment, ClusterClassKind, { namespace, name: 'aws' }, type);
    await expect.poll(ofClass('RefVersionsUpToDate'), soon).toMatch(/^True/);
    await expect.poll(ofClass('VariablesReady'), soon).toMatch(/^True/);
    const reconciled = conditionOf(world.environment, ClusterKind, { namespace, name }, 'TopologyReconciled');
    await expect.poll(reconciled, soon).toMatch(/^True/);
  });

  it('makes a TSCluster and templates of what the variables say', async () => {
    const { namespace } = told('classy');
    const [tsCluster, ...others] = await world.environment.client.list(TSClusterKind, { namespace });
    expect(others).toEqual([]);
    expect(tsCluster?.spec).toMatchObject({
      controlPlaneLoadBalancer: { type: 'NLB', nlb: { scheme: 'InternetFacing' } },
      aws: {
        region: world.region.name,
        identityRef: { name: namespace },
        network: { managed: { cidrBlock: '10.0.0.0/16' } },
      },
    });
  });
});

describe.each(['classy', 'hybrid'] as const)('%s', (name) => {
  it('has one control plane machine and one worker on EC2, each with its Node', async () => {
    const story = told(name);
    const { environment } = world;
    await expect
      .poll(async () => ({ phases: await phases(story), trouble: story.guests.trouble() }), soon)
      .toEqual({ phases: ['control plane Running', 'worker Running'], trouble: {} });
    const [tsCluster] = await environment.client.list(TSClusterKind, { namespace: story.namespace });
    expect(conditionText(tsCluster, 'Ready')).toMatch(/^True/);
    const ours = (await tsMachines(story)).aws.map(({ spec }) => spec.providerID);
    const nodes = await (await environment.workloadClient(name)).list(NodeKind);
    expect(nodes.map(({ spec }) => spec?.providerID).sort()).toEqual(ours.sort());
  });

  it('has made each of them once, as its templates say', async () => {
    const made = (await told(name).instances()).map((one) => ({
      role: tagOf(one, 'ts-provider/role'),
      profile: one.IamInstanceProfile?.Arn?.split('/').at(-1),
      type: one.InstanceType,
      state: one.State?.Name,
    }));
    const controlPlaneType = name === 'hybrid' ? 'm5.large' : 'm6i.large';
    expect(made.sort((a, b) => (a.role < b.role ? -1 : 1))).toEqual([
      { role: 'control-plane', profile: 'control-plane', type: controlPlaneType, state: 'running' },
      { role: 'node', profile: 'node', type: 'm6i.large', state: 'running' },
    ]);
  });
});

it('a cluster of the class is available, as core says', async () => {
  const available = conditionOf(world.environment, ClusterKind, told('classy'), 'Available');
  await expect.poll(available, soon).toMatch(/^True/);
});

describe('the flavor aws-hosts', () => {
  it('has a machine in its pool of hosts that says that there is no host', async () => {
    const story = told('hybrid');
    const ready = async () =>
      (await tsMachines(story)).hosts.map((machine) => conditionText(machine, 'Ready'));
    await expect
      .poll(ready, soon)
      .toEqual([`False NoHostAvailable: no TSHost in namespace ${story.namespace}`]);
  });
});

describe('both', () => {
  it('have made what is one for each cluster twice in all', () => {
    const { proxy } = world.region;
    for (const action of ['CreateVpc', 'CreateInternetGateway', 'CreateLoadBalancer', 'CreateTargetGroup'])
      expect(proxy.countOf(action), action).toBe(2);
    expect(proxy.countOf('RunInstances')).toBe(4);
  });

  it('come to rest, the one that waits for a host too', async () => {
    const writes = () => ourWrites(readAuditLog(`${world.environment.dir}/audit.log`)).length;
    await quietFor(writes, { forMs: 3_000, timeoutMs: 60_000 });
    const grown = await growth(() => Promise.resolve({ writes: writes() }), 4_000);
    expect(grown).toEqual({ writes: 0 });
  });

  it('are deleted, and the account is byte for byte what it was', async () => {
    const { client } = world.environment;
    const clusters = Object.values(stories);
    await Promise.all(clusters.map((one) => client.delete(ClusterKind, one)));
    for (const { namespace, name } of clusters) {
      await expect.poll(() => client.get(ClusterKind, { namespace, name }), soon).toBeUndefined();
      expect(await client.list(TSClusterKind, { namespace })).toEqual([]);
      expect(await client.list(TSMachineKind, { namespace })).toEqual([]);
    }
    expect(await world.region.snapshot()).toBe(before);
  });

  it('asked nothing of the API server that the service account may not', () => {
    expect(ourRefusals(readAuditLog(`${world.environment.dir}/audit.log`))).toEqual([]);
  });
});
