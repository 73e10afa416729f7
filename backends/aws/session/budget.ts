// SPDX-License-Identifier: Apache-2.0
// Whose turn it is to call. AWS' limits are per account, so one budget serves all who call as the account, whatever their identity.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';
import type { Limits } from './limits.ts';
import { CallRate } from './rate.ts';

/** What an answer says of the rate: let through, throttled, or nothing. */
export type Verdict = 'accepted' | 'throttled' | 'unknown';

/** Gives the verdict back to the budget, once. */
export type Settle = (verdict: Verdict) => void;

export interface BudgetOptions {
  readonly clock: Clock;
  /** Names it in messages. */
  readonly name: string;
  readonly limits: Limits;
  /** Gives 0 to 1. */
  readonly random: () => number;
}

/** Who would wait longer than this leaves its worker to others. */
const MAX_WAIT_MS = 10_000;
/** No one is told to come back later than this: the rate may be a better one by then. */
const MAX_POSTPONE_MS = 60_000;
const IDLE_MS = 3_600_000;

type Waiter = () => void;

/** One bucket of one account and region. */
export class CallBudget {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #rate: CallRate;
  /** Who waits, by flow; the flow whose turn it is stands first. */
  readonly #flows = new Map<string, Waiter[]>();
  #usedMs: number;
  #postponedUntilMs = 0;
  #cancelTimer: () => void = () => {};

  constructor(options: BudgetOptions) {
    this.#clock = options.clock;
    this.#name = options.name;
    this.#rate = new CallRate(options);
    this.#usedMs = this.#nowMs();
  }

  /**
   * Resolves when the call may be sent. Of several flows each has its turn, within one the first comes first. Rejects with TransientError
   * when the turn is too far away to wait for (`retryAfterMs` says when it may come), or when the signal ends the wait.
   */
  async turn(ctx: Ctx, flow: string): Promise<Settle> {
    this.#usedMs = this.#nowMs();
    if (this.#flows.size === 0 && this.#rate.mayGo()) return this.#take();
    const waitMs = this.#rate.waitMs(this.#place(flow)) ?? 0;
    if (waitMs > MAX_WAIT_MS) throw this.#postponed();
    return this.#wait(ctx, flow);
  }

  /** Calls that could be sent now. */
  left(): number {
    return this.#rate.left();
  }

  /** Nobody has used it for an hour: what it knows is out of date. */
  isIdle(): boolean {
    return this.#flows.size === 0 && hasPassed(this.#clock, this.#usedMs, IDLE_MS);
  }

  #take(): Settle {
    const taken = this.#rate.take();
    let settled = false;
    return (verdict) => {
      if (settled) return;
      settled = true;
      if (verdict === 'accepted') this.#rate.accepted(taken, this.#flows.size > 0);
      if (verdict === 'throttled') this.#rate.throttled(taken);
      this.#serve();
    };
  }

  #wait(ctx: Ctx, flow: string): Promise<Settle> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        this.#remove(flow, waiter);
        reject(this.#interrupted(ctx));
      };
      const waiter = (): void => {
        ctx.signal.removeEventListener('abort', ended);
        resolve(this.#take());
      };
      if (ctx.signal.aborted) return reject(this.#interrupted(ctx));
      ctx.signal.addEventListener('abort', ended, { once: true });
      const waiters = this.#flows.get(flow);
      if (waiters === undefined) this.#flows.set(flow, [waiter]);
      else waiters.push(waiter);
      this.#arm();
    });
  }

  #serve(): void {
    while (this.#flows.size > 0 && this.#rate.mayGo()) this.#next()();
    this.#arm();
  }

  #next(): Waiter {
    for (const [flow, waiters] of this.#flows) {
      const [first] = waiters.splice(0, 1);
      this.#flows.delete(flow);
      if (waiters.length > 0) this.#flows.set(flow, waiters);
      if (first !== undefined) return first;
    }
    return () => {};
  }

  #remove(flow: string, waiter: Waiter): void {
    const rest = (this.#flows.get(flow) ?? []).filter((one) => one !== waiter);
    if (rest.length > 0) this.#flows.set(flow, rest);
    else this.#flows.delete(flow);
    this.#arm();
  }

  #arm(): void {
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (this.#flows.size === 0) return;
    const ms = Math.max(1, Math.ceil(this.#rate.nextMs()));
    this.#cancelTimer = this.#clock.schedule(() => this.#serve(), ms);
  }

  /** How many calls are sent until a newcomer of this flow has had its turn. */
  #place(flow: string): number {
    const mine = (this.#flows.get(flow)?.length ?? 0) + 1;
    let place = mine;
    for (const [other, waiters] of this.#flows) if (other !== flow) place += Math.min(waiters.length, mine);
    return place;
  }

  /** Each one that is sent away is to come back at another moment, at the pace of the bucket. */
  #postponed(): TransientError {
    const nowMs = this.#nowMs();
    const earliestMs = nowMs + MAX_WAIT_MS;
    this.#postponedUntilMs = Math.max(this.#postponedUntilMs, earliestMs) + 1_000 / this.#rate.perSecond;
    if (this.#postponedUntilMs > nowMs + MAX_POSTPONE_MS) this.#postponedUntilMs = earliestMs;
    const retryAfterMs = Math.round(this.#postponedUntilMs - nowMs);
    const message = `AWS throttles ${this.#name} in this account and region, and others wait for their turn`;
    return new TransientError(message, { retryAfterMs });
  }

  #interrupted({ signal }: Ctx): TransientError {
    return new TransientError(
      `the wait for a turn of ${this.#name} at AWS has ended: ${errorMessage(signal.reason)}`,
    );
  }

  #nowMs(): number {
    return this.#clock.now().getTime();
  }
}
