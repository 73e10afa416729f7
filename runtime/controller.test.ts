// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Ctx } from './context.ts';
import { type ControllerSpec, createController, type WatchMapping } from './controller.ts';
import { ApiError, TerminalError, TransientError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import type { InformerEvent } from './informer.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { keyOf, type Kind, type KubeObject, nameOf, type ObjectName } from './object.ts';
import { done, type Outcome, waitFor } from './result.ts';

interface Gadget extends KubeObject {
  spec: { size: number };
}
const GadgetKind: Kind<Gadget> = { apiVersion: 'v1', kind: 'Gadget', plural: 'gadgets', namespaced: true };

function gadget(name: string): Gadget {
  return { apiVersion: 'v1', kind: 'Gadget', metadata: { namespace: 'ns', name }, spec: { size: 1 } };
}

const self: WatchMapping<Gadget> = { kind: GadgetKind, map: (event) => [nameOf(event.object)] };

/** A controller over a hand-fed event source, with everything it logs and counts. */
function setup(
  reconcile: (ctx: Ctx, name: ObjectName) => Promise<Outcome>,
  options: Partial<ControllerSpec> = {},
) {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'debug',
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const cached: KubeObject[] = [];
  const handlers: ((event: InformerEvent<KubeObject>) => void)[] = [];
  const informers = {
    cache: { list: <T extends KubeObject>(_kind: Kind<T>) => cached as T[] },
    addHandler: (_kind: Kind, handler: (event: InformerEvent<KubeObject>) => void) =>
      void handlers.push(handler),
  };
  const spec: ControllerSpec = { name: 'gadget', reconcile, watches: [self], ...options };
  const controller = createController(spec, { log, clock, metrics, informers, random: () => 0 });
  const stop = new AbortController();
  return {
    clock,
    metrics,
    lines,
    cached,
    controller,
    stop,
    change: (...names: string[]) => {
      for (const name of names)
        for (const handler of handlers) handler({ type: 'add', object: gadget(name) });
    },
    run: () => controller.run(stop.signal),
    at: (level: string) => lines.filter((line) => line['level'] === level),
  };
}

/** A reconcile that answers from a list, the last answer for ever, and notes when it was called. */
function script(clock: () => FakeClock, ...answers: (() => Outcome)[]) {
  const calls: number[] = [];
  const startMs = new FakeClock().now().getTime();
  const reconcile = async (): Promise<Outcome> => {
    calls.push(clock().now().getTime() - startMs);
    return (answers[calls.length - 1] ?? answers.at(-1) ?? done)();
  };
  return { calls, reconcile };
}

const raise = (error: unknown) => (): Outcome => {
  throw error;
};

describe('outcomes', () => {
  const cases: { name: string; answers: (() => Outcome)[]; calls: number[]; result: string }[] = [
    { name: 'done sleeps until an event', answers: [done], calls: [0], result: 'success' },
    {
      name: 'wait comes back',
      answers: [() => waitFor(3000, 'Busy'), done],
      calls: [0, 3000],
      result: 'requeue_after',
    },
    {
      name: 'wait 0 is no hot loop',
      answers: [() => waitFor(0, 'X'), done],
      calls: [0, 100],
      result: 'requeue_after',
    },
    {
      name: 'wait NaN is no hot loop',
      answers: [() => waitFor(NaN, 'X'), done],
      calls: [0, 100],
      result: 'requeue_after',
    },
    {
      name: 'a transient error backs off',
      answers: [raise(new TransientError('reset')), raise(new TransientError('reset')), done],
      calls: [0, 50, 150],
      result: 'error',
    },
    {
      name: 'Retry-After is kept',
      answers: [raise(new TransientError('slow down', { retryAfterMs: 7000 })), done],
      calls: [0, 7000],
      result: 'error',
    },
    {
      name: "an API server's Retry-After is kept",
      answers: [raise(new ApiError(429, 'TooManyRequests', 'slow down', 4000)), done],
      calls: [0, 4000],
      result: 'error',
    },
    {
      name: 'an unknown error backs off',
      answers: [raise(new TypeError('x is not a function')), done],
      calls: [0, 50],
      result: 'error',
    },
    { name: 'a thrown string backs off', answers: [raise('oops'), done], calls: [0, 50], result: 'error' },
    {
      name: 'a conflict tries again soon',
      answers: [raise(new ApiError(409, 'Conflict', 'the object has been modified')), done],
      calls: [0, 50],
      result: 'requeue',
    },
    {
      name: 'a terminal error waits ten minutes',
      answers: [raise(new TerminalError('QuotaExceeded', 'no more')), done],
      calls: [0, 600_000],
      result: 'error',
    },
  ];

  it.each(cases)('$name', async ({ answers, calls, result }) => {
    const scripted = script(() => harness.clock, ...answers);
    const harness = setup(scripted.reconcile);
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(1_000_000);
    expect(scripted.calls).toEqual(calls);
    const text = await harness.metrics.metrics();
    const failures = answers.length - 1;
    if (failures > 0) {
      expect(text).toContain(
        `controller_runtime_reconcile_total{controller="gadget",result="${result}"} ${failures}`,
      );
    }
    expect(text).toContain('controller_runtime_reconcile_total{controller="gadget",result="success"} 1');
    expect(text).toContain(
      `controller_runtime_reconcile_errors_total{controller="gadget"} ${result === 'error' ? failures : 0}`,
    );
    harness.stop.abort();
    await running;
  });

  it('success starts the back-off anew', async () => {
    const fail = raise(new TransientError('reset'));
    const scripted = script(
      () => harness.clock,
      fail,
      fail,
      () => waitFor(1000, 'Busy'),
      fail,
      done,
    );
    const harness = setup(scripted.reconcile);
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(10_000);
    expect(scripted.calls).toEqual([0, 50, 150, 1150, 1200]);
    harness.stop.abort();
    await running;
  });

  it('a reconcile that throws before it returns a promise kills no worker', async () => {
    let calls = 0;
    const harness = setup(
      () => {
        calls++;
        throw new Error('synchronous');
      },
      { concurrency: 1 },
    );
    const running = harness.run();
    harness.change('a', 'b');
    await harness.clock.advance(10);
    expect(calls).toBe(2);
    harness.stop.abort();
    await running;
  });
});

describe('log', () => {
  it('tells a failure once, with the object, the controller and an id of the reconcile', async () => {
    const harness = setup(async () =>
      raise(new TransientError('connection reset', { cause: new Error('ECONNRESET') }))(),
    );
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(10);
    expect(harness.at('warn')).toHaveLength(1);
    expect(harness.at('warn')[0]).toMatchObject({
      controller: 'gadget',
      Gadget: 'ns/a',
      error: 'connection reset: ECONNRESET',
      retries: 1,
      reconcileID: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    harness.stop.abort();
    await running;
  });

  it('shows the place in the code of an error of no known class', async () => {
    const harness = setup(async () => raise(new TypeError('x is not a function'))());
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(10);
    expect(harness.at('warn')[0]?.['err']).toMatchObject({
      type: 'TypeError',
      stack: expect.stringContaining('controller.test.ts') as string,
    });
    harness.stop.abort();
    await running;
  });

  it('keeps quiet about conflicts', async () => {
    const harness = setup(async () => raise(new ApiError(409, 'Conflict', 'modified'))());
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(1000);
    expect([...harness.at('warn'), ...harness.at('error')]).toEqual([]);
    harness.stop.abort();
    await running;
  });

  it('tells a terminal error once per message, and again after it was over', async () => {
    const quota = raise(new TerminalError('QuotaExceeded', 'no more machines'));
    const invalid = raise(new TerminalError('InvalidInput', 'no such type'));
    const scripted = script(() => harness.clock, quota, quota, invalid, invalid, done, invalid, invalid);
    const harness = setup(scripted.reconcile);
    const running = harness.run();
    for (let pass = 0; pass < 7; pass++) {
      harness.change('a');
      await harness.clock.advance(10);
    }
    expect(scripted.calls).toHaveLength(7);
    expect(harness.at('error').map((line) => line['reason'])).toEqual([
      'QuotaExceeded',
      'InvalidInput',
      'InvalidInput',
    ]);
    expect(await harness.metrics.metrics()).toContain(
      'controller_runtime_terminal_reconcile_errors_total{controller="gadget"} 6',
    );
    harness.stop.abort();
    await running;
  });
});

describe('events', () => {
  it('before the run cost nothing; the run begins with what is cached', async () => {
    const seen: string[] = [];
    const harness = setup(async (_ctx, name) => {
      seen.push(keyOf(name));
      return done();
    });
    harness.change('deleted-meanwhile');
    harness.cached.push(gadget('a'), gadget('b'));
    const running = harness.run();
    await harness.clock.settle();
    expect(seen).toEqual(['ns/a', 'ns/b']);
    harness.stop.abort();
    await running;
  });

  it('go first while the initial list is worked off', async () => {
    const seen: string[] = [];
    let release = (): void => undefined;
    const harness = setup(
      async (_ctx, name) => {
        seen.push(name.name);
        if (seen.length === 1) await new Promise<void>((resolve) => (release = resolve));
        return done();
      },
      { concurrency: 1 },
    );
    harness.cached.push(gadget('old1'), gadget('old2'), gadget('old3'));
    const running = harness.run();
    await harness.clock.settle();
    harness.change('new');
    release();
    await harness.clock.settle();
    expect(seen).toEqual(['old1', 'new', 'old2', 'old3']);
    harness.stop.abort();
    await running;
  });

  it('may come from elsewhere than a watch: wake', async () => {
    const seen: string[] = [];
    const harness = setup(async (_ctx, name) => {
      seen.push(keyOf(name));
      return seen.length === 1 ? waitFor(60_000, 'Busy') : done();
    });
    harness.controller.wake({ namespace: 'ns', name: 'too-early' });
    const running = harness.run();
    harness.controller.wake({ namespace: 'ns', name: 'a' });
    await harness.clock.settle();
    harness.controller.wake({ namespace: 'ns', name: 'a' });
    await harness.clock.settle();
    expect(seen).toEqual(['ns/a', 'ns/a']);
    harness.stop.abort();
    await running;
  });

  it('survive a mapping that throws', async () => {
    const seen: string[] = [];
    const choosy: WatchMapping<Gadget> = {
      kind: GadgetKind,
      map: (event) =>
        event.object.metadata.name === 'bad'
          ? raise(new Error('cannot map'))() && []
          : [nameOf(event.object)],
    };
    const harness = setup(
      async (_ctx, name) => {
        seen.push(name.name);
        return done();
      },
      { watches: [choosy] },
    );
    const running = harness.run();
    harness.change('bad', 'good');
    await harness.clock.settle();
    expect(seen).toEqual(['good']);
    expect(harness.at('error')[0]).toMatchObject({ object: 'bad' });
    harness.stop.abort();
    await running;
  });
});

describe('concurrency', () => {
  it('runs that many reconciles at once and never two for one key', async () => {
    const active = new Map<string, number>();
    let most = 0;
    let mostPerKey = 0;
    const harness = setup(
      async (ctx, name) => {
        active.set(name.name, (active.get(name.name) ?? 0) + 1);
        most = Math.max(
          most,
          [...active.values()].reduce((a, b) => a + b, 0),
        );
        mostPerKey = Math.max(mostPerKey, active.get(name.name) ?? 0);
        await new Promise<void>((resolve) => ctx.clock.schedule(resolve, 10));
        active.set(name.name, (active.get(name.name) ?? 0) - 1);
        return done();
      },
      { concurrency: 3 },
    );
    const running = harness.run();
    for (let round = 0; round < 20; round++) {
      harness.change('a', 'b', 'c', 'd', 'e');
      await harness.clock.advance(7);
    }
    await harness.clock.advance(100);
    expect(most).toBe(3);
    expect(mostPerKey).toBe(1);
    const text = await harness.metrics.metrics();
    expect(text).toContain('controller_runtime_max_concurrent_reconciles{controller="gadget"} 3');
    expect(text).toContain('controller_runtime_active_workers{controller="gadget"} 0');
    harness.stop.abort();
    await running;
  });
});

/** Ends when its signal aborts, as a call that is bounded by it does. */
const untilAborted = (ctx: Ctx): Promise<Outcome> =>
  new Promise((_resolve, reject) => {
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error));
  });

describe('deadlines', () => {
  it('aborts a reconcile after 60 s and tries again later', async () => {
    const harness = setup(untilAborted);
    const running = harness.run();
    harness.change('a');
    await harness.clock.advance(59_999);
    expect(harness.at('warn')).toEqual([]);
    await harness.clock.advance(1);
    expect(harness.at('warn')[0]?.['error']).toBe('the reconcile took longer than 60 s');
    harness.stop.abort();
    await harness.clock.advance(30_000);
    await running;
  });

  it('leaves no timer behind when a reconcile ends in time', async () => {
    const harness = setup(async () => done());
    const running = harness.run();
    harness.change('a', 'b', 'c');
    await harness.clock.settle();
    expect(harness.clock.armed).toBe(0);
    harness.stop.abort();
    await running;
    expect(harness.clock.armed).toBe(0);
  });
});

describe('stop', () => {
  it('takes no new keys and lets what is under way finish, unaborted', async () => {
    const seen: string[] = [];
    const abortedMeanwhile: boolean[] = [];
    const harness = setup(
      async (ctx, name) => {
        seen.push(name.name);
        await new Promise<void>((resolve) => ctx.clock.schedule(resolve, 15_000));
        abortedMeanwhile.push(ctx.signal.aborted);
        return waitFor(1, 'Again');
      },
      { concurrency: 1 },
    );
    let stopped = false;
    const running = harness.run().then(() => (stopped = true));
    harness.change('a', 'b');
    await harness.clock.settle();
    harness.stop.abort();
    harness.change('c');
    await harness.clock.advance(14_999);
    expect(stopped).toBe(false);
    await harness.clock.advance(1);
    await running;
    await harness.clock.advance(60_000);
    expect(seen).toEqual(['a']);
    expect(abortedMeanwhile).toEqual([false]);
  });

  it('aborts what has not ended after 20 s', async () => {
    const harness = setup(untilAborted);
    let stopped = false;
    const running = harness.run().then(() => (stopped = true));
    harness.change('a');
    await harness.clock.settle();
    harness.stop.abort();
    await harness.clock.advance(19_999);
    expect(stopped).toBe(false);
    await harness.clock.advance(1);
    await running;
    expect(harness.at('warn')[0]).toMatchObject({ keys: ['ns/a'] });
  });

  it('rejects when a reconcile goes on even then, naming it', async () => {
    const harness = setup(() => new Promise<Outcome>(() => undefined));
    const running = harness.run().catch((error: unknown) => error as Error);
    harness.change('a');
    await harness.clock.settle();
    harness.stop.abort();
    await harness.clock.advance(22_000);
    expect(await running).toMatchObject({ message: 'controller gadget: still reconciling ns/a' });
  });
});
