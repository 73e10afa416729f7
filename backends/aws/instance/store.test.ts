// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { recordNamed } from './instance.fixtures.ts';
import { createInstanceStore } from './store.ts';

function storeAt(clock = new FakeClock()) {
  const changed: string[] = [];
  const store = createInstanceStore({
    clock,
    windowMs: 60_000,
    changed: ({ id, state }) => void changed.push(`${id} ${state}`),
  });
  return { clock, store, changed };
}

describe('instance store', () => {
  it('tells of what is new or has changed, and of nothing else', () => {
    const { store, changed } = storeAt();
    store.put(recordNamed('i-1', { state: 'pending' }));
    store.put(recordNamed('i-1', { state: 'pending' }));
    store.put(recordNamed('i-1'));
    expect(changed).toEqual(['i-1 pending', 'i-1 running']);
  });

  it.each([
    ['shutting-down', 'running', 'shutting-down'],
    ['terminated', 'running', 'terminated'],
    ['terminated', 'shutting-down', 'terminated'],
    ['running', 'pending', 'running'],
    ['running', 'stopped', 'stopped'],
    ['shutting-down', 'terminated', 'terminated'],
  ] as const)('believes of %s and then %s that it is %s', (first, second, expected) => {
    const { store } = storeAt();
    store.put(recordNamed('i-1', { state: first }));
    store.put(recordNamed('i-1', { state: second }));
    expect(store.byID('i-1')?.state).toBe(expected);
  });

  it('lets a stopped instance be started anew', () => {
    const { store } = storeAt();
    store.put(recordNamed('i-1', { launchedMs: 1 }));
    store.put(recordNamed('i-1', { state: 'pending', launchedMs: 2 }));
    expect(store.byID('i-1')?.state).toBe('pending');
  });

  it('keeps the tags of the launch until a list shows some', () => {
    const { store } = storeAt();
    store.put(recordNamed('i-1'));
    store.put(recordNamed('i-1', { tags: {} }));
    expect(store.byToken('token-i-1').map(({ id }) => id)).toEqual(['i-1']);
    store.put(recordNamed('i-1', { tags: { 'ts-provider/token': 'other' } }));
    expect(store.byToken('token-i-1')).toEqual([]);
    expect(store.byToken('other').map(({ id }) => id)).toEqual(['i-1']);
  });

  it('takes an instance that is not shown for gone only a minute after it was last seen', async () => {
    const { store, clock, changed } = storeAt();
    store.put(recordNamed('i-1'));
    await clock.advance(59_000);
    expect(store.missed('i-1')).toBe('unproven');
    await clock.advance(1_000);
    expect(store.missed('i-1')).toBe('gone');
    expect(store.byID('i-1')).toBeUndefined();
    expect(changed).toEqual(['i-1 running', 'i-1 running']);
  });

  it('takes an id that was never seen for gone only a minute after it was first asked for', async () => {
    const { store, clock } = storeAt();
    expect(store.missed('i-1')).toBe('unproven');
    await clock.advance(60_000);
    expect(store.missed('i-1')).toBe('gone');
  });

  it('takes a terminated instance for gone at once', () => {
    const { store } = storeAt();
    store.put(recordNamed('i-1', { state: 'terminated' }));
    expect(store.missed('i-1')).toBe('gone');
  });

  it('waits longer, not shorter, when the clock is set back', () => {
    const { store, clock } = storeAt();
    store.put(recordNamed('i-1'));
    clock.setTime(new Date(clock.now().getTime() - 3_600_000));
    expect(store.missed('i-1')).toBe('unproven');
    expect(store.isFresh('i-1')).toBe(false);
  });

  it('watches what moves, and what a list has not shown', async () => {
    const { store, clock } = storeAt();
    for (const state of ['pending', 'running', 'stopping', 'shutting-down', 'terminated'] as const)
      store.put(recordNamed(`i-${state}`, { state }));
    store.put(recordNamed('i-lost'));
    expect(store.toWatch()).toEqual(['i-pending', 'i-stopping', 'i-shutting-down']);
    store.swept(new Set(['i-pending', 'i-running', 'i-stopping', 'i-shutting-down']));
    expect(store.toWatch()).toContain('i-lost');
    store.put(recordNamed('i-lost'));
    expect(store.toWatch()).not.toContain('i-lost');
    await clock.advance(16 * 60_000);
    store.swept(new Set(['i-pending']));
    expect(store.byID('i-terminated')).toBeUndefined();
  });
});
