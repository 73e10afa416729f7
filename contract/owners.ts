// SPDX-License-Identifier: Apache-2.0
import { CLUSTER_API_GROUP, type Cluster, type Machine } from '../api/cluster-api.ts';
import { ClusterKind, MachineKind, TSClusterKind } from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../api/labels.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { Cache } from '../runtime/informer.ts';
import { groupOf, type KubeObject, nameOf, type ObjectName } from '../runtime/object.ts';

/**
 * The name of the owner of a core kind (IC-12, IM-8). The version in the reference is ignored: core upgrades its API
 * without rewriting references. Owners live in the object's namespace (GEN-9).
 */
export function ownerName(
  object: KubeObject,
  kind: 'Cluster' | 'Machine' | 'MachinePool',
): ObjectName | undefined {
  const owner = object.metadata.ownerReferences?.find(
    (reference) => reference.kind === kind && groupOf(reference.apiVersion) === CLUSTER_API_GROUP,
  );
  return owner && { namespace: object.metadata.namespace ?? '', name: owner.name };
}

/** The Machine that owns an InfraMachine, if core has set it and it still exists. */
export function ownerMachine(cache: Cache, object: KubeObject): Machine | undefined {
  const name = ownerName(object, 'Machine');
  return name && cache.peek(MachineKind, name);
}

/** The Cluster that owns an InfraCluster, if core has set it and it still exists. */
export function ownerCluster(cache: Cache, object: KubeObject): Cluster | undefined {
  const name = ownerName(object, 'Cluster');
  return name && cache.peek(ClusterKind, name);
}

/** The Cluster of a machine: its Machine's, else (the Machine may be gone while deleting) the one its label names. */
export function clusterOfMachine(
  cache: Cache,
  object: KubeObject,
  machine: Machine | undefined,
): Cluster | undefined {
  const name = machine?.spec.clusterName ?? object.metadata.labels?.[CLUSTER_NAME_LABEL];
  if (name === undefined) return undefined;
  return cache.peek(ClusterKind, { namespace: object.metadata.namespace ?? '', name });
}

/** The TSCluster that the Cluster names; `undefined` when it is of another kind or gone. */
export function infraCluster(cache: Cache, cluster: Cluster | undefined): TSCluster | undefined {
  const reference = cluster?.spec?.infrastructureRef;
  if (cluster === undefined || reference?.kind !== TSClusterKind.kind) return undefined;
  return cache.peek(TSClusterKind, { ...nameOf(cluster), name: reference.name });
}

/**
 * Whether a machine is one of a control plane, by any of the objects that stand for it: core puts the label on the Machine, the control
 * plane provider on the InfraMachine as well, and the Machine goes first. It counts by its presence, its value is empty (IM-11, PIT-31).
 */
export function isControlPlane(...objects: readonly (KubeObject | undefined)[]): boolean {
  return objects.some((one) => one?.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined);
}
