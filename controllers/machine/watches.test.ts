// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { MachineWorld, tsMachine } from '../../test/machine-world.ts';
import { CursorLostError } from '../../backends/backend.ts';
import { changeFeedTick, machinesWith } from './change-feed.ts';
import { machineWatches } from './watches.ts';

const world = new MachineWorld();
const watches = machineWatches(world.api.cache({ [CLUSTER_INDEX]: byCluster }));

/** Whom a change of one object wakes. */
function woken(kind: string, previous: unknown, object: unknown): readonly unknown[] {
  const watch = watches.find((one) => one.kind.kind === kind)!;
  return watch.map({ type: 'update', previous, object } as InformerEvent<KubeObject>);
}

describe('its own object', () => {
  const before = { ...tsMachine(), status: {} };
  it.each([
    ['status', { ...before, status: { addresses: [] } }, false],
    [
      'providerID and intent, which we write',
      { ...before, spec: { ...before.spec, providerID: 'x' } },
      false,
    ],
    [
      'our finalizer, when we add it',
      { ...before, metadata: { ...before.metadata, finalizers: [TSMACHINE_FINALIZER] } },
      false,
    ],
    ['status, when somebody wipes it', tsMachine(), true],
    ['spec', { ...before, spec: { inMemory: { failures: { neverBoots: true } } } }, true],
    ['deletion', { ...before, metadata: { ...before.metadata, deletionTimestamp: 'now' } }, true],
    ['owner', { ...before, metadata: { ...before.metadata, ownerReferences: [] } }, true],
    ['pause annotation', { ...before, metadata: { ...before.metadata, annotations: { a: 'b' } } }, true],
    ['a namesake made anew', { ...before, metadata: { ...before.metadata, uid: 'other' } }, true],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(TSMachineKind.kind, before, after)).toEqual(wakes ? [world.m1] : []);
  });
});

it('wakes it when somebody takes our finalizer away', () => {
  const held = tsMachine({ finalizers: [TSMACHINE_FINALIZER] });
  expect(woken(TSMachineKind.kind, held, tsMachine())).toEqual([world.m1]);
});

describe('its Machine', () => {
  const before = world.api.read(MachineKind, world.m1)!;
  it.each([
    ['status', { ...before, status: { conditions: [] } }, false],
    ['its Node', { ...before, status: { nodeRef: { name: 'n' } } }, true],
    ['spec', { ...before, metadata: { ...before.metadata, generation: 2 } }, true],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(MachineKind.kind, before, after)).toEqual(wakes ? [world.m1] : []);
  });

  it('of another infrastructure wakes nobody', () => {
    const spec = {
      ...before.spec,
      infrastructureRef: { ...before.spec.infrastructureRef, kind: 'AWSMachine' },
    };
    expect(
      woken(MachineKind.kind, before, { ...before, metadata: { ...before.metadata, generation: 2 }, spec }),
    ).toEqual([]);
  });
});

describe('its TSCluster', () => {
  const before = { ...world.tsCluster()!, status: {} };
  it.each([
    ['status', { ...before, status: { conditions: [] } }, false],
    ['spec', { ...before, spec: { inMemory: { failureDomains: [{ name: 'b' }] } } }, true],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(TSClusterKind.kind, before, after)).toEqual(wakes ? [world.m1] : []);
  });
});

describe('its Cluster', () => {
  const before = world.api.read(ClusterKind, world.c1)!;
  it.each([
    ['unpause (PIT-21)', { ...before, spec: { ...before.spec, paused: true } }, true],
    ['infrastructure provisioned', { ...before, status: {} }, true],
    ['endpoint', { ...before, spec: { ...before.spec, controlPlaneEndpoint: { host: 'h', port: 1 } } }, true],
    ['conditions', { ...before, status: { ...before.status, conditions: [] } }, false],
  ])('a change of %s', (_what, after, wakes) => {
    expect(woken(ClusterKind.kind, before, after)).toEqual(wakes ? [world.m1] : []);
  });
});

describe('the change feed', () => {
  it('goes on from its cursor and keeps it when a look fails', async () => {
    const seen: string[] = [];
    const answers = ['1', 'fail', '2'];
    const asked: string[] = [];
    const feed = {
      changes: async (_ctx: unknown, cursor: string) => {
        asked.push(cursor);
        const answer = answers.shift()!;
        if (answer === 'fail') throw new Error('no answer');
        return { cursor: answer, machines: [{ namespace: 'ns', name: `m-${answer}` }] };
      },
    };
    const tick = changeFeedTick(feed, { wake: ({ name }) => void seen.push(name), all: () => [] });
    const ctx = {} as Parameters<typeof tick>[0];
    await tick(ctx);
    await expect(tick(ctx)).rejects.toThrow();
    await tick(ctx);
    expect(asked).toEqual(['', '1', '1']);
    expect(seen).toEqual(['m-1', 'm-2']);
  });

  it('begins anew when it is lost: all machines are woken once, and then those that change', async () => {
    const seen: string[] = [];
    const asked: string[] = [];
    const feed = {
      changes: async (_ctx: unknown, cursor: string) => {
        asked.push(cursor);
        if (cursor === 'old') throw new CursorLostError('too old');
        const next = asked.length === 1 ? 'old' : 'new';
        return { cursor: next, machines: cursor === 'new' ? [{ namespace: 'ns', name: 'changed' }] : [] };
      },
    };
    const all = () => machinesWith(world.api.cache({}), (spec) => spec.aws === undefined);
    const tick = changeFeedTick(feed, { wake: ({ name }) => void seen.push(name), all });
    const ctx = {} as Parameters<typeof tick>[0];
    await tick(ctx);
    expect(seen).toEqual([]);
    await tick(ctx);
    expect(asked).toEqual(['', 'old', '']);
    expect(seen).toEqual([world.m1.name]);
    await tick(ctx);
    expect(seen).toEqual([world.m1.name, 'changed']);
  });
});
