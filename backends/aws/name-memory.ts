// SPDX-License-Identifier: Apache-2.0
// Whether a look by name that shows nothing proves that there is nothing. AWS shows what was made after a while only.
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import { CONSISTENCY_WINDOW_MS } from './network/memory.ts';

/**
 * Of names that are never given twice; a few bytes for each. It can be lost: a process before this one may just have made something.
 */
export interface NameMemory {
  /** It may be there from now on: it was asked for, or seen. */
  mayBe(name: string): void;
  /** AWS has said that it goes. */
  goes(name: string): void;
  /** A look of now that does not show it is right. */
  isSettled(name: string): boolean;
}

/** An empty one. */
export function createNameMemory(clock: Clock, windowMs: number = CONSISTENCY_WINDOW_MS): NameMemory {
  const bornMs = clock.now().getTime();
  const known = new Map<string, number | 'goes'>();
  return {
    mayBe: (name) => void known.set(name, clock.now().getTime()),
    goes: (name) => void known.set(name, 'goes'),
    isSettled(name) {
      const since = known.get(name) ?? bornMs;
      return since === 'goes' || hasPassed(clock, since, windowMs);
    },
  };
}
