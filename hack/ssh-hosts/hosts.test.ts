// SPDX-License-Identifier: Apache-2.0
// The real driver on simulated hosts: scripts that change without recognize.ts are found here.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BootstrapJob, HostAccess } from '../../backends/host-driver.ts';
import { createHostDriver, type SshHostDriver } from '../../backends/host/driver.ts';
import { createSshPool } from '../../backends/host/ssh/pool.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { createLogger } from '../../runtime/logger.ts';
import { type SshHosts, startSshHosts } from './hosts.ts';
import { violations } from './record.ts';

const ctx: Ctx = {
  signal: new AbortController().signal,
  log: createLogger({ level: 'silent' }),
  clock: systemClock,
};
const CANARY = 'canary-1b9e-join-token';
const DATA = `#cloud-config
write_files:
- path: /run/kubeadm/kubeadm-join-config.yaml
  permissions: '0640'
  content: "token: ${CANARY}"
runcmd:
- kubeadm join
`;
const soon = { timeout: 20_000, interval: 20 };

let hosts: SshHosts;
let driver: SshHostDriver;

beforeEach(async () => {
  hosts = await startSshHosts({ count: 2, kubernetes: 'v1.36.3' });
  driver = createHostDriver({ pool: createSshPool({ clock: systemClock, limits: { connectMs: 1_000 } }) });
});

afterEach(async () => {
  await driver.close();
  await hosts.close();
});

function accessOf(index: number): HostAccess {
  const { name, port, hostKey } = hosts.hosts[index]!;
  const credentials = { privateKey: hosts.privateKey };
  const rest = { user: 'root', credentials, hostKeys: [hostKey], trustOnFirstUse: false };
  return { key: `default/${name}`, address: '127.0.0.1', port, ...rest };
}

function jobOf(generation = 1): BootstrapJob {
  return {
    id: `bootstrap-${generation}-0a1b2c3d`,
    owner: { token: '0a1b2c3d', generation },
    providerID: 'tshost://default/host-000/0a1b2c3d',
    nodeAddress: '10.20.0.1',
    data: { format: 'cloud-config', value: Buffer.from(DATA) },
  };
}

function ended(id: string, index = 0): Promise<void> {
  const progress = async () => (await driver.progress(ctx, accessOf(index), id)).state;
  return expect.poll(progress, soon).toMatch(/succeeded|failed/);
}

it('is a clean host, becomes a Node, is cleaned, and is a clean host again', async () => {
  const access = accessOf(0);
  const clean = await driver.probe(ctx, access);
  expect(clean).toMatchObject({
    facts: {
      hostname: 'host-000',
      hardware: { architecture: 'amd64', cpus: 4, memory: '16Gi' },
      operatingSystem: { family: 'debian' },
      software: { kubeadm: 'v1.36.3', kubelet: 'v1.36.3', containerd: 'v2.1.4' },
    },
    occupants: [],
  });
  expect(await driver.bootstrap(ctx, access, jobOf())).toMatchObject({ state: 'running' });
  await ended(jobOf().id);
  const node = await driver.probe(ctx, access);
  expect(node.owner).toEqual(jobOf().owner);
  expect(node.occupants.filter(({ running }) => running)).not.toEqual([]);
  expect(await driver.clean(ctx, access, 'clean-1-1')).toMatchObject({ state: 'running' });
  await expect(driver.finishClean(ctx, access)).rejects.toThrow('clean-1-1');
  await ended('clean-1-1');
  await driver.finishClean(ctx, access);
  expect((await driver.probe(ctx, access)).occupants).toEqual([]);

  const [record] = hosts.records();
  expect(record).toMatchObject({ connections: 1, open: 1, unknown: [], owners: ['0a1b2c3d 1'] });
  expect(record?.jobs.map(({ id }) => id)).toEqual(['bootstrap-1-0a1b2c3d', 'clean-1-1']);
  expect(violations(hosts.records())).toEqual([]);
});

it('balances', async () => {
  const members = [{ name: 'host-001', address: '10.20.0.2', port: 6443 }];
  const owner = { token: '0a1b2c3d', generation: 1 };
  expect(await driver.balance(ctx, accessOf(0), { port: 6443, members, owner })).toMatch(/^[0-9a-f]{16}$/);
  expect(hosts.records()[0]?.configs).toEqual([expect.stringContaining('10.20.0.2:6443')]);
  expect((await driver.probe(ctx, accessOf(0))).owner).toEqual(owner);
  expect(violations(hosts.records())).toEqual([]);
});

