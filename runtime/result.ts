// SPDX-License-Identifier: Apache-2.0

/** What a reconcile answers when nothing went wrong. Waiting is an answer, never an error. */
export type Outcome =
  { readonly kind: 'done' } | { readonly kind: 'wait'; readonly ms: number; readonly reason: string };

/** Converged: only a watch event wakes this key again. */
export function done(): Outcome {
  return { kind: 'done' };
}

/** Not yet: look again after `ms` milliseconds (the queue adds up to 20 % jitter). */
export function waitFor(ms: number, reason: string): Outcome {
  return { kind: 'wait', ms, reason };
}
