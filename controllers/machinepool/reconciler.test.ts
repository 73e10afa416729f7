// SPDX-License-Identifier: Apache-2.0
// The pool reconciler on a group in memory, with core and the machine controller played around it.
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ClusterKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
  TSMachinePoolKind,
} from '../../api/kinds.ts';
import {
  CLUSTER_NAME_LABEL,
  DELETE_MACHINE_ANNOTATION,
  PAUSED_ANNOTATION,
  POOL_NAME_LABEL,
  REPLICAS_MANAGED_BY_ANNOTATION,
  TSMACHINE_FINALIZER,
  TSMACHINEPOOL_FINALIZER,
} from '../../api/labels.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/object.ts';
import { MachinePoolWorld } from '../../test/machine-pool-world.ts';

let world: MachinePoolWorld;
beforeEach(() => {
  world = new MachinePoolWorld();
});

const ready = () => world.condition('Ready');
const ids = () => (world.group.instances ?? []).map(({ id }) => id);

describe('from nothing to a pool', () => {
  it('records name, place and finalizer before the backend is asked for anything', async () => {
    world.group.backend.observe = () => Promise.reject(new Error('asked too early'));
    world.api.beforeWrite = ({ verb, body }) => {
      if (verb !== 'patch') return;
      expect(world.group.calls).toEqual([]);
      expect(body).toMatchObject({
        spec: {
          infrastructureID: expect.stringMatching(/^p1-[0-9a-f]{8}$/) as string,
          choice: { region: 'r', account: 'a' },
        },
        metadata: { finalizers: [TSMACHINEPOOL_FINALIZER] },
      });
    };
    await world.reconcile();
    expect(world.group.calls).toEqual(['ensure']);
  });

  it('records nothing while the place cannot be told, and can be deleted then', async () => {
    world.group.backend.place = () => Promise.reject(new TerminalError('IdentityMissing', 'there is no i'));
    await expect(world.reconcile()).rejects.toThrow('there is no i');
    expect(world.pool()?.spec).toEqual({ aws: { instanceType: 'm5.large', image: { id: 'ami-1' } } });
    expect(world.pool()?.metadata.finalizers ?? []).toEqual([]);
    expect(ready()).toMatchObject({ status: 'False', reason: 'IdentityMissing' });
    expect(world.group.calls).toEqual([]);
  });

  it('asks for nothing when what was recorded is not kept', async () => {
    const { client } = world.api;
    Object.defineProperty(world.api, 'client', {
      get: () => ({
        ...client,
        patch: async (...[kind, name]: Parameters<typeof client.patch>) => world.api.read(kind, name),
      }),
    });
    await expect(world.reconcile()).rejects.toThrow(/did not keep spec.infrastructureID/);
    expect(world.group.calls).toEqual([]);
  });

  it('IMP-7, IMP-8: one TSMachine for each instance, labelled, owned by the pool but not controlled', async () => {
    await world.reconcile();
    await world.reconcile();
    expect(world.tsMachines()).toHaveLength(3);
    const [one] = world.tsMachines();
    expect(one).toMatchObject({
      metadata: {
        name: 'p1-1',
        labels: { [CLUSTER_NAME_LABEL]: 'c1', [POOL_NAME_LABEL]: 'p1' },
        finalizers: [TSMACHINE_FINALIZER],
      },
      spec: { providerID: 'cloud:///i-1' },
    });
    const owner = {
      apiVersion: TSMachinePoolKind.apiVersion,
      kind: 'TSMachinePool',
      name: 'p1',
      uid: world.pool()!.metadata.uid,
    };
    expect(one?.metadata.ownerReferences).toEqual([owner]);
  });

  it('IMP-2 to IMP-4b: reports what core reads', async () => {
    await world.settle();
    expect(world.pool()?.spec).toMatchObject({
      providerID: 'group',
      providerIDList: ['cloud:///i-1', 'cloud:///i-2', 'cloud:///i-3'],
    });
    expect(world.pool()?.status).toMatchObject({
      ...{ ready: true, replicas: 3, initialization: { provisioned: true } },
      ...{ infrastructureMachineKind: 'TSMachine', capacity: { cpu: '2' } },
      nodeInfo: { architecture: 'amd64', operatingSystem: 'linux' },
    });
    expect(ready()).toMatchObject({ status: 'True', observedGeneration: world.pool()?.metadata.generation });
  });

  it('called again when nothing has changed: no write', async () => {
    await world.settle();
    const writes = world.api.writes.length;
    await world.reconcile();
    await world.reconcile();
    expect(world.api.writes.length).toBe(writes);
  });

  it('crashed after the group was made: the same group, no second one', async () => {
    world.group.afterEnsure = () => {
      throw new TransientError('no answer');
    };
    await expect(world.reconcile()).rejects.toThrow('no answer');
    const { infrastructureID } = world.pool()!.spec;
    world.group.afterEnsure = () => {};
    await world.settle();
    expect(world.pool()?.spec.infrastructureID).toBe(infrastructureID);
    expect(ids()).toEqual(['i-1', 'i-2', 'i-3']);
  });

  it('crashed after a TSMachine was made: no second one', async () => {
    await world.reconcile();
    let made = 0;
    world.api.afterWrite = ({ verb }) => {
      if (verb === 'create' && ++made === 2) throw new TransientError('no answer');
    };
    await expect(world.reconcile()).rejects.toThrow('no answer');
    await world.settle();
    expect(world.tsMachines().map(({ metadata }) => metadata.name)).toEqual(['p1-1', 'p1-2', 'p1-3']);
  });
});

