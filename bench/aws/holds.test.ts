// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { holdsLine, isBroken, type Verdict, verdictsOf } from './holds.ts';
import { measurementOf, phaseOf } from './measurement-fixture.ts';
import type { Measurement } from './measurement.ts';

const slow = phaseOf({ seconds: 60 });
const peer = measurementOf({
  candidate: 'peer',
  create: slow,
  delete: slow,
  leftOver: { made: 11, living: 1 },
});

function verdict(hold: RegExp, measurements: readonly Measurement[]): Verdict {
  const found = verdictsOf(measurements).filter((one) => hold.test(one.hold));
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('holds', () => {
  it('are all met when ours is as promised, whatever the peer did', () => {
    const verdicts = verdictsOf([peer, measurementOf()]);
    expect(verdicts.map(({ result }) => result)).toEqual(Array.from({ length: 8 }, () => 'met'));
    expect(isBroken(verdicts)).toBe(false);
  });

  it.each([
    ['create', 60, 'met'],
    ['create', 60.1, 'missed'],
    ['delete', 60, 'met'],
    ['delete', 60.1, 'missed'],
  ] as const)('%s in %d s is %s, and never the exit code', (half, seconds, result) => {
    const measurements = [peer, measurementOf({ [half]: phaseOf({ seconds }) })];
    expect(verdict(new RegExp(`^${half} not slower`), measurements)).toMatchObject({
      result,
      counted: false,
    });
    expect(isBroken(verdictsOf(measurements))).toBe(false);
  });

  it('the faster way of the peer counts, each against the same size', () => {
    const measurements = [
      peer,
      measurementOf({ candidate: 'peer-secrets-manager', create: phaseOf({ seconds: 7 }) }),
      measurementOf({ candidate: 'peer', count: 300, create: phaseOf({ seconds: 1 }) }),
      measurementOf(),
    ];
    const because = '8 s against 7 s for 10';
    expect(verdict(/create not slower/, measurements)).toMatchObject({ result: 'missed', because });
  });

  it.each([
    ['create', 30, 'met'],
    ['create', 31, 'missed'],
    ['delete', 20, 'met'],
    ['delete', 21, 'missed'],
  ] as const)('%s with %d cloud calls for ten machines is %s', (half, count, result) => {
    const calls = new Map([
      ['ec2.RunInstances', 10],
      ['ec2.DescribeInstances', count - 10],
    ]);
    const measurements = [measurementOf({ [half]: phaseOf({ calls }) })];
    expect(verdict(new RegExp(`cloud calls per machine on ${half}`), measurements).result).toBe(result);
    expect(isBroken(verdictsOf(measurements))).toBe(result === 'missed');
  });

  it.each([
    ['create', 40, 'met'],
    ['create', 41, 'missed'],
    ['delete', 30, 'met'],
    ['delete', 31, 'missed'],
  ] as const)('%s with %d API writes for ten machines is %s, Events left out', (half, count, result) => {
    const requests = new Map([
      ['patch tsmachines', count],
      ['create events', 1_000],
      ['get secrets', 1_000],
    ]);
    const measurements = [measurementOf({ [half]: phaseOf({ requests }) })];
    expect(verdict(new RegExp(`API writes per machine on ${half}`), measurements).result).toBe(result);
    expect(isBroken(verdictsOf(measurements))).toBe(result === 'missed');
  });

  it.each([
    [/one instance/, { instances: { made: 11, living: 11 } }],
    [/one instance/, { instances: { made: 9, living: 9 } }],
    [/one instance/, { instances: { made: 11, living: 10 } }],
    [/one instance/, { leftOver: { made: 11, living: 0 } }],
    [/no instance left/, { leftOver: { made: 10, living: 1 } }],
  ])('%s is missed with %j', (hold, changes) => {
    const measurements = [measurementOf(), measurementOf({ ...changes })];
    expect(verdict(hold, measurements)).toMatchObject({ result: 'missed', counted: true });
  });

  it('without the one or the other they are not measured', () => {
    expect(verdictsOf([measurementOf()]).map(({ result }) => result)).toEqual([
      ...['not measured', 'not measured'],
      ...Array.from({ length: 6 }, () => 'met'),
    ]);
    expect(new Set(verdictsOf([peer]).map(({ result }) => result))).toEqual(new Set(['not measured']));
    expect(isBroken(verdictsOf([peer]))).toBe(false);
  });

  it('the line has each with its numbers', () => {
    const line = holdsLine(verdictsOf([peer, measurementOf()]));
    expect(line).toMatch(/^holds: create not slower than the peer: met \(8 s against 60 s for 10\) · /);
    expect(line).toContain('at most 4 API writes per machine on create: met (2.50: 25 for 10)');
    expect(holdsLine(verdictsOf([]))).toContain('no instance left: not measured');
  });
});
