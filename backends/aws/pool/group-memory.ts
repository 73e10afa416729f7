// SPDX-License-Identifier: Apache-2.0
// Whether a look that shows no group proves that there is none. AWS shows what was made after a while only.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';

/** After so long a look shows everything that was made before. */
export const CONSISTENCY_WINDOW_MS = 60_000;

/** Of all groups, by a name that is never given twice; a few bytes for each. It can be lost: a process before this one may just have made one. */
export interface GroupMemory {
  /** It may be there from now on: it is about to be asked for, or was seen. */
  mayBe(name: string): void;
  /** AWS has said that it goes. */
  goes(name: string): void;
  /** A look of now that does not show it is right. */
  isSettled(name: string): boolean;
}

/** An empty one. */
export function createGroupMemory(clock: Clock): GroupMemory {
  const bornMs = clock.now().getTime();
  const known = new Map<string, number | 'goes'>();
  return {
    mayBe: (name) => void known.set(name, clock.now().getTime()),
    goes: (name) => void known.set(name, 'goes'),
    isSettled(name) {
      const since = known.get(name) ?? bornMs;
      return since === 'goes' || hasPassed(clock, since, CONSISTENCY_WINDOW_MS);
    },
  };
}