describe('gates: one line says what it waits for, and nothing is made', () => {
  const cases: [string, () => void, string, RegExp][] = [
    [
      'cluster infrastructure',
      () =>
        void world.api.put({ ...world.api.read(ClusterKind, { namespace: 'ns', name: 'c1' })!, status: {} }),
      'WaitingForClusterInfrastructure',
      /Cluster c1/,
    ],
    [
      'bootstrap data',
      () => world.machinePool({ template: { spec: { bootstrap: {} } } }),
      'WaitingForBootstrapData',
      /dataSecretName of the MachinePool/,
    ],
    [
      'a missing Secret',
      () => world.api.remove(SecretKind, { namespace: 'ns', name: 'p1-bootstrap' }),
      'BootstrapDataMissing',
      /Secret p1-bootstrap.*restore it/,
    ],
  ];
  it.each(cases)('%s', async (_what, arrange, reason, message) => {
    arrange();
    await world.reconcile();
    expect(ready()).toMatchObject({
      status: 'False',
      reason,
      message: expect.stringMatching(message) as string,
    });
    expect(world.group.calls).toEqual([]);
    expect(world.pool()?.spec.infrastructureID).toBeUndefined();
  });

  it.each([
    ['the pool', () => annotate(PAUSED_ANNOTATION)],
    ['the Cluster', () => pauseCluster()],
  ])('GEN-10: a pause of %s', async (_what, pause) => {
    pause();
    await world.reconcile();
    expect(world.condition('Paused')?.status).toBe('True');
    expect(world.group.calls).toEqual([]);
  });

  it('does nothing before core has set the owner', async () => {
    const object = world.pool()!;
    world.api.put({ ...object, metadata: { ...object.metadata, ownerReferences: [] } });
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    expect(world.api.writes).toEqual([]);
  });

  it('CTL-M5: a pool that may exist is served though the Cluster has lost its status', async () => {
    await world.settle();
    const cluster = world.api.read(ClusterKind, { namespace: 'ns', name: 'c1' })!;
    world.api.put({ ...cluster, status: {} });
    world.api.put({ ...world.pool()!, status: {} });
    await world.reconcile();
    expect(world.pool()?.status).toMatchObject({ ready: true, replicas: 3 });
  });
});

function annotate(annotation: string): void {
  const object = world.pool()!;
  world.api.put({ ...object, metadata: { ...object.metadata, annotations: { [annotation]: '' } } });
}

