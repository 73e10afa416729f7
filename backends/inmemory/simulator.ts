// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import type { InMemoryCloud } from './cloud.ts';
import { doGuestWork } from './guest-work.ts';
import type { GuestJob } from './instance.ts';
import type { Workloads } from './workload.ts';

export interface SimulatorOptions {
  readonly cloud: InMemoryCloud;
  readonly workloads: Workloads;
  readonly clock: Clock;
  /** Guests at work at once, default 40; half of them may be of one cluster. */
  readonly concurrency?: number;
}

/** Lets simulated machines live. Run by one ticker of the leader, about once a second. */
export interface Simulator {
  /** Lets time pass in the cloud and starts the guest work that is due. Does not wait for guests. */
  tick(ctx: Ctx): Promise<void>;
  /** Waits for the guests that are at work. */
  idle(): Promise<void>;
  /** Cuts the guests at work off and waits for them; whoever ticks next goes on with them. */
  stop(): Promise<void>;
}

const CONCURRENCY = 40;
/** A guest whose API server hangs gives its place up after this long. */
const GUEST_DEADLINE_MS = 20_000;
/** Longer than a guest's deadline and one request that outlives it: nobody takes over work that may still be going on. */
const LEASE_MS = 60_000;

/** Many managers may simulate one cloud: guest work is leased in the database, so that no two bring up the same guest. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const { cloud, workloads, clock } = options;
  const owner = randomUUID();
  const atWork = new Set<Promise<void>>();
  const stopping = new AbortController();
  const concurrency = options.concurrency ?? CONCURRENCY;
  const perCluster = Math.ceil(concurrency / 2);

  return {
    async tick(ctx) {
      cloud.advance();
      cloud.flush();
      if (stopping.signal.aborted) return;
      const jobs = cloud.claim({ owner, limit: concurrency - atWork.size, perCluster, leaseMs: LEASE_MS });
      for (const job of jobs) start(ctx, job);
    },
    idle,
    async stop() {
      stopping.abort(new TransientError('The manager stops'));
      await idle();
    },
  };

  async function idle(): Promise<void> {
    while (atWork.size > 0) await Promise.all(atWork);
  }

  function start(ctx: Ctx, job: GuestJob): void {
    const running = run(ctx, job).finally(() => atWork.delete(running));
    atWork.add(running);
  }

  async function run(ctx: Ctx, job: GuestJob): Promise<void> {
    const { namespace, name, providerID } = job.instance;
    const log = ctx.log.child({ TSMachine: `${namespace}/${name}`, providerID, guestWork: job.work });
    // The tick's own signal ends with the tick: a guest has a deadline of its own.
    const deadline = new AbortController();
    const late = new TransientError(`The API server did not answer within ${GUEST_DEADLINE_MS / 1000} s`);
    const cancel = clock.schedule(() => deadline.abort(late), GUEST_DEADLINE_MS);
    const signal = AbortSignal.any([deadline.signal, stopping.signal]);
    const recordNode = (of: GuestJob, nodeName: string): boolean => cloud.recordNode(of, owner, nodeName);
    try {
      const result = await doGuestWork({ ...ctx, log, signal }, job, { workloads, recordNode });
      cloud.settle(job, owner, result);
      log.debug({ result: result.kind }, 'Guest work ended');
    } catch (error) {
      // Only the database can have failed. The lease runs out, and somebody starts again.
      log.error({ err: error }, 'Guest work could not be recorded');
    } finally {
      cancel();
    }
  }
}
