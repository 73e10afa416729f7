// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { contextOf, recordNamed, sessionOf } from './instance.fixtures.ts';
import { createOrphans, type KnownMachines, type Orphan } from './orphans.ts';
import { createInstanceStore } from './store.ts';

function start(verdict: ReturnType<KnownMachines['knows']>, remove = false) {
  const clock = new FakeClock();
  const session = sessionOf(() => ({}));
  const store = createInstanceStore({ clock, windowMs: 60_000, changed: () => undefined });
  const metrics = createMetrics();
  const told: Orphan[] = [];
  const ended: string[] = [];
  const state = { verdict, isCurrent: true };
  const orphans = createOrphans({
    ...{ clock, metrics, remove },
    sessions: { all: () => [session] },
    observation: { store: () => store, sweptMs: () => (state.isCurrent ? clock.now().getTime() : undefined) },
    known: { knows: () => state.verdict },
    onOrphan: (orphan) => void told.push(orphan),
    terminate: async (_ctx, _session, id) => {
      ended.push(id);
      store.ended(id, 'shutting-down');
    },
  });
  store.put(recordNamed('i-1'));
  const pass = async (minutes: number) => {
    for (let count = 0; count < minutes; count++) {
      await orphans.tick(contextOf(clock));
      await clock.advance(60_000);
    }
  };
  return { store, told, ended, state, pass, text: () => metrics.metrics() };
}

describe('orphans', () => {
  it('tells of an instance that nobody knows for a quarter of an hour, once, and leaves it alone', async () => {
    const t = start('unknown');
    await t.pass(15);
    expect(t.told).toEqual([]);
    await t.pass(10);
    expect(t.told).toMatchObject([
      { instanceID: 'i-1', namespace: 'default', name: 'm', infrastructureID: 'prod-1', isRemoved: false },
    ]);
    expect(t.ended).toEqual([]);
    expect(await t.text()).toContain(
      'ts_provider_aws_orphan_instances{account="123456789012",region="eu-central-1"} 1',
    );
  });

  it.each(['known', 'unsure'] as const)('says nothing of one that is %s', async (verdict) => {
    const t = start(verdict, true);
    await t.pass(30);
    expect(t.told).toEqual([]);
    expect(t.ended).toEqual([]);
  });

  it('begins anew when it was known in between, and counts only lists that are current', async () => {
    const t = start('unknown', true);
    await t.pass(14);
    t.state.verdict = 'known';
    await t.pass(1);
    t.state.verdict = 'unknown';
    await t.pass(14);
    t.state.isCurrent = false;
    await t.pass(10);
    expect(t.told).toEqual([]);
  });

  it('ends it once where that is asked for', async () => {
    const t = start('unknown', true);
    await t.pass(20);
    expect(t.told).toMatchObject([{ instanceID: 'i-1', isRemoved: true }]);
    expect(t.ended).toEqual(['i-1']);
  });

  it('leaves instances of pools, and those without a token', async () => {
    const t = start('unknown', true);
    t.store.ended('i-1', 'terminated');
    t.store.put(
      recordNamed('i-2', { tags: { 'ts-provider/cluster': 'prod-1', 'ts-provider/pool': 'default/p' } }),
    );
    t.store.put(
      recordNamed('i-3', { tags: { 'ts-provider/cluster': 'prod-1', 'ts-provider/machine': 'default/x' } }),
    );
    await t.pass(20);
    expect(t.told).toEqual([]);
  });
});