function pauseCluster(): void {
  const cluster = world.api.read(ClusterKind, { namespace: 'ns', name: 'c1' })!;
  world.api.put({ ...cluster, spec: { ...cluster.spec, paused: true } });
}

describe('errors', () => {
  it('one that needs a person is told in the condition and by an Event, and the machines are kept', async () => {
    await world.settle();
    world.group.backend.ensure = () => Promise.reject(new TerminalError('ImageNotFound', 'no such image'));
    await expect(world.reconcile()).rejects.toThrow('no such image');
    await expect(world.reconcile()).rejects.toThrow('no such image');
    expect(ready()).toMatchObject({ status: 'False', reason: 'ImageNotFound', message: 'no such image' });
    expect(world.events).toEqual([expect.objectContaining({ reason: 'ImageNotFound' })]);
    expect(world.pool()?.status).toMatchObject({ ready: true, replicas: 3 });
  });

  it('one that may heal leaves the status as it was', async () => {
    await world.settle();
    world.group.backend.observe = () => Promise.reject(new TransientError('throttled'));
    await expect(world.reconcile()).rejects.toThrow('throttled');
    expect(ready()).toMatchObject({ status: 'True', message: 'throttled' });
    expect(world.pool()?.spec.providerIDList).toHaveLength(3);
    expect(world.tsMachines()).toHaveLength(3);
  });

  it('IMP-4b: ready is not taken back', async () => {
    await world.settle();
    world.bootstrapData('');
    await world.reconcile();
    expect(ready()).toMatchObject({ status: 'False', reason: 'BootstrapDataInvalid' });
    expect(world.pool()?.status?.ready).toBe(true);
  });
});

describe('a machine that goes', () => {
  it('IMP-9: its instance is ended, and another one takes its place', async () => {
    await world.settle();
    world.api.remove(MachineKind, { namespace: 'ns', name: 'p1-2' });
    await world.settle();
    expect(ids()).toEqual(['i-1', 'i-3', 'i-4']);
    expect(world.names()).toEqual(['p1-1', 'p1-3', 'p1-4']);
  });

  it('whose instance was ended outside is deleted, by its Machine', async () => {
    await world.settle();
    world.group.end('i-2');
    const writes = world.api.writes.length;
    await world.looks(7);
    const deletions = world.api.writes.slice(writes).filter(({ verb }) => verb === 'delete');
    expect(deletions).toEqual([expect.objectContaining({ kind: 'Machine', key: 'ns/p1-2' })]);
    await world.settle();
    expect(world.names()).toEqual(['p1-1', 'p1-3', 'p1-4']);
  });

  it('that one look does not show stays, and stays in the list', async () => {
    await world.settle();
    const instances = world.group.instances!;
    world.group.fill = () => {};
    world.group.instances = instances.slice(1);
    for (let look = 0; look < 3; look++) {
      expect(await world.reconcile()).toMatchObject({ kind: 'wait', reason: 'PoolScaling' });
      expect(world.pool()?.spec.providerIDList).toEqual(['cloud:///i-1', 'cloud:///i-2', 'cloud:///i-3']);
      expect(world.pool()?.status?.replicas).toBe(3);
    }
    await world.clock.advance(59_000);
    await world.reconcile();
    // It is seen again: what was counted is forgotten.
    world.group.instances = instances;
    await world.reconcile();
    world.group.instances = instances.slice(1);
    await world.looks(5);
    expect(world.names()).toContain('p1-1');
    world.restart();
    await world.looks(5);
    expect(world.names()).toContain('p1-1');
    await world.looks(4);
    expect(world.names()).not.toContain('p1-1');
  });

  it('whose own controller sees the instance stays, until that sees it no more', async () => {
    await world.settle();
    world.group.end('i-2');
    world.instanceReady('p1-2', 'InstanceRunning');
    await world.looks(10);
    expect(world.names()).toContain('p1-2');
    expect(world.pool()?.spec.providerIDList).toContain('cloud:///i-2');
    world.instanceReady('p1-2', 'InstanceMissing');
    await world.reconcile();
    expect(world.names()).not.toContain('p1-2');
  });

  it('whose instance is leaving is deleted before it is gone, and stays in the list until then', async () => {
    await world.settle();
    world.group.instances![0]!.state = 'leaving';
    await world.reconcile();
    expect(world.names()).toEqual(['p1-2', 'p1-3']);
    expect(world.pool()?.spec.providerIDList).toContain('cloud:///i-1');
  });

  it('a look that is behind proves nothing about a machine that is new', async () => {
    await world.reconcile();
    await world.reconcile();
    const instances = world.group.instances!;
    world.group.instances = [];
    world.group.desired = 0;
    world.group.backend.ensure = async () => ({ template: 'join', pollMs: 1 });
    await world.reconcile();
    expect(world.tsMachines().every(({ metadata }) => metadata.deletionTimestamp === undefined)).toBe(true);
    world.group.instances = instances;
  });

  it('of which core has made no Machine yet waits for it', async () => {
    world.coreRuns = false;
    await world.reconcile();
    await world.reconcile();
    world.group.instances![0]!.state = 'leaving';
    await world.reconcile();
    expect(world.tsMachines()[0]?.metadata.deletionTimestamp).toBeUndefined();
    await world.clock.advance(60_000);
    await world.reconcile();
    expect(world.tsMachines()[0]?.metadata.deletionTimestamp).toBeDefined();
  });
});

