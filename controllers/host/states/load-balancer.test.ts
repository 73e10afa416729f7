// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, TSClusterKind, TSMachineKind } from '../../../api/kinds.ts';
import { instanceIDOf } from '../../../backends/host-inventory.ts';
import { FACTS, NODE } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

const LB = 'ns/lb1';
const BALANCED = {
  controlPlaneLoadBalancer: { type: 'HAProxy' as const, hostSelector: { matchLabels: { role: 'lb' } } },
};

let world: HostWorld;

const ssh = (address: string) => ({
  address,
  credentialsRef: { name: 'ssh' },
  hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinned'],
});

/** A host with an address of its own, Available. */
async function host(name: string, address: string): Promise<void> {
  world.addHost(name, { ssh: ssh(address) });
  await world.reconcile(name);
}

/** A control plane machine that has claimed the host. */
async function member(name: string, machine: string): Promise<void> {
  world.addMachine(machine, { controlPlane: true });
  world.claim(name, machine);
  await world.reconcile(name);
}

/** Nobody may reach an API server on it before it is a member, nor after it has begun to go. */
async function provision(name: string): Promise<void> {
  await world.reconcile('lb1');
  await world.reconcile(name);
  world.hosts.of(`ns/${name}`).finish();
  await world.reconcile(name);
  expect(world.status(name).state).toBe('Provisioned');
}

const members = (): string[] => world.status('lb1').loadBalancer?.members ?? [];

beforeEach(async () => {
  world = new HostWorld();
  world.tsCluster(BALANCED);
  await host('lb1', '10.0.0.100');
  await host('h1', '10.0.0.1');
  await host('h2', '10.0.0.2');
});

describe('a host that balances', () => {
  beforeEach(async () => {
    world.claimForBalancer();
    await world.reconcile('lb1');
  });

  it('serves the port of the endpoint before there is any member', () => {
    expect(world.status('lb1')).toMatchObject({ state: 'Provisioned', loadBalancer: { members: [] } });
    expect(world.hosts.of(LB).balancer).toEqual({
      port: 6443,
      members: [],
      owner: { token: instanceIDOf('ns/c1'), generation: 1 },
    });
  });

  it('listens where the endpoint is, and sends to where API servers are', async () => {
    world.tsCluster({ ...BALANCED, controlPlaneEndpoint: { host: 'api.example.org', port: 443 } });
    await member('h1', 'm1');
    await world.reconcile('lb1');
    expect(world.hosts.of(LB).balancer).toMatchObject({
      port: 443,
      members: [{ name: 'h1', address: '10.0.0.1', port: 6443 }],
    });
  });

  it('serves control plane machines of its cluster that both sides agree on, by name', async () => {
    await member('h2', 'm2');
    await member('h1', 'm1');
    await host('w1', '10.0.0.11');
    world.addMachine('worker');
    world.claim('w1', 'worker');
    await host('h3', '10.0.0.3');
    world.addMachine('m3', { controlPlane: true });
    world.claim('h3', 'm3', { agree: false });
    await world.reconcile('lb1');
    expect(members()).toEqual(['10.0.0.1:6443', '10.0.0.2:6443']);
    expect(world.hosts.of(LB).balancer?.members.map(({ name }) => name)).toEqual(['h1', 'h2']);
  });

  it('is not asked again while nothing changes, and writes nothing', async () => {
    await member('h1', 'm1');
    await world.reconcile('lb1');
    const [calls, writes] = [world.hosts.count('balance'), world.api.writes.length];
    await world.reconcile('lb1');
    await world.reconcile('lb1');
    expect([world.hosts.count('balance'), world.api.writes.length]).toEqual([calls, writes]);
  });

  it('is looked after on schedule: somebody may have changed it by hand', async () => {
    const calls = world.hosts.count('balance');
    await world.clock.advance(13 * 60_000);
    await world.reconcile('lb1');
    expect(world.hosts.count('balance')).toBe(calls + 1);
  });

  it.each([
    { name: 'maintenance', given: () => world.editHost('lb1', ({ spec }) => void (spec.maintenance = true)) },
    { name: 'a paused Cluster', given: () => world.cluster({ paused: true }) },
    { name: 'no TSCluster', given: () => world.api.remove(TSClusterKind, world.c1) },
  ])('is left as it is: $name', async ({ given }) => {
    const calls = world.hosts.count('balance');
    given();
    await member('h1', 'm1').catch(() => {});
    await world.reconcile('lb1');
    expect(world.hosts.count('balance')).toBe(calls);
    expect(world.status('lb1').state).toBe('Provisioned');
  });

  it('keeps its members through a move that lost every status', async () => {
    await member('h1', 'm1');
    await provision('h1');
    world.editHost('h1', ({ spec }) => void (spec.ssh = ssh('h1.example.org')));
    await world.reconcile('h1');
    world.editHost('h1', (object) => void delete object.status);
    world.move('lb1');
    await world.reconcile('lb1').catch(() => {});
    expect(world.hosts.of(LB).balancer?.members).toHaveLength(1);
    world.hosts.of('ns/h1').facts = {
      ...FACTS,
      hardware: { nics: [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['10.0.0.1'] }] },
    };
    await world.reconcile('h1');
    await world.reconcile('lb1');
    expect(world.status('lb1').state).toBe('Provisioned');
  });

  it('is cleaned when the cluster gives it back', async () => {
    world.hosts.of(LB).owner = { token: instanceIDOf('ns/c1'), generation: 1 };
    world.release('lb1');
    await world.reconcile('lb1');
    await world.reconcile('lb1');
    world.hosts.of(LB).finish();
    await world.reconcile('lb1');
    expect(world.status('lb1').state).toBe('Available');
    expect(world.status('lb1').loadBalancer).toBeUndefined();
    expect(world.hosts.launches.map(({ jobID }) => jobID)).toEqual(['clean-1-1']);
  });
});

