// SPDX-License-Identifier: Apache-2.0
// Deleting, at every moment of a life: afterwards there is no object, no instance and no Node.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ClusterKind,
  MachineKind,
  NodeKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { PAUSED_ANNOTATION } from '../../api/labels.ts';
import { MANAGERS } from '../../hack/stack/managers.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, ObjectName } from '../../runtime/object.ts';
import { OUR_USER, ourRefusals, ourWrites, readAuditLog, userOf } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { instancesOf, liveInstances } from './instances.ts';
import {
  BootstrapConfigKind,
  conditionOf,
  createCluster,
  createMachine,
  giveBootstrapData,
  phaseOf,
  type PlainMachine,
  soon,
} from './machines.ts';

let environment: Environment;
let client: ApiClient;
let workload: ApiClient;
let provider: Provider;

beforeAll(async () => {
  environment = await startEnvironment({ managers: ['core'], auditLog: 'audit.log' });
  client = environment.client;
  workload = await environment.workloadClient();
  provider = await environment.startProvider();
});

afterAll(() => environment?.stop());

const audit = () => readAuditLog(`${environment.dir}/audit.log`);
const ready = (machine: ObjectName) => conditionOf(environment, TSMachineKind, machine);
const phase = async (machine: ObjectName) => phaseOf(await client.get(MachineKind, machine));

/** A fresh namespace with the cluster `c` in it. */
async function clusterIn(purpose: string, options: Partial<Parameters<typeof createCluster>[1]> = {}) {
  const namespace = await environment.namespace(purpose);
  await createCluster(environment, { namespace, name: 'c', ...options });
  return namespace;
}

/** What is left of the machines of a namespace, wherever it could be. */
async function leftOf(namespace: string): Promise<readonly string[]> {
  const names = instancesOf(provider.database, namespace).map(({ name }) => name);
  const kinds: readonly Kind[] = [MachineKind, TSMachineKind];
  const objects = await Promise.all(kinds.map((kind) => client.list(kind, { namespace })));
  const nodes = await workload.list(NodeKind);
  return [
    ...objects.flat().map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ...liveInstances(provider.database, namespace).map((name) => `instance ${name}`),
    ...nodes.map(({ metadata }) => metadata.name).filter((name) => names.includes(name)),
  ];
}

interface Moment {
  readonly when: string;
  readonly cluster?: Partial<Parameters<typeof createCluster>[1]>;
  readonly machine?: Partial<PlainMachine>;
  /** Of the TSMachine. */
  readonly readyCondition: RegExp;
  /** Of the Machine. */
  readonly phase?: string;
  readonly instances: number;
}

const MOMENTS: readonly Moment[] = [
  {
    when: 'it waits for the infrastructure of its cluster',
    cluster: { infrastructure: {} },
    readyCondition: /^False WaitingForClusterInfrastructure: Waiting for Cluster c/,
    instances: 0,
  },
  {
    when: 'it waits for its bootstrap data',
    machine: { bootstrap: 'awaited' },
    readyCondition: /^False WaitingForBootstrapData: Waiting for bootstrap data from KubeadmConfig m/,
    instances: 0,
  },
  {
    when: 'its bootstrap data is missing',
    machine: { bootstrap: 'missing' },
    readyCondition: /^False BootstrapDataMissing/,
    instances: 0,
  },
  {
    when: 'its instance boots',
    machine: { inMemory: { bootDelaySeconds: 3600 } },
    readyCondition: /^False InstancePending: The instance boots, which takes 3600 s/,
    instances: 1,
  },
  {
    when: 'its guest joins a cluster that has no kubeconfig yet',
    cluster: { kubeconfig: null },
    readyCondition: /^True Ready: Waiting for the kubeconfig of cluster c/,
    phase: 'Provisioned',
    instances: 1,
  },
  { when: 'it runs', readyCondition: /^True Ready$/, phase: 'Running', instances: 1 },
  {
    when: 'its instance could not be made',
    machine: { inMemory: { failures: { provisioningError: 'no such image' } } },
    readyCondition: /^False InstanceFailed: no such image/,
    instances: 1,
  },
  {
    when: 'its instance has died',
    machine: { inMemory: { failures: { diesAfterSeconds: 0 } } },
    readyCondition: /^False InstanceStopped: The instance died/,
    instances: 1,
  },
];

