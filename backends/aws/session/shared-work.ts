// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';

/**
 * Work that is done once for all who want its result at the same time. It has a deadline of its own: the end of the one who happened to
 * come first must not be that of the others.
 */
export class SharedWork<T> {
  readonly #options: { readonly clock: Clock; readonly what: string; readonly timeoutMs: number };
  #running: Promise<T> | undefined;

  /** `what` names it in the message of the deadline. */
  constructor(options: { readonly clock: Clock; readonly what: string; readonly timeoutMs: number }) {
    this.#options = options;
  }

  /** The result of the work that runs, or of `work`. Rejects with TransientError when `ctx` ends before. */
  join(ctx: Ctx, work: (own: Ctx) => Promise<T>): Promise<T> {
    this.#running ??= this.#run(ctx, work);
    return untilAborted(ctx, this.#running);
  }

  async #run(ctx: Ctx, work: (own: Ctx) => Promise<T>): Promise<T> {
    const { clock, what, timeoutMs } = this.#options;
    const abort = new AbortController();
    const late = new TransientError(`${what}: no answer within ${timeoutMs / 1_000} s`);
    const cancel = clock.schedule(() => abort.abort(late), timeoutMs);
    const own = { ...ctx, signal: abort.signal };
    try {
      // Who provides it may not know our signal.
      return await untilAborted(own, work(own));
    } finally {
      cancel();
      this.#running = undefined;
    }
  }
}

function untilAborted<T>({ signal }: Ctx, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new TransientError(errorMessage(signal.reason)));
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', ended));
    if (signal.aborted) ended();
    else signal.addEventListener('abort', ended, { once: true });
  });
}
