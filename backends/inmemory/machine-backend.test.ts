// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { InMemoryFailures } from '../../api/inmemory.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { type BackendUnderTest, backendContract } from '../contract.ts';
import type { BootstrapData, MachineFacts } from '../backend.ts';
import type { InMemoryCloud } from './cloud.ts';
import { openInMemoryCloud } from './sqlite-cloud.ts';
import { cloudConfig, contextOf, JOIN_FILE, machineNamed, WORKER_JOIN } from './fixtures.ts';
import { createInMemoryBackend } from './machine-backend.ts';

const bootstrapData: BootstrapData = {
  format: 'cloud-config',
  value: cloudConfig({ [JOIN_FILE]: WORKER_JOIN }),
};
const rackDomains = {
  inMemory: { failureDomains: [{ name: 'rack-a' }, { name: 'rack-b', controlPlane: false }] },
};

backendContract('in memory', async () => underTest(':memory:'));
backendContract('in a file, two handles', async () => underTest('file'));

function underTest(where: 'file' | ':memory:'): BackendUnderTest {
  const clock = new FakeClock();
  const dir = where === 'file' ? mkdtempSync(join(tmpdir(), 'inmemory-')) : undefined;
  const path = dir === undefined ? ':memory:' : join(dir, 'cloud.db');
  const cloud = openInMemoryCloud({ path, clock });
  const second = dir === undefined ? undefined : openInMemoryCloud({ path, clock });
  const newMachine = (overrides: Partial<MachineFacts> = {}): MachineFacts =>
    machineNamed(`m-${Math.random().toString(36).slice(2)}`, {
      intent: undefined,
      cluster: rackDomains,
      ...overrides,
    });
  return {
    ctx: contextOf(clock),
    backend: createInMemoryBackend(cloud),
    other: createInMemoryBackend(second ?? cloud),
    newMachine,
    bootstrapData,
    badInput: [
      { name: 'no settings', machine: newMachine({ spec: {} }), reason: 'InvalidMachine' },
      {
        name: 'unknown failure domain',
        machine: newMachine({ failureDomain: 'rack-z' }),
        reason: 'FailureDomainUnknown',
      },
      {
        name: 'no bootstrap data',
        machine: newMachine(),
        bootstrapData: { format: 'cloud-config', value: Buffer.alloc(0) },
        reason: 'BootstrapDataInvalid',
      },
    ],
    countInstances: async () => (second ?? cloud).counts().instancesMade,
    settle: async () => {
      await clock.advance(1_000);
      cloud.advance();
    },
    close: async () => {
      cloud.close();
      second?.close();
      if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

describe('failures on demand', () => {
  const clock = new FakeClock();
  const ctx = contextOf(clock);
  const clouds: InMemoryCloud[] = [];
  afterEach(() => clouds.splice(0).forEach((cloud) => cloud.close()));

  async function started(failures: InMemoryFailures | undefined, bootDelaySeconds = 5) {
    const cloud = openInMemoryCloud({ path: ':memory:', clock });
    clouds.push(cloud);
    const backend = createInMemoryBackend(cloud);
    const machine = machineNamed('m', {
      spec: { inMemory: { bootDelaySeconds, ...(failures && { failures }) } },
    });
    const create = () => backend.create(ctx, machine, machine.intent!, bootstrapData);
    const after = async (seconds: number, of: MachineFacts = machine) => {
      await clock.advance(seconds * 1000);
      cloud.advance();
      return backend.observe(ctx, of);
    };
    return { cloud, backend, machine, create, after };
  }

  it('boots after its delay, and says when to look again', async () => {
    const t = await started(undefined);
    await t.create();
    expect(await t.after(4)).toMatchObject({
      state: 'pending',
      pollMs: 1000,
      message: expect.stringContaining('5 s') as string,
    });
    expect((await t.after(1)).state).toBe('running');
  });

  it('takes the delay and the failures of the cluster where the machine has none', async () => {
    const t = await started(undefined);
    const cluster = { inMemory: { bootDelaySeconds: 60, failures: { provisioningError: 'no capacity' } } };
    const machine = { ...t.machine, spec: { inMemory: {} }, cluster };
    await t.backend.create(ctx, machine, machine.intent!, bootstrapData);
    expect((await t.after(59, machine)).state).toBe('pending');
    expect(await t.after(1, machine)).toMatchObject({ state: 'failed', message: 'no capacity' });
  });

  it('fails with the given message in place of booting, and stays failed', async () => {
    const t = await started({ provisioningError: 'InsufficientInstanceCapacity' });
    await t.create();
    expect((await t.after(4)).state).toBe('pending');
    expect(await t.after(1)).toMatchObject({ state: 'failed', message: 'InsufficientInstanceCapacity' });
    expect((await t.after(5, { ...t.machine, spec: { inMemory: {} } })).state).toBe('failed');
  });

  it('never boots until the user takes that back on the living machine', async () => {
    const t = await started({ neverBoots: true });
    await t.create();
    expect(await t.after(86_400)).toMatchObject({
      state: 'pending',
      message: expect.stringContaining('neverBoots') as string,
    });
    const mended = { ...t.machine, spec: { inMemory: { bootDelaySeconds: 5 } } };
    await t.after(0, mended);
    expect((await t.after(0, mended)).state).toBe('running');
  });

  it('dies the given time after it came up, also when that is asked for later', async () => {
    const t = await started(undefined);
    await t.create();
    expect((await t.after(5)).state).toBe('running');
    const dying = {
      ...t.machine,
      spec: { inMemory: { bootDelaySeconds: 5, failures: { diesAfterSeconds: 10 } } },
    };
    expect((await t.after(9, dying)).state).toBe('running');
    expect(await t.after(1, dying)).toMatchObject({
      state: 'stopped',
      message: expect.stringContaining('died') as string,
    });
  });

  it('is throttled for the first calls, with the time to wait, and made once', async () => {
    const t = await started({ throttledCalls: 2 });
    await expect(t.create()).rejects.toMatchObject({ name: 'TransientError', retryAfterMs: 1000 });
    await expect(t.backend.observe(ctx, t.machine)).rejects.toMatchObject({ name: 'TransientError' });
    await t.create();
    expect(t.cloud.counts()).toEqual({ instancesMade: 1, calls: { create: 2, observe: 1 } });
  });

  it('writes nothing while nothing changes', async () => {
    const t = await started({ diesAfterSeconds: 100 });
    await t.create();
    await t.after(5);
    const { cursor } = await t.backend.changes(ctx, '');
    await t.after(5);
    await t.after(5);
    expect(await t.backend.changes(ctx, cursor)).toEqual({ cursor, machines: [] });
  });

  it('destroys a machine whose providerID somebody wrote by hand', async () => {
    const t = await started(undefined);
    await t.create();
    const odd = { ...t.machine, providerID: 'aws:///eu-central-1a/i-1' };
    await expect(t.backend.observe(ctx, odd)).rejects.toMatchObject({ reason: 'ProviderIDInvalid' });
    expect(await t.backend.destroy(ctx, odd)).toEqual({ state: 'gone' });
    expect(await t.after(0)).toEqual({ state: 'absent' });
  });
});

describe('placement', () => {
  const ctx = contextOf(new FakeClock());

  it.each([
    { name: 'where it was asked for', asked: 'rack-b', cluster: rackDomains, want: /^rack-b$/ },
    {
      name: 'where it was asked for, on a cluster that lists none',
      asked: 'anywhere',
      cluster: {},
      want: /^anywhere$/,
    },
    { name: 'somewhere in the list', asked: undefined, cluster: rackDomains, want: /^rack-[ab]$/ },
  ])('$name', async ({ asked, cluster, want }) => {
    const cloud = openInMemoryCloud({ path: ':memory:', clock: ctx.clock });
    const backend = createInMemoryBackend(cloud);
    const machine = machineNamed('m', { failureDomain: asked, cluster });
    await backend.create(ctx, machine, machine.intent!, bootstrapData);
    expect(await backend.observe(ctx, machine)).toMatchObject({
      failureDomain: expect.stringMatching(want) as string,
    });
    cloud.close();
  });

  it('spreads workers over all domains and keeps control planes out of those that refuse them', async () => {
    const cloud = openInMemoryCloud({ path: ':memory:', clock: ctx.clock });
    const backend = createInMemoryBackend(cloud);
    const seen = { true: new Set<unknown>(), false: new Set<unknown>() };
    for (let index = 0; index < 40; index++) {
      const controlPlane = index % 2 === 0;
      const machine = machineNamed(`m-${index}`, { controlPlane, cluster: rackDomains });
      await backend.create(ctx, machine, machine.intent!, bootstrapData);
      const observed = await backend.observe(ctx, machine);
      seen[`${controlPlane}`].add(observed.state === 'absent' ? undefined : observed.failureDomain);
    }
    expect([...seen.true]).toEqual(['rack-a']);
    expect([...seen.false].sort()).toEqual(['rack-a', 'rack-b']);
    cloud.close();
  });
});

it('keeps the database from other users of the machine', () => {
  const dir = mkdtempSync(join(tmpdir(), 'inmemory-'));
  const cloud = openInMemoryCloud({ path: join(dir, 'sub', 'cloud.db'), clock: new FakeClock() });
  expect(statSync(join(dir, 'sub', 'cloud.db')).mode & 0o077).toBe(0);
  cloud.close();
  rmSync(dir, { recursive: true });
});
