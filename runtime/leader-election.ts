// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Client } from './client.ts';
import type { Clock } from './clock.ts';
import { errorMessage, isAlreadyExists, isConflict, isNotFound, TransientError } from './errors.ts';
import type { Logger } from './logger.ts';
import { gauge, type Metrics } from './metrics.ts';
import { type Kind, keyOf, type KubeObject, type ObjectName } from './object.ts';
import { sleep } from './sleep.ts';

/** The part of `coordination.k8s.io/v1` Lease that leader election uses. Times are RFC 3339 with microseconds. */
export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

const LEASE: Kind<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

/** At most one holder at a time, as long as clocks of different machines run at about the same speed; they may differ. */
export interface LeaderElector {
  /**
   * Waits for the lease and keeps renewing it. `false` when `signal` aborted before it was ours. `onLost` is called once with the
   * reason when it is lost afterwards: somebody else may lead at that moment.
   */
  acquire(signal: AbortSignal, onLost: (why: string) => void): Promise<boolean>;
  isLeader(): boolean;
  /** Ends renewing and lets the next one in without waiting. Never rejects: an unreleased lease expires. */
  release(): Promise<void>;
}

export interface LeaderElectionOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'patch'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly lease: ObjectName;
  /** Default: host name and a random part, so that a restarted process never takes itself for its predecessor. */
  readonly identity?: string;
  /** How long others wait after the last renewal they saw. Default 15 s. */
  readonly leaseDurationMs?: number;
  /** Without a renewal for so long the lease counts as lost. Must be shorter than the lease duration. Default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Default 2 s. */
  readonly retryMs?: number;
  /** From 0 up to 1; Math.random when absent. */
  readonly random?: () => number;
}

/** Leader election on one Lease. */
export function createLeaderElector(options: LeaderElectionOptions): LeaderElector {
  return new LeaseElector(options);
}

/** A call to an API server that does not answer must leave time for another one before the deadline. */
const TRY_SHARE_OF_DEADLINE = 0.5;

class LeaseElector implements LeaderElector {
  private readonly options: LeaderElectionOptions;
  private readonly log: Logger;
  private readonly identity: string;
  private readonly leaseDurationMs: number;
  private readonly renewDeadlineMs: number;
  private readonly retryMs: number;

  private leading = false;
  /** Of our last write: the guard of the next one. */
  private resourceVersion = '';
  private onLost: (why: string) => void = () => undefined;
  private stopRenewing = new AbortController();
  private renewing: Promise<void> = Promise.resolve();
  private cancelDeadline: () => void = () => undefined;

  /** What others' lease said last, and whether it stayed like that for its whole duration, by our own timer. */
  private observed = '';
  private expired = false;
  private cancelExpiry: () => void = () => undefined;
  private lastTrouble = '';

  constructor(options: LeaderElectionOptions) {
    this.options = options;
    this.identity = options.identity ?? `${hostname()}_${randomUUID()}`;
    this.leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.retryMs = options.retryMs ?? 2_000;
    if (this.renewDeadlineMs >= this.leaseDurationMs || this.retryMs >= this.renewDeadlineMs) {
      throw new RangeError('Leader election needs: retry < renew deadline < lease duration');
    }
    this.log = options.log.child({ Lease: keyOf(options.lease), identity: this.identity });
    this.report();
  }

  isLeader(): boolean {
    return this.leading;
  }

  async acquire(signal: AbortSignal, onLost: (why: string) => void): Promise<boolean> {
    this.onLost = onLost;
    this.log.info('Waiting for the lease');
    while (!signal.aborted) {
      const disarm = this.armDeadline();
      if (await this.attempt((trySignal) => this.tryAcquire(trySignal))) {
        this.beginLeading(disarm);
        return true;
      }
      disarm();
      await sleep(this.options.clock, this.retryMs * (1 + 0.2 * this.random()), signal);
    }
    this.cancelExpiry();
    return false;
  }

  async release(): Promise<void> {
    if (!this.leading) return;
    // All work has ended: losing the lease now hurts nobody.
    this.onLost = () => undefined;
    this.stopRenewing.abort();
    await this.renewing;
    // Lost while the last renewal was under way: it is not ours to give.
    if (!this.isLeader()) return;
    this.endLeading();
    const given = await this.attempt(async (signal) => {
      if (
        await this.writeGuarded(
          { holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.now() },
          signal,
        )
      )
        return true;
      // Somebody touched the lease since our last write; once more if it is still ours.
      if ((await this.resync(signal)) !== 'ours') return true;
      return this.writeGuarded(
        { holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.now() },
        signal,
      );
    });
    this.log.info(given ? 'Released the lease' : 'Could not release the lease, it will expire');
  }

  /** Starts with a deadline that was armed before the call that got us the lease. */
  private beginLeading(disarm: () => void): void {
    this.cancelExpiry();
    this.cancelDeadline = disarm;
    this.leading = true;
    this.report();
    this.log.info('Acquired the lease');
    this.stopRenewing = new AbortController();
    this.renewing = this.renew(this.stopRenewing.signal);
  }

  private endLeading(): void {
    this.leading = false;
    this.cancelDeadline();
    this.stopRenewing.abort();
    this.report();
  }

  private lose(why: string): void {
    if (!this.leading) return;
    this.endLeading();
    this.onLost(why);
  }

