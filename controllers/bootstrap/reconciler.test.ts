// SPDX-License-Identifier: Apache-2.0
// The gates before any work (6.2): owners, filter, pause, deletion, infrastructure.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind } from '../../api/kinds.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';

let world: BootstrapWorld;
beforeEach(() => {
  world = new BootstrapWorld();
  world.machine('w1');
});

const condition = (type: string) => world.condition('w1', type);

describe('nothing is done, and nothing is written', () => {
  it.each([
    ['without the Machine', () => world.remove(MachineKind, 'w1')],
    ['without the Cluster', () => world.remove(ClusterKind, 'c1')],
    ['without an owner', () => changeMetadata({ ownerReferences: [] })],
    ['for an owner of another group', () => changeOwner({ apiVersion: 'example.org/v1' })],
    ['for an owner of another kind', () => changeOwner({ kind: 'MachineSet' })],
    ['when another manager serves it', () => void (world.watchFilter = 'blue')],
    ['when it is being deleted (KB-5)', () => changeMetadata({ deletionTimestamp: '2026-01-01T00:00:00Z' })],
  ])('%s', async (_what, change) => {
    change();
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(world.requests).toEqual([]);
  });

  it('for a config that is gone', async () => {
    expect(await world.reconcile('other')).toEqual({ kind: 'done' });
  });
});

it('KB-1: the version in the owner reference does not matter', async () => {
  changeOwner({ apiVersion: 'cluster.x-k8s.io/v1beta1' });
  await world.reconcile('w1');
  expect(condition('DataSecretAvailable')).toBeDefined();
});

describe('paused (GEN-10, GEN-11)', () => {
  it('says so and does nothing else; unpaused, the word goes with the first write', async () => {
    await world.controlPlane({ paused: true });
    await world.reconcile('w1');
    expect(condition('Paused')).toMatchObject({ status: 'True', reason: 'Paused' });
    expect(world.requests).toEqual(['patch_status KubeadmConfig w1']);
    world.forget();
    await world.controlPlane();
    await world.reconcile('w1');
    expect(condition('Paused')).toMatchObject({ status: 'False', reason: 'NotPaused' });
    expect(world.requests.filter((request) => request.startsWith('patch_status'))).toHaveLength(1);
  });

  it('by the annotation as well', async () => {
    changeMetadata({ annotations: { 'cluster.x-k8s.io/paused': '' } });
    await world.reconcile('w1');
    expect(condition('Paused')?.message).toContain(
      'KubeadmConfig has the cluster.x-k8s.io/paused annotation',
    );
  });
});

it('6.2.4: waits for the infrastructure of the Cluster, and says where to look', async () => {
  world.cluster({ infrastructureProvisioned: false });
  expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
  expect(condition('DataSecretAvailable')).toMatchObject({
    status: 'False',
    reason: 'NotAvailable',
    message: 'waiting for Cluster ns/c1: its infrastructure is not provisioned yet (see TSCluster ns/c1)',
  });
  expect(condition('Ready')).toMatchObject({ status: 'False', reason: 'NotReady' });
  expect(world.requests).toEqual(['patch_status KubeadmConfig w1']);
  world.forget();
  await world.reconcile('w1');
  expect(world.requests).toEqual([]);
});

function changeMetadata(change: Record<string, unknown>): void {
  const config = world.read('w1')!;
  world.api.put({ ...config, metadata: { ...config.metadata, ...change } });
}

function changeOwner(change: Record<string, unknown>): void {
  const [owner] = world.read('w1')!.metadata.ownerReferences!;
  changeMetadata({ ownerReferences: [{ ...owner, ...change }] });
}
