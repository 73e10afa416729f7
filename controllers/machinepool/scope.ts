// SPDX-License-Identifier: Apache-2.0
import type { Cluster, MachinePool } from '../../api/cluster-api.ts';
import { ClusterKind, MachinePoolKind, TSMachineKind, TSMachinePoolKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, REPLICAS_MANAGED_BY_ANNOTATION } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { TSMachinePool } from '../../api/tsmachinepool.ts';
import type { BootstrapData, MachineSize } from '../../backends/backend.ts';
import type {
  EnsuredPool,
  MachinePoolBackend,
  PoolFacts,
  PoolObserved,
} from '../../backends/machine-pool-backend.ts';
import { infraCluster, ownerName } from '../../contract/owners.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Cache } from '../../runtime/informer.ts';
import { type KubeObject, nameOf, type ObjectName } from '../../runtime/object.ts';

/** Who an InfraMachinePool belongs to. Complete in normal life; any of them may be gone while deleting. */
export interface PoolOwners {
  readonly machinePool: MachinePool | undefined;
  readonly cluster: Cluster | undefined;
  readonly tsCluster: TSCluster | undefined;
}

/** What one reconcile works on, and what its phases found out. */
export interface PoolScope extends PoolOwners {
  /** Our own copy: phases change it, one patch at the end writes it. */
  readonly object: TSMachinePool;
  readonly backend: MachinePoolBackend;
  readonly facts: Facts;
}

/** Filled by phases, read by conditions.ts. */
export interface Facts {
  /** Set by observeGroup; `undefined` until the backend has answered. */
  group?: PoolObserved;
  /** Set by keepMachines: those that stand for the pool's instances, by name. */
  tsMachines?: Map<string, TSMachine>;
  /** Set by keepMachines: machines that stay though the group does not show their instance. */
  unseen?: {
    readonly providerIDs: readonly string[];
    /** Some of them have not been missing for long: worth another look soon. */
    readonly isOpen: boolean;
  };
  /** Set by listMachines while deleting: the TSMachines that are left. */
  left?: readonly TSMachine[];
  /** Set by readBootstrapData. */
  bootstrapData?: BootstrapData;
  /** Set by ensureGroup. */
  ensured?: EnsuredPool;
  /** Set by shrink: machines that are more than the pool is to have, and still there. */
  surplus?: number;
  /** Set by refresh: machines that were made from something else than new ones. */
  outdated?: number;
  /** Set by findSize. */
  size?: MachineSize;
  /** Set while deleting: how far it is. */
  deleting?: string;
}

/** The owners of a pool, as far as the cache knows them. */
export function findPoolOwners(cache: Cache, object: TSMachinePool): PoolOwners {
  const owner = ownerName(object, 'MachinePool');
  const machinePool = owner && cache.peek(MachinePoolKind, owner);
  const name = machinePool?.spec.clusterName ?? object.metadata.labels?.[CLUSTER_NAME_LABEL];
  const cluster = name === undefined ? undefined : cache.peek(ClusterKind, { ...nameOf(object), name });
  return { machinePool, cluster, tsCluster: infraCluster(cache, cluster) };
}

/** Whether somebody else decides how many machines there are (IMP-10). */
export function isSizedElsewhere(machinePool: MachinePool | undefined): boolean {
  const value = machinePool?.metadata.annotations?.[REPLICAS_MANAGED_BY_ANNOTATION];
  return value !== undefined && value !== 'false';
}

/** The plain data that a backend may see; only with a recorded infrastructureID. */
export function poolFacts({ object, machinePool, cluster, tsCluster }: PoolScope): PoolFacts {
  const { infrastructureID = '', choice = {} } = object.spec;
  return {
    ...nameOf(object),
    clusterName: clusterNameOf(object, { machinePool, cluster }),
    ...{ infrastructureID, choice },
    version: machinePool?.spec.template.spec.version,
    failureDomains: machinePool?.spec.failureDomains ?? [],
    replicas: replicasOf(machinePool),
    isSizedElsewhere: isSizedElsewhere(machinePool),
    spec: object.spec,
    cluster: tsCluster?.spec,
  };
}

/** Of the Cluster; the label tells it when the others are gone. */
export function clusterNameOf(
  object: TSMachinePool,
  { machinePool, cluster }: Pick<PoolOwners, 'machinePool' | 'cluster'>,
): string {
  const label = object.metadata.labels?.[CLUSTER_NAME_LABEL];
  return cluster?.metadata.name ?? machinePool?.spec.clusterName ?? label ?? '';
}

/** How many machines the MachinePool asks for (KB-4). */
export function replicasOf(machinePool: MachinePool | undefined): number {
  return machinePool?.spec.replicas ?? 1;
}

/** The pool that a TSMachine belongs to, by its owner reference (IMP-8). */
export function poolOf(object: KubeObject): ObjectName | undefined {
  const { apiVersion, kind } = TSMachinePoolKind;
  const owner = object.metadata.ownerReferences?.find(
    (reference) => reference.kind === kind && reference.apiVersion.split('/')[0] === apiVersion.split('/')[0],
  );
  return owner && { namespace: object.metadata.namespace ?? '', name: owner.name };
}

/** The TSMachines of a pool that the cache knows. */
export function tsMachinesOf(cache: Cache, object: TSMachinePool): TSMachine[] {
  return byCluster(object)
    .flatMap((cluster) => cache.byIndex(TSMachineKind, CLUSTER_INDEX, cluster))
    .filter((one) => poolOf(one)?.name === object.metadata.name);
}
