// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { TSMachineKind } from '../../../api/kinds.ts';
import { CLEAN_ANNOTATION, TSHOST_FINALIZER } from '../../../api/labels.ts';
import { instanceIDOf } from '../../../backends/host-inventory.ts';
import type { Occupant } from '../../../backends/host-driver.ts';
import { NODE } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

const KEY = 'ns/h1';
const M1 = { namespace: 'ns', name: 'm1' };
const LEFT: Occupant = { kind: 'file', what: '/etc/cni/net.d/10-x.conf', running: false };
const ZOMBIE: Occupant = { kind: 'process', what: 'etcd (pid 77)', running: true };

let world: HostWorld;
beforeEach(async () => {
  world = new HostWorld();
  world.addHost();
  await world.reconcile();
  world.addMachine();
});

async function provision(name = 'h1', machine = 'm1'): Promise<void> {
  world.claim(name, machine);
  await world.reconcile(name);
  world.hosts.of(`ns/${name}`).finish();
  await world.reconcile(name);
  expect(world.status(name).state).toBe('Provisioned');
}

/** Until the clean-up job runs on the host. */
async function releaseUntilJob(name = 'h1'): Promise<void> {
  world.release(name);
  await world.reconcile(name);
  await world.reconcile(name);
}

const cleanJobs = (): string[] =>
  world.hosts.launches.filter(({ kind }) => kind === 'clean').map(({ host, jobID }) => `${host} ${jobID}`);

const expectFree = (name = 'h1'): void => {
  expect(world.host(name)?.spec.claim).toEqual({ generation: 1, previous: expect.any(String) as string });
  expect(world.host(name)?.metadata.finalizers ?? []).not.toContain(TSHOST_FINALIZER);
};