describe('a group that a look does not show', () => {
  it('ends nothing and makes nothing, and is told, until it was missing for a whole window', async () => {
    await world.settle();
    const { instances } = world.group;
    world.group.instances = undefined;
    world.group.calls.length = 0;
    await world.clock.advance(3_600_000);
    await world.looks(6);
    expect(world.group.calls).toEqual(Array(6).fill('observe'));
    expect(world.names()).toEqual(['p1-1', 'p1-2', 'p1-3']);
    expect(ready()).toMatchObject({
      ...{ status: 'False', reason: 'GroupMissing' },
      message: expect.stringMatching(
        /^The group group is not shown \(region r, identity i, account a\)/,
      ) as string,
    });
    expect(world.pool()?.spec.providerIDList).toHaveLength(3);
    world.group.instances = instances;
    await world.reconcile();
    expect(ready()).toMatchObject({ status: 'True' });
    expect(ids()).toEqual(['i-1', 'i-2', 'i-3']);
  });

  it('one long pause between two looks is no window', async () => {
    await world.settle();
    world.group.instances = undefined;
    await world.reconcile();
    await world.clock.advance(3_600_000);
    await world.reconcile();
    expect(ready()).toMatchObject({ reason: 'GroupMissing' });
    expect(world.names()).toHaveLength(3);
  });

  it('is made anew after that, and its machines are replaced', async () => {
    await world.settle();
    world.group.instances = undefined;
    await world.settle();
    expect(ids()).toEqual(['i-4', 'i-5', 'i-6']);
    expect(world.names()).toEqual(['p1-4', 'p1-5', 'p1-6']);
  });
});

