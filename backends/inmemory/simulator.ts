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

/** Lets simulated machines live. Run by one ticker of the leader, five times a second (main.ts). */
export interface Simulator {
  /** Lets time pass in the cloud, holds on to the guests at work and starts the work that is due. Does not wait for guests. */
  tick(ctx: Ctx): Promise<void>;
  /** Waits for the guests that are at work. */
  idle(): Promise<void>;
  /** Cuts the guests at work off and waits for them; whoever ticks next goes on with them. Then the cloud may be closed. */
  stop(): Promise<void>;
}

const CONCURRENCY = 40;
/** A guest whose API server hangs gives its place up after this long. */
const GUEST_DEADLINE_MS = 20_000;
/** What a process that was killed had at work waits for so long. Each tick prolongs it: nobody takes over work that goes on. */
const LEASE_MS = 5_000;
/** Guests let go so long before their lease ends, when no tick has prolonged it. */
const LEASE_MARGIN_MS = 1_000;

/** A guest that does its work. */
interface Guest {
  readonly instanceID: string;
  /** One for each guest: a signal that lives longer than the guests would keep all of them in memory. */
  readonly cutOff: AbortController;
}

/** Many managers may simulate one cloud: guest work is leased in the database, so that no two bring up the same guest. */
export function createSimulator(options: SimulatorOptions): Simulator {
  return new LeasingSimulator(options);
}

class LeasingSimulator implements Simulator {
  private readonly options: SimulatorOptions;
  private readonly owner = randomUUID();
  private readonly atWork = new Map<Guest, Promise<void>>();
  private readonly concurrency: number;
  private disarmLeaseEnd = (): void => undefined;
  private stopped = false;

  constructor(options: SimulatorOptions) {
    this.options = options;
    this.concurrency = options.concurrency ?? CONCURRENCY;
  }

  async tick(ctx: Ctx): Promise<void> {
    if (this.stopped) return;
    const { cloud } = this.options;
    this.prolongLeases();
    cloud.advance();
    cloud.flush();
    const jobs = cloud.claim({
      owner: this.owner,
      limit: this.concurrency - this.atWork.size,
      perCluster: Math.ceil(this.concurrency / 2),
      leaseMs: LEASE_MS,
    });
    for (const job of jobs) this.start(ctx, job);
    this.armLeaseEnd();
  }

  async idle(): Promise<void> {
    while (this.atWork.size > 0) await Promise.all(this.atWork.values());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.disarmLeaseEnd();
    this.cutOff('The manager stops');
    await this.idle();
  }

  private prolongLeases(): void {
    if (this.atWork.size === 0) return;
    const ids = [...this.atWork.keys()].map((guest) => guest.instanceID);
    const held = this.options.cloud.prolong(this.owner, ids, LEASE_MS);
    this.armLeaseEnd();
    this.cutOff('Somebody else has taken the work over', (guest) => !held.has(guest.instanceID));
  }

  /** Should ticks stay away or fail, the guests must have let go before others may take over. */
  private armLeaseEnd(): void {
    this.disarmLeaseEnd();
    if (this.atWork.size === 0) return;
    const lapse = (): void => this.cutOff('The simulator was held up');
    this.disarmLeaseEnd = this.options.clock.schedule(lapse, LEASE_MS - LEASE_MARGIN_MS);
  }

  private cutOff(why: string, which: (guest: Guest) => boolean = () => true): void {
    for (const guest of this.atWork.keys()) if (which(guest)) guest.cutOff.abort(new TransientError(why));
  }

  private start(ctx: Ctx, job: GuestJob): void {
    const guest: Guest = { instanceID: job.instance.id, cutOff: new AbortController() };
    const running = this.run(ctx, job, guest.cutOff).finally(() => this.atWork.delete(guest));
    this.atWork.set(guest, running);
  }

  private async run(ctx: Ctx, job: GuestJob, cutOff: AbortController): Promise<void> {
    const { cloud, clock, workloads } = this.options;
    const { namespace, name, providerID } = job.instance;
    const log = ctx.log.child({ TSMachine: `${namespace}/${name}`, providerID, guestWork: job.work });
    // The tick's own signal ends with the tick: a guest has a deadline of its own.
    const late = new TransientError(`The API server did not answer within ${GUEST_DEADLINE_MS / 1000} s`);
    const cancel = clock.schedule(() => cutOff.abort(late), GUEST_DEADLINE_MS);
    const recordNode = (of: GuestJob, nodeName: string): boolean =>
      cloud.recordNode(of, this.owner, nodeName);
    try {
      const guestCtx = { ...ctx, log, signal: cutOff.signal };
      const result = await doGuestWork(guestCtx, job, { workloads, recordNode });
      cloud.settle(job, this.owner, result);
      log.debug({ result: result.kind }, 'Guest work ended');
    } catch (error) {
      // Only the database can have failed. The lease runs out, and somebody starts again.
      log.error({ err: error }, 'Guest work could not be recorded');
    } finally {
      cancel();
    }
  }
}
