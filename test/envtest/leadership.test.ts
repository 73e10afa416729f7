// SPDX-License-Identifier: Apache-2.0
// Two managers, one cloud, one lease: at any time one acts, and the other finishes what it left.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { InMemoryCloud } from '../../backends/inmemory/cloud.ts';
import { openInMemoryCloud } from '../../backends/inmemory/sqlite-cloud.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Lease } from '../../runtime/leader-election.ts';
import type { Kind } from '../../runtime/object.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { bundleManager, scrape } from './manager-bundle.ts';

const LeaseKind: Kind<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};
const LEASE = { namespace: 'ts-provider-system', name: 'ts-provider-leader' };
/** After which a lease that nobody renews is free. */
const LEASE_MS = 15_000;

const soon = { timeout: 120_000, interval: 200 };
const atOnce = { timeout: 60_000, interval: 5 };

let environment: Environment;
let main: string;
let team: Team;

interface Team {
  readonly cluster: BareCluster;
  readonly cloud: InMemoryCloud;
  readonly leader: Provider;
  readonly standby: Provider;
}

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  main = await bundleManager(environment.dir);
});

afterAll(() => environment?.stop());

/** In order, so that the last one gives the lease back and the next story need not wait for its end. */
afterEach(async () => {
  team.cloud.close();
  await team.leader.server.stop();
  await team.standby.server.stop();
});

/** A leader, a standby that has its caches, and a cluster without machines. */
async function twoManagers(purpose: string): Promise<Team> {
  const cluster = await bareCluster(environment, { purpose });
  const database = `${environment.dir}/${purpose}.sqlite`;
  // Few workers: a machine is made at a time, so that the story's event comes in the middle.
  const flags = ['--leader-elect', `--namespace=${cluster.namespace}`, '--tsmachine-concurrency=2'];
  const one = (name: string) =>
    environment.startProvider({ main, name: `${purpose}-${name}`, database, flags });
  const leader = await one('a');
  await expect.poll(() => leads(leader), soon).toBe(true);
  const standby = await one('b');
  const cloud = openInMemoryCloud({ path: database, clock: systemClock });
  return { cluster, cloud, leader, standby };
}

async function leads(provider: Provider): Promise<boolean> {
  return (await scrape(provider)).sum('leader_election_master_status') === 1;
}

/** Makes machines and comes back when the first instances exist and the others do not. */
async function underWay({ cluster, cloud }: Team, count: number): Promise<void> {
  const before = cloud.counts().instancesMade;
  await Promise.all([
    cluster.addMachines(count),
    expect.poll(() => cloud.counts().instancesMade, atOnce).toBeGreaterThan(before),
  ]);
}

async function writesBy(provider: Provider): Promise<string[]> {
  const calls = (await scrape(provider)).by('ts_provider_api_requests_total', ['verb', 'resource']);
  return [...calls.keys()].filter((call) => !/^(get|list|watch) /.test(call));
}

it('a standby writes nothing; the leader is killed, and the standby finishes its machines', async () => {
  team = await twoManagers('killed');
  const { cluster, cloud, leader, standby } = team;
  await underWay(team, 20);
  expect(await leads(standby)).toBe(false);
  expect(await writesBy(standby)).toEqual([]);
  await leader.server.kill();
  await expect.poll(() => leads(standby), soon).toBe(true);
  await expect.poll(() => cluster.provisioned(), soon).toBe(20);
  expect(cloud.counts().instancesMade).toBe(20);
});

it('a leader that is frozen beyond its lease exits when it wakes up, and has made nothing twice', async () => {
  team = await twoManagers('frozen');
  const { cluster, cloud, leader, standby } = team;
  await underWay(team, 20);
  process.kill(leader.server.pid, 'SIGSTOP');
  await expect.poll(() => leads(standby), soon).toBe(true);
  await underWay(team, 20);
  process.kill(leader.server.pid, 'SIGCONT');
  await leader.server.ended;
  expect(leader.server.exitCode()).toBe(1);
  expect(leader.server.tail(50)).toContain('Lost the lease, exiting at once');
  await expect.poll(() => cluster.provisioned(), soon).toBe(40);
  expect(cloud.counts().instancesMade).toBe(40);
  expect(await leads(standby)).toBe(true);
});

it('SIGTERM: the leader ends what it has begun, gives the lease back, and the standby need not wait for its end', async () => {
  team = await twoManagers('stopped');
  const { cluster, cloud, leader, standby } = team;
  await underWay(team, 20);
  await leader.server.stop();
  const stoppedAt = Date.now();
  expect(leader.server.exitCode()).toBe(0);
  expect(leader.server.tail(50)).toContain('Released the lease');
  await expect.poll(() => leads(standby), { ...atOnce, interval: 50 }).toBe(true);
  expect(Date.now() - stoppedAt).toBeLessThan(LEASE_MS);
  await expect.poll(() => cluster.provisioned(), soon).toBe(20);
  expect(cloud.counts().instancesMade).toBe(20);
});

it('a lease that somebody else has taken ends the process in the middle of its work', async () => {
  team = await twoManagers('taken');
  const { cluster, cloud, leader, standby } = team;
  await underWay(team, 40);
  const spec = { holderIdentity: 'somebody-else', leaseDurationSeconds: 1, renewTime: microTime() };
  await environment.client.patch(LeaseKind, LEASE, { spec });
  await leader.server.ended;
  expect(leader.server.exitCode()).toBe(1);
  expect(leader.server.tail(50)).toContain('somebody-else holds it now');
  await expect.poll(() => leads(standby), soon).toBe(true);
  await expect.poll(() => cluster.provisioned(), soon).toBe(40);
  expect(cloud.counts().instancesMade).toBe(40);
});

it('a lease that is deleted has one holder again, and work goes on', async () => {
  team = await twoManagers('deleted');
  const { cluster, cloud, leader, standby } = team;
  const before = await holder();
  await environment.client.delete(LeaseKind, LEASE);
  await expect.poll(() => holder(), soon).toMatch(/_/);
  if ((await holder()) === before) expect(await leads(standby)).toBe(false);
  else await leader.server.ended;
  await cluster.addMachines(10);
  await expect.poll(() => cluster.provisioned(), soon).toBe(10);
  expect(cloud.counts().instancesMade).toBe(10);
});

async function holder(): Promise<string> {
  return (await environment.client.get(LeaseKind, LEASE))?.spec?.holderIdentity ?? '';
}

/** metav1.MicroTime wants exactly six digits. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
