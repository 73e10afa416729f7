// SPDX-License-Identifier: Apache-2.0
// What our manager leaves alone: paused objects, other managers' objects and namespaces, infrastructure that somebody else manages.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { MANAGED_BY_ANNOTATION, PAUSED_ANNOTATION, WATCH_FILTER_LABEL } from '../../api/labels.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject, ObjectName } from '../../runtime/object.ts';
import { ourRefusals, ourWrites, readAuditLog } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { instancesOf, liveInstances } from './instances.ts';
import {
  conditionOf,
  conditionsOf,
  createCluster,
  createMachine,
  phaseOf,
  type PlainCluster,
  type PlainMachine,
  soon,
} from './machines.ts';

let environment: Environment;
let client: ApiClient;

beforeAll(async () => {
  environment = await startEnvironment({ managers: ['core'], auditLog: 'audit.log' });
  client = environment.client;
});

afterAll(() => environment?.stop());

const requests = () => readAuditLog(`${environment.dir}/audit.log`);
const writesIn = (namespace: string) =>
  ourWrites(requests()).filter((write) => write.includes(` ${namespace}/`));
const condition = (kind: Kind, name: ObjectName, type = 'Ready') =>
  conditionOf(environment, kind, name, type);
const phase = async (machine: ObjectName) => phaseOf(await client.get(MachineKind, machine));
const isDeleting = async (kind: Kind, name: ObjectName) =>
  (await client.get(kind, name))?.metadata.deletionTimestamp !== undefined;

interface Pair {
  readonly cluster: ObjectName;
  readonly machine: PlainMachine;
}

/** A cluster `c` with one machine in a namespace of its own. */
async function pair(
  purpose: string,
  change: { cluster?: Partial<PlainCluster>; machine?: Partial<PlainMachine> } = {},
): Promise<Pair> {
  const namespace = await environment.namespace(purpose);
  await createCluster(environment, { namespace, name: 'c', ...change.cluster });
  const machine = { namespace, name: `m-${namespace}`, cluster: 'c', ...change.machine };
  await createMachine(environment, machine);
  return { cluster: { namespace, name: 'c' }, machine };
}

/** Sets the owner as core would. */
async function own(kind: Kind, name: ObjectName, owner: KubeObject | undefined): Promise<void> {
  const { apiVersion, kind: ownerKind, metadata } = owner!;
  const controller = ownerKind === MachineKind.kind;
  const reference = { apiVersion, kind: ownerKind, name: metadata.name, uid: metadata.uid, controller };
  await client.patch(kind, name, { metadata: { ownerReferences: [reference] } });
}

/** What is left of an object without conditions and the bookkeeping of generations, to compare before and after. */
function content(object: KubeObject | undefined): unknown {
  const { spec, status } = object as KubeObject & { spec: unknown; status: object };
  const { labels, annotations, finalizers, ownerReferences } = object!.metadata;
  const kept = { ...status, conditions: [], observedGeneration: 0 };
  return { labels, annotations, finalizers, ownerReferences, spec, status: kept };
}