  /** Whether the lease is ours now. */
  private async tryAcquire(signal: AbortSignal): Promise<boolean> {
    const lease = await this.options.client.get(LEASE, this.options.lease, signal);
    if (lease === undefined) return this.create(signal);
    this.observe(lease);
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== '' && holder !== this.identity && !this.expired) return false;
    return this.takeOver(lease, signal);
  }

  private takeOver(lease: Lease, signal: AbortSignal): Promise<boolean> {
    this.resourceVersion = lease.metadata.resourceVersion ?? '';
    const changesHands = lease.spec?.holderIdentity !== this.identity;
    const leaseTransitions = (lease.spec?.leaseTransitions ?? 0) + (changesHands ? 1 : 0);
    const now = this.now();
    return this.writeGuarded({ ...this.claim(now), acquireTime: now, leaseTransitions }, signal);
  }

  /** Two clocks are never compared: a lease expires when it did not change for its duration while we were watching. */
  private observe(lease: Lease): void {
    const record = JSON.stringify(lease.spec ?? {});
    if (record === this.observed) return;
    this.observed = record;
    this.expired = false;
    this.cancelExpiry();
    const seconds = lease.spec?.leaseDurationSeconds;
    const durationMs = seconds === undefined ? this.leaseDurationMs : seconds * 1000;
    this.cancelExpiry = this.options.clock.schedule(() => (this.expired = true), durationMs);
  }

  private async renew(stop: AbortSignal): Promise<void> {
    await sleep(this.options.clock, this.retryMs, stop);
    while (!stop.aborted) {
      const disarm = this.armDeadline();
      const renewed = await this.attempt((signal) => this.renewOnce(signal));
      if (renewed && this.leading) {
        this.cancelDeadline();
        this.cancelDeadline = disarm;
      } else disarm();
      await sleep(this.options.clock, this.retryMs, stop);
    }
  }

  private async renewOnce(signal: AbortSignal): Promise<boolean> {
    if (await this.writeGuarded(this.claim(this.now()), signal)) return true;
    const standing = await this.resync(signal);
    if (standing === 'free') return this.create(signal);
    if (standing === 'ours') return this.writeGuarded(this.claim(this.now()), signal);
    this.lose(`${standing.holder} holds it now`);
    return false;
  }

  /** Looks whose the lease is after a write was refused. */
  private async resync(signal: AbortSignal): Promise<'ours' | 'free' | { readonly holder: string }> {
    const lease = await this.options.client.get(LEASE, this.options.lease, signal);
    if (lease === undefined) return 'free';
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== this.identity) return { holder: holder === '' ? 'nobody' : holder };
    this.resourceVersion = lease.metadata.resourceVersion ?? '';
    return 'ours';
  }

  private claim(renewTime: string): NonNullable<Lease['spec']> {
    return {
      holderIdentity: this.identity,
      leaseDurationSeconds: Math.ceil(this.leaseDurationMs / 1000),
      renewTime,
    };
  }

  /** `false` when somebody else was faster. */
  private async create(signal: AbortSignal): Promise<boolean> {
    const now = this.now();
    const lease: Lease = {
      apiVersion: LEASE.apiVersion,
      kind: LEASE.kind,
      metadata: { ...this.options.lease },
      spec: { ...this.claim(now), acquireTime: now, leaseTransitions: 0 },
    };
    try {
      this.remember(await this.options.client.create(LEASE, lease, signal));
      return true;
    } catch (error) {
      if (isAlreadyExists(error)) return false;
      throw error;
    }
  }

  /** `false` when the lease has changed since we read it, or is gone. */
  private async writeGuarded(spec: NonNullable<Lease['spec']>, signal: AbortSignal): Promise<boolean> {
    const body = { metadata: { resourceVersion: this.resourceVersion }, spec };
    try {
      this.remember(await this.options.client.patch(LEASE, this.options.lease, body, { signal }));
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  private remember(lease: Lease): void {
    this.resourceVersion = lease.metadata.resourceVersion ?? '';
  }

  /**
   * One try, bounded in time. Not by the stop: a write under way is seen to its end, or nobody would know whether the lease is
   * ours to release. An error is logged once while it lasts, and means "no".
   */
  private async attempt(run: (signal: AbortSignal) => Promise<boolean>): Promise<boolean> {
    const abort = new AbortController();
    const cancel = this.options.clock.schedule(
      () => abort.abort(new TransientError('no answer in time')),
      this.renewDeadlineMs * TRY_SHARE_OF_DEADLINE,
    );
    try {
      const result = await run(abort.signal);
      this.lastTrouble = '';
      return result;
    } catch (error) {
      this.tell(errorMessage(error));
      return false;
    } finally {
      cancel();
    }
  }

  private tell(trouble: string): void {
    if (trouble === this.lastTrouble) return;
    this.lastTrouble = trouble;
    this.log.warn({ error: trouble }, 'Cannot read or write the lease, trying again');
  }

  /** Armed before a renewal is sent and kept when it succeeds: others count from when the server took it, which is later. */
  private armDeadline(): () => void {
    const why = `not renewed for ${this.renewDeadlineMs / 1000} s`;
    return this.options.clock.schedule(() => this.lose(why), this.renewDeadlineMs);
  }

  private report(): void {
    gauge<'name'>(this.options.metrics, {
      name: 'leader_election_master_status',
      help: '1 while this process holds the lease.',
      labelNames: ['name'],
    }).set({ name: this.options.lease.name }, this.leading ? 1 : 0);
  }

  /** metav1.MicroTime wants exactly six digits. */
  private now(): string {
    return this.options.clock.now().toISOString().replace('Z', '000Z');
  }

  private random(): number {
    return (this.options.random ?? Math.random)();
  }
}
