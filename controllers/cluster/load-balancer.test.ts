// SPDX-License-Identifier: Apache-2.0
// The load balancer of a cluster on a TSHost: claimed once, waited for, kept over a move, given back.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, TSClusterKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import type { TSClusterSpec } from '../../api/tscluster.ts';
import type { TSHost, TSHostStatus } from '../../api/tshost.ts';
import { MachineWorld, tsCluster } from '../../test/machine-world.ts';

const HAPROXY: TSClusterSpec = {
  controlPlaneLoadBalancer: { type: 'HAProxy', hostSelector: { matchLabels: { role: 'lb' } } },
};
const AVAILABLE: TSHostStatus = { state: 'Available', operationalStatus: 'OK' };
const SERVING: TSHostStatus = {
  state: 'Provisioned',
  operationalStatus: 'OK',
  loadBalancer: { members: [], configHash: 'h' },
};

let world: MachineWorld;
beforeEach(() => {
  world = new MachineWorld();
  world.api.put(tsCluster({ spec: HAPROXY }));
});

function addHost(
  name: string,
  change: Partial<TSHost['spec']> & { labels?: Record<string, string>; status?: TSHostStatus } = {},
) {
  const { labels = { role: 'lb' }, status = AVAILABLE, ...spec } = change;
  world.api.put<TSHost>({
    ...TSHostKind,
    metadata: { namespace: 'ns', name, labels },
    spec: { ssh: { address: `10.0.0.${name.charCodeAt(3)}`, credentialsRef: { name: 'ssh' } }, ...spec },
    status,
  });
}

const host = (name: string) => world.api.read(TSHostKind, { namespace: 'ns', name });
const report = (name: string, status: TSHostStatus) => world.api.put<TSHost>({ ...host(name)!, status });
const claimOf = (name: string) => host(name)?.spec.claim;
const endpoint = () => world.tsCluster()?.spec.controlPlaneEndpoint;
const ready = () =>
  world.tsCluster()?.status?.conditions?.find((one) => one.type === 'ControlPlaneEndpointReady');
const deleting = () => world.tsCluster()?.status?.conditions?.find((one) => one.type === 'Deleting');
const held = () => ['lb-a', 'lb-b', 'lb-c'].filter((name) => claimOf(name)?.for === 'LoadBalancer');
const claimed = (releasing?: true) => ({
  generation: 1,
  for: 'LoadBalancer' as const,
  cluster: { namespace: 'ns', name: 'c1', uid: world.tsCluster()!.metadata.uid! },
  ...(releasing && { releasing }),
});

