// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../runtime/context.ts';
import { ApiError, errorMessage, TerminalError, TransientError } from '../../runtime/errors.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
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
    const outcome = await Promise.race([work(ctx, job, deps), aborted(ctx.signal)]);
    if (outcome.kind === 'done') return outcome;
    const afterMs = Math.min(outcome.ms * 2 ** (job.attempt - 1), WAIT_MAX_MS);
    return { kind: 'retry', afterMs, message: outcome.reason };
  } catch (error) {
    return failure(ctx, job, error);
  }
}

async function work(ctx: Ctx, job: GuestJob, deps: GuestWorkDeps): Promise<Outcome> {
  // Read first: broken bootstrap data is worth to know before the cluster answers.
  const boot = job.work === 'bringUp' ? firstBoot(job) : undefined;
  const { instance } = job;
  const api = await deps.workloads.connect(ctx, instance);
  switch (job.work) {
    case 'bringUp':
      if (api === undefined || boot === undefined) {
        return waitFor(WAIT_MS, `Waiting for the kubeconfig of cluster ${instance.clusterName}`);
      }
      // From here on there may be traces in the cluster: their name must be known before.
      if (!deps.recordNode(job, boot.nodeName)) return done();
      return bringUp(ctx, { api, boot, instance });
    case 'lost':
      if (api !== undefined) await markNodeLost(ctx, api, instance);
      return done();
    case 'leave':
      if (api !== undefined) await leaveCluster(ctx, api, instance);
      return done();
  }
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
  if (job.work !== 'bringUp' && job.attempt >= CLEAN_UP_ATTEMPTS) {
    ctx.log.warn({ err: error }, 'Gave up cleaning up after a simulated machine');
    return { kind: 'done' };
  }
  const level = job.attempt > QUIET_ATTEMPTS ? 'warn' : 'debug';
  ctx.log[level]({ err: error, attempt: job.attempt }, 'Guest work failed; it is tried again');
  const asked = error instanceof TransientError || error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  const backoffMs = Math.min(WAIT_MS * 2 ** (job.attempt - 1), RETRY_MAX_MS);
  return { kind: 'retry', afterMs: Math.max(backoffMs, asked), message };
}

/** Rejects when the signal aborts, so that a request without a signal of its own cannot hold a guest's place. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
