// SPDX-License-Identifier: Apache-2.0
// The cluster reconciler, pass by pass.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import { MachineWorld, tsCluster } from '../../test/machine-world.ts';

let world: MachineWorld;
beforeEach(() => {
  world = new MachineWorld();
});

const condition = (type: string) => world.tsCluster()?.status?.conditions?.find((one) => one.type === type);
const infrastructureRef = { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSCluster', name: 'c1' };
const unready = tsCluster({ spec: {} });

describe('provisioning', () => {
  it('IC-4, IC-5: is provisioned once the endpoint and the failure domains are known, in one status patch', async () => {
    world.api.put(
      tsCluster({
        spec: {
          controlPlaneEndpoint: { host: 'api', port: 6443 },
          inMemory: { failureDomains: [{ name: 'b', controlPlane: false }, { name: 'a' }] },
        },
      }),
    );
    expect(await world.reconcileCluster()).toEqual({ kind: 'done' });
    expect(world.tsCluster()).toMatchObject({
      metadata: { finalizers: [TSCLUSTER_FINALIZER] },
      status: {
        initialization: { provisioned: true },
        failureDomains: [
          { name: 'a', controlPlane: true },
          { name: 'b', controlPlane: false },
        ],
      },
    });
    expect(condition('Ready')).toMatchObject({ status: 'True', observedGeneration: 1 });
    expect(world.api.writes.map(({ verb }) => verb)).toEqual(['patch', 'patch_status']);
  });

  it('called twice: nothing is written again', async () => {
    await world.reconcileCluster();
    const writes = world.api.writes.length;
    await world.reconcileCluster();
    expect(world.api.writes.length).toBe(writes);
  });

  it.each([1, 2])('crashed after write %i: the next pass completes it', async (nth) => {
    let writes = 0;
    world.api.afterWrite = () => {
      if (++writes === nth) throw new Error('killed');
    };
    await expect(world.reconcileCluster()).rejects.toThrow('killed');
    await world.reconcileCluster();
    expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
  });

  it('IC-2b: waits for an endpoint and says where to write it', async () => {
    world.api.put(unready);
    await world.reconcileCluster();
    expect(condition('Ready')).toMatchObject({ status: 'False', reason: 'WaitingForControlPlaneEndpoint' });
    expect(condition('Ready')?.message).toMatch(
      /set spec.controlPlaneEndpoint .* of this TSCluster or of its Cluster/,
    );
    expect(world.tsCluster()?.status?.initialization).toBeUndefined();
  });

  it('needs nothing but the address that the hosts of the control plane share, which answers where their API servers do', async () => {
    const spec = {
      controlPlaneLoadBalancer: { type: 'VirtualIP' as const },
      controlPlaneEndpoint: { host: '10.0.0.100' },
    };
    world.api.put(tsCluster({ spec }));
    await world.reconcileCluster();
    expect(world.tsCluster()).toMatchObject({
      spec: { controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 } },
      status: { initialization: { provisioned: true } },
    });
    const writes = world.api.writes.length;
    await world.reconcileCluster();
    expect(world.api.writes.length).toBe(writes);
  });

  it('IC-2b: an endpoint on the Cluster is enough and is not copied', async () => {
    world.api.put(unready);
    world.cluster({ spec: { infrastructureRef, controlPlaneEndpoint: { host: 'api', port: 6443 } } });
    await world.reconcileCluster();
    expect(world.tsCluster()?.status?.initialization).toEqual({ provisioned: true });
    expect(world.tsCluster()?.spec.controlPlaneEndpoint).toBeUndefined();
  });

  it('IC-6: sends no empty initialization', async () => {
    world.api.put(unready);
    await world.reconcileCluster();
    expect(world.tsCluster()?.status).not.toHaveProperty('initialization');
  });
});

describe('hands off', () => {
  it.each([
    ['no owner (IC-12)', () => void world.api.put({ ...tsCluster(), metadata: { ...world.c1 } })],
    ['no Cluster', () => world.api.remove(ClusterKind, world.c1)],
    ['another watch filter (GEN-15)', () => void (world.watchFilter = 'blue')],
    [
      'externally managed (IC-10)',
      () => {
        const object = tsCluster();
        object.metadata.annotations = { 'cluster.x-k8s.io/managed-by': 'terraform' };
        world.api.put(object);
      },
    ],
  ])('%s: no write at all', async (_name, arrange) => {
    arrange();
    await world.reconcileCluster();
    expect(world.api.writes).toEqual([]);
  });

  it('paused (GEN-11): only says so', async () => {
    world.cluster({ spec: { infrastructureRef, paused: true } });
    await world.reconcileCluster();
    expect(condition('Paused')).toMatchObject({ status: 'True', reason: 'Paused' });
    expect(world.tsCluster()?.metadata.finalizers).toBeUndefined();
  });
});

describe('deleting', () => {
  beforeEach(async () => {
    await world.reconcileCluster();
    world.api.remove(TSClusterKind, world.c1);
  });

  it('before its machines: waits and names them', async () => {
    await world.reconcileCluster();
    expect(condition('Deleting')).toMatchObject({ status: 'True', reason: 'WaitingForMachines' });
    expect(condition('Deleting')?.message).toMatch(/machines of the cluster to go first: m1; delete/);
    expect(condition('Ready')?.status).toBe('False');
  });

  it('after its machines: lets go, also without its Cluster (IC-13)', async () => {
    world.api.remove(TSMachineKind, world.m1);
    world.api.remove(ClusterKind, world.c1);
    await world.reconcileCluster();
    expect(world.tsCluster()).toBeUndefined();
  });
});