it('refuses the job of another owner', async () => {
  await driver.bootstrap(ctx, accessOf(0), jobOf());
  const other = { ...jobOf(2), owner: { token: 'ffffffff', generation: 2 } };
  await expect(driver.bootstrap(ctx, accessOf(0), other)).rejects.toMatchObject({
    reason: 'HostClaimedElsewhere',
  });
});

it('a bootstrap fails as scripted, and the host keeps its secrets to itself', async () => {
  const log = `kubeadm: error: the token ${CANARY} is refused`;
  const bootstrapFailure = { stage: 'runcmd', exitCode: 7, log };
  await hosts.behave({ bootstrapFailure, bootstrapMs: [0, 0] });
  await driver.bootstrap(ctx, accessOf(0), jobOf());
  const progress = await driver.progress(ctx, accessOf(0), jobOf().id);
  expect(progress).toMatchObject({ state: 'failed', stage: 'runcmd', exitCode: 7 });
  expect(JSON.stringify(progress)).toContain('kubeadm: error');
  expect(JSON.stringify(progress)).not.toContain(CANARY);
});

it('after a reboot a job stands still until it is started again, and ends', async () => {
  await hosts.behave({ bootstrapMs: [500, 500] });
  await driver.bootstrap(ctx, accessOf(0), jobOf());
  hosts.hosts[0]!.host.reboot();
  expect(await driver.progress(ctx, accessOf(0), jobOf().id)).toMatchObject({ stopped: true });
  await driver.bootstrap(ctx, accessOf(0), jobOf());
  await ended(jobOf().id);
  expect(hosts.records()[0]?.jobs).toMatchObject([{ launches: 2 }]);
  expect(violations(hosts.records())).toEqual([]);
});

describe('misbehaves on demand', () => {
  const ask = (): Promise<unknown> => driver.probe(ctx, accessOf(0));

  it.each<[string, Parameters<SshHosts['behave']>[0], RegExp]>([
    ['refuses', { sshd: 'refuses' }, /nothing listens/],
    ['says nothing', { sshd: 'hangs' }, /1 s/],
    ['does not let in', { login: 'refuses' }, /refused the login/],
    ['breaks the connection', { breaks: 1 }, /connection/],
  ])('%s, and serves again', async (_what, change, message) => {
    await hosts.behave(change);
    await expect(ask()).rejects.toThrow(message);
    await hosts.behave({ sshd: 'serves', login: 'accepts', breaks: 0 });
    await expect.poll(() => ask().then(() => 'answers', String), soon).toBe('answers');
  });

  it('leaves something after a clean-up', async () => {
    await hosts.behave({ leftovers: ['file /var/lib/etcd'], cleanMs: [0, 0] });
    await driver.clean(ctx, accessOf(0), 'clean-1-1');
    await driver.finishClean(ctx, accessOf(0));
    const { occupants } = await driver.probe(ctx, accessOf(0));
    expect(occupants).toMatchObject([{ what: '/var/lib/etcd', running: false }]);
  });
});

describe('violations', () => {
  const job = (id: string, owner?: string, begunMs = 0) => ({
    ...{ id, begunMs, endsMs: begunMs + 10, launches: 1 },
    ...(owner !== undefined && { owner }),
  });
  const record = (name: string, ...jobs: ReturnType<typeof job>[]) => ({
    ...{ name, connections: 0, open: 0, sessions: 0, unknown: [], owners: [], configs: [], reboots: 0 },
    jobs,
  });

  it.each([
    ['twice', [record('a', job('b-1', 'x 1'), job('b-1', 'x 1'))], /b-1 began twice/],
    ['two owners', [record('a', job('b-1', 'x 1'), job('b-2', 'y 2'))], /had not been cleaned/],
    ['too early', [record('a', job('c-1'), job('b-2', 'y 2', 5))], /began while c-1 ran/],
    ['two hosts', [record('a', job('b-1', 'x 1')), record('b', job('b-1', 'x 1'))], /on a and b/],
    ['restarted', [record('a', { ...job('b-1', 'x 1'), launches: 2 })], /started 2 times/],
  ])('%s', (_what, records, expected) => {
    expect(violations(records).join()).toMatch(expected);
  });

  it('none in a life of two machines', () => {
    const jobs = [job('b-1', 'x 1'), job('c-1', undefined, 20), job('b-2', 'y 2', 40)];
    expect(violations([record('a', ...jobs)])).toEqual([]);
  });
});
