// SPDX-License-Identifier: Apache-2.0
// Clusters whose network and load balancer a cloud makes, pass by pass, on a cloud that a test plays.
import { beforeEach, describe, expect, it } from 'vitest';
import { TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import type { TSClusterSpec } from '../../api/tscluster.ts';
import type { Destroyed } from '../../backends/backend.ts';
import type { ClusterFacts, Ensured, FailureDomain } from '../../backends/cluster-backend.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { MachineWorld, tsCluster } from '../../test/machine-world.ts';
import type { CloudCluster } from './scope.ts';

/** Remembers who asked, and what the cluster object said at that moment. */
class PlayedCloud implements CloudCluster {
  readonly asked: string[] = [];
  facts: ClusterFacts | undefined;
  network: Ensured<{ failureDomains: readonly FailureDomain[] }> | Error = {
    state: 'ready',
    failureDomains: [
      { name: 'b', controlPlane: true },
      { name: 'a', controlPlane: true },
    ],
    pollMs: 600_000,
  };
  balancer: Awaited<ReturnType<CloudCluster['ensureLoadBalancer']>> = {
    state: 'ready',
    endpoint: { host: 'nlb.example.org', port: 6443 },
    covers: ['a'],
  };
  removal: Destroyed = { state: 'gone' };
  before: () => void = () => undefined;
  account: string | Error = '111111111111';
  accountAsked = 0;

  accountOf() {
    this.accountAsked += 1;
    return this.account instanceof Error ? Promise.reject(this.account) : Promise.resolve(this.account);
  }
  ensureNetwork(_ctx: unknown, cluster: ClusterFacts) {
    this.note('ensureNetwork', cluster);
    return this.network instanceof Error ? Promise.reject(this.network) : Promise.resolve(this.network);
  }
  ensureLoadBalancer(_ctx: unknown, cluster: ClusterFacts) {
    this.note('ensureLoadBalancer', cluster);
    return Promise.resolve(this.balancer);
  }
  removeLoadBalancer(_ctx: unknown, cluster: ClusterFacts) {
    this.note('removeLoadBalancer', cluster);
    return Promise.resolve(this.removal);
  }
  removeNetwork(_ctx: unknown, cluster: ClusterFacts) {
    this.note('removeNetwork', cluster);
    return Promise.resolve(this.removal);
  }
  private note(what: string, cluster: ClusterFacts): void {
    this.before();
    this.asked.push(what);
    this.facts = cluster;
  }
}

const spec: TSClusterSpec = {
  aws: { region: 'eu-central-1', identityRef: { name: 'prod' }, network: { managed: {} } },
  controlPlaneLoadBalancer: { type: 'NLB' },
};
let world: MachineWorld;
let cloud: PlayedCloud;
beforeEach(() => {
  world = new MachineWorld();
  cloud = new PlayedCloud();
  world.cloudCluster = cloud;
  world.api.put(tsCluster({ spec }));
});

const condition = (type: string) => world.tsCluster()?.status?.conditions?.find((one) => one.type === type);

describe('making', () => {
  it('is asked only once finalizer, infrastructureID and account are on the API server (invariant 1)', async () => {
    cloud.before = () => {
      const { metadata, spec: stored } = world.tsCluster()!;
      expect(metadata.finalizers).toEqual([TSCLUSTER_FINALIZER]);
      expect(stored.infrastructureID).toMatch(/^c1-[0-9a-f]{8}$/);
      expect(stored.aws).toEqual({ ...spec.aws, accountID: '111111111111' });
    };
    await world.reconcileCluster();
    expect(cloud.asked).toEqual(['ensureNetwork', 'ensureLoadBalancer']);
    expect(cloud.facts?.infrastructureID).toBe(world.tsCluster()?.spec.infrastructureID);
  });

  it('IC-5: endpoint and failure domains are there with provisioned; only covered zones are for control planes', async () => {
    expect(await world.reconcileCluster()).toMatchObject({ kind: 'wait', ms: 600_000 });
    expect(world.tsCluster()).toMatchObject({
      spec: { controlPlaneEndpoint: { host: 'nlb.example.org', port: 6443 } },
      status: {
        initialization: { provisioned: true },
        failureDomains: [
          { name: 'a', controlPlane: true },
          { name: 'b', controlPlane: false },
        ],
      },
    });
    expect(condition('NetworkReady')).toMatchObject({ status: 'True', reason: 'NetworkReady' });
    expect(condition('Ready')?.status).toBe('True');
  });

  it('called twice: the same identity, nothing written again', async () => {
    await world.reconcileCluster();
    const [writes, id] = [world.api.writes.length, cloud.facts?.infrastructureID];
    await world.reconcileCluster();
    expect(world.api.writes.length).toBe(writes);
    expect(cloud.facts?.infrastructureID).toBe(id);
  });

  it.each([1, 2, 3])('crashed after write %i: goes on with the same identity', async (nth) => {
    let writes = 0;
    world.api.afterWrite = () => {
      if (++writes === nth) throw new Error('killed');
    };
    await expect(world.reconcileCluster()).rejects.toThrow();
    const { infrastructureID, aws } = world.tsCluster()!.spec;
    expect(aws?.accountID).toBe('111111111111');
    await world.reconcileCluster();
    expect(cloud.accountAsked).toBe(1);
    expect(world.tsCluster()).toMatchObject({
      spec: { infrastructureID, aws, controlPlaneEndpoint: { host: 'nlb.example.org' } },
      status: { initialization: { provisioned: true } },
    });
  });

  it('waits for the network in its own words, and asks for no load balancer', async () => {
    cloud.network = {
      state: 'pending',
      reason: 'NetworkCreating',
      message: 'Waiting for NAT gateways',
      pollMs: 3_000,
    };
    expect(await world.reconcileCluster()).toMatchObject({ kind: 'wait', ms: 3_000 });
    expect(cloud.asked).toEqual(['ensureNetwork']);
    for (const type of ['NetworkReady', 'Ready'])
      expect(condition(type)).toMatchObject({
        status: 'False',
        reason: 'NetworkCreating',
        message: 'Waiting for NAT gateways',
      });
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();
  });

  it('lets the load balancer begin in a network that takes one, and tells of the network', async () => {
    cloud.network = {
      ...{ state: 'pending', reason: 'NetworkCreating', message: 'Waiting for NAT gateways' },
      ...{ pollMs: 3_000, takesLoadBalancer: true },
    };
    expect(await world.reconcileCluster()).toMatchObject({ kind: 'wait', ms: 3_000 });
    expect(cloud.asked).toEqual(['ensureNetwork', 'ensureLoadBalancer']);
    for (const type of ['NetworkReady', 'ControlPlaneEndpointReady', 'Ready'])
      expect(condition(type)).toMatchObject({ status: 'False', message: 'Waiting for NAT gateways' });
    expect(world.tsCluster()?.spec.controlPlaneEndpoint?.host).toBe('nlb.example.org');
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();
    expect(world.tsCluster()?.status?.failureDomains).toBeUndefined();
  });

  it('bad input is a condition with its reason', async () => {
    cloud.network = new TerminalError(
      'SubnetInvalid',
      'spec.aws.network.subnets[0]: subnet-1 is in vpc-2, not vpc-1',
    );
    await expect(world.reconcileCluster()).rejects.toThrow('subnet-1');
    expect(condition('Ready')).toMatchObject({ status: 'False', reason: 'SubnetInvalid' });
  });

  it('a cloud that does not answer just now changes nothing of a cluster that is ready', async () => {
    await world.reconcileCluster();
    const before = world.tsCluster()?.status;
    cloud.network = new TransientError('DescribeVpcs: throttled');
    await expect(world.reconcileCluster()).rejects.toThrow('throttled');
    expect(condition('Ready')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('throttled') as string,
    });
    expect(world.tsCluster()?.status?.failureDomains).toEqual(before?.failureDomains);
  });
});