describe('claiming', () => {
  it('claims a host, writes its address as the endpoint, and is provisioned once it listens', async () => {
    addHost('lb-a', { claim: { generation: 4, previous: '0123abcd' } });
    await world.reconcileCluster();
    const { uid } = world.tsCluster()!.metadata;
    expect(claimOf('lb-a')).toEqual({
      generation: 5,
      for: 'LoadBalancer',
      cluster: { namespace: 'ns', name: 'c1', uid },
      previous: '0123abcd',
    });
    expect(endpoint()).toEqual({ host: '10.0.0.97', port: 6443 });
    expect(ready()).toMatchObject({
      status: 'False',
      reason: 'WaitingForLoadBalancer',
      message: 'Waiting for host lb-a to become the load balancer',
    });
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();

    report('lb-a', SERVING);
    expect(await world.reconcileCluster()).toEqual({ kind: 'done' });
    expect(ready()).toMatchObject({ status: 'True', reason: 'EndpointReady' });
    expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
  });

  it('called twice: one claim, nothing written again', async () => {
    addHost('lb-a');
    addHost('lb-b');
    await world.reconcileCluster();
    const writes = world.api.writes.length;
    await world.reconcileCluster();
    expect(held()).toEqual(['lb-a']);
    expect(world.api.writes.length).toBe(writes);
  });

  it('what a host served before it was claimed does not count', async () => {
    addHost('lb-a', { claim: claimed(), status: { ...SERVING, state: 'Claimed' } });
    await world.reconcileCluster();
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();
  });

  it.each([1, 2, 3])('crashed after write %i: the next pass goes on with the same host', async (nth) => {
    addHost('lb-a');
    addHost('lb-b');
    let writes = 0;
    world.api.afterWrite = () => {
      if (++writes === nth) throw new Error('killed');
    };
    await world.reconcileCluster().catch(() => undefined);
    await world.reconcileCluster();
    expect(held()).toEqual(['lb-a']);
    expect(endpoint()).toEqual({ host: '10.0.0.97', port: 6443 });
  });

  it.each<[string, NonNullable<TSClusterSpec['controlPlaneEndpoint']>, object]>([
    ['a name in front', { host: 'api.example.org', port: 443 }, { host: 'api.example.org', port: 443 }],
    ['a port', { port: 7443 }, { host: '10.0.0.97', port: 7443 }],
    ['a host', { host: 'api.example.org' }, { host: 'api.example.org', port: 6443 }],
  ])('keeps what is given: %s', async (_name, given, expected) => {
    world.api.put(tsCluster({ spec: { ...HAPROXY, controlPlaneEndpoint: given } }));
    addHost('lb-a');
    await world.reconcileCluster();
    expect(endpoint()).toEqual(expected);
    expect(held()).toEqual(['lb-a']);
  });

  it('an endpoint that is a host’s own address is served by that host only', async () => {
    world.api.put(
      tsCluster({ spec: { ...HAPROXY, controlPlaneEndpoint: { host: '10.0.0.98', port: 6443 } } }),
    );
    addHost('lb-a');
    addHost('lb-b', { status: { ...AVAILABLE, state: 'Cleaning' } });
    await world.reconcileCluster();
    expect(ready()?.message).toContain("1 being cleaned, 1 without the endpoint's address 10.0.0.98");
    report('lb-b', AVAILABLE);
    await world.reconcileCluster();
    expect(held()).toEqual(['lb-b']);
  });

  it('the endpoint of the Cluster (IC-2b) is written here before a host is claimed: the load balancer listens on its port', async () => {
    const infrastructureRef = { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSCluster', name: 'c1' };
    world.cluster({ spec: { infrastructureRef, controlPlaneEndpoint: { host: 'api', port: 443 } } });
    addHost('lb-a');
    await world.reconcileCluster();
    expect([endpoint(), held()]).toEqual([{ host: 'api', port: 443 }, []]);
    await world.reconcileCluster();
    expect([endpoint(), held()]).toEqual([{ host: 'api', port: 443 }, ['lb-a']]);
  });

  it('nothing is claimed while paused', async () => {
    const infrastructureRef = { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSCluster', name: 'c1' };
    world.cluster({ spec: { infrastructureRef, paused: true } });
    addHost('lb-a');
    await world.reconcileCluster();
    expect(held()).toEqual([]);
  });
});

describe('no host', () => {
  it.each<[string, () => void, RegExp]>([
    ['none at all', () => {}, /no TSHost in namespace ns; add or free a TSHost with the labels role=lb/],
    ['other labels', () => addHost('lb-a', { labels: { role: 'worker' } }), /1 host: 1 with other labels;/],
    ['in maintenance', () => addHost('lb-a', { maintenance: true }), /1 in maintenance/],
    ['for adoption', () => addHost('lb-a', { adopt: true }), /1 for adoption only/],
    [
      'unreachable',
      () => addHost('lb-a', { status: { ...AVAILABLE, operationalStatus: 'Unreachable' } }),
      /1 unreachable/,
    ],
    [
      'quarantined',
      () => addHost('lb-a', { status: { ...AVAILABLE, state: 'Quarantined' } }),
      /1 quarantined/,
    ],
    ['no status yet', () => addHost('lb-a', { status: {} }), /1 not registered yet/],
    [
      'several',
      () => {
        for (const name of ['lb-a', 'lb-b']) {
          const machine = { namespace: 'ns', name: 'm', uid: 'u' };
          addHost(name, { claim: { generation: 1, for: 'Machine', machine, clientToken: 't' } });
        }
        addHost('lb-c', { labels: {} });
      },
      /3 hosts: 2 claimed, 1 with other labels/,
    ],
  ])('%s: says why, and claims nothing', async (_name, arrange, message) => {
    arrange();
    expect(await world.reconcileCluster()).toEqual({ kind: 'done' });
    expect(ready()).toMatchObject({ status: 'False', reason: 'NoHostAvailable' });
    expect(ready()?.message).toMatch(message);
    expect(held()).toEqual([]);
  });
});

describe('two managers', () => {
  it('at the same moment: one host', async () => {
    addHost('lb-a');
    addHost('lb-b');
    await Promise.allSettled([world.reconcileCluster(), world.reconcileCluster()]);
    await world.reconcileCluster();
    expect(held()).toEqual(['lb-a']);
    expect(endpoint()?.host).toBe('10.0.0.97');
  });

  it('each has claimed one: the first by name stays, the other goes back once the endpoint is written', async () => {
    addHost('lb-b', { claim: claimed() });
    addHost('lb-a', { claim: claimed() });
    await world.reconcileCluster();
    expect(endpoint()?.host).toBe('10.0.0.97');
    expect(claimOf('lb-b')?.releasing).toBeUndefined();
    await world.reconcileCluster();
    expect(claimOf('lb-b')).toEqual({ ...claimed(), releasing: true });
    expect(claimOf('lb-a')).toEqual(claimed());
  });

  it('the one that the endpoint names stays, whatever its name', async () => {
    world.api.put(
      tsCluster({ spec: { ...HAPROXY, controlPlaneEndpoint: { host: '10.0.0.98', port: 6443 } } }),
    );
    addHost('lb-b', { claim: claimed() });
    addHost('lb-a', { claim: claimed() });
    await world.reconcileCluster();
    expect(claimOf('lb-a')?.releasing).toBe(true);
    expect(claimOf('lb-b')?.releasing).toBeUndefined();
  });

  it('somebody else claims the host first: another is chosen', async () => {
    addHost('lb-a');
    addHost('lb-b');
    let once = true;
    world.api.beforeWrite = (write) => {
      if (write.kind !== 'TSHost' || !once) return;
      once = false;
      addHost('lb-a', { claim: { ...claimed(), cluster: { namespace: 'ns', name: 'c2', uid: 'u2' } } });
    };
    await world.reconcileCluster();
    expect(claimOf('lb-a')?.cluster?.name).toBe('c2');
    expect(claimOf('lb-b')?.cluster?.name).toBe('c1');
    expect(endpoint()?.host).toBe('10.0.0.98');
  });
});

describe('later', () => {
  beforeEach(async () => {
    addHost('lb-a');
    await world.reconcileCluster();
    report('lb-a', SERVING);
    await world.reconcileCluster();
  });

  it('after a move: the same host, with the new UID', async () => {
    const { spec } = world.tsCluster()!;
    world.api.put(tsCluster({ spec }));
    report('lb-a', { state: 'Claimed' });
    addHost('lb-0');
    await world.reconcileCluster();
    expect(claimOf('lb-a')).toEqual(claimed());
    expect(held()).toEqual(['lb-a']);
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();
    report('lb-a', SERVING);
    await world.reconcileCluster();
    expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
  });

  it.each<[string, TSHostStatus, string, RegExp]>([
    [
      'unreachable',
      { ...SERVING, operationalStatus: 'Unreachable' },
      'HostUnreachable',
      /lb-a .* cannot be reached/,
    ],
    [
      'with an error',
      { ...SERVING, error: { reason: 'HostKeyMismatch', message: 'another key', since: '' } },
      'HostKeyMismatch',
      /lb-a .*: another key/,
    ],
  ])('%s: is not ready, and stays provisioned', async (_name, status, reason, message) => {
    report('lb-a', status);
    await world.reconcileCluster();
    expect(ready()).toMatchObject({ status: 'False', reason });
    expect(ready()?.message).toMatch(message);
    expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
  });

  it('force-released: claims the host of the endpoint again when it is clean, and no other', async () => {
    addHost('lb-a', { claim: { generation: 1 }, status: { ...AVAILABLE, state: 'Quarantined' } });
    addHost('lb-b');
    await world.reconcileCluster();
    expect([held(), ready()?.reason]).toEqual([[], 'NoHostAvailable']);
    report('lb-a', AVAILABLE);
    await world.reconcileCluster();
    expect(claimOf('lb-a')).toEqual({ ...claimed(), generation: 2 });
  });

  describe('deleting', () => {
    beforeEach(() => {
      world.api.remove(TSClusterKind, world.c1);
    });

    it('keeps the host while there are machines', async () => {
      await world.reconcileCluster();
      expect(claimOf('lb-a')?.releasing).toBeUndefined();
      expect(deleting()?.reason).toBe('WaitingForMachines');
    });

    it('gives the host back and goes when it is free', async () => {
      world.api.remove(TSMachineKind, world.m1);
      world.api.remove(ClusterKind, world.c1);
      await world.reconcileCluster();
      expect(claimOf('lb-a')).toEqual({ ...claimed(), releasing: true });
      report('lb-a', { state: 'Cleaning' });
      await world.reconcileCluster();
      expect(deleting()).toMatchObject({ reason: 'WaitingForLoadBalancer' });
      expect(deleting()?.message).toMatch(/lb-a \(Cleaning\)/);
      expect(world.tsCluster()?.metadata.finalizers).toEqual([TSCLUSTER_FINALIZER]);

      world.api.put<TSHost>({
        ...host('lb-a')!,
        spec: { ...host('lb-a')!.spec, claim: { generation: 1 } },
        status: AVAILABLE,
      });
      await world.reconcileCluster();
      expect(world.tsCluster()).toBeUndefined();
    });

    it('somebody writes to the host at the same moment: asks again soon', async () => {
      world.api.remove(TSMachineKind, world.m1);
      let once = true;
      world.api.beforeWrite = (write) => {
        if (write.kind === 'TSHost' && once) {
          once = false;
          report('lb-a', SERVING);
        }
      };
      expect(await world.reconcileCluster()).toMatchObject({ kind: 'wait', ms: 1_000 });
      await world.reconcileCluster();
      expect(claimOf('lb-a')?.releasing).toBe(true);
    });
  });
});

it('External again, before there was an endpoint: the host goes back', async () => {
  addHost('lb-a', { claim: claimed() });
  const given = { controlPlaneEndpoint: { host: 'api', port: 6443 } };
  world.api.put({ ...world.tsCluster()!, spec: given });
  await world.reconcileCluster();
  expect(claimOf('lb-a')?.releasing).toBe(true);
  expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
});

it('failure domains of hosts are offered together with those of other backends, sorted', async () => {
  const inMemory = {
    failureDomains: [
      { name: 'rack-b', controlPlane: false },
      { name: 'zone', controlPlane: false },
    ],
  };
  world.api.put(
    tsCluster({
      spec: {
        controlPlaneEndpoint: { host: 'a', port: 1 },
        inMemory,
        hosts: { failureDomains: ['rack-b', 'rack-a'] },
      },
    }),
  );
  await world.reconcileCluster();
  expect(world.tsCluster()?.status?.failureDomains).toEqual([
    { name: 'rack-a', controlPlane: true },
    { name: 'rack-b', controlPlane: true },
    { name: 'zone', controlPlane: false },
  ]);
});
