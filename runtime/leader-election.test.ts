// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Client, PatchOptions } from './client.ts';
import { ApiError, TransientError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { createLeaderElector, type Lease, type LeaderElectionOptions } from './leader-election.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import type { Kind, KubeObject, ObjectName } from './object.ts';

const NAME = { namespace: 'system', name: 'manager' };
type Fault = 'none' | 'unreachable' | 'hangs';

/** An API server that holds one Lease and guards it by resourceVersion. */
function leaseServer() {
  let lease: Lease | undefined;
  let version = 0;
  const server = {
    get lease() {
      return lease;
    },
    set lease(value: Lease | undefined) {
      lease = value;
    },
    /** A change by somebody else. */
    edit(change: (lease: Lease) => void) {
      if (lease === undefined) throw new Error('no lease');
      change(lease);
      lease.metadata.resourceVersion = String(++version);
    },
    client,
  };
  return server;

  /** One manager's way to the server, with its own network. */
  function client(network: { fault: Fault; writes?: number }): Pick<Client, 'get' | 'create' | 'patch'> {
    const pass = async (signal?: AbortSignal): Promise<void> => {
      if (network.fault === 'unreachable') throw new TransientError('connection refused');
      if (network.fault === 'hangs') {
        await new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      }
    };
    return {
      async get<T extends KubeObject>(_kind: Kind<T>, _name: ObjectName, signal?: AbortSignal) {
        await pass(signal);
        return structuredClone(lease) as T | undefined;
      },
      async create<T extends KubeObject>(_kind: Kind<T>, object: T, signal?: AbortSignal) {
        await pass(signal);
        if (lease !== undefined) throw new ApiError(409, 'AlreadyExists', 'leases "manager" already exists');
        lease = structuredClone(object);
        lease.metadata.resourceVersion = String(++version);
        return structuredClone(lease) as KubeObject as T;
      },
      async patch<T extends KubeObject>(
        _kind: Kind<T>,
        _name: ObjectName,
        body: unknown,
        options?: PatchOptions,
      ) {
        await pass(options?.signal);
        if (lease === undefined) throw new ApiError(404, 'NotFound', 'leases "manager" not found');
        const patch = body as Lease;
        if (patch.metadata.resourceVersion !== lease.metadata.resourceVersion) {
          throw new ApiError(409, 'Conflict', 'the object has been modified');
        }
        network.writes = (network.writes ?? 0) + 1;
        lease = { ...lease, spec: { ...lease.spec, ...patch.spec } };
        lease.metadata = { ...lease.metadata, resourceVersion: String(++version) };
        return structuredClone(lease) as KubeObject as T;
      },
    };
  }
}

/** One manager's elector over a shared clock and server. */
function candidate(
  identity: string,
  clock: FakeClock,
  server: ReturnType<typeof leaseServer>,
  options: Partial<LeaderElectionOptions> = {},
) {
  const network: { fault: Fault; writes?: number } = { fault: 'none' };
  const metrics = createMetrics();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } });
  const elector = createLeaderElector({
    ...{ client: server.client(network), clock, log, metrics, lease: NAME, identity, random: () => 0 },
    ...options,
  });
  const stop = new AbortController();
  const lost: string[] = [];
  const acquired = elector.acquire(stop.signal, (why) => lost.push(why));
  return { network, metrics, lines, elector, stop, lost, acquired };
}

describe('acquire', () => {
  it('makes the lease when there is none', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    expect(await a.acquired).toBe(true);
    expect(a.elector.isLeader()).toBe(true);
    expect(server.lease).toMatchObject({
      metadata: NAME,
      spec: {
        holderIdentity: 'a',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-01-01T00:00:00.000000Z',
        leaseTransitions: 0,
      },
    });
    expect(await a.metrics.metrics()).toContain('leader_election_master_status{name="manager"} 1');
    await a.elector.release();
  });

  it('lets one of two win who come at the same time', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const both = [candidate('a', clock, server), candidate('b', clock, server)];
    await clock.advance(60_000);
    expect(both.filter((one) => one.elector.isLeader())).toHaveLength(1);
    expect(both.flatMap((one) => one.lost)).toEqual([]);
    for (const one of both) one.stop.abort();
    for (const one of both) await one.elector.release();
  });

  it('waits as long as the holder renews, and takes over once it has stopped for the whole duration', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    const b = candidate('b', clock, server);
    await clock.advance(120_000);
    expect(b.elector.isLeader()).toBe(false);

    a.network.fault = 'unreachable';
    const lastRenewed = Date.parse(server.lease?.spec?.renewTime ?? '');
    while (!b.elector.isLeader()) await clock.advance(100);
    expect(a.lost).toHaveLength(1);
    expect(clock.now().getTime() - lastRenewed).toBeGreaterThanOrEqual(15_000);
    expect(clock.now().getTime() - lastRenewed).toBeLessThan(20_000);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await b.elector.release();
  });

  it.each(['2020-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z'])(
    'does not compare its clock with the holder, whose clock says %s',
    async (renewTime) => {
      const clock = new FakeClock();
      const server = leaseServer();
      const dead = candidate('dead', clock, server);
      await dead.acquired;
      dead.network.fault = 'unreachable';
      server.edit((lease) => Object.assign(lease.spec ?? {}, { renewTime }));
      const b = candidate('b', clock, server);
      await clock.advance(14_900);
      expect(b.elector.isLeader()).toBe(false);
      await clock.advance(2_200);
      expect(b.elector.isLeader()).toBe(true);
      await b.elector.release();
    },
  );

  it('is not rushed by its own clock being set forward', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    const b = candidate('b', clock, server);
    await clock.advance(3_000);
    clock.setTime(new Date('2030-01-01T00:00:00Z'));
    await clock.advance(10_000);
    expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([true, false]);
    await a.elector.release();
    b.stop.abort();
  });

  it("keeps to the duration that the holder's lease names", async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const dead = candidate('dead', clock, server, { leaseDurationMs: 60_000 });
    await dead.acquired;
    dead.network.fault = 'unreachable';
    const b = candidate('b', clock, server);
    await clock.advance(59_000);
    expect(b.elector.isLeader()).toBe(false);
    await clock.advance(4_000);
    expect(b.elector.isLeader()).toBe(true);
    await b.elector.release();
  });

  it('goes on through an API server that is down or mute, and tells each trouble once', async () => {
    const clock = new FakeClock();
    const b = candidate('b', clock, leaseServer());
    b.network.fault = 'unreachable';
    await clock.advance(30_000);
    b.network.fault = 'hangs';
    await clock.advance(30_000);
    b.network.fault = 'none';
    await clock.advance(8_000);
    expect(b.elector.isLeader()).toBe(true);
    expect(b.lines.filter((line) => line.includes('connection refused'))).toHaveLength(1);
    expect(b.lines.filter((line) => line.includes('no answer in time'))).toHaveLength(1);
    await b.elector.release();
  });

  it('gives up at the stop and leaves no timer', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    const b = candidate('b', clock, server);
    await clock.advance(1_000);
    b.stop.abort();
    expect(await b.acquired).toBe(false);
    await b.elector.release();
    expect(server.lease?.spec?.holderIdentity).toBe('a');
    await a.elector.release();
    expect(clock.armed).toBe(0);
  });
});

