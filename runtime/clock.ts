// SPDX-License-Identifier: Apache-2.0

/** Time as the runtime sees it: tests pass a fake one, so that no test sleeps. */
export interface Clock {
  /** The present moment. */
  now(): Date;
  /** Runs `fn` once after `ms` milliseconds; the returned function takes it back. */
  schedule(fn: () => void, ms: number): () => void;
}

/** Node runs a timer that is longer than this, some 24 days, after 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clock. A timer of more than 24.8 days fires after 24.8 days. */
export const systemClock: Clock = {
  now: () => new Date(),
  schedule(fn, ms) {
    const timer = setTimeout(fn, Math.min(ms, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/**
 * Whether at least `ms` milliseconds lie between `sinceMs`, an earlier `now()`, and now. Also true when the clock was set back
 * behind `sinceMs`: the age is unknown then, and what is looked at anew too early costs less than what is trusted for hours.
 */
export function hasPassed(clock: Clock, sinceMs: number, ms: number): boolean {
  const age = clock.now().getTime() - sinceMs;
  return age < 0 || age >= ms;
}
