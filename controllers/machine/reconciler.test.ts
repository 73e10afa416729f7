// SPDX-License-Identifier: Apache-2.0
// The machine reconciler on the in-memory backend, pass by pass.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind, SecretKind, TSClusterKind } from '../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import type { MachineBackend } from '../../backends/backend.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { bootstrapSecret, MachineWorld, tsMachine } from '../../test/machine-world.ts';

let world: MachineWorld;
beforeEach(() => {
  world = new MachineWorld();
});

const instances = () => world.cloud.counts().instancesMade;
const ready = () => world.condition('Ready');

/** The backend with one verb replaced. */
function instead(change: Partial<MachineBackend>): void {
  const real = world.backend;
  world.backend = { observe: real.observe, create: real.create, destroy: real.destroy, ...change };
}

describe('from nothing to running', () => {
  it('records the intent, makes the instance, waits for it, reports it', async () => {
    const outcome = await world.reconcile();
    expect(outcome).toMatchObject({ kind: 'wait', reason: 'InstancePending' });
    expect(world.tsMachine()?.spec).toMatchObject({
      createIntent: { attempt: 1 },
      providerID: expect.stringMatching(/^tsinmemory:/) as string,
    });
    expect(world.tsMachine()?.status?.initialization).toBeUndefined();
    expect(ready()).toMatchObject({ status: 'False', reason: 'InstancePending' });

    await world.pass(5_000);
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    const machine = world.tsMachine();
    expect(machine?.status?.initialization).toEqual({ provisioned: true });
    expect(machine?.status?.addresses?.map(({ type }) => type)).toContain('InternalIP');
    expect(ready()).toMatchObject({
      status: 'True',
      reason: 'Ready',
      observedGeneration: machine?.metadata.generation,
    });
  });

  it('called twice at any point: no second instance, no second write', async () => {
    for (const step of [() => world.reconcile(), () => world.pass(5_000)]) await step();
    await world.reconcile();
    const writes = world.api.writes.length;
    await world.reconcile();
    await world.reconcile();
    expect(instances()).toBe(1);
    expect(world.api.writes.length).toBe(writes);
  });

  it('needs four writes in all: intent with finalizer, providerID, and one status for each of two states', async () => {
    await world.provision();
    expect(world.api.writes.map(({ verb }) => verb)).toEqual([
      'patch',
      'patch',
      'patch_status',
      'patch_status',
    ]);
  });

  it('IM-3, IM-3b: asks for the placement that the Machine wants and reports the real one', async () => {
    world.api.put({
      ...world.tsCluster()!,
      spec: { inMemory: { failureDomains: [{ name: 'a' }, { name: 'b' }] } },
    });
    world.machine({ spec: { failureDomain: 'b' } });
    await world.provision();
    expect(world.tsMachine()?.status?.failureDomain).toBe('b');
    expect(world.tsMachine()?.spec).not.toHaveProperty('failureDomain');
  });
});

describe('what the backend and other controllers see', () => {
  it.each([
    ['absent', {}, false],
    ['empty, as core sets it', { 'cluster.x-k8s.io/control-plane': '' }, true],
    ['of any value', { 'cluster.x-k8s.io/control-plane': 'false' }, true],
  ])('PIT-31: the control plane label counts by its presence: %s', async (_what, labels, controlPlane) => {
    world.machine({ labels });
    await world.reconcile();
    const { clientToken } = world.tsMachine()!.spec.createIntent!;
    expect(world.cloud.find({ clientToken })?.controlPlane).toBe(controlPlane);
  });

  it('IMT-8: labels and annotations that others wrote are kept by every write', async () => {
    const others = {
      labels: { 'topology.example.org/rack': 'r1' },
      annotations: { 'example.org/note': 'kept' },
    };
    const object = tsMachine();
    world.api.put({
      ...object,
      metadata: { ...object.metadata, ...others, labels: { ...object.metadata.labels, ...others.labels } },
    });
    await world.provision();
    expect(world.tsMachine()?.metadata).toMatchObject(others);
    const bodies = JSON.stringify(world.api.writes.map(({ body }) => body));
    expect(bodies).not.toContain('example.org');
  });
});

