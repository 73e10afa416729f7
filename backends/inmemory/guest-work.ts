// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../runtime/context.ts';
import { ApiError, errorMessage, TerminalError, TransientError } from '../../runtime/errors.ts';
import { done, type Outcome } from '../../runtime/result.ts';
import { type FirstBoot, readFirstBoot } from './bootstrap-data.ts';
import type { JobResult } from './cloud.ts';
import { bringUp, leaveCluster, markNodeLost } from './guest.ts';
import type { GuestJob } from './instance.ts';
import type { Workloads } from './workload.ts';

const WAIT_MS = 500;
const WAIT_MAX_MS = 5_000;
const RETRY_MAX_MS = 60_000;
/** An API server that is not up yet is the normal case at a first boot: the first failures are not worth a warning. */
const QUIET_ATTEMPTS = 3;
/** A cluster that is being deleted takes its API server with it: then there is nothing to clean up. */
const CLEAN_UP_ATTEMPTS = 10;

/** What guest work needs from its surroundings. */
export interface GuestWorkDeps {
  readonly workloads: Workloads;
  /** Remembers the name under which the guest joins; false when the job is not ours any more. */
  readonly recordNode: (job: GuestJob, nodeName: string) => boolean;
}

/** Does one piece of guest work and says how it ended. Never rejects. */
export async function doGuestWork(ctx: Ctx, job: GuestJob, deps: GuestWorkDeps): Promise<JobResult> {
  try {
    const outcome = await orAborted(ctx.signal, work(ctx, job, deps));
    if (outcome === undefined) return withoutKubeconfig(ctx, job);
    if (outcome.kind === 'done') return outcome;
    return { kind: 'retry', afterMs: waitMs(outcome.ms, job), message: outcome.reason };
  } catch (error) {
    return failure(ctx, job, error);
  }
}

/** `undefined` when this management cluster has no kubeconfig of the workload cluster. */
async function work(ctx: Ctx, job: GuestJob, deps: GuestWorkDeps): Promise<Outcome | undefined> {
  // Read first: broken bootstrap data is worth to know before the cluster answers.
  const boot = job.work === 'bringUp' ? firstBoot(job) : undefined;
  const { instance } = job;
  const api = await deps.workloads.connect(ctx, instance);
  if (api === undefined) return undefined;
  if (boot !== undefined) {
    // From here on there may be traces in the cluster: their name must be known before.
    return deps.recordNode(job, boot.nodeName) ? bringUp(ctx, { api, boot, instance }) : done();
  }
  if (job.work === 'lost') await markNodeLost(ctx, api, instance);
  else await leaveCluster(ctx, api, instance);
  return done();
}

/**
 * Not here yet, or not here any more: a cloud may be shared by several management clusters, and the cluster may have moved
 * to another one. Who has the kubeconfig goes on.
 */
function withoutKubeconfig(ctx: Ctx, job: GuestJob): JobResult {
  const { clusterName } = job.instance;
  if (isLastAttempt(job)) {
    ctx.log.info(`Gave up cleaning up after a simulated machine: cluster ${clusterName} has no kubeconfig`);
    return { kind: 'done' };
  }
  const message = `Waiting for the kubeconfig of cluster ${clusterName}`;
  return { kind: 'retry', afterMs: waitMs(WAIT_MS, job), message, letOthersTry: true };
}

/** An instance that is to come up is tried for as long as it lives. */
function isLastAttempt({ work, attempt }: GuestJob): boolean {
  return work !== 'bringUp' && attempt >= CLEAN_UP_ATTEMPTS;
}

function waitMs(firstMs: number, { attempt }: GuestJob): number {
  return Math.min(firstMs * 2 ** (attempt - 1), WAIT_MAX_MS);
}

function firstBoot({ instance, bootstrapData }: GuestJob): FirstBoot {
  if (bootstrapData === undefined) {
    throw new TerminalError('BootstrapDataInvalid', 'The instance has no bootstrap data');
  }
  const { id: instanceID, name: hostname, providerID } = instance;
  return readFirstBoot(bootstrapData, { hostname, instanceID, providerID });
}

function failure(ctx: Ctx, job: GuestJob, error: unknown): JobResult {
  const message = errorMessage(error);
  // A kubeconfig can be mended, bootstrap data cannot: the machine has them already.
  if (error instanceof TerminalError && error.reason === 'BootstrapDataInvalid') {
    return { kind: 'failed', message: `The first boot failed: ${message}` };
  }
  if (isLastAttempt(job)) {
    ctx.log.warn({ err: error }, 'Gave up cleaning up after a simulated machine');
    return { kind: 'done' };
  }
  const level = job.attempt > QUIET_ATTEMPTS ? 'warn' : 'debug';
  ctx.log[level]({ err: error, attempt: job.attempt }, 'Guest work failed; it is tried again');
  const asked = error instanceof TransientError || error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  const backoffMs = Math.min(WAIT_MS * 2 ** (job.attempt - 1), RETRY_MAX_MS);
  return { kind: 'retry', afterMs: Math.max(backoffMs, asked), message };
}

/**
 * The work, or a rejection when the signal aborts, so that a request without a signal of its own cannot hold a guest's place. The
 * listener goes with the work: it would keep all of this alive as long as the signal lives.
 */
async function orAborted<T>(signal: AbortSignal, running: Promise<T>): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([running, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
