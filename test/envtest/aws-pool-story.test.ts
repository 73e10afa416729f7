// SPDX-License-Identifier: Apache-2.0
// The life of a machine pool on AWS with the real MachinePool controller of core: up, larger, smaller, healed, rolled, gone.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed, vi } from 'vitest';
import type { Machine, MachinePool } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  KubeadmConfigKind,
  MachineKind,
  MachinePoolKind,
  NodeKind,
  TSMachineKind,
  TSMachinePoolKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, DELETE_MACHINE_ANNOTATION, POOL_NAME_LABEL } from '../../api/labels.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { ourRefusals, readAuditLog } from './audit.ts';
import { withGivenControlPlane } from './aws-given-control-plane.ts';
import { type Guests, startGuests } from './aws-guests.ts';
import { createIdentity, createVPC, IMAGE, type Region, SUBNET_TAG, tagOf } from './aws-region.ts';
import { clusterVariables, startStoryWorld, type StoryWorld } from './aws-story-world.ts';
import type { Environment } from './harness.ts';
import { conditionText, phaseOf, typeOf } from './machines.ts';
import { growth, quietFor } from './quiet.ts';

const CLUSTER = 'prod';
const POOL = 'prod-mp-0';
const soon = { timeout: 180_000, interval: 300 };
vi.setConfig({ testTimeout: 240_000 });

let world: StoryWorld;
let environment: Environment;
let region: Region;
let provider: Provider;
let guests: Guests;
let namespace: string;
let before: string;

const at = (name: string) => ({ namespace, name });

beforeAll(async () => {
  world = await startStoryWorld();
  ({ environment, region, provider } = world);
  namespace = await environment.namespace('pool');
  await createIdentity(environment.client, namespace, [namespace]);
  const vpc = await createVPC(region);
  before = await region.snapshot();
  const api = await environment.workloadClient();
  guests = startGuests({ region, api, version: environment.stack.versions.kubernetes });
  await environment.cluster({
    ...{ namespace, name: CLUSTER, change: withGivenControlPlane },
    ...{ template: 'cluster-template-aws-existing-vpc.yaml', controlPlaneMachines: 1, workerMachines: 0 },
    variables: {
      ...clusterVariables(region, namespace),
      ...{ AWS_VPC_ID: vpc.id, AWS_SUBNET_TAG: SUBNET_TAG },
    },
  });
  await environment.apply(pool());
});

afterAll(async () => {
  await guests?.stop();
  await world?.stop();
});

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(40))));

/** MachinePool, its bootstrap config, and the group that it is to be: three machines. */
function pool(): KubeObject[] {
  const labels = { [CLUSTER_NAME_LABEL]: CLUSTER };
  const reference = (kind: string, group: string) => ({
    apiGroup: `${group}.cluster.x-k8s.io`,
    kind,
    name: POOL,
  });
  const identity = 'aws:///{{ ds.meta_data.placement.availability_zone }}/{{ ds.meta_data.instance_id }}';
  const machine = {
    clusterName: CLUSTER,
    version: environment.stack.versions.kubernetes,
    bootstrap: { configRef: reference('KubeadmConfig', 'bootstrap') },
    infrastructureRef: reference('TSMachinePool', 'infrastructure'),
  };
  const kubeletExtraArgs = [{ name: 'provider-id', value: identity }];
  const image = { lookup: { ...IMAGE, mostRecent: true } };
  const objects = [
    { ...typeOf(MachinePoolKind), spec: { clusterName: CLUSTER, replicas: 3, template: { spec: machine } } },
    { ...typeOf(KubeadmConfigKind), spec: { joinConfiguration: { nodeRegistration: { kubeletExtraArgs } } } },
    { ...typeOf(TSMachinePoolKind), spec: { aws: { instanceType: 'm5.large', image } } },
  ];
  return objects.map((object) => ({ ...object, metadata: { ...at(POOL), labels } }));
}

async function machines(): Promise<Machine[]> {
  const labelSelector = `${POOL_NAME_LABEL}=${POOL}`;
  return environment.client.list(MachineKind, { namespace, labelSelector });
}

async function instances() {
  return (await region.living()).filter((one) => tagOf(one, 'ts-provider/pool') === `${namespace}/${POOL}`);
}

