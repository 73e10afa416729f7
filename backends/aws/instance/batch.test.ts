// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createBatched } from './batch.ts';
import { contextOf } from './instance.fixtures.ts';

function start(
  run: (ctx: Ctx, keys: readonly string[]) => Promise<unknown> = async () => undefined,
  maxKeys = 3,
) {
  const clock = new FakeClock();
  const calls: string[][] = [];
  const batched = createBatched({
    ...{ clock, windowMs: 50, maxKeys },
    run: (ctx, keys) => {
      calls.push([...keys]);
      return run(ctx, keys);
    },
  });
  return { clock, calls, batched, ctx: contextOf(clock) };
}

describe('batched calls', () => {
  it('joins what is asked for in the window, each key once', async () => {
    const { clock, calls, batched, ctx } = start();
    const all = Promise.all([batched(ctx, 'a'), batched(ctx, 'b'), batched(ctx, 'a')]);
    await clock.advance(50);
    await all;
    expect(calls).toEqual([['a', 'b']]);
  });

  it('does not wait when a call is full', async () => {
    const { calls, batched, ctx } = start();
    await Promise.all(['a', 'b', 'c'].map((key) => batched(ctx, key)));
    expect(calls).toEqual([['a', 'b', 'c']]);
  });

  it('makes a call of its own for who comes after one has begun', async () => {
    let finish: (value?: unknown) => void = () => undefined;
    const { clock, calls, batched, ctx } = start(() => new Promise((resolve) => (finish = resolve)));
    const first = batched(ctx, 'a');
    await clock.advance(50);
    const second = batched(ctx, 'a');
    finish();
    await first;
    await clock.advance(50);
    finish();
    await second;
    expect(calls).toEqual([['a'], ['a']]);
  });

  it('rejects everybody with the error of the call', async () => {
    const { clock, batched, ctx } = start(() => Promise.reject(new TransientError('throttled')));
    const both = Promise.allSettled([batched(ctx, 'a'), batched(ctx, 'b')]);
    await clock.advance(50);
    expect(await both).toMatchObject([
      { reason: { message: 'throttled' } },
      { reason: { message: 'throttled' } },
    ]);
  });

  it('ends the wait of who is cut off, and the call when nobody waits any more', async () => {
    const signals: AbortSignal[] = [];
    const { clock, batched, ctx } = start((own) => new Promise(() => void signals.push(own.signal)));
    const [one, two] = [new AbortController(), new AbortController()];
    const waits = [one, two].map(({ signal }, index) => batched({ ...ctx, signal }, String(index)));
    const ended = Promise.allSettled(waits);
    await clock.advance(50);
    one.abort();
    await clock.settle();
    expect(signals[0]?.aborted).toBe(false);
    two.abort();
    expect(await ended).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(signals[0]?.aborted).toBe(true);
  });

  it('makes a new call when everybody has left the open one', async () => {
    const { clock, calls, batched, ctx } = start();
    const left = new AbortController();
    const first = batched({ ...ctx, signal: left.signal }, 'a').catch((error: unknown) => error);
    left.abort();
    expect(await first).toBeInstanceOf(TransientError);
    const second = batched(ctx, 'b');
    await clock.advance(50);
    await second;
    expect(calls).toEqual([['b']]);
  });
});
