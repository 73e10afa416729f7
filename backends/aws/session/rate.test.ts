// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { createLogger } from '../../../runtime/logger.ts';
import { CallBudget } from './budget.ts';
import type { Limits } from './limits.ts';

const RUN_INSTANCES: Limits = { size: 5, perSecond: 2 };

/** A cloud that lets through what its own token bucket allows. */
class Cloud {
  readonly clock = new FakeClock();
  let = 0;
  throttled = 0;
  #tokens: number;
  #filledMs: number;
  readonly #limits: Limits;
  readonly #latencyMs: number;

  constructor(limits: Limits, latencyMs = 100) {
    this.#limits = limits;
    this.#latencyMs = latencyMs;
    this.#tokens = limits.size;
    this.#filledMs = this.clock.now().getTime();
  }

  /** Somebody else uses the account. */
  take(count: number): void {
    this.#fill();
    this.#tokens -= count;
  }

  async call(): Promise<'accepted' | 'throttled'> {
    this.#fill();
    const accepted = this.#tokens >= 1;
    if (accepted) this.#tokens -= 1;
    await new Promise<void>((resolve) => this.clock.schedule(resolve, this.#latencyMs));
    if (accepted) this.let += 1;
    else this.throttled += 1;
    return accepted ? 'accepted' : 'throttled';
  }

  #fill(): void {
    const nowMs = this.clock.now().getTime();
    const { size, perSecond } = this.#limits;
    this.#tokens = Math.min(size, this.#tokens + ((nowMs - this.#filledMs) / 1_000) * perSecond);
    this.#filledMs = nowMs;
  }
}

describe('an account with the documented limits', () => {
  it('is used as far as it goes, with few throttled calls', async () => {
    const cloud = new Cloud(RUN_INSTANCES);
    const work = worker(cloud, 300);
    await cloud.clock.advance(100_000);
    // 5 + 2/s is what AWS gives in this time.
    expect(cloud.let).toBeGreaterThan(0.9 * (5 + 2 * 100));
    expect(cloud.throttled).toBeLessThan(0.15 * cloud.let);
    work.stop();
  });

  it('gets few calls while it throttles everything', async () => {
    const cloud = new Cloud({ size: 0, perSecond: 0 });
    const work = worker(cloud, 300);
    await cloud.clock.advance(600_000);
    // At first the documented burst; then holds of up to 30 s, one call after each, and what was on the way.
    expect(cloud.throttled).toBeLessThan(60);
    expect(cloud.throttled).toBeGreaterThan(10);
    work.stop();
  });

  it('is found again after others have used it up', async () => {
    const cloud = new Cloud(RUN_INSTANCES);
    const work = worker(cloud, 300);
    cloud.take(60);
    await cloud.clock.advance(60_000);
    const before = cloud.let;
    await cloud.clock.advance(120_000);
    expect(cloud.let - before).toBeGreaterThan(0.8 * 2 * 120);
    work.stop();
  });
});

describe('an account with high limits', () => {
  it('is not held to the documented ones', async () => {
    const cloud = new Cloud({ size: 1_000, perSecond: 1_000 });
    const work = worker(cloud, 300);
    // Each round of answers doubles what is on the way: 5, 10, 20, 40, 80, 145.
    await cloud.clock.advance(1_000);
    expect(cloud.let).toBe(300);
    expect(cloud.throttled).toBe(0);
    work.stop();
  });

  it('five times the documented rate is reached after a throttling, too', async () => {
    const cloud = new Cloud({ size: 20, perSecond: 10 });
    const work = worker(cloud, 1_500);
    await cloud.clock.advance(60_000);
    const before = cloud.let;
    await cloud.clock.advance(30_000);
    expect(cloud.let - before).toBeGreaterThan(0.7 * 10 * 30);
    expect(cloud.throttled).toBeLessThan(0.1 * cloud.let);
    work.stop();
  });
});

describe('a turn', () => {
  const size3: Limits = { size: 3, perSecond: 1 };

  it('comes at once while there are tokens, and in order after that', async () => {
    const { clock, budget } = bucket(size3);
    const order: number[] = [];
    const asked = [1, 2, 3, 4, 5, 6].map(async (number) => {
      await budget.turn(ctxOf(clock), 'a');
      order.push(number);
    });
    await clock.settle();
    expect(order).toEqual([1, 2, 3]);
    expect(budget.left()).toBe(0);
    await clock.advance(1_000);
    expect(order).toEqual([1, 2, 3, 4]);
    await clock.advance(2_000);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    await Promise.all(asked);
    expect(clock.armed).toBe(0);
  });

  it('goes round the namespaces: who asks for one does not wait behind who asks for many', async () => {
    const { clock, budget } = bucket(size3);
    const order: string[] = [];
    const ask = (flow: string) => void budget.turn(ctxOf(clock), flow).then(() => order.push(flow));
    for (let i = 0; i < 10; i++) ask('many');
    ask('few');
    ask('few');
    await clock.advance(4_000);
    expect(order.slice(3)).toEqual(['many', 'few', 'many', 'few']);
  });

  it('is given up when the caller is, and goes to the next', async () => {
    const { clock, budget } = bucket({ size: 1, perSecond: 1 });
    await budget.turn(ctxOf(clock), 'a');
    const abort = new AbortController();
    const given = budget.turn(ctxOf(clock, abort.signal), 'a');
    let came = false;
    void budget.turn(ctxOf(clock), 'a').then(() => (came = true));
    abort.abort(new Error('the manager stops'));
    await expect(given).rejects.toThrow(/turn.*the manager stops/);
    await expect(given).rejects.toBeInstanceOf(TransientError);
    await clock.advance(1_000);
    expect(came).toBe(true);
  });

  it('never comes for one whose signal has ended', async () => {
    const { clock, budget } = bucket({ size: 1, perSecond: 1 });
    await budget.turn(ctxOf(clock), 'a');
    await expect(budget.turn(ctxOf(clock, AbortSignal.abort(new Error('late'))), 'a')).rejects.toThrow(
      'late',
    );
    expect(clock.armed).toBe(0);
  });

  it('that is far away is not waited for; those sent away come back one after the other', async () => {
    const { clock, budget } = bucket({ size: 1, perSecond: 1 });
    (await budget.turn(ctxOf(clock), 'a'))('throttled');
    const asked = Array.from({ length: 20 }, () =>
      budget.turn(ctxOf(clock), 'a').then(
        () => undefined,
        (error: unknown) => error as TransientError,
      ),
    );
    await clock.advance(11_000);
    const away = (await Promise.all(asked)).filter((error) => error !== undefined);
    expect(away.length).toBeGreaterThanOrEqual(9);
    const times = away.map(({ retryAfterMs }) => retryAfterMs!);
    expect(times[0]).toBeGreaterThan(10_000);
    expect(Math.max(...times)).toBeLessThanOrEqual(60_000);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(times.length);
    expect(away[0]!.message).toContain('RunInstances');
  });
});

describe('a throttled answer', () => {
  it('holds everybody, and what was sent before it says nothing new', async () => {
    const { clock, budget } = bucket(RUN_INSTANCES);
    const settle = await Promise.all(Array.from({ length: 5 }, () => budget.turn(ctxOf(clock), 'a')));
    settle.forEach((done) => done('throttled'));
    expect(budget.left()).toBe(0);
    let came = false;
    void budget.turn(ctxOf(clock), 'a').then(() => (came = true));
    await clock.advance(740);
    expect(came).toBe(false);
    // One hold of a second, not five that double: 16 s.
    await clock.advance(600);
    expect(came).toBe(true);
  });

  it('after another without a call that was let through doubles the hold', async () => {
    const { clock, budget } = bucket(RUN_INSTANCES, 0.5);
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      const settle = await budget.turn(ctxOf(clock), 'a');
      settle('throttled');
      waits.push(await untilLeft(clock, budget));
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it('does not hold for hours when the clock is set back', async () => {
    const { clock, budget } = bucket(RUN_INSTANCES);
    (await budget.turn(ctxOf(clock), 'a'))('throttled');
    clock.setTime(new Date(clock.now().getTime() - 3_600_000));
    expect(budget.left()).toBe(0);
    await clock.advance(31_000);
    expect(budget.left()).toBeGreaterThan(0);
  });

  it('is settled once', async () => {
    const { clock, budget } = bucket(RUN_INSTANCES);
    const settle = await budget.turn(ctxOf(clock), 'a');
    settle('accepted');
    settle('throttled');
    expect(budget.left()).toBe(4);
  });
});

async function untilLeft(clock: FakeClock, budget: CallBudget): Promise<number> {
  for (let ms = 0; ms <= 60_000; ms += 500) {
    if (budget.left() > 0) return ms;
    await clock.advance(500);
  }
  return Infinity;
}

function bucket(limits: Limits, random = 0.5) {
  const clock = new FakeClock();
  return { clock, budget: new CallBudget({ clock, name: 'RunInstances', limits, random: () => random }) };
}

function ctxOf(clock: FakeClock, signal: AbortSignal = new AbortController().signal): Ctx {
  return { signal, clock, log: createLogger({ level: 'silent' }) };
}

/** So many calls are wanted at once; who is sent away comes back when it was told to. */
function worker(cloud: Cloud, count: number) {
  const { clock } = cloud;
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const budget = new CallBudget({ clock, name: 'RunInstances', limits: RUN_INSTANCES, random });
  const stop = new AbortController();
  const one = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const settle = await budget
        .turn(ctxOf(clock, stop.signal), 'a')
        .catch((error: unknown) => error as TransientError);
      if (settle instanceof TransientError) {
        const { retryAfterMs = 1_000 } = settle;
        await new Promise<void>((resolve) => clock.schedule(resolve, retryAfterMs));
        continue;
      }
      const verdict = await cloud.call();
      settle(verdict);
      if (verdict === 'accepted') return;
    }
  };
  for (let i = 0; i < count; i++) void one();
  return { stop: () => stop.abort(new Error('end')) };
}
