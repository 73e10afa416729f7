// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { holdsLine, isBroken, type Verdict, verdictsOf } from './holds.ts';
import { measurementOf } from './measurement-fixture.ts';
import type { Measurement } from './measurement.ts';

const stock = measurementOf({ candidate: 'stock', seconds: 10, secondTokens: 60, eventLoopP99Ms: undefined });
const lifted = measurementOf({ candidate: 'stock-lifted', seconds: 4, secondWrites: 46 });
const wave = measurementOf({ kind: 'new-clusters', count: 50, seconds: 6, eventLoopP99Ms: 34 });

function verdict(hold: RegExp, measurements: readonly Measurement[]): Verdict {
  const found = verdictsOf(measurements).filter((one) => hold.test(one.hold));
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('holds', () => {
  it('are all met when ours is as promised, whatever the stock one did', () => {
    const verdicts = verdictsOf([stock, lifted, measurementOf(), wave]);
    expect(verdicts.map(({ result }) => result)).toEqual(Array.from({ length: 7 }, () => 'met'));
    expect(isBroken(verdicts)).toBe(false);
  });

  it.each([
    [/half of stock/, 5, 'met'],
    [/half of stock/, 5.1, 'missed'],
    [/stock lifted/, 4, 'met'],
    [/stock lifted/, 4.1, 'missed'],
  ])('%s: %d s is %s, and never the exit code', (hold, seconds, result) => {
    const measurements = [stock, lifted, measurementOf({ seconds })];
    expect(verdict(hold, measurements)).toMatchObject({ result, counted: false });
    expect(isBroken(verdictsOf(measurements))).toBe(false);
  });

  it('the size that is worst for us speaks for all, each against the same size', () => {
    const large = { count: 1000, requests: measurementOf().requests };
    const measurements = [
      ...[stock, measurementOf({ seconds: 6 })],
      ...[{ ...stock, ...large, seconds: 100 }, measurementOf({ ...large, seconds: 20 })],
    ];
    expect(verdict(/half of stock/, measurements)).toMatchObject({
      result: 'missed',
      because: '6 s against 10 s for 100',
    });
  });

  it.each([
    [/management requests/, 'management', 302, 'met'],
    [/management requests/, 'management', 303, 'missed'],
    [/workload requests/, 'workload', 202, 'met'],
    [/workload requests/, 'workload', 203, 'missed'],
  ] as const)('%s: %s %d for 100 configs and their cluster are %s', (hold, target, count, result) => {
    const requests = { ...measurementOf().requests, [target]: new Map([['get secrets', count]]) };
    expect(verdict(hold, [measurementOf({ requests })])).toMatchObject({ result, counted: true });
  });

  it.each([
    [/second token/, { secondTokens: 1 }],
    [/second token/, { secondTokens: -1 }],
    [/second secret write/, { secondWrites: 1 }],
    [/second secret write/, { secondWrites: -1 }],
  ])('%s is missed with %j of any size, and breaks the run', (hold, changes) => {
    const measurements = [measurementOf(changes), measurementOf({ count: 500 })];
    expect(verdict(hold, measurements)).toMatchObject({ result: 'missed', counted: true });
    expect(isBroken(verdictsOf(measurements))).toBe(true);
  });

  it.each([
    [99, 'met'],
    [100, 'missed'],
  ])('event loop p99 of %d ms while keys are generated is %s', (eventLoopP99Ms, result) => {
    // A burst of workers generates no keys: how late it was does not count here.
    const measurements = [measurementOf({ eventLoopP99Ms: 500 }), { ...wave, eventLoopP99Ms }];
    expect(verdict(/event loop/, measurements)).toMatchObject({ result, counted: false });
  });

  it('what was not measured is neither met nor missed', () => {
    const verdicts = verdictsOf([stock, lifted]);
    expect(new Set(verdicts.map(({ result }) => result))).toEqual(new Set(['not measured']));
    expect(isBroken(verdicts)).toBe(false);
    expect(verdictsOf([measurementOf()]).filter(({ result }) => result === 'met')).toHaveLength(4);
  });

  it('are told in one line', () => {
    const [first] = verdictsOf([stock, measurementOf({ seconds: 1.9 })]);
    const second: Verdict = { hold: 'other', result: 'not measured', because: '', counted: true };
    expect(holdsLine([first!, second])).toBe(
      'holds: half of stock as shipped: met (1.90 s against 10 s for 100) · other: not measured',
    );
  });
});
