// SPDX-License-Identifier: Apache-2.0
import type { Clock } from './clock.ts';

interface Timer {
  readonly fn: () => void;
  readonly dueMs: number;
}

/** A clock for tests that stands still until it is told to move. Timers fire in order of their due time, each at its own moment. */
export class FakeClock implements Clock {
  // Elapsed time runs timers and wall time answers now(), as on a real machine: `setTime` moves only the latter.
  private elapsedMs = 0;
  private wallMs: number;
  private timers: Timer[] = [];

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.wallMs = start.getTime();
  }

  now(): Date {
    return new Date(this.wallMs);
  }

  schedule(fn: () => void, ms: number): () => void {
    const timer: Timer = { fn, dueMs: this.elapsedMs + Math.max(0, ms) };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** How many timers are armed. */
  get armed(): number {
    return this.timers.length;
  }

  /** The wall clock is set forward or back, as by NTP: no timer fires. */
  setTime(time: Date): void {
    this.wallMs = time.getTime();
  }

  /** Lets `ms` milliseconds pass; after each timer, and at the end, everything that can run without more time runs. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    await this.settle();
    for (let timer = this.next(untilMs); timer !== undefined; timer = this.next(untilMs)) {
      this.moveTo(timer.dueMs);
      this.timers = this.timers.filter((other) => other !== timer);
      timer.fn();
      await this.settle();
    }
    this.moveTo(untilMs);
  }

  /** Lets pending promises run without moving the time. */
  async settle(): Promise<void> {
    // An immediate runs after the whole microtask queue, however long the chain of promises is.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** First by due time, then by order of scheduling. */
  private next(untilMs: number): Timer | undefined {
    return this.timers
      .filter((timer) => timer.dueMs <= untilMs)
      .reduce<Timer | undefined>(
        (first, timer) => (first && first.dueMs <= timer.dueMs ? first : timer),
        undefined,
      );
  }

  private moveTo(elapsedMs: number): void {
    this.wallMs += elapsedMs - this.elapsedMs;
    this.elapsedMs = elapsedMs;
  }
}