describe('gates (IM-8): one line says what it waits for, and nothing is made', () => {
  const cases: [string, () => void, string, RegExp][] = [
    [
      'cluster infrastructure',
      () => world.cluster({ provisioned: false }),
      'WaitingForClusterInfrastructure',
      /Cluster c1 .*infrastructure provisioned/,
    ],
    [
      'bootstrap data',
      () =>
        world.machine({
          spec: { bootstrap: { configRef: { apiGroup: 'g', kind: 'KubeadmConfig', name: 'm1' } } },
        }),
      'WaitingForBootstrapData',
      /KubeadmConfig m1/,
    ],
    [
      'a missing secret',
      () => world.api.remove(SecretKind, { namespace: 'ns', name: 'm1-bootstrap' }),
      'BootstrapDataMissing',
      /Secret m1-bootstrap.*does not exist.*delete the Machine/,
    ],
    [
      'an empty secret',
      () => void world.api.put(bootstrapSecret({})),
      'BootstrapDataInvalid',
      /nothing under its key "value"/,
    ],
    [
      'an unknown format',
      () => void world.api.put(bootstrapSecret({ value: 'x', format: 'powershell' })),
      'BootstrapDataInvalid',
      /key "format" that is neither cloud-config nor ignition/,
    ],
  ];
  it.each(cases)('%s', async (_name, arrange, reason, message) => {
    arrange();
    await world.reconcile().catch((error: unknown) => expect(error).toBeInstanceOf(TerminalError));
    expect(ready()).toMatchObject({
      status: 'False',
      reason,
      message: expect.stringMatching(message) as string,
    });
    expect(instances()).toBe(0);
    expect(world.tsMachine()?.metadata.finalizers).toBeUndefined();
  });

  it.each([
    ['no owner', () => void world.api.put(tsMachine({ ownerReferences: [] }))],
    ['no Machine', () => world.api.remove(MachineKind, world.m1)],
    ['no Cluster', () => world.api.remove(ClusterKind, world.c1)],
    ['another watch filter', () => void (world.watchFilter = 'blue')],
  ])('%s: silent', async (_name, arrange) => {
    arrange();
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    expect(world.api.writes).toEqual([]);
  });
});

describe('paused (GEN-10, GEN-11)', () => {
  it('only says so, and goes on when unpaused', async () => {
    world.cluster({
      spec: { infrastructureRef: { apiGroup: 'g', kind: 'TSCluster', name: 'c1' }, paused: true },
    });
    await world.reconcile();
    expect(world.condition('Paused')).toMatchObject({
      status: 'True',
      message: 'Cluster spec.paused is set to true',
    });
    expect(world.api.writes.map(({ verb }) => verb)).toEqual(['patch_status']);
    expect(instances()).toBe(0);
    world.cluster({});
    await world.provision();
    expect(world.condition('Paused')).toMatchObject({ status: 'False', reason: 'NotPaused' });
    expect(ready()?.status).toBe('True');
  });

  it('keeps a machine that is being deleted', async () => {
    await world.provision();
    world.deleteTSMachine();
    world.cluster({ spec: { paused: true } });
    await world.reconcile();
    expect(world.tsMachine()?.metadata.finalizers).toEqual([TSMACHINE_FINALIZER]);
  });
});

describe('crashes (invariants 1 and 2)', () => {
  const crash = new Error('killed');

  it('before the intent is stored: nothing was made', async () => {
    world.api.beforeWrite = () => {
      throw crash;
    };
    await expect(world.reconcile()).rejects.toThrow();
    expect(instances()).toBe(0);
  });

  it.each([1, 2, 3, 4])(
    'after write %i was applied and its answer lost: one instance in the end',
    async (nth) => {
      let writes = 0;
      world.api.afterWrite = () => {
        if (++writes === nth) throw crash;
      };
      for (let pass = 0; pass < 6; pass++) {
        await world.reconcile().catch(() => {});
        await world.pass(5_000);
      }
      expect(instances()).toBe(1);
      expect(ready()?.status).toBe('True');
    },
  );

  it('after the create call, before anything about it is stored: the same token finds it', async () => {
    const { create } = world.backend;
    instead({
      create: async (...args) => {
        await create(...args);
        throw crash;
      },
    });
    await expect(world.reconcile()).rejects.toThrow(crash);
    instead({ create });
    await world.provision();
    expect(instances()).toBe(1);
    expect(world.tsMachine()?.spec.createIntent?.attempt).toBe(1);
  });

  it('a changed request before anything was made gets a new attempt and a new token', async () => {
    const { create } = world.backend;
    instead({ create: () => Promise.reject(new TransientError('throttled')) });
    await expect(world.reconcile()).rejects.toThrow('throttled');
    const first = world.tsMachine()?.spec.createIntent;
    world.api.put(bootstrapSecret({ value: '#cloud-config\nruncmd: []' }));
    instead({ create });
    await world.provision();
    const second = world.tsMachine()?.spec.createIntent;
    expect([first?.attempt, second?.attempt]).toEqual([1, 2]);
    expect(second?.clientToken).not.toBe(first?.clientToken);
    expect(instances()).toBe(1);
  });

  it('an instance that was there and is not any more is never made again (CTL-M5)', async () => {
    await world.provision();
    const made = world.cloud.find({ clientToken: world.tsMachine()!.spec.createIntent!.clientToken });
    world.cloud.terminate(made!.id);
    await world.reconcile();
    expect(instances()).toBe(1);
    expect(ready()).toMatchObject({ status: 'False', reason: 'InstanceMissing' });
    expect(ready()?.message).toMatch(/no longer exists; delete the Machine/);
    expect(world.events.map(({ reason }) => reason)).toEqual(['InstanceMissing']);
  });

  it('after a move only spec is left: everything in status comes back, nothing is made', async () => {
    await world.provision();
    const { status: _lost, ...moved } = world.tsMachine()!;
    world.api.put({ ...moved, metadata: { ...moved.metadata, uid: 'another' } });
    await world.reconcile();
    expect(instances()).toBe(1);
    expect(world.tsMachine()?.status?.initialization).toEqual({ provisioned: true });
    expect(ready()?.status).toBe('True');
  });
});

