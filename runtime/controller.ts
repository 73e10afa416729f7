// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { createBreather } from './breather.ts';
import type { Clock } from './clock.ts';
import type { Ctx } from './context.ts';
import { controllerMetrics, type ControllerMetrics, type ReconcileResult } from './controller-metrics.ts';
import { ApiError, errorMessage, isConflict, TerminalError, TransientError } from './errors.ts';
import type { Cache, InformerEvent } from './informer.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { keyOf, type Kind, type KubeObject, type ObjectName, parseKey } from './object.ts';
import type { Outcome } from './result.ts';
import { aborted, type Runnable } from './runnable.ts';
import { sleep } from './sleep.ts';
import { createWorkqueue, type Workqueue } from './workqueue.ts';

/** Level-triggered: gets a name, looks at the world, moves it a step. Throwing means back-off (errors.ts). */
export type Reconcile = (ctx: Ctx, name: ObjectName) => Promise<Outcome>;

/** One watched kind and which objects of the controller's own kind an event concerns. Events carry no payload further. */
export interface WatchMapping<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  // A method, so that a mapping of one kind fits into a list of mappings of any kind.
  map(event: InformerEvent<T>): readonly ObjectName[];
}

/** A controller before the manager runs it. */
export interface ControllerSpec {
  /** Lower case, as in metrics and logs: `tsmachine`. */
  readonly name: string;
  readonly reconcile: Reconcile;
  /** The first is the controller's own kind, which its log lines name. */
  readonly watches: readonly WatchMapping[];
  /** Reconciles at once, default 10. */
  readonly concurrency?: number;
}

/** The part of the informers that a controller needs. */
export interface EventSource {
  readonly cache: Pick<Cache, 'list'>;
  addHandler(kind: Kind, handler: (event: InformerEvent<KubeObject>) => void): void;
}

/** A controller that the manager runs. */
export interface Controller extends Runnable {
  /**
   * Looks at this object soon, because something that no watch sees has changed. Without effect before `run`, which begins with all
   * objects, and after the stop.
   */
  wake(name: ObjectName): void;
}

export interface ControllerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly informers: EventSource;
  /** From 0 up to 1; Math.random when absent. */
  readonly random?: () => number;
}

const DEFAULT_CONCURRENCY = 10;

/** A reconcile that has not ended by then is told to: it holds a worker and its key. */
const RECONCILE_TIMEOUT_MS = 60_000;

/** How long reconciles may go on after the stop: within the 30 s that Kubernetes gives a Pod. */
const DRAIN_MS = 20_000;

/** How long a reconcile may take to notice that its signal was aborted. */
const ABORT_GRACE_MS = 2_000;

/** Nothing but a new spec, a mended Secret or a person helps. A new spec wakes the key at once; Secrets are not watched and wait for this. */
const TERMINAL_RETRY_MS = 600_000;

/** A wait that was computed from deadlines may come out as 0, less, or not a number; it must not become a hot loop. */
const MIN_WAIT_MS = 100;

/** Spreads out what waits for the same thing. */
const JITTER = 0.2;

/**
 * A runnable that takes keys from its watches to `spec.reconcile`, one reconcile per key at a time. Attach it before the informers
 * start: it begins with all objects that are cached when it is run, behind changes that come in meanwhile.
 */
export function createController(spec: ControllerSpec, deps: ControllerDeps): Controller {
  return new QueueController(spec, deps);
}

/** How a reconcile ended: its answer, or its error in classes that are treated differently. */
type Ending =
  | Outcome
  | { readonly kind: 'conflict'; readonly error: unknown }
  | { readonly kind: 'terminal'; readonly error: TerminalError }
  | { readonly kind: 'failed'; readonly error: unknown };

class QueueController implements Controller {
  readonly name: string;
  private readonly spec: ControllerSpec;
  private readonly deps: ControllerDeps;
  private readonly log: Logger;
  private readonly queue: Workqueue;
  private readonly metrics: ControllerMetrics;
  private readonly breathe = createBreather();
  private readonly inFlight = new Map<string, AbortController>();
  // The message of each key's last terminal error: told once, not every ten minutes.
  private readonly toldTerminal = new Map<string, string>();
  private running = false;

  constructor(spec: ControllerSpec, deps: ControllerDeps) {
    this.name = spec.name;
    this.spec = spec;
    this.deps = deps;
    this.log = deps.log.child({ controller: spec.name });
    this.queue = createWorkqueue({ ...deps, name: spec.name });
    this.metrics = controllerMetrics(deps.metrics, spec.name, this.concurrency);
    for (const watch of spec.watches) {
      deps.informers.addHandler(watch.kind, (event) => {
        // A standby's queue would only grow: run() begins with everything that is cached.
        if (this.running) this.enqueue(watch, event, 'normal');
      });
    }
  }

  wake(name: ObjectName): void {
    if (this.running) this.queue.add(keyOf(name));
  }

  async run(signal: AbortSignal): Promise<void> {
    this.running = true;
    this.enqueueAll();
    this.log.info({ workers: this.concurrency, keys: this.queue.length }, 'Starting controller');
    const workers = Promise.all(Array.from({ length: this.concurrency }, () => this.work(signal)));
    await aborted(signal);
    this.queue.shutDown();
    await this.drain(workers);
    this.log.info('Stopped controller');
  }

  private get concurrency(): number {
    return this.spec.concurrency ?? DEFAULT_CONCURRENCY;
  }