describe.concurrent('one manager for everything', () => {
  let provider: Provider;

  beforeAll(async () => {
    provider = await environment.startProvider();
  });

  afterAll(() => provider?.server.stop());

  it('GEN-10, GEN-11, PIT-21: a Cluster that is paused from the start gets Paused conditions and nothing else', async ({
    expect,
  }) => {
    const { cluster, machine } = await pair('asleep', { cluster: { paused: true } });
    const says = /^True Paused: Cluster spec.paused is set to true$/;
    await expect.poll(condition(ClusterKind, cluster, 'Paused'), soon).toMatch(/^True Paused/);
    // Core sets no owners while it is paused, and without one our objects are nobody's yet (IC-12, IM-8). A move brings them along.
    expect(writesIn(cluster.namespace)).toEqual([]);
    await own(TSClusterKind, cluster, await client.get(ClusterKind, cluster));
    await own(TSMachineKind, machine, await client.get(MachineKind, machine));
    await expect.poll(condition(TSClusterKind, cluster, 'Paused'), soon).toMatch(says);
    await expect.poll(condition(TSMachineKind, machine, 'Paused'), soon).toMatch(says);
    expect(new Set(writesIn(cluster.namespace))).toEqual(
      new Set([
        `patch tsclusters/status ${cluster.namespace}/${cluster.name}`,
        `patch tsmachines/status ${machine.namespace}/${machine.name}`,
      ]),
    );
    expect(instancesOf(provider.database, cluster.namespace)).toEqual([]);

    await client.patch(ClusterKind, cluster, { spec: { paused: false } });
    await expect.poll(() => phase(machine), soon).toBe('Running');
  });

  it('GEN-10, GEN-11, PIT-21: pausing a Cluster writes the Paused condition, once, and unpausing touches nothing else', async ({
    expect,
  }) => {
    const { cluster, machine } = await pair('nap');
    await expect.poll(() => phase(machine), soon).toBe('Running');
    await expect.poll(condition(TSMachineKind, machine, 'Paused'), soon).toBe('False NotPaused');
    const before = [await client.get(TSClusterKind, cluster), await client.get(TSMachineKind, machine)];
    const writes = writesIn(cluster.namespace).length;

    await client.patch(ClusterKind, cluster, { spec: { paused: true } });
    await expect.poll(condition(TSClusterKind, cluster, 'Paused'), soon).toMatch(/^True Paused/);
    await expect.poll(condition(TSMachineKind, machine, 'Paused'), soon).toMatch(/^True Paused/);
    // A change of the spec is seen and not acted upon.
    await client.patch(TSMachineKind, machine, { spec: { inMemory: { failures: { diesAfterSeconds: 0 } } } });
    await client.patch(ClusterKind, cluster, { spec: { paused: false } });
    await expect.poll(condition(TSMachineKind, machine), soon).toMatch(/^False InstanceStopped/);
    await expect.poll(condition(TSClusterKind, cluster, 'Paused'), soon).toBe('False NotPaused');

    const after = [await client.get(TSClusterKind, cluster), await client.get(TSMachineKind, machine)];
    const rehearsed = { ...before[1]!, spec: after[1]!.spec };
    expect(after.map(content)).toEqual([before[0], rehearsed].map(content));
    // Paused and not paused for each of two objects, the generation of the changed spec, and that the instance stopped.
    const added = writesIn(cluster.namespace).slice(writes);
    expect(added.filter((write) => !write.startsWith('patch tsclusters/status'))).toHaveLength(
      added.length - 2,
    );
    expect(added.every((write) => write.includes('/status '))).toBe(true);
    expect(added.length).toBeLessThanOrEqual(6);
    expect(instancesOf(provider.database, cluster.namespace)).toHaveLength(1);
  });

  it.for([
    ['TSCluster', TSClusterKind],
    ['TSMachine', TSMachineKind],
  ] as const)(
    'GEN-10, GEN-11: the annotation pauses one %s, with any value, also its deletion',
    async ([name, kind], { expect }) => {
      const { cluster, machine } = await pair('noted');
      await expect.poll(() => phase(machine), soon).toBe('Running');
      const object: ObjectName = name === 'TSCluster' ? cluster : machine;
      const target: Kind = kind;
      await client.patch(target, object, { metadata: { annotations: { [PAUSED_ANNOTATION]: 'false' } } });
      const says = `True Paused: ${name} has the ${PAUSED_ANNOTATION} annotation`;
      await expect.poll(condition(target, object, 'Paused'), soon).toBe(says);

      await client.delete(ClusterKind, cluster);
      await expect.poll(() => isDeleting(target, object), soon).toBe(true);
      if (name === 'TSMachine') expect(liveInstances(provider.database, cluster.namespace)).toHaveLength(1);
      expect((await client.get(target, object))?.metadata.finalizers).toHaveLength(1);
      await client.patch(target, object, { metadata: { annotations: { [PAUSED_ANNOTATION]: null } } });
      await expect.poll(() => client.get(ClusterKind, cluster), soon).toBeUndefined();
      expect(liveInstances(provider.database, cluster.namespace)).toEqual([]);
    },
  );

  it('IC-10, DIV-2: an externally managed TSCluster is not touched, and core goes on when somebody fulfils the contract', async ({
    expect,
  }) => {
    const { cluster, machine } = await pair('external', {
      cluster: { infrastructure: {}, annotations: { [MANAGED_BY_ANNOTATION]: '' } },
    });
    // The machine waits for the cluster and says so: the controllers have seen both.
    await expect
      .poll(condition(TSMachineKind, machine), soon)
      .toMatch(/^False WaitingForClusterInfrastructure/);
    await expect
      .poll(async () => (await client.get(TSClusterKind, cluster))?.metadata.ownerReferences, soon)
      .toHaveLength(1);

    const { port } = await environment.workload();
    const controlPlaneEndpoint = { host: '127.0.0.1', port };
    await client.patch(TSClusterKind, cluster, { spec: { controlPlaneEndpoint } });
    const status = {
      initialization: { provisioned: true },
      failureDomains: [{ name: 'x', controlPlane: true }],
    };
    await client.patch(TSClusterKind, cluster, { status }, { subresource: 'status' });
    await expect.poll(() => phase(machine), soon).toBe('Running');
    expect((await client.get(ClusterKind, cluster))?.spec?.controlPlaneEndpoint).toEqual(
      controlPlaneEndpoint,
    );
    const untouched = await client.get(TSClusterKind, cluster);
    expect(conditionsOf(untouched)).toEqual([]);
    expect(untouched?.metadata.finalizers ?? []).toEqual([]);
    expect(writesIn(cluster.namespace).filter((write) => write.includes('tsclusters'))).toEqual([]);

    await client.delete(ClusterKind, cluster);
    await expect.poll(() => client.get(ClusterKind, cluster), soon).toBeUndefined();
    expect(liveInstances(provider.database, cluster.namespace)).toEqual([]);
  });
});