describe('a host that is given back', () => {
  beforeEach(() => provision());

  it('is written down, cleaned, looked at, and Available', async () => {
    world.release();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Releasing', operation: { id: 'clean-1-1', attempt: 1 } });
    expect(cleanJobs()).toEqual([]);
    await world.reconcile();
    expect(cleanJobs()).toEqual(['ns/h1 clean-1-1']);
    await world.reconcile();
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Available' });
    expect(world.status().operation).toBeUndefined();
    expectFree();
    expect(world.hosts.of(KEY).folder).toBe(false);
    expect(world.violations()).toEqual([]);
  });

  it('writes nothing while nothing changes', async () => {
    await releaseUntilJob();
    const writes = world.api.writes.length;
    await world.reconcile();
    await world.reconcile();
    expect(world.api.writes).toHaveLength(writes);
  });

  it('is Quarantined, and the machine gone, when only dead things stayed', async () => {
    world.hosts.of(KEY).leftovers = [LEFT];
    await releaseUntilJob();
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({
      state: 'Quarantined',
      error: { reason: 'HostDirty' },
      occupants: [LEFT.what],
    });
    expectFree();
  });

  it.each([
    { name: 'something still runs', leftovers: [ZOMBIE], result: 'succeeded', says: 'etcd (pid 77)' },
    { name: 'the job fails', leftovers: [], result: 'failed', says: 'Stage runcmd failed' },
  ] as const)(
    'is tried three times when $name, then waits for a person',
    async ({ leftovers, result, says }) => {
      world.hosts.of(KEY).leftovers = [...leftovers];
      await releaseUntilJob();
      for (const attempt of [1, 2, 3]) {
        expect(cleanJobs()).toHaveLength(attempt);
        world.hosts.of(KEY).finish(result);
        await world.reconcile();
        expect(world.status()).toMatchObject({ state: 'Cleaning', error: { reason: 'CleanFailed' } });
        expect(world.status().error?.message).toContain(says);
        expect(world.host()?.spec.claim?.for).toBe('Machine');
        await world.reconcile();
        expect(cleanJobs()).toHaveLength(attempt);
        await world.clock.advance(60_000);
        await world.reconcile();
      }
      expect(cleanJobs()).toEqual(['ns/h1 clean-1-1', 'ns/h1 clean-1-2', 'ns/h1 clean-1-3']);
      expect(world.status().error?.message).toContain(`tshost://ns/h1/${instanceIDOf('token-m1')}`);
      expect(world.hosts.of(KEY).owner).toBeDefined();

      // A person has mended the host and asks for one more try.
      world.hosts.of(KEY).leftovers = [];
      world.editHost('h1', ({ metadata }) => void (metadata.annotations = { [CLEAN_ANNOTATION]: '' }));
      await world.reconcile();
      expect(cleanJobs()).toHaveLength(4);
      expect(world.host()?.metadata.annotations ?? {}).toEqual({});
      world.hosts.of(KEY).finish();
      await world.reconcile();
      expect(world.status().state).toBe('Available');
      expectFree();
    },
  );

  it('says that a clean-up took too long', async () => {
    await releaseUntilJob();
    const job = world.hosts.of(KEY).running?.[1];
    if (job === undefined) throw new Error('no job');
    job.progress = { state: 'failed', stage: 'fence', message: 'TimedOut: the time of the job was over' };
    await world.reconcile();
    expect(world.status().error?.reason).toBe('CleanTimedOut');
  });

  it('is never freed while it does not answer', async () => {
    await releaseUntilJob();
    world.hosts.of(KEY).finish();
    world.hosts.of(KEY).link = 'down';
    for (let i = 0; i < 5; i++) await world.reconcile().catch(() => {});
    expect(world.host()?.spec.claim?.releasing).toBe(true);
    expect(world.status().operationalStatus).toBe('Unreachable');
    world.hosts.of(KEY).link = 'up';
    await world.reconcile();
    expect(world.status().state).toBe('Available');
  });

  it('is left alone while its Cluster is paused, before the clean-up and behind it', async () => {
    world.cluster({ paused: true });
    await releaseUntilJob();
    expect(cleanJobs()).toEqual([]);
    world.cluster();
    await world.reconcile();
    await world.reconcile();
    world.hosts.of(KEY).finish();
    await world.reconcile().catch(() => {});
    expect(world.status().state).toBe('Available');
  });

  it('is not freed while its Cluster is paused', async () => {
    await releaseUntilJob();
    world.hosts.of(KEY).finish();
    world.cluster({ paused: true });
    await world.reconcile();
    expect(world.host()?.spec.claim?.for).toBe('Machine');
    expect(world.hosts.count('finishClean')).toBe(0);
  });

  it('is not cleaned while it is in maintenance, and a clean-up that runs goes on', async () => {
    world.editHost('h1', ({ spec }) => void (spec.maintenance = true));
    await releaseUntilJob();
    expect(cleanJobs()).toEqual([]);
    world.editHost('h1', ({ spec }) => void (spec.maintenance = false));
    await world.reconcile();
    await world.reconcile();
    world.editHost('h1', ({ spec }) => void (spec.maintenance = true));
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status().state).toBe('Available');
  });

  it('is cleaned although its TSMachine was removed by force: its owner has asked for it', async () => {
    world.release();
    world.api.remove(TSMachineKind, M1);
    await world.reconcile();
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(1);
  });

  it('is cleaned although its owner file was deleted by hand: the machine was running on it', async () => {
    const machine = world.machine();
    if (machine === undefined) throw new Error('no machine');
    machine.status = { initialization: { provisioned: true } };
    world.api.put(machine);
    world.hosts.of(KEY).owner = undefined;
    await releaseUntilJob();
    expect(cleanJobs()).toHaveLength(1);
  });

  it('is cleaned after a move that lost the status, and the tries go on where they were', async () => {
    await releaseUntilJob();
    world.hosts.of(KEY).finish('failed');
    world.move();
    await world.reconcile();
    await world.reconcile();
    await world.clock.advance(60_000);
    await world.reconcile();
    expect(cleanJobs()).toEqual(['ns/h1 clean-1-1', 'ns/h1 clean-1-2']);
  });
});

