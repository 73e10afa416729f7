// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TransientError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { InMemoryCloud, RunRequest } from './cloud.ts';
import { openInMemoryCloud } from './sqlite-cloud.ts';

let dir: string;
let path: string;
let clock: FakeClock;
const open: InMemoryCloud[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cloud-'));
  path = join(dir, 'cloud.db');
  clock = new FakeClock();
});
afterEach(() => {
  open.splice(0).forEach((cloud) => cloud.close());
  rmSync(dir, { recursive: true, force: true });
});

function cloudAt(where: string): InMemoryCloud {
  const cloud = openInMemoryCloud({ path: where, clock });
  open.push(cloud);
  return cloud;
}

function request(name: string): RunRequest {
  return {
    ...{ clientToken: `token-${name}`, requestHash: 'hash', namespace: 'default', name, clusterName: 'c1' },
    ...{
      controlPlane: false,
      version: undefined,
      failureDomain: undefined,
      capacity: {},
      rehearsal: { bootDelayMs: 0 },
    },
    bootstrapData: {
      format: 'cloud-config',
      value: Buffer.from('canary-in-the-bootstrap-data'.repeat(1_000)),
    },
  };
}

const claim = { limit: 10, perCluster: 10, leaseMs: 60_000 };

it('outlives the process that made it', () => {
  const first = cloudAt(path);
  const { id } = first.run(request('a'));
  first.count('create');
  open.splice(0).forEach((cloud) => cloud.close());
  const second = cloudAt(path);
  expect(second.find({ id })).toMatchObject({ name: 'a', state: 'pending' });
  expect(second.run(request('a')).id).toBe(id);
  expect(second.counts()).toEqual({ instancesMade: 1, calls: { create: 1 } });
});

it('keeps bootstrap data until the guest is up, and no longer', () => {
  const cloud = cloudAt(path);
  cloud.run(request('a'));
  cloud.advance();
  const [job] = cloud.claim({ owner: 'me', ...claim });
  expect(job?.bootstrapData?.value.toString()).toContain('canary');
  cloud.settle(job!, 'me', { kind: 'done' });
  cloud.run(request('b'));
  cloud.terminate(cloud.find({ clientToken: 'token-b' })!.id);
  open.splice(0).forEach((one) => one.close());
  // Closing the last handle moves the log into the file: what was erased must be nowhere in it.
  expect(readFileSync(path).includes('canary')).toBe(false);
});

it('leases guest work to one owner, until it settles or the lease runs out', async () => {
  const [one, two] = [cloudAt(path), cloudAt(path)];
  one.run(request('a'));
  one.advance();
  const [job] = one.claim({ owner: 'one', ...claim });
  expect(two.claim({ owner: 'two', ...claim })).toEqual([]);
  await clock.advance(60_000);
  const [taken] = two.claim({ owner: 'two', ...claim });
  expect(taken?.attempt).toBe(2);
  expect(one.recordNode(job!, 'one', 'node')).toBe(false);
  one.settle(job!, 'one', { kind: 'failed', message: 'too late' });
  expect(one.find({ clientToken: 'token-a' })?.state).toBe('booting');
  two.settle(taken!, 'two', { kind: 'done' });
  expect(one.find({ clientToken: 'token-a' })?.state).toBe('running');
});

it('gives one cluster its share of the places, control planes first', () => {
  const cloud = cloudAt(':memory:');
  for (const name of ['a', 'b', 'c', 'd']) cloud.run(request(name));
  cloud.run({ ...request('cp'), controlPlane: true });
  cloud.run({ ...request('other'), clusterName: 'c2' });
  cloud.advance();
  const names = () =>
    cloud.claim({ owner: 'me', limit: 4, perCluster: 2, leaseMs: 1_000 }).map((job) => job.instance.name);
  expect(names().sort()).toEqual(['a', 'cp', 'other']);
  expect(names()).toEqual([]);
});

it('tells what changed since a cursor, from any handle, once', () => {
  const [one, two] = [cloudAt(path), cloudAt(path)];
  const start = two.changes('');
  expect(start.machines).toEqual([]);
  one.run(request('a'));
  one.run(request('b'));
  const next = two.changes(start.cursor);
  expect(next.machines).toEqual(['a', 'b'].map((name) => ({ namespace: 'default', name })));
  expect(two.changes(next.cursor).machines).toEqual([]);
  one.advance();
  expect(two.changes(next.cursor).machines).toHaveLength(2);
  expect(() => cloudAt(':memory:').changes(next.cursor)).toThrow(/another one/);
});

it('keeps the token of a terminated instance for a month', async () => {
  const cloud = cloudAt(':memory:');
  const { id } = cloud.run(request('a'));
  cloud.terminate(id);
  await clock.advance(29 * 24 * 3_600_000);
  cloud.advance();
  expect(cloud.run(request('a'))).toMatchObject({ id, state: 'terminated' });
  await clock.advance(2 * 24 * 3_600_000);
  cloud.advance();
  expect(cloud.find({ id })).toBeUndefined();
});

it('gives addresses that are unique and never reused', () => {
  const cloud = cloudAt(':memory:');
  const addresses = Array.from({ length: 600 }, (_, index) => {
    const instance = cloud.run(request(`m-${index}`));
    if (index % 2 === 0) cloud.terminate(instance.id);
    return instance.internalIP;
  });
  expect(new Set(addresses).size).toBe(600);
  expect(
    addresses.every((address) => /^10\.\d+\.\d+\.([1-9]\d*)$/.test(address) && !address.endsWith('.255')),
  ).toBe(true);
});

it.each([
  ['a file of a newer version', () => newerDatabase(), /newer version/],
  [
    'a file that is none of ours',
    () => writeFileSync(path, 'not a database, far from it'.repeat(100)),
    /cannot use the database/,
  ],
])('refuses %s and leaves it as it is', (_name, prepare, want) => {
  prepare();
  const before = readFileSync(path);
  expect(() => cloudAt(path)).toThrow(want);
  expect(readFileSync(path).equals(before)).toBe(true);
});

it('says that a database is busy, and not that it is broken, while another process writes', () => {
  cloudAt(path);
  const writer = new DatabaseSync(path);
  writer.exec('BEGIN IMMEDIATE');
  const error = thrown(() => cloudAt(path));
  writer.close();
  expect(error).toBeInstanceOf(TransientError);
  expect(error).toMatchObject({ message: expect.stringContaining('Another process is writing') as string });
  expect(cloudAt(path).changes('').machines).toEqual([]);
});

it('forgets with the tombstone how often the machine was throttled', async () => {
  const cloud = cloudAt(path);
  const { id, clientToken } = cloud.run(request('a'));
  cloud.run(request('b'));
  for (const caller of [clientToken, 'token-b', 'never made']) cloud.throttle(caller, 3);
  cloud.terminate(id);
  const reader = new DatabaseSync(path, { readOnly: true });
  const callers = () => reader.prepare('SELECT caller FROM throttled ORDER BY caller').all();
  cloud.advance();
  expect(callers()).toHaveLength(3);
  await clock.advance(31 * 24 * 3_600_000);
  cloud.advance();
  expect(callers()).toEqual([{ caller: 'token-b' }]);
  reader.close();
});

it('writes down what it has counted when it is closed, and may be closed again', () => {
  const cloud = cloudAt(path);
  cloud.count('create');
  cloud.close();
  cloud.close();
  expect(cloudAt(path).counts().calls).toEqual({ create: 1 });
});

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('the call must throw');
}

function newerDatabase(): void {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA user_version = 99; CREATE TABLE t (x)');
  db.close();
}