describe('fewer machines', () => {
  beforeEach(() => world.settle());

  it('the oldest goes, and nobody is ended twice for it', async () => {
    world.machinePool({ replicas: 2 });
    await world.reconcile();
    await world.reconcile();
    expect(world.names()).toEqual(['p1-2', 'p1-3']);
    expect(ready()).toMatchObject({ status: 'True' });
    await world.settle();
    expect(ids()).toEqual(['i-2', 'i-3']);
  });

  it('AS-3: the one that was named goes first', async () => {
    const machine = world.machines()[2]!;
    const annotations = { [DELETE_MACHINE_ANNOTATION]: '' };
    world.api.put({ ...machine, metadata: { ...machine.metadata, annotations } });
    world.machinePool({ replicas: 2 });
    await world.settle();
    expect(ids()).toEqual(['i-1', 'i-2']);
  });

  it('then one that is not ready', async () => {
    world.join(world.machines()[1]!, 'False');
    world.machinePool({ replicas: 2 });
    await world.settle();
    expect(ids()).toEqual(['i-1', 'i-3']);
  });

  it('a cache that does not know yet who goes does not make another one go', async () => {
    for (const machine of world.machines()) world.join(machine, 'Unknown');
    const second = world.tsMachines()[1]!;
    const createIntent = { ...second.spec.createIntent!, requestHash: 'join otherwise' };
    world.api.put({ ...second, spec: { ...second.spec, createIntent } });
    world.cachedMachines = world.machines();
    world.machinePool({ replicas: 2 });
    await world.reconcile();
    expect(world.names()).toEqual(['p1-1', 'p1-3']);
    // Now the others would come first.
    world.bootstrapData('join otherwise');
    await world.reconcile();
    expect(world.names()).toEqual(['p1-1', 'p1-3']);
  });

  it('one that is on its way out already counts', async () => {
    world.api.remove(MachineKind, { namespace: 'ns', name: 'p1-3' });
    world.machinePool({ replicas: 2 });
    await world.settle();
    expect(ids()).toEqual(['i-1', 'i-2']);
  });

  it('more again: as many as that', async () => {
    world.machinePool({ replicas: 1 });
    await world.settle();
    world.machinePool({ replicas: 4 });
    await world.settle();
    expect(world.names()).toHaveLength(4);
    world.machinePool({ replicas: 0 });
    await world.settle();
    expect(world.pool()).toMatchObject({
      spec: { providerIDList: [] },
      status: { replicas: 0, ready: true },
    });
  });
});