describe('managers that share a management cluster', () => {
  it('GEN-15: --watch-filter serves the objects with that label and no others', async () => {
    const provider = await environment.startProvider({ name: 'blue', flags: ['--watch-filter=blue'] });
    const labels = { [WATCH_FILTER_LABEL]: 'blue' };
    const ours = await pair('blue', { cluster: { labels }, machine: { labels } });
    const others = await pair('green', {
      cluster: { labels: { [WATCH_FILTER_LABEL]: 'green' } },
      machine: { labels: { [WATCH_FILTER_LABEL]: 'green' } },
    });
    await expect.poll(() => phase(ours.machine), soon).toBe('Running');
    // Made after ours was, and seen: core has given it its owner.
    await expect
      .poll(async () => (await client.get(TSMachineKind, others.machine))?.metadata.ownerReferences, soon)
      .toHaveLength(1);
    expect(writesIn(others.cluster.namespace)).toEqual([]);

    const machines = { [TSMachineKind.kind]: others.machine, [TSClusterKind.kind]: others.cluster };
    for (const [kind, name] of Object.entries(machines)) {
      const labelled = { metadata: { labels } };
      await (kind === TSMachineKind.kind
        ? client.patch(TSMachineKind, name, labelled)
        : client.patch(TSClusterKind, name, labelled));
    }
    await expect.poll(() => phase(others.machine), soon).toBe('Running');
    await provider.server.stop();
  });

  it('GEN-15: --namespace serves that namespace and asks for no other', async () => {
    const chosen = await environment.namespace('chosen');
    const elsewhere = await pair('elsewhere');
    const before = requests().length;
    const provider = await environment.startProvider({ name: 'one', flags: [`--namespace=${chosen}`] });
    await createCluster(environment, { namespace: chosen, name: 'c' });
    const machine = { namespace: chosen, name: `m-${chosen}`, cluster: 'c' };
    await createMachine(environment, machine);
    await expect.poll(() => phase(machine), soon).toBe('Running');
    expect(writesIn(elsewhere.cluster.namespace)).toEqual([]);
    const asked = requests()
      .slice(before)
      .filter(
        ({ user, verb }) => user.endsWith(':ts-provider-manager') && (verb === 'list' || verb === 'watch'),
      )
      // Who we are at a cloud is said for the whole management cluster.
      .filter(({ resource }) => resource !== 'tsclusteridentities')
      .map(({ namespace }) => namespace);
    expect(new Set(asked)).toEqual(new Set([chosen]));
    await provider.server.stop();
  });
});

it('all of this was allowed to the service account of the manager', () => {
  expect(ourRefusals(requests())).toEqual([]);
});
