// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { clockSkewSeconds } from './clock-skew.ts';

it.each([
  { what: 'equal', host: 1000, between: [1000_000, 1000_400], expected: 0 },
  {
    what: 'equal, the host cuts off what is below a second',
    host: 1000,
    between: [1000_999, 1001_100],
    expected: 0,
  },
  { what: 'a slow line is no skew', host: 1000, between: [980_000, 1003_000], expected: 0 },
  { what: 'below two seconds', host: 1001, between: [999_900, 1000_000], expected: 0 },
  { what: 'a little more is told as five', host: 1003, between: [1000_000, 1000_000], expected: 5 },
  { what: 'ahead, rounded to five seconds', host: 1062, between: [1000_000, 1000_100], expected: 60 },
  { what: 'behind, rounded to five seconds', host: 937, between: [1000_000, 1000_100], expected: -60 },
  { what: 'an hour behind', host: 1000, between: [4600_000, 4600_100], expected: -3600 },
  { what: 'a host that tells no time', host: Number.NaN, between: [1000_000, 1000_100], expected: 0 },
] as const)('$what', ({ host, between: [start, end], expected }) => {
  expect(clockSkewSeconds(host, start, end)).toBe(expected);
});
