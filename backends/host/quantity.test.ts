// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { quantityValue } from './quantity.ts';

it.each([
  ['0', 0],
  ['16', 16],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['64Gi', 64 * 1024 ** 3],
  ['1.5Ti', 1.5 * 1024 ** 4],
  ['16265340Ki', 16_265_340 * 1024],
  ['2M', 2e6],
  ['3k', 3e3],
  ['1E', 1e18],
  ['1Ei', 1024 ** 6],
  ['1e3', 1000],
  ['2E3', 2000],
  ['5e-1', 0.5],
  ['-1', -1],
])('%s is %d', (text, value) => {
  expect(quantityValue(text)).toBeCloseTo(value, 6);
});

it.each(['500m', '1u', '2n'])('%s is less than one', (text) => {
  expect(quantityValue(text)).toBeLessThan(1);
  expect(quantityValue(text)).toBeGreaterThan(0);
});

it.each(['', 'Gi', '64GB', '64 Gi', '1e', '1.2.3', 'many', '64gi', '1e3Gi'])('"%s" is none', (text) => {
  expect(quantityValue(text)).toBeUndefined();
});
