// SPDX-License-Identifier: Apache-2.0
// What looks at the infrastructure do not show any more, and since when. One look proves nothing: AWS may be behind, or an answer cut short.
import { hasPassed } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';

/** So long, and in so many looks in a row, something has to be missing before it is taken for gone. */
const WINDOW_MS = 60_000;
const LOOKS = 3;

interface Missing {
  readonly sinceMs: number;
  readonly looks: number;
}

/** Of all pools, in memory: a new process counts anew, which ends nothing too early. */
export interface Absences {
  /**
   * Takes down one look at a pool (`<namespace>/<name>`): what of it is missing now. What is not named was seen, or concerns nobody.
   * Answers what is gone: missing in several looks in a row, for a whole window.
   */
  look(ctx: Ctx, pool: string, missing: readonly string[]): ReadonlySet<string>;
  /** The pool itself is gone. */
  forget(pool: string): void;
}

/** An empty one. */
export function createAbsences(): Absences {
  const pools = new Map<string, ReadonlyMap<string, Missing>>();
  return {
    look(ctx, pool, missing) {
      const before = pools.get(pool);
      const nowMs = ctx.clock.now().getTime();
      const after = new Map<string, Missing>();
      for (const name of missing) {
        const known = before?.get(name);
        after.set(name, { sinceMs: known?.sinceMs ?? nowMs, looks: (known?.looks ?? 0) + 1 });
      }
      if (after.size === 0) pools.delete(pool);
      else pools.set(pool, after);
      const gone = [...after].filter(
        ([, { sinceMs, looks }]) => looks >= LOOKS && hasPassed(ctx.clock, sinceMs, WINDOW_MS),
      );
      return new Set(gone.map(([name]) => name));
    },
    forget: (pool) => void pools.delete(pool),
  };
}
