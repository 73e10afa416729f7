// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { parseScrape } from '../scrape.ts';
import { histogramQuantile, quantile } from './quantile.ts';

it.each([
  [[3, 1, 2], 0.5, 2],
  [[1, 2, 3, 4], 0.99, 4],
  [[7], 0, 7],
  [[], 0.5, NaN],
])('of %j the quantile %d is %d', (numbers, share, expected) => {
  expect(quantile(numbers, share)).toBe(expected);
});

const scrape = (small: number, large: number) =>
  parseScrape(
    [
      `w_bucket{controller="a",le="0.1"} ${small}`,
      `w_bucket{controller="a",le="1"} ${large}`,
      `w_bucket{controller="a",le="+Inf"} ${large}`,
      'w_bucket{controller="b",le="0.1"} 1000',
    ].join('\n'),
  );

it.each([
  [0.5, 0.1],
  [0.99, 1],
])('what was counted between two scrapes, %d', (share, expected) => {
  const wanted = { name: 'w', labels: { controller: 'a' }, share };
  expect(histogramQuantile([scrape(100, 100), scrape(160, 200)], wanted)).toBe(expected);
  expect(histogramQuantile([scrape(1, 2), scrape(1, 2)], wanted)).toBeNaN();
});
