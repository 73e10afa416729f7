// SPDX-License-Identifier: Apache-2.0

/** Time as the runtime sees it: tests pass a fake one, so that no test sleeps. */
export interface Clock {
  /** The present moment. */
  now(): Date;
  /** Runs `fn` once after `ms` milliseconds; the returned function takes it back. */
  schedule(fn: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  now: () => new Date(),
  schedule(fn, ms) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
