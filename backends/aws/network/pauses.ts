// SPDX-License-Identifier: Apache-2.0
// How long to leave alone what was in vain: each time longer, as long as nothing moves.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';

const FIRST_MS = 15_000;
const LONGEST_MS = 300_000;

/** What was in vain last time. */
export interface Pause {
  readonly why: string;
  /** Milliseconds until it may be tried again; 0 where it may be now. */
  readonly leftMs: number;
}

/** It can be lost: pauses are short again then. */
export interface Pauses {
  /** `what` was in vain again: answers how many milliseconds to leave it alone, from 15 s to five minutes. */
  lengthen(what: string, why: string): number;
  /** `undefined` where it was not in vain since it succeeded. */
  last(what: string): Pause | undefined;
  /** It has succeeded, or something has moved. */
  end(what: string): void;
}

interface Known {
  readonly why: string;
  readonly sinceMs: number;
  readonly ms: number;
}

export function createPauses(clock: Clock): Pauses {
  const pauses = new Map<string, Known>();
  const nowMs = () => clock.now().getTime();
  return {
    lengthen(what, why) {
      const before = pauses.get(what);
      const ms = before === undefined ? FIRST_MS : Math.min(2 * before.ms, LONGEST_MS);
      pauses.set(what, { why, sinceMs: nowMs(), ms });
      return ms;
    },
    last(what) {
      const known = pauses.get(what);
      if (known === undefined) return undefined;
      const { why, sinceMs, ms } = known;
      return { why, leftMs: hasPassed(clock, sinceMs, ms) ? 0 : sinceMs + ms - nowMs() };
    },
    end: (what) => void pauses.delete(what),
  };
}
