// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, it } from 'vitest';
import { ClusterKind, TSMachineTemplateKind } from '../../api/kinds.ts';
import type { TSMachineTemplate } from '../../api/tsmachinetemplate.ts';
import { createInMemoryBackend } from '../../backends/inmemory/machine-backend.ts';
import { byOwnerCluster, OWNER_CLUSTER_INDEX } from '../../contract/watches.ts';
import { createLogger } from '../../runtime/logger.ts';
import { MachineWorld } from '../../test/machine-world.ts';
import { machineTemplateReconciler, machineTemplateWatches } from './reconciler.ts';

const name = { namespace: 'ns', name: 'big' };
let world: MachineWorld;
beforeEach(() => {
  world = new MachineWorld();
});

function put(metadata: Partial<TSMachineTemplate['metadata']> = {}): void {
  const spec = { template: { spec: { inMemory: { capacity: { cpu: '64' } } } } };
  world.api.put<TSMachineTemplate>({ ...TSMachineTemplateKind, metadata: { ...name, ...metadata }, spec });
}

async function reconcile(): Promise<TSMachineTemplate['status']> {
  const { client } = world.api;
  const backends = { for: () => createInMemoryBackend(world.cloud) };
  const ctx = {
    signal: new AbortController().signal,
    log: createLogger({ level: 'silent' }),
    clock: world.clock,
  };
  await machineTemplateReconciler({ client, cache: world.api.cache(), backends })(ctx, name);
  return world.api.read(TSMachineTemplateKind, name)?.status;
}

it('IMT-6, AS-7: publishes quantities as strings and what the Node will be, once', async () => {
  put();
  expect(await reconcile()).toEqual({
    capacity: { cpu: '64', memory: '8Gi' },
    nodeInfo: { architecture: 'amd64', operatingSystem: 'linux' },
  });
  await reconcile();
  expect(world.api.writes.map(({ verb }) => verb)).toEqual(['patch_status']);
});

it.each([
  ['paused', { annotations: { 'cluster.x-k8s.io/paused': '' } }],
  ['being deleted', { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['other'] }],
])('%s: no write', async (_name, metadata) => {
  put(metadata);
  expect(await reconcile()).toBeUndefined();
});

it('PIT-21: wakes the templates of a Cluster that goes on', () => {
  const owner = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Cluster', name: 'c1', uid: 'u' };
  put({ ownerReferences: [owner] });
  const [, watch] = machineTemplateWatches(world.api.cache({ [OWNER_CLUSTER_INDEX]: byOwnerCluster }));
  const object = { ...ClusterKind, metadata: { ...world.c1 }, spec: {} };
  const previous = { ...object, spec: { paused: true } };
  expect(watch?.map({ type: 'update', previous, object })).toEqual([name]);
  expect(watch?.map({ type: 'update', previous: object, object })).toEqual([]);
});
