// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createRest, type Rest } from './rest.ts';

const HERE = { account: '111122223333', region: 'eu-central-1' };
const TEN_MINUTES = 600_000;

let clock: FakeClock;
let rest: Rest;

beforeEach(() => {
  clock = new FakeClock();
  rest = createRest(clock);
});

const network = (n: number) => ({ what: `network c${n}`, calls: 8, atLeastMs: TEN_MINUTES });

/** What the last one of so many is told. */
function lastOf(count: number): number {
  let ms = 0;
  for (let n = 0; n < count; n += 1) ms = rest.after(HERE, network(n));
  return ms;
}

it.each([
  { count: 1, ms: TEN_MINUTES },
  { count: 30, ms: TEN_MINUTES },
  { count: 100, ms: 2_000_000 },
  { count: 1_000, ms: 3_600_000 },
])('$count networks of an account rest for $ms ms each', ({ count, ms }) => {
  expect(lastOf(count)).toBe(ms);
});

it('100 networks cost an account less than a call in a second', () => {
  lastOf(100);
  const perSecond = Array.from({ length: 100 }, (_, n) => 8_000 / rest.after(HERE, network(n)));
  expect(perSecond.reduce((sum, one) => sum + one)).toBeCloseTo(0.4);
});

it('counts what comes again once, and each account for itself', () => {
  for (let n = 0; n < 1_000; n += 1) rest.after(HERE, network(1));
  expect(rest.after(HERE, network(1))).toBe(TEN_MINUTES);
  lastOf(100);
  expect(rest.after({ ...HERE, region: 'eu-west-1' }, network(1))).toBe(TEN_MINUTES);
  expect(rest.after({ ...HERE, account: '444455556666' }, network(1))).toBe(TEN_MINUTES);
});

it('forgets who does not come any more', async () => {
  lastOf(100);
  await clock.advance(120 * 60_000);
  expect(rest.after(HERE, network(1))).toBe(TEN_MINUTES);
});
