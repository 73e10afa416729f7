// SPDX-License-Identifier: Apache-2.0
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';

/** Answers of AWS that many machines ask for. */
export interface AnswerCache<T> {
  /** The answer that is kept under `key`, else that of `ask`, which all who wait share. A call that fails is not kept. */
  get(ctx: Ctx, key: string, ask: (ctx: Ctx) => Promise<T>): Promise<T>;
  forget(key: string): void;
}

interface Kept<T> {
  readonly atMs: number;
  readonly answer: Promise<T>;
}

const PRUNE_AT = 1000;

/** Keeps answers for `keepMs`. */
export function createAnswerCache<T>(clock: Clock, keepMs: number): AnswerCache<T> {
  const kept = new Map<string, Kept<T>>();
  const drop = (key: string, entry: Kept<T>) => {
    if (kept.get(key) === entry) kept.delete(key);
  };
  return {
    forget: (key) => void kept.delete(key),
    async get(ctx, key, ask) {
      const known = kept.get(key);
      if (known !== undefined && !hasPassed(clock, known.atMs, keepMs)) return known.answer;
      if (kept.size >= PRUNE_AT)
        for (const [old, entry] of kept) if (hasPassed(clock, entry.atMs, keepMs)) drop(old, entry);
      const entry: Kept<T> = { atMs: clock.now().getTime(), answer: ask(ctx) };
      kept.set(key, entry);
      entry.answer.catch(() => drop(key, entry));
      return entry.answer;
    },
  };
}
