// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { TSClusterKind, TSMachineKind } from '../api/kinds.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { MachineWorld, tsCluster, tsMachine } from '../test/machine-world.ts';
import { knownMachines, tellOfOrphan } from './aws-orphans.ts';

const claimed = {
  infrastructureID: 'c1-0a1b2c3d',
  namespace: 'ns',
  name: 'm1',
  uid: 'u',
  token: 'token-1',
  instanceID: 'i-1',
};
let world: MachineWorld;
let isSynced: boolean;
beforeEach(() => {
  world = new MachineWorld();
  isSynced = true;
  const object = tsCluster();
  world.api.put({ ...object, spec: { ...object.spec, infrastructureID: claimed.infrastructureID } });
});

const base = () => ({
  cache: world.api.cache({ [CLUSTER_INDEX]: byCluster }),
  informers: { synced: () => isSynced } as Parameters<typeof knownMachines>[0]['informers'],
  watchFilter: world.watchFilter,
});
const knows = () => knownMachines(base()).knows(claimed);

function machine(spec: object): void {
  const object = tsMachine();
  world.api.put({ ...object, spec: { ...object.spec, ...spec } });
}

describe('an instance', () => {
  it('is known by the token of its TSMachine, or by its id', () => {
    expect(knows()).toBe('unknown');
    machine({ createIntent: { attempt: 1, clientToken: 'token-1', requestHash: 'h' } });
    expect(knows()).toBe('known');
    machine({ providerID: 'aws:///eu-central-1a/i-1' });
    expect(knows()).toBe('known');
    machine({ providerID: 'aws:///eu-central-1a/i-12' });
    expect(knows()).toBe('unknown');
  });

  it.each([
    ['while the caches fill', () => void (isSynced = false)],
    ['of a cluster that nobody knows', () => world.api.remove(TSClusterKind, world.c1)],
    ['of a cluster of another manager', () => void (world.watchFilter = 'blue')],
    ['of a cluster that may be on its move', () => world.cluster({ spec: { paused: true } })],
  ])('%s is nobody to say of', (_name, arrange) => {
    world.api.remove(TSMachineKind, world.m1);
    arrange();
    expect(knows()).toBe('unsure');
  });
});

it('an orphan is told on its TSCluster', () => {
  const told: unknown[] = [];
  const events = {
    event: (object: { kind: string }, content: object) => void told.push([object.kind, content]),
  };
  tellOfOrphan({ ...base(), events: events as never })({
    ...claimed,
    account: '1',
    region: 'eu-central-1',
    isRemoved: false,
  });
  expect(told).toEqual([['TSCluster', expect.objectContaining({ reason: 'OrphanFound', type: 'Warning' })]]);
});
