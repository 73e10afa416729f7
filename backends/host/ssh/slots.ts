// SPDX-License-Identifier: Apache-2.0

/** A doubtful holder is one that hung or failed last time: such holders share a part of the slots, so that others are not delayed. */
export type Lane = 'usual' | 'doubtful';

export interface SlotLimits {
  readonly total: number;
  /** How many of them doubtful holders may have; a quarter when absent, and never less than one. */
  readonly doubtful?: number;
}

interface Waiter {
  readonly lane: Lane;
  readonly admit: () => void;
}

/** A bounded number of slots. Whoever waits is served in turn, within its lane. */
export class Slots {
  private readonly total: number;
  private readonly doubtful: number;
  private readonly held: Record<Lane, number> = { usual: 0, doubtful: 0 };
  private readonly queue: Waiter[] = [];

  constructor(limits: SlotLimits) {
    this.total = limits.total;
    this.doubtful = limits.doubtful ?? Math.max(1, Math.floor(limits.total / 4));
  }

  get inUse(): number {
    return this.held.usual + this.held.doubtful;
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** Somebody waits who could be served if one more slot were free. */
  get short(): boolean {
    return this.queue.some((waiter) => this.withinLane(waiter.lane));
  }

  /** Takes a slot; the function that is answered gives it back, once. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal, lane: Lane = 'usual'): Promise<() => void> {
    signal.throwIfAborted();
    const behind = this.queue.some((waiter) => waiter.lane === lane);
    if (!behind && this.fits(lane)) return this.take(lane);
    return await new Promise((resolve, reject) => {
      const onAbort = () => {
        this.queue.splice(this.queue.indexOf(waiter), 1);
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        lane,
        admit: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.take(lane));
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.queue.push(waiter);
    });
  }

  private take(lane: Lane): () => void {
    this.held[lane]++;
    let holding = true;
    return () => {
      if (!holding) return;
      holding = false;
      this.held[lane]--;
      this.serve();
    };
  }

  private serve(): void {
    for (;;) {
      const index = this.queue.findIndex((waiter) => this.fits(waiter.lane));
      const [waiter] = index < 0 ? [] : this.queue.splice(index, 1);
      if (waiter === undefined) return;
      waiter.admit();
    }
  }

  private fits(lane: Lane): boolean {
    return this.inUse < this.total && this.withinLane(lane);
  }

  private withinLane(lane: Lane): boolean {
    return lane === 'usual' || this.held.doubtful < this.doubtful;
  }
}