describe('the account', () => {
  it('is recorded in one write with the name, and never asked for again', async () => {
    await world.reconcileCluster();
    const [first] = world.api.writes;
    expect(first?.body).toMatchObject({
      metadata: { finalizers: [TSCLUSTER_FINALIZER] },
      spec: {
        infrastructureID: expect.any(String) as string,
        aws: { accountID: '111111111111' },
      },
    });
    cloud.account = '222222222222';
    await world.reconcileCluster();
    expect(cloud.accountAsked).toBe(1);
    expect(cloud.facts?.spec.aws?.accountID).toBe('111111111111');
  });

  it('is added to the name that an older version has recorded, which stays', async () => {
    world.api.put(tsCluster({ spec: { ...spec, infrastructureID: 'c1-old' } }));
    await world.reconcileCluster();
    expect(world.tsCluster()?.spec).toMatchObject({
      infrastructureID: 'c1-old',
      aws: { accountID: '111111111111' },
    });
    expect(cloud.facts).toMatchObject({
      infrastructureID: 'c1-old',
      spec: { aws: { accountID: '111111111111' } },
    });
  });

  it('nothing is made when the API server does not keep it', async () => {
    const { client } = world.api;
    Object.defineProperty(world.api, 'client', {
      get: () => ({
        ...client,
        patch: async (...[kind, name]: Parameters<typeof client.patch>) => world.api.read(kind, name),
      }),
    });
    await expect(world.reconcileCluster()).rejects.toThrow(/did not keep .*spec\.aws\.accountID/);
    expect(cloud.asked).toEqual([]);
  });

  it('the finalizer is on the API server before anything is made, also where the rest was given', async () => {
    const given = { ...spec, infrastructureID: 'c1-x', aws: { ...spec.aws!, accountID: '111111111111' } };
    world.api.put(tsCluster({ spec: given }));
    cloud.before = () => expect(world.tsCluster()?.metadata.finalizers).toEqual([TSCLUSTER_FINALIZER]);
    await world.reconcileCluster();
    expect(cloud.asked).toEqual(['ensureNetwork', 'ensureLoadBalancer']);
    expect(cloud.accountAsked).toBe(0);
  });

  describe('of an identity that cannot be used', () => {
    beforeEach(async () => {
      cloud.account = new TerminalError('IdentityNotAllowed', 'TSClusterIdentity "prod" may not be used');
      await expect(world.reconcileCluster()).rejects.toThrow('may not be used');
    });

    it('records and makes nothing, and is a condition with its reason', () => {
      expect(cloud.asked).toEqual([]);
      expect(world.tsCluster()?.spec).toEqual(spec);
      for (const type of ['NetworkReady', 'ControlPlaneEndpointReady', 'Ready'])
        expect(condition(type)).toMatchObject({ status: 'False', reason: 'IdentityNotAllowed' });
    });

    it('does not keep the cluster from being deleted', async () => {
      world.api.remove(TSMachineKind, world.m1);
      world.api.remove(TSClusterKind, world.c1);
      await world.reconcileCluster();
      expect(cloud.asked).toEqual([]);
      expect(world.tsCluster()).toBeUndefined();
    });

    it('goes on when it can be', async () => {
      cloud.account = '111111111111';
      await world.reconcileCluster();
      expect(condition('Ready')?.status).toBe('True');
    });
  });

  it('of a cloud that does not answer just now: the cluster waits', async () => {
    cloud.account = new TransientError('GetCallerIdentity: throttled');
    await expect(world.reconcileCluster()).rejects.toThrow('throttled');
    expect(condition('NetworkReady')).toMatchObject({ status: 'Unknown', reason: 'Retrying' });
    expect(world.tsCluster()?.spec.infrastructureID).toBeUndefined();
  });
});