it('a dirty host does not become a load balancer', async () => {
  world.hosts.of(LB).occupants = [...NODE];
  world.claimForBalancer();
  await world.reconcile('lb1');
  expect(world.status('lb1')).toMatchObject({ state: 'Claimed', error: { reason: 'HostDirty' } });
  expect(world.hosts.count('balance')).toBe(0);
});

describe('a control plane machine', () => {
  it('waits until its cluster has a load balancer, and this one has taken it in', async () => {
    await member('h1', 'm1');
    expect(world.status('h1').state).toBe('Claimed');
    expect(world.condition('Ready', 'h1')).toMatchObject({
      reason: 'WaitingForLoadBalancer',
      message: 'Waiting for TSCluster c1 to have a host as its load balancer',
    });
    world.claimForBalancer();
    await world.reconcile('h1');
    expect(world.condition('Ready', 'h1')?.message).toBe('Waiting for load balancer lb1 to take the host in');
    const calls = world.hosts.calls.length;
    await world.reconcile('h1');
    expect(world.hosts.calls).toHaveLength(calls);
    await world.reconcile('lb1');
    await world.reconcile('h1');
    expect(world.status('h1').state).toBe('Bootstrapping');
  });

  it.each([
    { name: 'a worker', controlPlane: false, type: 'HAProxy' as const },
    { name: 'one with an endpoint of its own', controlPlane: true, type: 'External' as const },
  ])('does not wait for it: $name', async ({ controlPlane, type }) => {
    world.tsCluster(type === 'HAProxy' ? BALANCED : { controlPlaneLoadBalancer: { type } });
    world.addMachine('m1', { controlPlane });
    world.claim();
    await world.reconcile('h1');
    expect(world.status('h1').state).toBe('Bootstrapping');
  });

  describe('that goes', () => {
    beforeEach(async () => {
      world.claimForBalancer();
      await world.reconcile('lb1');
      await member('h1', 'm1');
      await provision('h1');
      world.release('h1');
    });

    const began = (): boolean => world.hosts.launches.some(({ kind }) => kind === 'clean');

    it('is out of the load balancer before anything of it is stopped', async () => {
      await world.reconcile('h1');
      await world.reconcile('h1');
      expect(began()).toBe(false);
      expect(world.condition('Ready', 'h1')).toMatchObject({
        reason: 'WaitingForLoadBalancer',
        message: 'Waiting for load balancer lb1 to take the host out',
      });
      await world.reconcile('lb1');
      expect(members()).toEqual([]);
      await world.reconcile('h1');
      await world.reconcile('h1');
      expect(began()).toBe(true);
    });

    it.each<{ name: string; given: () => void }>([
      {
        name: 'does not answer',
        given: () =>
          world.editHost(
            'lb1',
            (object) => void (object.status = { ...object.status, operationalStatus: 'Unreachable' }),
          ),
      },
      {
        name: 'has an error',
        given: () =>
          world.editHost(
            'lb1',
            (object) =>
              void (object.status = {
                ...object.status,
                error: { reason: 'HostKeyMismatch', message: 'x', since: '2026-01-01T00:00:00Z' },
              }),
          ),
      },
      {
        name: 'is in maintenance',
        given: () => world.editHost('lb1', ({ spec }) => void (spec.maintenance = true)),
      },
      { name: 'is being given back', given: () => world.release('lb1') },
      {
        name: 'is gone',
        given: () => world.editHost('lb1', ({ spec }) => void (spec.claim = { generation: 1 })),
      },
      { name: 'has no TSCluster', given: () => world.api.remove(TSClusterKind, world.c1) },
      {
        name: 'is of a Cluster that is being deleted',
        given: () => {
          const cluster = world.api.read(ClusterKind, world.c1);
          if (cluster === undefined) throw new Error('no cluster');
          cluster.metadata.finalizers = ['cluster.cluster.x-k8s.io'];
          world.api.put(cluster);
          world.api.remove(ClusterKind, world.c1);
        },
      },
    ])('is not held up by a load balancer that $name', async ({ given }) => {
      given();
      await world.reconcile('h1');
      await world.reconcile('h1');
      expect(began()).toBe(true);
    });

    it('is out although nobody knows its machine any more', async () => {
      world.api.remove(TSMachineKind, { namespace: 'ns', name: 'm1' });
      await world.reconcile('h1');
      await world.reconcile('h1');
      expect(began()).toBe(false);
      await world.reconcile('lb1');
      await world.reconcile('h1');
      await world.reconcile('h1');
      expect(began()).toBe(true);
    });
  });
});