// Most of their time they wait for core, which asks again every few seconds: side by side they wait together.
describe.concurrent('of a Machine', () => {
  it.for(MOMENTS)(
    'IM-12, PIT-20: leaves nothing while $when',
    async ({ cluster = {}, machine = {}, ...want }, { expect }) => {
      const namespace = await clusterIn('delete', cluster);
      const m = { namespace, name: `m-${namespace}`, cluster: 'c', ...machine };
      await createMachine(environment, m);
      await expect.poll(ready(m), soon).toMatch(want.readyCondition);
      if (want.phase !== undefined) await expect.poll(() => phase(m), soon).toBe(want.phase);
      expect(instancesOf(provider.database, namespace)).toHaveLength(want.instances);

      await client.delete(MachineKind, m);
      await expect.poll(() => leftOf(namespace), soon).toEqual([]);
      expect(instancesOf(provider.database, namespace)).toHaveLength(want.instances);
    },
  );

  it('IM-12: leaves nothing at whatever moment of the creation it comes', async ({ expect }) => {
    const namespace = await clusterIn('race');
    const machines = Array.from({ length: 20 }, (_, index) => ({
      namespace,
      name: `m${index}-${namespace}`,
      cluster: 'c',
    }));
    // Each is looked at another number of times before, so that they are caught all over their creation. A Machine that core does
    // not know yet has no finalizer: it would vanish, and with it whoever could delete its TSMachine.
    const known = async (machine: ObjectName) =>
      (await client.get(MachineKind, machine))?.metadata.finalizers;
    await Promise.all(
      machines.map(async (machine, index) => {
        await createMachine(environment, machine);
        await expect.poll(() => known(machine), { ...soon, interval: 20 }).toBeDefined();
        for (let look = 0; look < index; look++) await client.get(TSMachineKind, machine);
        await client.delete(MachineKind, machine);
      }),
    );
    await expect.poll(() => leftOf(namespace), soon).toEqual([]);
    const made = instancesOf(provider.database, namespace).map(({ name }) => name);
    expect(new Set(made).size).toBe(made.length);
  });

  it('IM-12, DEL-1: the instance ends before the bootstrap config goes, and the finalizer goes after the instance', async ({
    expect,
  }) => {
    const namespace = await clusterIn('order');
    const m: PlainMachine = { namespace, name: `m-${namespace}`, cluster: 'c', bootstrap: 'awaited' };
    await createMachine(environment, m);
    await expect.poll(ready(m), soon).toMatch(/^False WaitingForBootstrapData/);
    await giveBootstrapData(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');

    await client.delete(MachineKind, m);
    await expect.poll(() => leftOf(namespace), soon).toEqual([]);
    await expect.poll(() => client.get(BootstrapConfigKind, m), soon).toBeUndefined();
    const core = userOf({ namespace: MANAGERS.core.namespace, name: MANAGERS.core.serviceAccount });
    const ends = audit()
      .filter((one) => one.namespace === namespace && one.name === m.name && one.code < 300)
      .filter((one) => one.verb === 'delete' || (one.verb === 'patch' && one.user === OUR_USER))
      .filter((one) => one.user === core || one.resource === 'tsmachines')
      .map((one) => `${one.verb} ${one.resource}`);
    expect(ends.slice(ends.indexOf('delete tsmachines'))).toEqual([
      'delete tsmachines',
      'patch tsmachines',
      'delete kubeadmconfigs',
    ]);
  });

  it('a machine that is deleted while its Cluster is paused stays until the Cluster goes on', async ({
    expect,
  }) => {
    const namespace = await clusterIn('held');
    const m = { namespace, name: `m-${namespace}`, cluster: 'c' };
    const pause = (paused: boolean) =>
      client.patch(ClusterKind, { namespace, name: 'c' }, { spec: { paused } });
    await createMachine(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');
    await pause(true);
    await expect.poll(conditionOf(environment, TSMachineKind, m, 'Paused'), soon).toMatch(/^True Paused/);

    await client.delete(MachineKind, m);
    await client.delete(TSMachineKind, m);
    expect((await client.get(TSMachineKind, m))?.metadata.deletionTimestamp).toBeDefined();
    // Our manager has seen the deletion once it has seen what came after it.
    await client.patch(TSMachineKind, m, { metadata: { annotations: { [PAUSED_ANNOTATION]: '' } } });
    const both = /^True Paused: Cluster spec.paused .*TSMachine has the .* annotation/;
    await expect.poll(conditionOf(environment, TSMachineKind, m, 'Paused'), soon).toMatch(both);
    expect(liveInstances(provider.database, namespace)).toEqual([m.name]);

    await client.patch(TSMachineKind, m, { metadata: { annotations: { [PAUSED_ANNOTATION]: null } } });
    await pause(false);
    await expect.poll(() => leftOf(namespace), soon).toEqual([]);
  });

  it('IM-15: a machine of the same name, made at once, gets an instance of its own', async ({ expect }) => {
    const namespace = await clusterIn('again');
    const m = { namespace, name: `m-${namespace}`, cluster: 'c' };
    await createMachine(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');
    const first = (await client.get(TSMachineKind, m))?.spec.providerID;
    await client.delete(MachineKind, m);
    await expect.poll(() => client.get(MachineKind, m), soon).toBeUndefined();

    await client.delete(SecretKind, { namespace, name: `${m.name}-bootstrap` });
    await createMachine(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');
    const second = (await client.get(TSMachineKind, m))?.spec.providerID;
    expect(second).not.toBe(first);
    const node = await workload.get(NodeKind, { namespace: '', name: m.name });
    expect(node?.spec?.providerID).toBe(second);
    expect(instancesOf(provider.database, namespace).map(({ state }) => state)).toEqual([
      'terminated',
      'running',
    ]);
  });
});

describe.concurrent('of a cluster', () => {
  const gone = async (namespace: string) => [
    ...(await leftOf(namespace)),
    ...(await client.list(TSClusterKind, { namespace })).map(({ metadata }) => `TSCluster ${metadata.name}`),
    ...(await client.list(ClusterKind, { namespace })).map(({ metadata }) => `Cluster ${metadata.name}`),
  ];

  it('IC-13: a deleted Cluster takes its machines first and then its TSCluster', async ({ expect }) => {
    const namespace = await clusterIn('whole');
    const machines = ['a', 'b', 'c'].map((name) => ({
      namespace,
      name: `${name}-${namespace}`,
      cluster: 'c',
    }));
    for (const machine of machines) await createMachine(environment, machine);
    for (const machine of machines) await expect.poll(() => phase(machine), soon).toBe('Running');

    await client.delete(ClusterKind, { namespace, name: 'c' });
    await expect.poll(() => gone(namespace), soon).toEqual([]);
    const deletes = audit()
      .filter((one) => one.namespace === namespace && one.verb === 'delete')
      .map(({ resource }) => resource)
      .filter((resource) => ['tsmachines', 'tsclusters'].includes(resource));
    expect(deletes.at(-1)).toBe('tsclusters');
    expect(deletes.filter((resource) => resource === 'tsclusters')).toHaveLength(1);
  });

  it('IC-11, IC-13: a TSCluster that is deleted before its machines waits and names them', async ({
    expect,
  }) => {
    const namespace = await clusterIn('early');
    const m = { namespace, name: `m-${namespace}`, cluster: 'c' };
    await createMachine(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');

    const tsCluster = { namespace, name: 'c' };
    await client.delete(TSClusterKind, tsCluster);
    const reason = new RegExp(
      `^False WaitingForMachines: .*${m.name}; delete the Cluster, or these Machines`,
    );
    await expect.poll(conditionOf(environment, TSClusterKind, tsCluster), soon).toMatch(reason);
    // What it says reaches the people who look at the Cluster (IC-7).
    const seen = conditionOf(environment, ClusterKind, tsCluster, 'InfrastructureReady');
    await expect.poll(seen, soon).toMatch(/^False WaitingForMachines/);

    await client.delete(MachineKind, m);
    await expect.poll(() => client.get(TSClusterKind, tsCluster), soon).toBeUndefined();
    await expect.poll(() => leftOf(namespace), soon).toEqual([]);
  });

  it('PIT-20: machines go although their Cluster, TSCluster and Secrets are gone already', async ({
    expect,
  }) => {
    const namespace = await clusterIn('orphan');
    const m = { namespace, name: `m-${namespace}`, cluster: 'c' };
    await createMachine(environment, m);
    await expect.poll(() => phase(m), soon).toBe('Running');
    // By force, as somebody may who takes finalizers off; core's are in the way otherwise.
    const owners: readonly Kind[] = [ClusterKind, TSClusterKind];
    for (const kind of owners) {
      const name = { namespace, name: 'c' };
      await client.delete(kind, name);
      await client.patch(kind, name, { metadata: { finalizers: null } }).catch(() => undefined);
      await expect.poll(() => client.get(kind, name), soon).toBeUndefined();
    }
    for (const { metadata } of await client.list(SecretKind, { namespace }))
      await client.delete(SecretKind, { namespace, name: metadata.name });

    await client.delete(TSMachineKind, m);
    await expect.poll(() => client.get(TSMachineKind, m), soon).toBeUndefined();
    expect(liveInstances(provider.database, namespace)).toEqual([]);
  });

  it('GEN-17: an object that no core object ever owned is deleted at once', async ({ expect }) => {
    const namespace = await environment.namespace('unowned');
    const { apiVersion, kind } = TSMachineKind;
    const name = { namespace, name: 'm' };
    await client.create(TSMachineKind, { apiVersion, kind, metadata: { ...name }, spec: { inMemory: {} } });
    await client.delete(TSMachineKind, name);
    expect(await client.get(TSMachineKind, name)).toBeUndefined();
    expect(ourWrites(audit()).filter((write) => write.includes(namespace))).toEqual([]);
  });
});

it('all of this was allowed to the service account of the manager', () => {
  expect(ourRefusals(audit())).toEqual([]);
  expect(ourWrites(audit())).not.toEqual([]);
});