describe('another template', () => {
  beforeEach(() => world.settle());

  it('replaces one machine after the other, each when the last one is ready', async () => {
    world.bootstrapData('join otherwise');
    for (let round = 0; round < 20; round++) {
      await world.reconcile();
      const isReady = ({ status }: { status?: { nodeRef?: unknown } }) => status?.nodeRef !== undefined;
      const staying = world.machines().filter((one) => one.metadata.deletionTimestamp === undefined);
      expect(staying.filter(isReady).length).toBeGreaterThanOrEqual(2);
      world.core();
      world.machineController();
    }
    expect(world.group.instances?.map(({ template }) => template)).toEqual(Array(3).fill('join otherwise'));
    expect(world.names()).toEqual(['p1-4', 'p1-5', 'p1-6']);
    await world.reconcile();
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('says so meanwhile', async () => {
    world.bootstrapData('join otherwise');
    expect(await world.reconcile()).toMatchObject({ kind: 'wait', reason: 'PoolRefreshing' });
    expect(ready()).toMatchObject({
      reason: 'PoolRefreshing',
      message: expect.stringMatching(/^3 machines/) as string,
    });
  });

  it('as many at once as the spec allows', async () => {
    const object = world.pool()!;
    const aws = { ...object.spec.aws!, refresh: { maxUnavailable: 2 } };
    world.api.put({ ...object, spec: { ...object.spec, aws } });
    world.bootstrapData('join otherwise');
    await world.reconcile();
    expect(world.names()).toEqual(['p1-3']);
  });

  it('one whose machines do not join stops there, and the next one goes on from it', async () => {
    world.bootstrapData('broken');
    await world.reconcile();
    world.core();
    world.machineController();
    for (let round = 0; round < 5; round++) await world.reconcile();
    expect(world.group.instances?.map(({ template }) => template)).toEqual(['join', 'join', 'broken']);
    world.bootstrapData('mended');
    await world.settle(20);
    expect(world.group.instances?.map(({ template }) => template)).toEqual(Array(3).fill('mended'));
  });

  it('nobody is replaced while the Nodes cannot be asked', async () => {
    for (const machine of world.machines()) world.join(machine, 'Unknown');
    world.bootstrapData('join otherwise');
    for (let round = 0; round < 3; round++) await world.reconcile();
    expect(world.names()).toEqual(['p1-1', 'p1-2', 'p1-3']);
  });
});

describe('IMP-10: a size that somebody else decides', () => {
  beforeEach(async () => {
    world.machinePool({}, { [REPLICAS_MANAGED_BY_ANNOTATION]: 'external' });
    await world.settle();
  });

  it('is written back', async () => {
    world.group.desired = 5;
    world.group.fill();
    await world.settle();
    expect(world.api.read(MachinePoolKind, world.p1)?.spec.replicas).toBe(5);
    expect(world.names()).toHaveLength(5);
    world.group.desired = 4;
    world.group.end('i-1');
    await world.settle();
    expect(world.api.read(MachinePoolKind, world.p1)?.spec.replicas).toBe(4);
    expect(world.names()).toEqual(['p1-2', 'p1-3', 'p1-4', 'p1-5']);
  });

  it('is ours again without the annotation, or with false', async () => {
    world.machinePool({ replicas: 2 }, { [REPLICAS_MANAGED_BY_ANNOTATION]: 'false' });
    await world.settle();
    expect(world.names()).toHaveLength(2);
  });
});

describe('the end', () => {
  beforeEach(async () => {
    await world.settle();
    world.group.calls.length = 0;
    world.api.remove(TSMachinePoolKind, world.p1);
  });

  it('the group makes no more machines, then its Machines go, then the group, then the finalizer', async () => {
    await world.reconcile();
    expect(world.group.calls).toEqual(['observe', 'close']);
    expect(world.condition('Deleting')).toMatchObject({
      ...{ status: 'True', reason: 'WaitingForPoolMachines' },
      message: expect.stringMatching(/p1-1, p1-2, p1-3/) as string,
    });
    expect(world.names()).toEqual([]);
    await world.settle(4);
    expect(world.pool()).toBeUndefined();
    expect(world.group.instances).toBeUndefined();
    expect(world.tsMachines()).toEqual([]);
  });

  it('is not closed any more once its Machines are gone: that would protect what has to go', async () => {
    await world.settle(4);
    const { calls } = world.group;
    expect(calls.slice(calls.lastIndexOf('close') + 1)).toEqual(['remove', 'remove']);
  });

  it('needs no MachinePool, no Cluster and no bootstrap data', async () => {
    world.api.remove(MachinePoolKind, world.p1);
    world.api.remove(ClusterKind, { namespace: 'ns', name: 'c1' });
    world.api.remove(TSClusterKind, { namespace: 'ns', name: 'c1' });
    world.api.remove(SecretKind, { namespace: 'ns', name: 'p1-bootstrap' });
    await world.settle(4);
    expect(world.pool()).toBeUndefined();
  });

  it('a failure keeps the finalizer and is told', async () => {
    await world.settle(2);
    world.group.backend.remove = () => Promise.reject(new TransientError('throttled'));
    await expect(world.settle(3)).rejects.toThrow('throttled');
    expect(world.pool()?.metadata.finalizers).toEqual([TSMACHINEPOOL_FINALIZER]);
    expect(world.condition('Deleting')).toMatchObject({ reason: 'DeletionFailed', message: 'throttled' });
  });

  it('TSMachines without a Machine go as well', async () => {
    world.coreRuns = false;
    for (const machine of world.machines()) {
      world.api.put({ ...machine, metadata: { ...machine.metadata, finalizers: [] } });
      world.api.remove(MachineKind, nameOf(machine));
    }
    await world.reconcile();
    expect(world.tsMachines().every(({ metadata }) => metadata.deletionTimestamp !== undefined)).toBe(true);
  });

  it('TSMachines of other pools stay', async () => {
    const [one] = world.tsMachines();
    const ownerReferences = [{ ...one!.metadata.ownerReferences![0]!, name: 'p2' }];
    world.api.put({ ...one!, metadata: { ...one!.metadata, name: 'other', ownerReferences } });
    world.coreRuns = false;
    await world.reconcile();
    expect(
      world.api.read(TSMachineKind, { namespace: 'ns', name: 'other' })?.metadata.deletionTimestamp,
    ).toBeUndefined();
  });
});

it('a pool that has made nothing goes without a question', async () => {
  const object = world.pool()!;
  world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [TSMACHINEPOOL_FINALIZER] } });
  world.api.remove(TSMachinePoolKind, world.p1);
  await world.reconcile();
  expect(world.pool()).toBeUndefined();
  expect(world.group.calls).toEqual([]);
});
