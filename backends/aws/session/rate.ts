// SPDX-License-Identifier: Apache-2.0
// How fast one bucket of an account may be asked, found out from the answers.
import type { Clock } from '../../../runtime/clock.ts';
import type { Limits } from './limits.ts';

const FIRST_HOLD_MS = 1_000;
const MAX_HOLD_MS = 30_000;
/** The rate is measured over about so long. */
const MEASURED_MS = 5_000;
/** How much faster it becomes in a second in which all calls are let through, as a share of what AWS documents. */
const GROWTH = 0.05;
/** It never becomes slower than this share. */
const FLOOR = 0.05;

/**
 * A token bucket that finds out what AWS gives. At first it searches: it begins with the documented burst, and each call that is let
 * through while others wait allows one more, so that an account with high limits is not held to the documented ones. The first
 * throttled answer ends the search. Each throttled answer empties the bucket, holds everybody for a moment, which doubles as long as
 * nothing is let through, and halves the rate; a rate above the documented one first falls to that. While calls are let through and others
 * wait, the rate grows slowly and without bound. Answers to what was sent before a cut do not cut again.
 */
export class CallRate {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #random: () => number;
  #searching = true;
  /** The most tokens that are saved up. */
  #window: number;
  #tokens: number;
  #perSecond: number;
  #filledMs: number;
  #heldUntilMs = 0;
  #holdMs = 0;
  #cuts = 0;
  #measured = 0;
  #measuredMs: number;

  /** `random` gives 0 to 1. */
  constructor(options: { readonly clock: Clock; readonly limits: Limits; readonly random: () => number }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#random = options.random;
    this.#window = options.limits.size;
    this.#tokens = options.limits.size;
    this.#perSecond = options.limits.perSecond;
    this.#filledMs = this.#nowMs();
    this.#measuredMs = this.#filledMs;
  }

  /** What a call carries along to {@link accepted} and {@link throttled}. */
  take(): number {
    this.#refill();
    this.#tokens -= 1;
    return this.#cuts;
  }

  mayGo(): boolean {
    this.#refill();
    // A sum of fractions may come out as 0.9999999.
    return this.#nowMs() >= this.#heldUntilMs && this.#tokens >= 1 - 1e-9;
  }

  /** Whole calls that may be sent now. */
  left(): number {
    this.#refill();
    return this.#nowMs() < this.#heldUntilMs ? 0 : Math.max(0, Math.floor(this.#tokens));
  }

  /** Until so many calls may have been sent; `undefined` while it searches, since the answers say it. */
  waitMs(calls: number): number | undefined {
    if (this.#searching) return undefined;
    return this.#fillMs(calls);
  }

  /** Until one call may be sent, if no answer comes before. */
  nextMs(): number {
    return this.#fillMs(1);
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  /** The call was let through. `wanted`: others wait; who does not use what there is learns nothing of the limit. */
  accepted(taken: number, wanted: boolean): void {
    this.#refill();
    this.#measured = this.#measuredRate() + 1_000 / MEASURED_MS;
    this.#measuredMs = this.#nowMs();
    const recent = taken === this.#cuts;
    if (recent) this.#holdMs = 0;
    if (!wanted) return;
    if (this.#searching) {
      this.#window += 1;
      this.#tokens += 2;
    } else if (recent) {
      this.#perSecond += (GROWTH * this.#limits.perSecond) / this.#perSecond;
    }
  }

  throttled(taken: number): void {
    if (taken !== this.#cuts) return;
    this.#refill();
    const again = this.#holdMs > 0;
    this.#perSecond = this.#slower();
    this.#searching = false;
    this.#cuts += 1;
    this.#window = this.#limits.size;
    this.#holdMs = again ? Math.min(this.#holdMs * 2, MAX_HOLD_MS) : FIRST_HOLD_MS;
    const holdMs = this.#holdMs * (0.75 + this.#random() / 2);
    this.#heldUntilMs = this.#nowMs() + holdMs;
    // AWS' bucket fills while we hold, and so does ours; but if nothing was let through since the last hold, one call feels the way.
    this.#tokens = again ? 1 - (this.#perSecond * holdMs) / 1_000 : 0;
  }

  #slower(): number {
    const known = this.#limits.perSecond;
    if (this.#searching) return Math.max(known, this.#measuredRate() / 2);
    const half = this.#perSecond / 2;
    return this.#perSecond > known ? Math.max(known, half) : Math.max(FLOOR * known, half);
  }

  #measuredRate(): number {
    const ageMs = Math.max(0, this.#nowMs() - this.#measuredMs);
    return this.#measured * Math.exp(-ageMs / MEASURED_MS);
  }

  #fillMs(calls: number): number {
    this.#refill();
    const fillMs = ((calls - this.#tokens) / this.#perSecond) * 1_000;
    return Math.max(0, fillMs, this.#heldUntilMs - this.#nowMs());
  }

  #refill(): void {
    const nowMs = this.#nowMs();
    const passedMs = nowMs - this.#filledMs;
    this.#filledMs = nowMs;
    // A clock that was set back has let no time pass; a hold must not last until it catches up.
    if (passedMs < 0) this.#heldUntilMs = Math.min(this.#heldUntilMs, nowMs + MAX_HOLD_MS);
    else this.#tokens = Math.min(this.#window, this.#tokens + (this.#perSecond * passedMs) / 1_000);
  }

  #nowMs(): number {
    return this.#clock.now().getTime();
  }
}