describe('hold (invariant 5)', () => {
  it('a finalizer that somebody took off comes back while there is an instance', async () => {
    await world.provision();
    const object = world.tsMachine()!;
    world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [] } });
    await world.reconcile();
    expect(world.tsMachine()?.metadata.finalizers).toEqual([TSMACHINE_FINALIZER]);
  });

  it('taken off between the intent and the create call, it is stored again before the call (invariant 1)', async () => {
    const { create } = world.backend;
    instead({ create: () => Promise.reject(new TransientError('throttled')) });
    await expect(world.reconcile()).rejects.toThrow('throttled');
    const object = world.tsMachine()!;
    world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [] } });
    const held: unknown[] = [];
    const watched = (...call: Parameters<MachineBackend['create']>) => {
      held.push(world.tsMachine()?.metadata.finalizers);
      return create(...call);
    };
    instead({ create: watched });
    await world.reconcile();
    expect(held).toEqual([[TSMACHINE_FINALIZER]]);
  });

  it('also while the backend does not answer', async () => {
    await world.provision();
    const object = world.tsMachine()!;
    world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [] } });
    instead({ observe: () => Promise.reject(new TransientError('no answer')) });
    await expect(world.reconcile()).rejects.toThrow('no answer');
    expect(world.tsMachine()?.metadata.finalizers).toEqual([TSMACHINE_FINALIZER]);
  });
});

describe('paused, then changed (GEN-11)', () => {
  it('does not claim to have looked at the new spec', async () => {
    await world.provision();
    const object = world.tsMachine()!;
    world.cluster({ spec: { paused: true } });
    world.api.put({ ...object, metadata: { ...object.metadata, generation: 9 } });
    await world.reconcile();
    expect(world.condition('Paused')?.observedGeneration).toBe(9);
    expect(ready()?.observedGeneration).toBeLessThan(9);
  });
});

describe('trouble', () => {
  it('a transient error leaves the status as it was and says what failed', async () => {
    await world.provision();
    instead({ observe: () => Promise.reject(new TransientError('the cloud did not answer')) });
    await expect(world.reconcile()).rejects.toThrow(TransientError);
    expect(world.condition('InstanceReady')).toMatchObject({
      status: 'True',
      message: 'the cloud did not answer',
    });
  });

  it('an error before the first instance names itself, not what was waited for before', async () => {
    world.cluster({ provisioned: false });
    await world.reconcile();
    world.cluster({});
    instead({ create: () => Promise.reject(new TransientError('throttled')) });
    await expect(world.reconcile()).rejects.toThrow();
    expect(ready()).toMatchObject({ status: 'False', reason: 'Retrying', message: 'throttled' });
  });

  it('a terminal error is a reason of its own', async () => {
    instead({ create: () => Promise.reject(new TerminalError('QuotaExceeded', 'ask for more')) });
    await expect(world.reconcile()).rejects.toThrow(TerminalError);
    expect(ready()).toMatchObject({ status: 'False', reason: 'QuotaExceeded', message: 'ask for more' });
  });

  it('a backend that answers for another instance stops the machine', async () => {
    await world.provision();
    const other = {
      state: 'running',
      providerID: 'tsinmemory://i-other',
      addresses: [],
      failureDomain: undefined,
      message: '',
    } as const;
    instead({ observe: () => Promise.resolve(other) });
    await expect(world.reconcile()).rejects.toThrow(TerminalError);
    expect(ready()).toMatchObject({ status: 'False', reason: 'DuplicateInstances' });
  });

  it('a machine that dies stays provisioned, is not ready, and is told once', async () => {
    const dying = tsMachine();
    world.api.put({ ...dying, spec: { inMemory: { failures: { diesAfterSeconds: 60 } } } });
    await world.provision();
    await world.pass(60_000);
    await world.reconcile();
    await world.reconcile();
    expect(ready()).toMatchObject({ status: 'False', reason: 'InstanceStopped' });
    expect(world.tsMachine()?.status?.initialization).toEqual({ provisioned: true });
    expect(world.events).toHaveLength(1);
  });
});

