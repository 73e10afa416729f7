// SPDX-License-Identifier: Apache-2.0
import type { Clock } from './clock.ts';
import { DelayHeap } from './delay-heap.ts';
import type { Metrics } from './metrics.ts';
import { workqueueMetrics } from './workqueue-metrics.ts';

/**
 * Keys that need work, each at most once, and each at most once in processing. A key has one pending wake-up, the earliest: adding
 * it now takes its later wake-up along, because the work that follows decides anew.
 */
export interface Workqueue {
  /** `low`: after everything that is not low (initial lists), yet never starved. */
  add(key: string, priority?: 'normal' | 'low'): void;
  /** Adds the key after `ms` milliseconds, or earlier when it waits for an earlier moment already. */
  addAfter(key: string, ms: number): void;
  /** Adds the key after its back-off, which doubles with each call until `forget`, and not before `minimumMs`. Returns the delay. */
  addRateLimited(key: string, minimumMs?: number): number;
  /** Starts the back-off of the key anew. */
  forget(key: string): void;
  /** How often `addRateLimited` was called since `forget`. */
  retries(key: string): number;
  /** The next key, as soon as there is one; `undefined` when `signal` aborts or the queue is shut down. */
  get(signal?: AbortSignal): Promise<string | undefined>;
  /** Must follow each `get`. A key that was added in the meantime goes to the end of the queue. */
  done(key: string): void;
  /** Hands out nothing more and takes nothing more in. */
  shutDown(): void;
  /** Keys ready to be taken; those that wait for a moment do not count. */
  readonly length: number;
}

export interface WorkqueueOptions {
  /** Label of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly backoff?: Backoff;
  /** From 0 up to 1; Math.random when absent. */
  readonly random?: () => number;
}

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * A stale read heals within 100 ms, and clouds count every call: starting at 5 ms, as is usual for work inside a cluster, only burns
 * eight attempts in the first second. Five minutes is the longest that a person who has fixed something should have to wait.
 */
const BACKOFF: Backoff = { baseMs: 100, maxMs: 300_000 };

/** Node fires timers beyond 31 bits at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** After so many normal keys in a row a low one is taken, so that a steady stream of changes cannot hold up the initial list. */
const NORMAL_IN_A_ROW = 8;

type Priority = 'normal' | 'low';

/** A {@link Workqueue} that keeps everything in memory and arms one timer. */
export function createWorkqueue(options: WorkqueueOptions): Workqueue {
  return new MemoryQueue(options);
}

class MemoryQueue implements Workqueue {
  private readonly options: WorkqueueOptions;
  private readonly metrics;
  // Maps keep the order of insertion: first in, first out, with removal by key. Values are the time of adding.
  private readonly ready = { normal: new Map<string, number>(), low: new Map<string, number>() };
  private readonly processing = new Map<string, number>();
  // Added while in processing: they wait for `done`.
  private readonly again = new Map<string, Priority>();
  private readonly delayed = new DelayHeap();
  private readonly failures = new Map<string, number>();
  private readonly waiters = new Set<(key: string | undefined) => void>();
  private normalInARow = 0;
  private closed = false;
  private timer: { readonly dueMs: number; readonly cancel: () => void } | undefined;
  // What timers have proven to have passed beyond the wall clock: it may be set back by hours, which must not stall the queue.
  private skewMs = 0;

  constructor(options: WorkqueueOptions) {
    this.options = options;
    this.metrics = workqueueMetrics(options.metrics, options.name, {
      depth: () => this.length,
      inProgressSeconds: () => [...this.processing.values()].map((sinceMs) => this.secondsSince(sinceMs)),
    });
  }

  get length(): number {
    return this.ready.normal.size + this.ready.low.size;
  }

  add(key: string, priority: Priority = 'normal'): void {
    if (this.closed) return;
    this.delayed.delete(key);
    if (this.processing.has(key)) {
      if (!this.again.has(key)) this.metrics.added();
      if (this.again.get(key) !== 'normal') this.again.set(key, priority);
      return;
    }
    this.enqueue(key, priority);
  }

  addAfter(key: string, ms: number): void {
    if (this.closed || this.isPending(key)) return;
    if (!(ms > 0)) return this.add(key);
    this.delayed.set(key, this.nowMs() + ms);
    this.arm();
  }

