// SPDX-License-Identifier: Apache-2.0
// Calls that many reconciles want at once, made once for all of them.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';

export interface BatchOptions {
  readonly clock: Clock;
  /** How long the first one waits for others. */
  readonly windowMs: number;
  /** Most keys of one call. */
  readonly maxKeys: number;
  /** One call for these keys, each named once. Its signal ends when nobody waits for it any more. */
  readonly run: (ctx: Ctx, keys: readonly string[]) => Promise<unknown>;
}

interface Batch {
  readonly ctx: Ctx;
  readonly keys: Set<string>;
  readonly done: Promise<unknown>;
  readonly start: () => void;
  /** One waiter more; the function takes it back. */
  readonly join: () => () => void;
}

/** Waits until a call that began after this one was asked for has handled `key`; rejects as that call does. */
export type Batched = (ctx: Ctx, key: string) => Promise<void>;

/** Joins calls; a key that comes after a call has begun is in the next one. */
export function createBatched(options: BatchOptions): Batched {
  let open: Batch | undefined;
  const close = (batch: Batch) => {
    if (open === batch) open = undefined;
    batch.start();
  };
  return async (ctx, key) => {
    if (ctx.signal.aborted) throw cutOff(ctx);
    // Everybody may have left the open one: nothing comes of it.
    if (open === undefined || open.ctx.signal.aborted) {
      const batch = openBatch(ctx, options);
      options.clock.schedule(() => close(batch), options.windowMs);
      open = batch;
    }
    const batch = open;
    batch.keys.add(key);
    if (batch.keys.size >= options.maxKeys) close(batch);
    const leave = batch.join();
    try {
      await untilAborted(ctx, batch.done);
    } finally {
      leave();
    }
  };
}

function openBatch(ctx: Ctx, { run }: BatchOptions): Batch {
  const aborter = new AbortController();
  const keys = new Set<string>();
  let waiting = 0;
  let started = false;
  let begin: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (begin = resolve));
  const own = { ...ctx, signal: aborter.signal };
  const done = opened.then(() => (aborter.signal.aborted ? undefined : run(own, [...keys])));
  // Whoever waits gets the error; when nobody does any more, nobody has to hear of it.
  done.catch(() => undefined);
  return {
    ...{ ctx: own, keys, done },
    start() {
      if (!started) begin();
      started = true;
    },
    join() {
      waiting++;
      return () => {
        if (--waiting === 0) aborter.abort();
      };
    },
  };
}

/** Ends the wait, not the call that others wait for, too. */
async function untilAborted(ctx: Ctx, work: Promise<unknown>): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(cutOff(ctx));
    ctx.signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    ctx.signal.removeEventListener('abort', stop);
  }
}

function cutOff(ctx: Ctx): TransientError {
  return new TransientError('The call was cut off', { cause: ctx.signal.reason });
}
