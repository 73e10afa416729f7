// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { parseMachineTime, shareOfOthers } from './machine-load.ts';

it('reads how long the processors were busy, guests counted once', () => {
  const stat = 'cpu  1000 100 500 7000 300 50 25 25 400 40\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
  expect(parseMachineTime(stat)).toEqual({ busy: 17, total: 90 });
});

it.each([
  [6, 0.2],
  [10, 0],
  [11, 0],
])('with %d of 10 busy seconds known, others had %d of two processors in ten seconds', (known, share) => {
  expect(shareOfOthers({ busy: 5, total: 100 }, { busy: 15, total: 120 }, known)).toBe(share);
});
