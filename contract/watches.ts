// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../api/cluster-api.ts';
import { TSClusterIdentityKind, TSClusterKind } from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../api/labels.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { TSClusterIdentity } from '../api/tsclusteridentity.ts';
import type { Cache, InformerEvent } from '../runtime/informer.ts';
import { keyOf, type KubeObject } from '../runtime/object.ts';
import { ownerName } from './owners.ts';

/** Name of the index over provider objects by the Cluster that their label names; values come from {@link byCluster}. */
export const CLUSTER_INDEX = 'cluster';

/** Index function: `namespace/cluster`, from the label that core sets on everything it references (GEN-16). */
export function byCluster(object: KubeObject): readonly string[] {
  const cluster = object.metadata.labels?.[CLUSTER_NAME_LABEL];
  return cluster === undefined ? [] : [`${object.metadata.namespace ?? ''}/${cluster}`];
}

/** Name of the index over objects that only carry an owner reference to their Cluster; values come from {@link byOwnerCluster}. */
export const OWNER_CLUSTER_INDEX = 'owner-cluster';

/** Index function: `namespace/cluster`, from the owner reference that core sets on templates, too. */
export function byOwnerCluster(object: KubeObject): readonly string[] {
  const owner = ownerName(object, 'Cluster');
  return owner === undefined ? [] : [keyOf(owner)];
}

/** Longer chains of identities are refused anyway. */
const MAX_IDENTITY_CHAIN = 10;

/** Whether a change of the Cluster is one that provider objects wait for: unpause, infrastructure provisioned, endpoint. */
export function infraWakeUp(event: InformerEvent<Cluster>): boolean {
  return event.type !== 'update' || !isDeepStrictEqual(awaited(event.previous), awaited(event.object));
}

function awaited({ spec, status }: Cluster): unknown[] {
  return [spec?.paused, spec?.controlPlaneEndpoint, status?.initialization?.infrastructureProvisioned];
}

/** The TSClusters that wait for an identity, directly or through one that builds on it: with a change of it they may go on. */
export function clustersOfIdentity(
  cache: Cache,
  event: InformerEvent<TSClusterIdentity>,
): readonly TSCluster[] {
  if (event.type === 'update' && isDeepStrictEqual(event.previous.spec, event.object.spec)) return [];
  return cache
    .list(TSClusterKind)
    .filter(
      ({ spec }) =>
        spec.aws !== undefined && usesIdentity(cache, spec.aws.identityRef.name, event.object.metadata.name),
    );
}

function usesIdentity(cache: Cache, used: string, changed: string): boolean {
  let name: string | undefined = used;
  for (let depth = 0; depth < MAX_IDENTITY_CHAIN && name !== undefined; depth++) {
    if (name === changed) return true;
    name = cache.peek(TSClusterIdentityKind, { namespace: '', name })?.spec.aws.identityRef?.name;
  }
  return false;
}