describe('a claim that ends before anything began', () => {
  it('frees a clean host at once', async () => {
    world.claim();
    world.cluster({ paused: true });
    await world.reconcile();
    world.cluster();
    world.release();
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    expectFree();
    expect(world.hosts.launches).toEqual([]);
  });

  it('needs no answer of the host when the machine never named it', async () => {
    world.claim('h1', 'm1', { agree: false });
    await world.reconcile();
    world.hosts.of(KEY).link = 'down';
    world.release();
    await world.reconcile().catch(() => {});
    expectFree();
    expect(world.status().state).toBe('Registering');
  });

  it.each([
    { name: 'what was there before', owner: undefined },
    { name: "another's machine", owner: { token: 'ffffffff', generation: 1 } },
  ])('leaves alone $name', async ({ owner }) => {
    world.claim();
    world.hosts.of(KEY).occupants = [...NODE];
    world.hosts.of(KEY).owner = owner;
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Claimed', error: { reason: 'HostDirty' } });
    world.release();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Quarantined', error: { reason: 'HostDirty' } });
    expectFree();
    expect(world.hosts.launches).toEqual([]);
    expect(world.hosts.of(KEY).occupants).toEqual(NODE);
  });

  it('cleans what a bootstrap that failed has left', async () => {
    world.claim();
    await world.reconcile();
    world.hosts.of(KEY).finish('failed');
    await world.reconcile();
    await releaseUntilJob();
    expect(cleanJobs()).toEqual(['ns/h1 clean-1-1']);
  });

  it('cleans an adopted host', async () => {
    world.editHost('h1', ({ spec }) => void (spec.adopt = true));
    world.addMachine('m1', { adopt: true });
    world.hosts.of(KEY).occupants = [...NODE];
    world.claim();
    await world.reconcile();
    await releaseUntilJob();
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(cleanJobs()).toEqual(['ns/h1 clean-1-1']);
    expect(world.status().state).toBe('Available');
  });
});

describe('many hosts that are given back at once', () => {
  const names = ['h1', 'h2', 'h3', 'h4'];

  beforeEach(async () => {
    for (const [index, name] of names.entries()) {
      if (name !== 'h1') world.addHost(name);
      await world.reconcile(name);
      world.addMachine(`m${index + 1}`);
      await provision(name, `m${index + 1}`);
    }
  });

  function finishAll(): void {
    for (const host of names.map((name) => world.hosts.of(`ns/${name}`))) if (host.running) host.finish();
  }

  it.each([{ restart: false }, { restart: true }])(
    'are never cleaned more than two at once (restarts: $restart)',
    async ({ restart }) => {
      for (const name of names) world.release(name);
      const running = (): number => names.filter((name) => world.hosts.of(`ns/${name}`).running).length;
      for (let pass = 0; pass < 20; pass++) {
        // All at once, as workers do.
        await Promise.all(names.map((name) => world.reconcile(name)));
        expect(running()).toBeLessThanOrEqual(2);
        if (restart) world.restart();
        if (pass % 3 === 2) finishAll();
      }
      expect(names.map((name) => world.status(name).state)).toEqual(names.map(() => 'Available'));
      expect(cleanJobs()).toHaveLength(4);
    },
  );

  it('say what they wait for', async () => {
    for (const name of names) world.release(name);
    for (const name of names) await world.reconcile(name);
    expect(world.condition('Ready', 'h4')).toMatchObject({
      reason: 'WaitingForTurn',
      message: '2 of 2 hosts of pool ns are being cleaned',
    });
    // However long the queue is, those who wait in it are not asked.
    const calls = world.hosts.calls.length;
    await world.reconcile('h4');
    await world.reconcile('h4');
    expect(world.hosts.calls).toHaveLength(calls);
  });
});

describe('a Quarantined host that a person wants cleaned', () => {
  async function quarantine(): Promise<void> {
    world.hosts.of(KEY).occupants = [...NODE];
    world.editHost('h1', (host) => void delete host.status);
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  }

  const ask = () =>
    world.editHost('h1', ({ metadata }) => void (metadata.annotations = { [CLEAN_ANNOTATION]: '' }));

  it('is cleaned once for each time it is asked', async () => {
    await quarantine();
    ask();
    await world.reconcile();
    expect(world.host()?.metadata.annotations ?? {}).toEqual({});
    await world.reconcile();
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    expect(cleanJobs()).toEqual(['ns/h1 clean-0-1']);
  });

  it('goes back to Quarantined after three tries, and the next time begins a new one', async () => {
    await quarantine();
    ask();
    world.hosts.of(KEY).leftovers = [ZOMBIE];
    await world.reconcile();
    await world.reconcile();
    for (let attempt = 0; attempt < 3; attempt++) {
      world.hosts.of(KEY).finish();
      await world.reconcile();
      await world.clock.advance(60_000);
      await world.reconcile();
    }
    expect(world.status().state).toBe('Quarantined');
    expect(cleanJobs()).toHaveLength(3);
    ask();
    await world.reconcile();
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(4);
  });
});
