// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MachineKind, MachinePoolKind, TSMachineKind, TSMachinePoolKind } from '../../api/kinds.ts';
import { DELETE_MACHINE_ANNOTATION, REPLICAS_MANAGED_BY_ANNOTATION } from '../../api/labels.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { MachinePoolWorld } from '../../test/machine-pool-world.ts';
import { poolNameLabel } from './pool-label.ts';
import { machinePoolWatches } from './watches.ts';

const world = new MachinePoolWorld();
await world.settle();
const watches = machinePoolWatches(world.api.cache({ [CLUSTER_INDEX]: byCluster }));

/** Whom a change of one object wakes. */
function woken(kind: string, previous: unknown, object: unknown): readonly unknown[] {
  const watch = watches.find((one) => one.kind.kind === kind)!;
  return watch.map({ type: 'update', previous, object } as InformerEvent<KubeObject>);
}

describe('its own object', () => {
  const before = world.pool()!;
  it.each([
    ['status', { ...before, status: { ...before.status, replicas: 7 } }, false],
    ['what we write', { ...before, spec: { ...before.spec, providerIDList: [], providerID: 'x' } }, false],
    ['status, when somebody wipes it', { ...before, status: undefined }, true],
    [
      'our finalizer, when somebody takes it',
      { ...before, metadata: { ...before.metadata, finalizers: [] } },
      true,
    ],
    [
      'the instance type',
      { ...before, spec: { ...before.spec, aws: { ...before.spec.aws!, instanceType: 'm5.xlarge' } } },
      true,
    ],
    ['deletion', { ...before, metadata: { ...before.metadata, deletionTimestamp: 'now' } }, true],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(TSMachinePoolKind.kind, before, after)).toEqual(wakes ? [world.p1] : []);
  });
});

describe('its MachinePool', () => {
  const read = world.api.read(MachinePoolKind, world.p1)!;
  const infrastructureRef = { apiGroup: 'g', kind: 'TSMachinePool', name: 'p1' };
  const template = { spec: { ...read.spec.template.spec, infrastructureRef } };
  const before = { ...read, spec: { ...read.spec, template } };
  const other = { spec: { infrastructureRef: { ...infrastructureRef, kind: 'OtherPool' } } };
  const annotations = { [REPLICAS_MANAGED_BY_ANNOTATION]: 'external' };
  it.each([
    ['status', { ...before, status: { conditions: [] } }, false],
    ['replicas', { ...before, spec: { ...before.spec, replicas: 4 } }, true],
    ['who sizes it', { ...before, metadata: { ...before.metadata, annotations } }, true],
    ['another provider’s pool', { ...before, spec: { ...before.spec, replicas: 4, template: other } }, false],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(MachinePoolKind.kind, before, after)).toEqual(wakes ? [world.p1] : []);
  });
});

describe('its machines', () => {
  const tsMachine = world.tsMachines()[0]!;
  const machine = world.machines()[0]!;
  const gone = [
    {
      type: 'InstanceReady',
      status: 'False',
      reason: 'InstanceMissing',
      message: '',
      lastTransitionTime: '',
    },
  ];
  it.each([
    ['addresses', { ...tsMachine, status: { addresses: [] } }, false],
    ['its instance', { ...tsMachine, status: { conditions: gone } }, true],
    ['deletion', { ...tsMachine, metadata: { ...tsMachine.metadata, deletionTimestamp: 'now' } }, true],
    ['no pool', { ...tsMachine, metadata: { ...tsMachine.metadata, ownerReferences: [] } }, false],
  ])('TSMachine: a change of %s', (_what, after, wakes) => {
    expect(woken(TSMachineKind.kind, tsMachine, after)).toEqual(wakes ? [world.p1] : []);
  });

  const annotations = { [DELETE_MACHINE_ANNOTATION]: '' };
  it.each([
    ['conditions', { ...machine, status: { ...machine.status, conditions: [] } }, false],
    ['its Node', { ...machine, status: {} }, true],
    ['who goes first', { ...machine, metadata: { ...machine.metadata, annotations } }, true],
    ['no pool', { ...machine, status: {}, metadata: { ...machine.metadata, labels: {} } }, false],
  ])('Machine: a change of %s', (_what, after, wakes) => {
    expect(woken(MachineKind.kind, machine, after)).toEqual(wakes ? [world.p1] : []);
  });
});

it.each([
  ['p1', 'p1'],
  // As Go's fnv.New32a over the bytes, base64url without padding.
  ['a'.repeat(64), `hash_${Buffer.from('d96f0f85', 'hex').toString('base64url')}_z`],
])('IMP-7: the pool-name label of %s', (name, label) => {
  expect(poolNameLabel(name)).toBe(label);
});
