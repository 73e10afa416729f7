// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import type { Ctx } from './context.ts';
import { FakeClock } from './fake-clock.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { sleep } from './sleep.ts';
import { createTicker } from './ticker.ts';

function setup(tick: (ctx: Ctx) => Promise<void> | void) {
  const clock = new FakeClock(new Date(0));
  const metrics = createMetrics();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } });
  const ticker = createTicker({ name: 'sweep', everyMs: 1000, tick, log, clock, metrics });
  const stop = new AbortController();
  return { clock, metrics, lines, stop, running: ticker.run(stop.signal) };
}

it('ticks at once, then after each pause, never two at a time', async () => {
  const starts: number[] = [];
  let active = 0;
  const harness = setup(async (ctx) => {
    expect(active++).toBe(0);
    starts.push(ctx.clock.now().getTime());
    await sleep(ctx.clock, 1500);
    active--;
  });
  await harness.clock.advance(6000);
  expect(starts).toEqual([0, 2500, 5000]);
  harness.stop.abort();
  await harness.clock.advance(1500);
  await harness.running;
  expect(harness.clock.armed).toBe(0);
});

it('goes on after failures, counts each and tells the same trouble once', async () => {
  let ticks = 0;
  const harness = setup(() => {
    ticks++;
    if (ticks < 4) throw new Error('database is locked');
  });
  await harness.clock.advance(5000);
  expect(ticks).toBe(6);
  expect(await harness.metrics.metrics()).toContain('ts_provider_ticker_errors_total{ticker="sweep"} 3');
  expect(harness.lines.filter((line) => line.includes('database is locked'))).toHaveLength(1);
  expect(harness.lines.filter((line) => line.includes('succeeded again'))).toHaveLength(1);
  harness.stop.abort();
  await harness.running;
});

const untilAborted = (ctx: Ctx): Promise<void> =>
  new Promise((_resolve, reject) =>
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error)),
  );

it('cuts a tick off after its time', async () => {
  const harness = setup(untilAborted);
  await harness.clock.advance(60_000);
  expect(harness.lines.join('')).toContain('the tick took longer than 60 s');
  harness.stop.abort();
  await harness.running;
});

it('cuts a tick off at the stop, which is no failure', async () => {
  const harness = setup(untilAborted);
  await harness.clock.settle();
  harness.stop.abort();
  await harness.running;
  expect(harness.lines).toEqual([]);
  expect(harness.clock.armed).toBe(0);
});
