// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../../runtime/clock.ts';

/** Reason of a signal that a deadline aborted. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed';
  readonly ms: number;

  constructor(ms: number) {
    super(`it took longer than ${ms / 1000} s`);
    this.ms = ms;
  }
}

/** A signal that follows others, or a deadline, until it is ended. Ending leaves no listener and no timer behind. */
export interface Limit {
  readonly signal: AbortSignal;
  end(): void;
}

export interface LimitOptions {
  readonly follows: readonly AbortSignal[];
  /** After which the reason is {@link DeadlinePassed}; none when absent. */
  readonly deadline?: { readonly clock: Clock; readonly ms: number };
}

/** The first of its causes aborts it, with that cause's reason. */
export function limit(options: LimitOptions): Limit {
  const controller = new AbortController();
  const undo: (() => void)[] = [];
  for (const signal of options.follows) {
    const follow = () => controller.abort(signal.reason);
    if (signal.aborted) follow();
    signal.addEventListener('abort', follow, { once: true });
    undo.push(() => signal.removeEventListener('abort', follow));
  }
  if (options.deadline !== undefined) {
    const { clock, ms } = options.deadline;
    undo.push(clock.schedule(() => controller.abort(new DeadlinePassed(ms)), ms));
  }
  return { signal: controller.signal, end: () => undo.splice(0).forEach((each) => each()) };
}

/** What `promise` answers, or the signal's reason as soon as it is aborted: the promise goes on by itself then. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const stop = () => signal.removeEventListener('abort', onAbort);
    promise.then(resolve, reject).finally(stop);
  });
}