  private enqueueAll(): void {
    for (const watch of this.spec.watches) {
      for (const object of this.deps.informers.cache.list(watch.kind)) {
        this.enqueue(watch, { type: 'add', object }, 'low');
      }
    }
  }

  private enqueue(watch: WatchMapping, event: InformerEvent<KubeObject>, priority: 'normal' | 'low'): void {
    try {
      for (const name of watch.map(event)) this.queue.add(keyOf(name), priority);
    } catch (error) {
      // A mapping that chokes on one object must not cost the others their events.
      const about = { kind: watch.kind.kind, object: event.object.metadata.name, err: error };
      this.log.error(about, 'Cannot tell whom an event concerns');
    }
  }

  private async work(signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.get(signal); key !== undefined; key = await this.queue.get(signal)) {
      await this.process(key);
      this.queue.done(key);
      await this.breathe();
    }
  }

  private async process(key: string): Promise<void> {
    const own = this.spec.watches[0]?.kind.kind ?? 'object';
    const log = this.log.child({ reconcileID: randomUUID(), [own]: key });
    const startedMs = this.deps.clock.now().getTime();
    this.metrics.started();
    const ending = await this.reconcile(key, log);
    const result = this.settle(key, ending, log);
    this.metrics.finished(result, Math.max(0, this.deps.clock.now().getTime() - startedMs) / 1000);
  }

  /** Never throws. */
  private async reconcile(key: string, log: Logger): Promise<Ending> {
    const abort = new AbortController();
    const cancel = this.deps.clock.schedule(() => {
      abort.abort(new TransientError(`the reconcile took longer than ${RECONCILE_TIMEOUT_MS / 1000} s`));
    }, RECONCILE_TIMEOUT_MS);
    this.inFlight.set(key, abort);
    try {
      return await this.spec.reconcile({ signal: abort.signal, log, clock: this.deps.clock }, parseKey(key));
    } catch (error) {
      return classify(error);
    } finally {
      cancel();
      this.inFlight.delete(key);
    }
  }

  /** What the queue does next, and the only log line about how a reconcile ended. */
  private settle(key: string, ending: Ending, log: Logger): ReconcileResult {
    if (ending.kind === 'done' || ending.kind === 'wait') this.toldTerminal.delete(key);
    switch (ending.kind) {
      case 'done':
        this.queue.forget(key);
        log.debug('Reconciled');
        return 'success';
      case 'wait':
        this.queue.forget(key);
        this.queue.addAfter(key, this.jittered(ending.ms >= MIN_WAIT_MS ? ending.ms : MIN_WAIT_MS));
        log.debug({ ms: ending.ms, reason: ending.reason }, 'Waiting');
        return 'requeue_after';
      case 'conflict':
        this.queue.addRateLimited(key);
        log.debug({ error: errorMessage(ending.error) }, 'The object has changed meanwhile, trying again');
        return 'requeue';
      case 'terminal':
        this.queue.forget(key);
        this.queue.addAfter(key, this.jittered(TERMINAL_RETRY_MS));
        this.tellTerminal(key, ending.error, log);
        return 'error';
      case 'failed':
        this.backOff(key, ending.error, log);
        return 'error';
    }
  }

  private tellTerminal(key: string, error: TerminalError, log: Logger): void {
    this.metrics.terminal();
    const message = `${error.reason}: ${errorMessage(error)}`;
    if (this.toldTerminal.get(key) === message) return;
    this.toldTerminal.set(key, message);
    log.error(
      { reason: error.reason, error: errorMessage(error) },
      'Reconcile failed and will not heal alone',
    );
  }

  private backOff(key: string, error: unknown, log: Logger): void {
    this.toldTerminal.delete(key);
    const retryAfterMs = this.jittered(retryAfterOf(error));
    const retryMs = this.queue.addRateLimited(key, retryAfterMs);
    const about = { retries: this.queue.retries(key), retryMs };
    // Errors of a known class say all there is in their message; for others the place in the code matters.
    const known = error instanceof TransientError || error instanceof ApiError;
    log.warn(
      { ...about, ...(known ? { error: errorMessage(error) } : { err: error }) },
      'Reconcile failed, trying again',
    );
  }

  /** Lets reconciles end by themselves, then tells them to, and rejects when some do not even then. */
  private async drain(workers: Promise<unknown>): Promise<void> {
    const finished = new AbortController();
    const ended = workers.then(() => finished.abort());
    await sleep(this.deps.clock, DRAIN_MS, finished.signal);
    if (finished.signal.aborted) return ended;
    this.log.warn({ keys: [...this.inFlight.keys()] }, 'Reconciles did not end in time, aborting them');
    for (const abort of this.inFlight.values()) abort.abort(new TransientError('the manager stops'));
    await sleep(this.deps.clock, ABORT_GRACE_MS, finished.signal);
    if (finished.signal.aborted) return ended;
    throw new Error(`controller ${this.name}: still reconciling ${[...this.inFlight.keys()].join(', ')}`);
  }

  private jittered(ms: number): number {
    return Math.round(ms * (1 + JITTER * (this.deps.random ?? Math.random)()));
  }
}

function classify(error: unknown): Ending {
  if (isConflict(error)) return { kind: 'conflict', error };
  if (error instanceof TerminalError) return { kind: 'terminal', error };
  return { kind: 'failed', error };
}

function retryAfterOf(error: unknown): number {
  return error instanceof TransientError || error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
}