describe('an instance that is about to be taken away', () => {
  const interrupted = () => {
    const real = world.backend;
    const interruption = { reason: 'SpotInterruption', message: 'EC2 wants it', replace: true } as const;
    instead({ ...real, upkeep: async () => ({ interruption }) } as Partial<MachineBackend>);
  };
  const machine = () => world.api.read(MachineKind, world.m1);

  it('has its Machine deleted, so that core replaces it', async () => {
    await world.provision();
    interrupted();
    await world.reconcile();
    expect(machine()).toBeUndefined();
  });

  it('is only reported of a control plane machine: with it a member of etcd would go', async () => {
    world.machine({ labels: { 'cluster.x-k8s.io/control-plane': '' } });
    await world.provision();
    interrupted();
    await world.reconcile();
    expect(machine()).toBeDefined();
    expect(world.condition('InterruptionFree')).toMatchObject({
      status: 'False',
      reason: 'SpotInterruption',
    });
  });
});

describe('to nothing (invariant 7)', () => {
  it('destroys, then lets go; called again there is nothing to do', async () => {
    await world.provision();
    world.deleteTSMachine();
    await world.reconcile();
    expect(world.tsMachine()).toBeUndefined();
    expect(await world.reconcile()).toEqual({ kind: 'done' });
  });

  it('needs no Machine, no Cluster, no TSCluster and no bootstrap data', async () => {
    await world.provision();
    world.deleteTSMachine();
    world.api.remove(MachineKind, world.m1);
    world.api.remove(ClusterKind, world.c1);
    world.api.remove(TSClusterKind, world.c1);
    world.api.remove(SecretKind, { namespace: 'ns', name: 'm1-bootstrap' });
    await world.reconcile();
    expect(world.tsMachine()).toBeUndefined();
  });

  it('while the end is in progress the finalizer stays and the condition says how far it is', async () => {
    await world.provision();
    world.deleteTSMachine();
    instead({ destroy: () => Promise.resolve({ state: 'inProgress', message: 'powering off' }) });
    expect(await world.reconcile()).toMatchObject({ kind: 'wait', reason: 'InstanceDeleting' });
    expect(world.condition('Deleting')).toMatchObject({ status: 'True', message: 'powering off' });
    expect(ready()).toMatchObject({ status: 'False', reason: 'InstanceDeleting' });
  });

  it('an error keeps the finalizer and is told', async () => {
    await world.provision();
    world.deleteTSMachine();
    instead({ destroy: () => Promise.reject(new TerminalError('CredentialsInvalid', 'renew them')) });
    await expect(world.reconcile()).rejects.toThrow();
    expect(world.condition('Deleting')).toMatchObject({ reason: 'DeletionFailed', message: 'renew them' });
    expect(world.tsMachine()?.metadata.finalizers).toEqual([TSMACHINE_FINALIZER]);
  });

  it('crashed after the create call: the token is enough to find and destroy the instance', async () => {
    const { create } = world.backend;
    instead({
      create: async (...args) => {
        await create(...args);
        throw new Error('killed');
      },
    });
    await expect(world.reconcile()).rejects.toThrow();
    const token = world.tsMachine()!.spec.createIntent!.clientToken;
    world.deleteTSMachine();
    await world.reconcile();
    expect(world.tsMachine()).toBeUndefined();
    expect(world.cloud.find({ clientToken: token })?.state).toBe('terminated');
  });
});