describe('failure domains', () => {
  it('stay as they were while the load balancer does not say which it covers', async () => {
    await world.reconcileCluster();
    const before = world.tsCluster()?.status?.failureDomains;
    expect(before).toContainEqual({ name: 'b', controlPlane: false });
    cloud.balancer = { state: 'pending', reason: 'LoadBalancerCreating', message: 'Waiting' };
    await world.reconcileCluster();
    expect(world.tsCluster()?.status?.failureDomains).toEqual(before);
  });
});

describe('deleting', () => {
  beforeEach(async () => {
    await world.reconcileCluster();
    world.api.remove(TSMachineKind, world.m1);
    world.api.remove(TSClusterKind, world.c1);
    cloud.asked.length = 0;
  });

  it('the load balancer goes before the network, and the object after both', async () => {
    await world.reconcileCluster();
    expect(cloud.asked).toEqual(['removeLoadBalancer', 'removeNetwork']);
    expect(world.tsCluster()).toBeUndefined();
  });

  it('waits for what is in the way, and says it', async () => {
    cloud.removal = { state: 'inProgress', message: 'Waiting for nat-1 to be deleted' };
    await world.reconcileCluster();
    expect(cloud.asked).toEqual(['removeLoadBalancer']);
    expect(condition('Deleting')).toMatchObject({
      reason: 'LoadBalancerDeleting',
      message: 'Waiting for nat-1 to be deleted',
    });
  });
});

it('a cluster that never got an identity made nothing: the cloud is not asked', async () => {
  const object = tsCluster({ spec });
  world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [TSCLUSTER_FINALIZER] } });
  world.api.remove(TSMachineKind, world.m1);
  world.api.remove(TSClusterKind, world.c1);
  await world.reconcileCluster();
  expect(cloud.asked).toEqual([]);
  expect(world.tsCluster()).toBeUndefined();
});
