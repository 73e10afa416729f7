// SPDX-License-Identifier: Apache-2.0
import type { Clock } from './clock.ts';
import type { Ctx } from './context.ts';
import { errorMessage, TransientError } from './errors.ts';
import type { Logger } from './logger.ts';
import { counter, histogram, type Metrics } from './metrics.ts';
import type { Runnable } from './runnable.ts';
import { sleep } from './sleep.ts';

export interface TickerOptions {
  /** Label of the metrics, and in logs. */
  readonly name: string;
  /** From the end of one tick to the start of the next, so that ticks never overlap. */
  readonly everyMs: number;
  /** What to do; must be safe to be cut off anywhere. `ctx.signal` aborts at the stop and after `timeoutMs`. */
  readonly tick: (ctx: Ctx) => Promise<void> | void;
  /** Default 60 s. */
  readonly timeoutMs?: number;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

const DEFAULT_TIMEOUT_MS = 60_000;

/** A runnable that does something again and again, the first time at once. A tick that fails is logged and counted; the next one comes. */
export function createTicker(options: TickerOptions): Runnable {
  const log = options.log.child({ ticker: options.name });
  const label = { ticker: options.name };
  const errors = counter<'ticker'>(options.metrics, {
    name: 'ts_provider_ticker_errors_total',
    help: 'Ticks that failed.',
    labelNames: ['ticker'],
  });
  const time = histogram<'ticker'>(options.metrics, {
    name: 'ts_provider_ticker_time_seconds',
    help: 'How long a tick takes.',
    labelNames: ['ticker'],
  });
  errors.inc(label, 0);
  time.zero(label);
  // Ticks may come every second: the same trouble is told once until it is over.
  let trouble: string | undefined;

  return {
    name: options.name,
    async run(signal) {
      while (!signal.aborted) {
        const startedMs = options.clock.now().getTime();
        await once(signal);
        time.observe(label, Math.max(0, options.clock.now().getTime() - startedMs) / 1000);
        await sleep(options.clock, options.everyMs, signal);
      }
    },
  };

  async function once(stop: AbortSignal): Promise<void> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const abort = new AbortController();
    const end = (): void => abort.abort(new TransientError('the manager stops'));
    const cancel = options.clock.schedule(
      () => abort.abort(new TransientError(`the tick took longer than ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    stop.addEventListener('abort', end, { once: true });
    try {
      await options.tick({ signal: abort.signal, log, clock: options.clock });
      if (trouble !== undefined) log.info('Tick succeeded again');
      trouble = undefined;
    } catch (error) {
      if (!stop.aborted) tell(error);
    } finally {
      cancel();
      stop.removeEventListener('abort', end);
    }
  }

  function tell(error: unknown): void {
    errors.inc(label);
    const message = errorMessage(error);
    if (message === trouble) return;
    trouble = message;
    log.warn({ err: error }, 'Tick failed');
  }
}
