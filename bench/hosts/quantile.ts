// SPDX-License-Identifier: Apache-2.0
import type { Labels, Scrape } from '../scrape.ts';

/** The number that this share (0 to 1) of all numbers does not exceed; NaN of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** The same of a histogram between two scrapes: the upper end of the bucket that it falls into; NaN when nothing was counted. */
export function histogramQuantile(
  [before, after]: readonly [Scrape, Scrape],
  { name, labels, share }: { readonly name: string; readonly labels: Labels; readonly share: number },
): number {
  const [old, now] = [before, after].map((scrape) => scrape.by(`${name}_bucket`, ['le'], labels));
  const counts = [...(now ?? [])]
    .map(([le, count]) => ({ le: le === '+Inf' ? Infinity : Number(le), count: count - (old?.get(le) ?? 0) }))
    .toSorted((a, b) => a.le - b.le);
  const total = counts.at(-1)?.count ?? 0;
  if (total === 0) return NaN;
  return counts.find(({ count }) => count >= share * total)?.le ?? NaN;
}
