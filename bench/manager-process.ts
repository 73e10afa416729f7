// SPDX-License-Identifier: Apache-2.0
// The manager as a process of its own under its own role, and what can be seen of it from outside.
import { join } from 'node:path';
import type { APIServer } from '../hack/stack/api-server.ts';
import type { Stack } from '../hack/stack/build.ts';
import { httpStatus } from '../hack/stack/managers.ts';
import { freePort } from '../hack/stack/ports.ts';
import { pause, type Server, startServer } from '../hack/stack/process.ts';
import { PROVIDER_ACCOUNT } from '../hack/stack/provider.ts';
import { serviceAccountKubeconfig } from '../hack/stack/service-account.ts';
import { type Usage, usageOf } from './process-usage.ts';
import { growth, parseScrape, type Scrape } from './scrape.ts';

export interface ManagerOptions {
  readonly stack: Stack;
  readonly apiServer: APIServer;
  /** File with the instances of the in-memory backend. */
  readonly database: string;
  /** File with its program. */
  readonly program: string;
  readonly profileDir: string | undefined;
}

/** A manager that is starting or running. */
export interface ManagerProcess {
  readonly server: Server;
  /** When the process was started, milliseconds since the epoch. */
  readonly startedMs: number;
  /** Whether /readyz says so. */
  isReady(): Promise<boolean>;
  /** All metrics; `undefined` while nobody answers. */
  scrape(): Promise<Scrape | undefined>;
  usage(): Usage;
}

/** Starts it and returns at once. */
export async function startManager(options: ManagerOptions): Promise<ManagerProcess> {
  const { stack, apiServer } = options;
  const kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...PROVIDER_ACCOUNT });
  const address = `127.0.0.1:${await freePort()}`;
  const startedMs = Date.now();
  const server = startServer({
    name: 'ts-provider',
    binary: process.execPath,
    logFile: join(apiServer.dir, 'ts-provider.log'),
    args: [
      '--disable-warning=ExperimentalWarning',
      ...(options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`]),
      options.program,
      `--kubeconfig=${kubeconfig}`,
      `--in-memory-database=${options.database}`,
      `--health-addr=${address}`,
      `--metrics-addr=${address}`,
    ],
  });
  return {
    server,
    startedMs,
    isReady: async () => (await httpStatus(`http://${address}/readyz`).catch(() => 0)) === 200,
    async scrape() {
      const response = await fetch(`http://${address}/metrics`).catch(() => undefined);
      return response === undefined ? undefined : parseScrape(await response.text());
    },
    usage: () => usageOf(server.pid),
  };
}

/** Metrics of a manager that answers; throws with the end of its log when it does not. */
export async function mustScrape(manager: ManagerProcess): Promise<Scrape> {
  const scrape = await manager.scrape();
  if (scrape === undefined) throw new Error(`the manager does not answer\n${manager.server.tail()}`);
  return scrape;
}

/** Requests to API servers by verb and resource. `target` is `management` or `workload`. */
export function apiRequests(scrape: Scrape, target = 'management'): ReadonlyMap<string, number> {
  return scrape.by('ts_provider_api_requests_total', ['verb', 'resource'], { target });
}

const WRITES = ['create', 'patch', 'patch_status', 'delete'];

/** The writes among requests by verb and resource. */
export function writesOf(requests: ReadonlyMap<string, number>): number {
  return [...requests].reduce(
    (sum, [key, n]) => (WRITES.includes(key.split(' ')[0] ?? '') ? sum + n : sum),
    0,
  );
}

/** Reconciles of the machine controller that have ended. */
export function reconciles(scrape: Scrape): number {
  return scrape.sum('controller_runtime_reconcile_total', { controller: 'tsmachine' });
}

/** Milliseconds since the epoch at which something was first seen, or last. */
export interface Milestones {
  readonly readyMs: number;
  readonly firstReconcileMs: number;
  /** Each machine was reconciled at least once. */
  readonly allReconciledMs: number;
  /** The last request to the management API server before the quiet. */
  readonly lastManagementMs: number;
  /** The last request to a workload API server before the quiet. */
  readonly lastWorkloadMs: number;
  /** The longest time for which the event loop did nothing else, in milliseconds. */
  readonly longestPauseMs: number;
  /** The last scrape, taken when all was quiet. */
  readonly scrape: Scrape;
}

const LOOK_MS = 250;

export interface QuietOptions {
  readonly machines: number;
  /** Silence of this length is the end of the work. */
  readonly quietMs: number;
  readonly timeoutMs: number;
}

/** Watches a manager from its start until it has nothing to do any more. Throws after `timeoutMs`. */
export async function untilQuiet(manager: ManagerProcess, options: QuietOptions): Promise<Milestones> {
  const deadline = Date.now() + options.timeoutMs;
  const watch = new Watch(options);
  while (Date.now() < deadline) {
    if (!manager.server.running()) throw new Error(`the manager ended\n${manager.server.tail()}`);
    if (watch.readyMs === 0 && (await manager.isReady())) watch.readyMs = Date.now();
    const scrape = await manager.scrape();
    if (scrape !== undefined) watch.see(scrape, Date.now());
    if (scrape !== undefined && watch.isQuiet(scrape)) return { ...watch.milestones(), scrape };
    await pause(LOOK_MS);
  }
  throw new Error(
    `the manager was still at work after ${options.timeoutMs / 1000} s\n${manager.server.tail()}`,
  );
}

/** Remembers when counters moved. */
class Watch {
  readyMs = 0;
  private firstReconcileMs = 0;
  private allReconciledMs = 0;
  private readonly moved = new Map<string, { value: number; atMs: number }>();
  private longestPauseMs = 0;
  private readonly options: QuietOptions;

  constructor(options: QuietOptions) {
    this.options = options;
  }

  see(scrape: Scrape, nowMs: number): void {
    const done = reconciles(scrape);
    if (done > 0) this.firstReconcileMs ||= nowMs;
    if (done >= this.options.machines) this.allReconciledMs ||= nowMs;
    // The gauge begins anew with each scrape.
    const pauseMs = 1000 * scrape.sum('nodejs_eventloop_lag_max_seconds');
    this.longestPauseMs = Math.max(this.longestPauseMs, pauseMs);
    this.note('reconciles', done, nowMs);
    for (const target of ['management', 'workload'])
      this.note(target, scrape.sum('ts_provider_api_requests_total', { target }), nowMs);
  }

  isQuiet(scrape: Scrape): boolean {
    const last = Math.max(...Array.from(this.moved.values(), ({ atMs }) => atMs));
    const idle = scrape.sum('workqueue_depth') === 0 && Date.now() - last >= this.options.quietMs;
    return idle && this.readyMs > 0 && this.allReconciledMs > 0;
  }

  milestones() {
    const { readyMs, firstReconcileMs, allReconciledMs, longestPauseMs } = this;
    const at = (name: string) => this.moved.get(name)?.atMs ?? 0;
    const last = { lastManagementMs: at('management'), lastWorkloadMs: at('workload') };
    return { readyMs, firstReconcileMs, allReconciledMs, longestPauseMs, ...last };
  }

  private note(name: string, value: number, atMs: number): void {
    if (this.moved.get(name)?.value !== value) this.moved.set(name, { value, atMs });
  }
}

/** Requests between two scrapes by verb and resource. */
export function requestsBetween(before: Scrape, after: Scrape, target = 'management') {
  return growth(apiRequests(before, target), apiRequests(after, target));
}