describe('renewing', () => {
  it('writes once per interval and nothing else', async () => {
    const clock = new FakeClock();
    const a = candidate('a', clock, leaseServer());
    await a.acquired;
    await clock.advance(60_000);
    expect(a.network.writes).toBe(30);
    await a.elector.release();
  });

  it.each<Fault>(['unreachable', 'hangs'])(
    'survives an API server that is %s for a moment',
    async (fault) => {
      const clock = new FakeClock();
      const a = candidate('a', clock, leaseServer());
      await a.acquired;
      await clock.advance(10_000);
      a.network.fault = fault;
      await clock.advance(6_000);
      a.network.fault = 'none';
      await clock.advance(60_000);
      expect(a.lost).toEqual([]);
      expect(a.elector.isLeader()).toBe(true);
      await a.elector.release();
    },
  );

  it.each<Fault>(['unreachable', 'hangs'])(
    'counts as lost within 10 s of the last renewal when the API server stays %s, before anybody may take over',
    async (fault) => {
      const clock = new FakeClock();
      const server = leaseServer();
      const a = candidate('a', clock, server);
      await a.acquired;
      await clock.advance(11_000);
      a.network.fault = fault;
      const lastRenewed = Date.parse(server.lease?.spec?.renewTime ?? '');
      while (a.lost.length === 0) await clock.advance(100);
      expect(clock.now().getTime() - lastRenewed).toBeLessThanOrEqual(10_000);
      expect(a.lost).toEqual(['not renewed for 10 s']);
      expect(a.elector.isLeader()).toBe(false);
      expect(await a.metrics.metrics()).toContain('leader_election_master_status{name="manager"} 0');
      await clock.advance(60_000);
      expect(a.lost).toHaveLength(1);
      expect(clock.armed).toBe(0);
    },
  );

  it('is lost at once when somebody else holds the lease', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    server.edit((lease) => Object.assign(lease.spec ?? {}, { holderIdentity: 'b' }));
    await clock.advance(2_000);
    expect(a.lost).toEqual(['b holds it now']);
    expect(server.lease?.spec?.holderIdentity).toBe('b');
  });

  it('goes on when somebody else only labelled the lease, or deleted it', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    server.edit((lease) => (lease.metadata.labels = { seen: 'true' }));
    await clock.advance(4_000);
    server.lease = undefined;
    await clock.advance(4_000);
    expect(a.lost).toEqual([]);
    expect(server.lease).toMatchObject({ spec: { holderIdentity: 'a' } });
    await a.elector.release();
  });
});

describe('release', () => {
  it('lets the next one in at its next look', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    const b = candidate('b', clock, server);
    await clock.advance(5_000);
    await a.elector.release();
    expect(server.lease?.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    await clock.advance(2_000);
    expect(b.elector.isLeader()).toBe(true);
    expect(a.lost).toEqual([]);
    await b.elector.release();
    expect(clock.armed).toBe(0);
  });

  it('works although the lease was touched since the last renewal', async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    server.edit((lease) => (lease.metadata.labels = { seen: 'true' }));
    await a.elector.release();
    expect(server.lease?.spec?.holderIdentity).toBe('');
  });

  it("does not touch another's lease", async () => {
    const clock = new FakeClock();
    const server = leaseServer();
    const a = candidate('a', clock, server);
    await a.acquired;
    server.edit((lease) => Object.assign(lease.spec ?? {}, { holderIdentity: 'b' }));
    await a.elector.release();
    expect(server.lease?.spec?.holderIdentity).toBe('b');
  });

  it('ends also when the API server is mute', async () => {
    const clock = new FakeClock();
    const a = candidate('a', clock, leaseServer());
    await a.acquired;
    a.network.fault = 'hangs';
    const released = a.elector.release();
    await clock.advance(5_000);
    await released;
    expect(clock.armed).toBe(0);
  });
});

it.each([{ leaseDurationMs: 10_000 }, { renewDeadlineMs: 15_000 }, { retryMs: 10_000 }])(
  'refuses times that could make two leaders: %o',
  (times) => {
    expect(() => candidate('a', new FakeClock(), leaseServer(), times)).toThrow(RangeError);
  },
);
