// SPDX-License-Identifier: Apache-2.0
import type { LeaderElector } from './leader-election.ts';
import type { Logger } from './logger.ts';
import { aborted, type Runnable } from './runnable.ts';

/** Something that listens. */
export interface Listener {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The part of the informers that the manager needs. */
export interface InformerSet {
  start(signal: AbortSignal): void;
  /** Resolves when every informer has its first list, or when `signal` aborts. */
  waitForSync(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

export interface ManagerOptions {
  readonly log: Logger;
  /** Ends the process at once; called when the lease is lost. */
  readonly exit: (code: number) => void;
  /** Health and metrics: up before all else and until the end, so that probes can tell starting from dead. */
  readonly listeners: readonly Listener[];
  readonly informers: InformerSet;
  /** Absent: this process leads without asking (`--leader-elect=false`). */
  readonly elector?: LeaderElector;
  /** Run by the leader, before the controllers start and until they have stopped: tickers, the event recorder. */
  readonly background?: readonly Runnable[];
  /** Run by the leader. */
  readonly controllers: readonly Runnable[];
}

/** Starts and stops the parts in order. */
export interface Manager {
  /**
   * Starts listeners, informers (waits for their sync), leader election, background, controllers. Resolves when all of it has stopped
   * after `stop`; rejects, also after an orderly stop, when a part could not start or failed.
   */
  run(): Promise<void>;
  /** Ends `run` wherever it is: controllers drain, then background, informers, the lease, listeners. May be called more than once. */
  stop(): void;
}

/** A manager for one life of the process. */
export function createManager(options: ManagerOptions): Manager {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  return {
    stop,
    async run() {
      const life = new Life(options, stopping);
      try {
        await life.bringUp();
        await aborted(stopping.signal);
      } catch (error) {
        life.fail(error);
      }
      await life.takeDown();
      life.throwIfFailed();
    },
  };
}

/** What has been started so far, and so what has to be stopped. */
class Life {
  private readonly options: ManagerOptions;
  private readonly stopping: AbortController;
  private readonly informersStop = new AbortController();
  private readonly listening: Listener[] = [];
  private background: Group | undefined;
  private controllers: Group | undefined;
  private informersStarted = false;
  private readonly failures: unknown[] = [];

  constructor(options: ManagerOptions, stopping: AbortController) {
    this.options = options;
    this.stopping = stopping;
  }

  async bringUp(): Promise<void> {
    const { log, listeners, informers, elector } = this.options;
    for (const listener of listeners) {
      await listener.start();
      this.listening.push(listener);
    }
    if (this.stopping.signal.aborted) return;
    this.informersStarted = true;
    informers.start(this.informersStop.signal);
    await informers.waitForSync(this.stopping.signal);
    if (this.stopping.signal.aborted) return;
    log.info('Caches are synced');
    if (elector !== undefined && !(await elector.acquire(this.stopping.signal, (why) => this.lost(why))))
      return;
    // Stopped in the very moment of winning: takeDown gives the lease back.
    if (this.stopping.signal.aborted) return;
    this.background = this.group(this.options.background ?? []);
    this.controllers = this.group(this.options.controllers);
  }

  /** Each step is taken whatever became of the one before. */
  async takeDown(): Promise<void> {
    this.options.log.info('Stopping');
    await this.step('controllers', () => this.controllers?.stop());
    await this.step('background', () => this.background?.stop());
    await this.step('informers', () => this.stopInformers());
    await this.step('lease', () => this.releaseLease());
    for (const listener of this.listening.reverse()) await this.step('listener', () => listener.stop());
    this.options.log.info('Stopped');
  }

  fail(error: unknown): void {
    this.failures.push(error);
  }

  throwIfFailed(): void {
    if (this.failures.length > 0) throw this.failures[0];
  }

  private group(runnables: readonly Runnable[]): Group {
    return new Group(runnables, (runnable, error) => {
      this.options.log.error(
        { runnable: runnable.name, err: error },
        'A part of the manager failed, stopping all',
      );
      this.fail(error);
      this.stopping.abort();
    });
  }

  private async stopInformers(): Promise<void> {
    this.informersStop.abort();
    if (this.informersStarted) await this.options.informers.stop();
  }

  /** Work that would not end may still act: then the next leader has to wait until the lease expires. */
  private async releaseLease(): Promise<void> {
    const unfinished = [...(this.controllers?.unfinished ?? []), ...(this.background?.unfinished ?? [])];
    if (unfinished.length === 0) return this.options.elector?.release();
    this.options.log.warn({ unfinished }, 'Work did not end, leaving the lease to expire');
  }

  /** No drain: somebody else may be working on the same objects from now on. */
  private lost(why: string): void {
    this.options.log.error({ why }, 'Lost the lease, exiting at once');
    this.options.exit(1);
  }

  private async step(name: string, run: () => Promise<void> | undefined): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.options.log.error({ step: name, err: error }, 'Cannot stop in order');
      this.fail(error);
    }
  }
}

/** Runnables that start and stop together. */
class Group {
  /** Names of those that would not end. */
  readonly unfinished: string[] = [];
  private readonly stopping = new AbortController();
  private readonly all: Promise<unknown>;

  constructor(runnables: readonly Runnable[], onFailure: (runnable: Runnable, error: unknown) => void) {
    this.all = Promise.all(
      runnables.map(async (runnable) => {
        try {
          await runnable.run(this.stopping.signal);
        } catch (error) {
          if (this.stopping.signal.aborted) this.unfinished.push(runnable.name);
          onFailure(runnable, error);
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.all;
  }
}