  addRateLimited(key: string, minimumMs = 0): number {
    const failures = this.retries(key);
    this.failures.set(key, failures + 1);
    this.metrics.retried();
    const { baseMs, maxMs } = this.options.backoff ?? BACKOFF;
    const fullMs = Math.min(maxMs, baseMs * 2 ** failures);
    // Between half and all of it: keys that failed together come back apart, and none comes later than the cap.
    const ms = Math.max(minimumMs, Math.round(fullMs * (0.5 + 0.5 * this.random())));
    this.addAfter(key, ms);
    return ms;
  }

  forget(key: string): void {
    this.failures.delete(key);
  }

  retries(key: string): number {
    return this.failures.get(key) ?? 0;
  }

  get(signal?: AbortSignal): Promise<string | undefined> {
    if (this.closed || signal?.aborted === true) return Promise.resolve(undefined);
    const key = this.take();
    if (key !== undefined) return Promise.resolve(key);
    return new Promise((resolve) => {
      const waiter = (next: string | undefined): void => {
        this.waiters.delete(waiter);
        signal?.removeEventListener('abort', giveUp);
        resolve(next);
      };
      const giveUp = (): void => waiter(undefined);
      this.waiters.add(waiter);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  done(key: string): void {
    const sinceMs = this.processing.get(key);
    if (sinceMs === undefined) return;
    this.processing.delete(key);
    this.metrics.finished(this.secondsSince(sinceMs));
    const priority = this.again.get(key);
    this.again.delete(key);
    if (priority !== undefined && !this.closed) this.push(key, priority);
  }

  shutDown(): void {
    this.closed = true;
    this.timer?.cancel();
    this.delayed.clear();
    this.again.clear();
    this.ready.normal.clear();
    this.ready.low.clear();
    for (const waiter of [...this.waiters]) waiter(undefined);
  }

  /** Will be worked on without waiting for a moment. */
  private isPending(key: string): boolean {
    return this.ready.normal.has(key) || this.ready.low.has(key) || this.again.has(key);
  }

  private enqueue(key: string, priority: Priority): void {
    if (this.ready.normal.has(key)) return;
    const addedMs = this.ready.low.get(key);
    if (addedMs !== undefined && priority === 'low') return;
    if (addedMs === undefined) this.metrics.added();
    this.ready.low.delete(key);
    this.push(key, priority, addedMs);
  }

  private push(key: string, priority: Priority, addedMs: number = this.nowMs()): void {
    this.ready[priority].set(key, addedMs);
    const [waiter] = this.waiters;
    if (waiter !== undefined) waiter(this.take());
  }

  private take(): string | undefined {
    const { normal, low } = this.ready;
    const takeLow = low.size > 0 && (normal.size === 0 || this.normalInARow >= NORMAL_IN_A_ROW);
    const source = takeLow ? low : normal;
    const [first] = source;
    if (first === undefined) return undefined;
    this.normalInARow = takeLow ? 0 : this.normalInARow + 1;
    const [key, addedMs] = first;
    source.delete(key);
    this.processing.set(key, this.nowMs());
    this.metrics.taken(this.secondsSince(addedMs));
    return key;
  }

  /** One timer for all delayed keys, armed for the first. */
  private arm(): void {
    const dueMs = this.delayed.firstDueMs();
    if (dueMs === undefined || (this.timer !== undefined && this.timer.dueMs <= dueMs)) return;
    this.timer?.cancel();
    const wakeMs = Math.min(dueMs, this.nowMs() + MAX_TIMER_MS);
    const cancel = this.options.clock.schedule(() => this.wake(wakeMs), wakeMs - this.nowMs());
    this.timer = { dueMs: wakeMs, cancel };
  }

  private wake(wakeMs: number): void {
    this.timer = undefined;
    this.skewMs += Math.max(0, wakeMs - this.nowMs());
    for (let key = this.takeDue(); key !== undefined; key = this.takeDue()) this.add(key);
    this.arm();
  }

  private takeDue(): string | undefined {
    return this.delayed.takeDue(this.nowMs());
  }

  private nowMs(): number {
    return this.options.clock.now().getTime() + this.skewMs;
  }

  private secondsSince(ms: number): number {
    return Math.max(0, this.nowMs() - ms) / 1000;
  }

  private random(): number {
    return (this.options.random ?? Math.random)();
  }
}
