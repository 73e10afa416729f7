// SPDX-License-Identifier: Apache-2.0
// How fast an account is asked, for one bucket of its API. AWS' own buckets are per account, so this is shared by all who use it.
import { type Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';
import type { Limits } from './limits.ts';

/** What an answer says of the rate: let through, throttled, or nothing. */
export type Verdict = 'accepted' | 'throttled' | 'unknown';

/** One bucket. */
export interface CallBudget {
  /**
   * Resolves when the call may be sent; the answer is given back to `settle`, once. Of several flows each has its turn, within one the
   * first comes first. Rejects with TransientError when the turn is too far away to wait for (`retryAfterMs` says when it may be), or
   * when the signal ends the wait.
   */
  turn(ctx: Ctx, flow: string): Promise<(verdict: Verdict) => void>;
  /** Calls that could be sent now. */
  left(): number;
  /** Nobody has used it for an hour, so that it holds nothing worth keeping. */
  isIdle(): boolean;
}

export interface BudgetOptions {
  readonly clock: Clock;
  /** Names it in messages. */
  readonly name: string;
  readonly limits: Limits;
  /** 0 to 1. */
  readonly random: () => number;
}

/** Who would have to wait longer than this leaves its worker to others. */
const MAX_WAIT_MS = 10_000;
/** No one is told to come back later than this: the rate may be a better one by then. */
const MAX_POSTPONE_MS = 60_000;
const FIRST_HOLD_MS = 1_000;
const MAX_HOLD_MS = 30_000;
/** The rate is measured over about so long. */
const MEASURED_MS = 5_000;
const IDLE_MS = 3_600_000;
/** How much faster it becomes in a second in which all calls are let through, as a share of what AWS documents. */
const GROWTH = 0.1;
/** Nor does it ever become slower than this share. */
const FLOOR = 0.05;

interface Waiter {
  readonly grant: () => void;
}

/**
 * A token bucket that finds out what AWS gives. At first it searches: it begins with the documented burst, and each call that is let
 * through while others wait allows one more, so that an account with high limits is not held to the documented ones. The first
 * throttled answer ends the search: the bucket is empty, everybody is held for a moment, and from then on the rate is halved by each
 * throttling (though not below what AWS documents at first: only a second throttling shows that others use the account too) and
 * grows slowly while calls are let through. Answers to what was sent before a cut do not cut again.
 */
export function createBudget({ clock, name, limits, random }: BudgetOptions): CallBudget {
  const nowMs = (): number => clock.now().getTime();
  const flows = new Map<string, Waiter[]>();
  let searching = true;
  let window = limits.size;
  let tokens = limits.size;
  let rate = limits.perSecond;
  let filledMs = nowMs();
  let heldUntilMs = 0;
  let holdMs = 0;
  let cuts = 0;
  let measured = 0;
  let measuredMs = filledMs;
  let usedMs = filledMs;
  let postponedUntilMs = 0;
  let cancelTimer: (() => void) | undefined;

  return {
    turn(ctx, flow) {
      usedMs = nowMs();
      refill();
      if (flows.size === 0 && mayGo()) return Promise.resolve(take());
      const aheadMs = searching ? 0 : waitMs(flow);
      if (aheadMs > MAX_WAIT_MS) return Promise.reject(postponed());
      return wait(ctx, flow);
    },
    left() {
      refill();
      return nowMs() < heldUntilMs ? 0 : Math.floor(tokens);
    },
    isIdle: () => flows.size === 0 && Math.abs(nowMs() - usedMs) > IDLE_MS,
  };

  function wait(ctx: Ctx, flow: string): Promise<(verdict: Verdict) => void> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        remove(flow, waiter);
        reject(interrupted(ctx));
      };
      const waiter: Waiter = {
        grant() {
          ctx.signal.removeEventListener('abort', ended);
          resolve(take());
        },
      };
      if (ctx.signal.aborted) return reject(interrupted(ctx));
      ctx.signal.addEventListener('abort', ended, { once: true });
      flows.set(flow, [...(flows.get(flow) ?? []), waiter]);
      arm();
    });
  }

  function interrupted(ctx: Ctx): TransientError {
    return new TransientError(
      `waiting for the turn of ${name} has ended: ${errorMessage(ctx.signal.reason)}`,
    );
  }

  function take(): (verdict: Verdict) => void {
    tokens -= 1;
    const sentAfter = cuts;
    let settled = false;
    return (verdict) => {
      if (settled) return;
      settled = true;
      refill();
      if (verdict === 'accepted') accepted(sentAfter);
      else if (verdict === 'throttled' && sentAfter === cuts) cut();
      drain();
    };
  }

  function accepted(sentAfter: number): void {
    measured = measuredRate() + 1_000 / MEASURED_MS;
    measuredMs = nowMs();
    if (sentAfter === cuts) holdMs = 0;
    // Who does not use what there is learns nothing of the limit.
    if (flows.size === 0) return;
    if (searching) {
      window += 1;
      tokens += 2;
    } else if (sentAfter === cuts) {
      rate += (GROWTH * limits.perSecond) / rate;
    }
  }

  function cut(): void {
    const again = holdMs > 0;
    const known = limits.perSecond;
    if (searching) rate = Math.max(known, measuredRate() / 2);
    else if (rate > known) rate = Math.max(known, rate / 2);
    else rate = Math.max(FLOOR * known, rate / 2);
    searching = false;
    cuts += 1;
    window = limits.size;
    holdMs = again ? Math.min(holdMs * 2, MAX_HOLD_MS) : FIRST_HOLD_MS;
    heldUntilMs = nowMs() + holdMs * (0.75 + random() / 2);
    tokens = 0;
    // AWS' bucket fills while we hold, and ours does so too; but when nothing was let through since the last hold, one call feels its way.
    if (!again) return;
    tokens = 1 - (rate * (heldUntilMs - nowMs())) / 1_000;
  }

  function refill(): void {
    const passedMs = nowMs() - filledMs;
    filledMs = nowMs();
    // A clock that was set back has let no time pass; a hold must not last until it catches up.
    if (passedMs < 0) heldUntilMs = Math.min(heldUntilMs, filledMs + MAX_HOLD_MS);
    else tokens = Math.min(window, tokens + (rate * passedMs) / 1_000);
  }

  function measuredRate(): number {
    return measured * Math.exp(-Math.max(0, nowMs() - measuredMs) / MEASURED_MS);
  }

  function mayGo(): boolean {
    // Sums of fractions: 0.9999999 is a token.
    return nowMs() >= heldUntilMs && tokens >= 1 - 1e-9;
  }

  /** How long a newcomer of this flow would wait when each flow has its turn. */
  function waitMs(flow: string): number {
    const mine = (flows.get(flow)?.length ?? 0) + 1;
    let ahead = mine;
    for (const [other, waiters] of flows) if (other !== flow) ahead += Math.min(waiters.length, mine);
    const fillMs = ((ahead - tokens) / rate) * 1_000;
    return Math.max(fillMs, heldUntilMs - nowMs());
  }

  /** Each one that is sent away comes back at another time, at the pace of the bucket. */
  function postponed(): TransientError {
    const earliestMs = nowMs() + MAX_WAIT_MS;
    postponedUntilMs = Math.max(postponedUntilMs, earliestMs) + 1_000 / rate;
    if (postponedUntilMs - nowMs() > MAX_POSTPONE_MS) postponedUntilMs = earliestMs;
    return new TransientError(
      `AWS throttles ${name} in this account and region, and many calls wait for their turn`,
      { retryAfterMs: Math.round(postponedUntilMs - nowMs()) },
    );
  }

  function drain(): void {
    refill();
    while (flows.size > 0 && mayGo()) next()?.grant();
    arm();
  }

  /** The flow whose turn it is goes to the end of the row. */
  function next(): Waiter | undefined {
    for (const [flow, [first, ...rest]] of flows) {
      flows.delete(flow);
      if (rest.length > 0) flows.set(flow, rest);
      return first;
    }
    return undefined;
  }

  function remove(flow: string, waiter: Waiter): void {
    const rest = (flows.get(flow) ?? []).filter((one) => one !== waiter);
    if (rest.length > 0) flows.set(flow, rest);
    else flows.delete(flow);
    if (flows.size === 0) arm();
  }

  function arm(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (flows.size === 0) return;
    const fillMs = ((1 - tokens) / rate) * 1_000;
    const waitsMs = Math.max(fillMs, heldUntilMs - nowMs(), 1);
    cancelTimer = clock.schedule(drain, Math.ceil(waitsMs));
  }
}