/** Each instance has a Machine that runs, and a Node; and that is all there is. */
async function untilRunning(count: number): Promise<string[]> {
  const seen = async () => ({
    machines: (await machines()).map((one) => phaseOf(one)),
    instances: (await instances()).length,
    listed: (await environment.client.get(TSMachinePoolKind, at(POOL)))?.spec.providerIDList?.length ?? 0,
    trouble: guests.trouble(),
  });
  const running = Array.from({ length: count }, () => 'Running');
  await expect.poll(seen, soon).toEqual({ machines: running, instances: count, listed: count, trouble: {} });
  return (await machines()).map(({ metadata }) => metadata.name).sort();
}

const scale = (replicas: number) =>
  environment.client.patch(MachinePoolKind, at(POOL), { spec: { replicas } });

describe('a machine pool', () => {
  it('comes up with a Machine and a Node for each instance', async () => {
    const names = await untilRunning(3);
    const tsMachines = await environment.client.list(TSMachineKind, { namespace });
    const ours = tsMachines.filter(({ metadata }) => names.includes(metadata.name));
    const ids = ours.map(({ spec }) => spec.providerID).sort();
    const read = () =>
      environment.client.get<MachinePool & { spec: { providerIDList?: string[] } }>(
        MachinePoolKind,
        at(POOL),
      );
    await expect.poll(async () => (await read())?.spec.providerIDList, soon).toEqual(ids);
    const nodes = (await (await environment.workloadClient()).list(NodeKind)).map(
      ({ spec }) => spec?.providerID,
    );
    expect(nodes).toEqual(expect.arrayContaining(ids));
    const object = await environment.client.get(TSMachinePoolKind, at(POOL));
    expect(conditionText(object, 'Ready')).toMatch(/^True/);
    expect(object?.status).toMatchObject({ ready: true, replicas: 3, capacity: { cpu: '2' } });
  });

  it('grows', async () => {
    await scale(5);
    await untilRunning(5);
  });

  it('shrinks by the Machine that was named, then by the oldest', async () => {
    const [, named = ''] = (await machines()).map(({ metadata }) => metadata.name).sort();
    const annotations = { [DELETE_MACHINE_ANNOTATION]: 'yes' };
    await environment.client.patch(MachineKind, at(named), { metadata: { annotations } });
    await scale(4);
    expect(await untilRunning(4)).not.toContain(named);
    await scale(3);
    await untilRunning(3);
  });

  it('replaces a Machine that somebody deletes', async () => {
    const [first = '', ...others] = await untilRunning(3);
    await environment.client.delete(MachineKind, at(first));
    await expect.poll(() => environment.client.get(MachineKind, at(first)), soon).toBeUndefined();
    const now = await untilRunning(3);
    expect(now).toEqual(expect.arrayContaining(others));
  });

  it('is quiet once it is as it should be', async () => {
    await quietFor(() => Promise.resolve(calls()), { forMs: 6_000, timeoutMs: 90_000 });
    const grown = await growth(() => Promise.resolve({ calls: calls() }), 15_000);
    expect(grown['calls']).toBeLessThan(15);
  });

  it('rolls to another template', async () => {
    const old = new Set(await untilRunning(3));
    await environment.client.patch(TSMachinePoolKind, at(POOL), {
      spec: { aws: { instanceType: 'm5.xlarge', refresh: { maxUnavailable: 2 } } },
    });
    await expect
      .poll(async () => (await machines()).some(({ metadata }) => old.has(metadata.name)), soon)
      .toBe(false);
    await untilRunning(3);
    expect((await instances()).map(({ InstanceType }) => InstanceType)).toEqual(Array(3).fill('m5.xlarge'));
  });

  it('is deleted with everything that was made for it, then the cluster', async () => {
    await environment.client.delete(MachinePoolKind, at(POOL));
    await expect.poll(() => environment.client.get(MachinePoolKind, at(POOL)), soon).toBeUndefined();
    expect(await environment.client.get(TSMachinePoolKind, at(POOL))).toBeUndefined();
    expect(await instances()).toEqual([]);
    // Core lets go of the last Machine a moment after its TSMachine is gone, which is what the pool waits for.
    await expect.poll(machines, soon).toEqual([]);
    await environment.client.delete(ClusterKind, at(CLUSTER));
    await expect.poll(() => environment.client.get(ClusterKind, at(CLUSTER)), soon).toBeUndefined();
    expect(await region.snapshot()).toBe(before);
  });

  it('asked nothing of the API server that the service account may not', () => {
    expect(ourRefusals(readAuditLog(`${environment.dir}/audit.log`))).toEqual([]);
  });
});

function calls(): number {
  return Object.values(region.proxy.counts()).reduce((total, count) => total + count, 0);
}
