// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type ConditionVerdict, getCondition, isTrue, setCondition } from './conditions.ts';
import type { Condition } from './object.ts';

const t0 = new Date('2026-01-01T00:00:00.987Z');
const t1 = new Date('2026-01-01T01:00:00.123Z');

function verdict(type: string, over: Partial<ConditionVerdict> = {}): ConditionVerdict {
  return { type, status: 'True', reason: 'Fine', message: '', ...over };
}

describe('setCondition', () => {
  it('writes whole seconds', () => {
    expect(setCondition(undefined, verdict('A'), t0)[0]?.lastTransitionTime).toBe('2026-01-01T00:00:00Z');
  });

  it.each([
    ['the same', {}, '2026-01-01T00:00:00Z'],
    ['another message and reason', { message: 'other', reason: 'Other' }, '2026-01-01T00:00:00Z'],
    ['another status', { status: 'False' as const }, '2026-01-01T01:00:00Z'],
  ])('%s: lastTransitionTime moves only when the status flips', (_name, over, want) => {
    const [condition] = setCondition(setCondition([], verdict('A'), t0), verdict('A', over), t1);
    expect(condition).toEqual({ ...verdict('A', over), lastTransitionTime: want });
  });

  it('puts Ready first, Deleting and Paused last, and keeps the rest in the order in which it came', () => {
    const types = ['Paused', 'Zeta', 'Deleting', 'Ready', 'Alpha'];
    const list = types.reduce<Condition[]>((all, type) => setCondition(all, verdict(type), t0), []);
    expect(list.map((condition) => condition.type)).toEqual(['Ready', 'Zeta', 'Alpha', 'Deleting', 'Paused']);
  });

  it('changes neither the list nor its conditions, and keeps observedGeneration for the patch helper', () => {
    const old = Object.freeze({ ...verdict('A'), lastTransitionTime: 'x', observedGeneration: 3 });
    const list = Object.freeze([old]);
    expect(setCondition(list, verdict('A', { message: 'new' }), t1)[0]).toMatchObject({
      message: 'new',
      observedGeneration: 3,
    });
    expect(list).toEqual([old]);
  });
});

describe('reading', () => {
  const list = setCondition(setCondition([], verdict('A'), t0), verdict('B', { status: 'Unknown' }), t0);
  it.each([
    ['A', true],
    ['B', false],
    ['C', false],
  ])('%s is true: %s', (type, want) => expect(isTrue(list, type)).toBe(want));

  it('finds nothing in nothing', () => expect(getCondition(undefined, 'A')).toBeUndefined());
});
