// SPDX-License-Identifier: Apache-2.0
// Measures over a stretch of time, for promises that something does not happen.
import { isDeepStrictEqual } from 'node:util';
import { pause } from '../../hack/stack/process.ts';

const LOOK_MS = 500;

/** Settles once `look` has answered the same for `forMs`. Throws with the last change when that does not come within `timeoutMs`. */
export async function quietFor<T>(
  look: () => Promise<T> | T,
  { forMs, timeoutMs }: { readonly forMs: number; readonly timeoutMs: number },
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let seen = await look();
  let since = Date.now();
  let change = 'nothing';
  while (Date.now() - since < forMs) {
    if (Date.now() > deadline) throw new Error(`It never kept still for ${forMs / 1000} s; last: ${change}`);
    await pause(LOOK_MS);
    const now = await look();
    if (isDeepStrictEqual(now, seen)) continue;
    change = difference(seen, now);
    [seen, since] = [now, Date.now()];
  }
  return seen;
}

function difference(before: unknown, after: unknown): string {
  const [old, now] = [before, after].map((value) =>
    Object.entries(value ?? {}).map((entry) => JSON.stringify(entry)),
  );
  const known = new Set(old);
  return (now ?? []).filter((entry) => !known.has(entry)).join(', ') || 'something went away';
}

/** By how much each value that `sample` gives grows within `overMs`. */
export async function growth(
  sample: () => Promise<Readonly<Record<string, number>>>,
  overMs: number,
): Promise<Record<string, number>> {
  const before = await sample();
  await pause(overMs);
  const after = await sample();
  return Object.fromEntries(Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)]));
}

/** Reconciles so far by controller, from the manager's own metrics. */
export async function reconciles(metricsURL: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${metricsURL}/metrics`)).text();
  const sums: Record<string, number> = {};
  for (const [, labels = '', value] of text.matchAll(
    /^controller_runtime_reconcile_total\{([^}]*)\} (\d+)/gm,
  )) {
    const controller = /controller="([^"]*)"/.exec(labels)?.[1] ?? '';
    sums[controller] = (sums[controller] ?? 0) + Number(value);
  }
  return sums;
}
