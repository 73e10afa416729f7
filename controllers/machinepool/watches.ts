// SPDX-License-Identifier: Apache-2.0
// What wakes a TSMachinePool. An event that cannot change what we would do wakes nobody.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster, Machine, MachinePool } from '../../api/cluster-api.ts';
import { ConditionType } from '../../api/conditions.ts';
import {
  ClusterKind,
  MachineKind,
  MachinePoolKind,
  TSClusterIdentityKind,
  TSClusterKind,
  TSMachineKind,
  TSMachinePoolKind,
} from '../../api/kinds.ts';
import { DELETE_MACHINE_ANNOTATION, POOL_NAME_LABEL, TSMACHINEPOOL_FINALIZER } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { TSMachinePool } from '../../api/tsmachinepool.ts';
import { byCluster, CLUSTER_INDEX, clustersOfIdentity, infraWakeUp } from '../../contract/watches.ts';
import { getCondition } from '../../runtime/conditions.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';
import { poolOf } from './scope.ts';

/** The watches of the TSMachinePool controller. */
export function machinePoolWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSMachinePoolKind, map: ownEvent },
    { kind: MachinePoolKind, map: machinePoolEvent },
    { kind: TSMachineKind, map: tsMachineEvent },
    { kind: MachineKind, map: (event: InformerEvent<Machine>) => machineEvent(cache, event) },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
    { kind: TSClusterKind, map: (event: InformerEvent<TSCluster>) => tsClusterEvent(cache, event) },
    {
      kind: TSClusterIdentityKind,
      map: (event: InformerEvent<TSClusterIdentity>) => identityEvent(cache, event),
    },
  ];
}

/** What was refused to an identity may be allowed now. */
function identityEvent(cache: Cache, event: InformerEvent<TSClusterIdentity>): readonly ObjectName[] {
  return clustersOfIdentity(cache, event)
    .flatMap(byCluster)
    .flatMap((cluster) => cache.byIndex(TSMachinePoolKind, CLUSTER_INDEX, cluster))
    .map(nameOf);
}

function ownEvent(event: InformerEvent<TSMachinePool>): readonly ObjectName[] {
  if (event.type !== 'update') return [nameOf(event.object)];
  const { previous, object } = event;
  const same = isDeepStrictEqual(asked(previous), asked(object));
  return same && !wasTaken(previous, object) ? [] : [nameOf(object)];
}

/** The object without what this controller itself writes. */
function asked(object: TSMachinePool): unknown {
  const ours = {
    providerID: undefined,
    providerIDList: undefined,
    infrastructureID: undefined,
    choice: undefined,
  };
  const { labels, annotations, ownerReferences, deletionTimestamp, uid } = object.metadata;
  return { spec: { ...object.spec, ...ours }, labels, annotations, ownerReferences, deletionTimestamp, uid };
}

/** Somebody took away what we wrote: our hold on the object, or what it says. */
function wasTaken(previous: TSMachinePool, object: TSMachinePool): boolean {
  const [held, holds] = [previous, object].map((one) => hasFinalizer(one, TSMACHINEPOOL_FINALIZER));
  return (held === true && holds === false) || (previous.status !== undefined && object.status === undefined);
}

/** Core writes its status often; its spec and its annotations concern us (IMP-10). */
function machinePoolEvent(event: InformerEvent<MachinePool>): readonly ObjectName[] {
  const reference = event.object.spec.template.spec.infrastructureRef;
  if (reference?.kind !== TSMachinePoolKind.kind) return [];
  const concerning = ({ metadata, spec }: MachinePool) => [spec, metadata.annotations, metadata.uid];
  if (event.type === 'update' && isDeepStrictEqual(concerning(event.previous), concerning(event.object)))
    return [];
  return [{ namespace: event.object.metadata.namespace ?? '', name: reference.name }];
}

/** One that comes or goes, and one whose instance is seen in another state: the group may have fewer by now. */
function tsMachineEvent(event: InformerEvent<TSMachine>): readonly ObjectName[] {
  const pool = poolOf(event.object);
  if (pool === undefined) return [];
  const concerning = ({ metadata, status }: TSMachine) => [
    metadata.deletionTimestamp,
    getCondition(status?.conditions, ConditionType.InstanceReady)?.reason,
  ];
  if (event.type === 'update' && isDeepStrictEqual(concerning(event.previous), concerning(event.object)))
    return [];
  return [pool];
}

/** One that has joined, goes, or shall be the next to go. */
function machineEvent(cache: Cache, event: InformerEvent<Machine>): readonly ObjectName[] {
  const { object } = event;
  if (object.metadata.labels?.[POOL_NAME_LABEL] === undefined) return [];
  const concerning = ({ metadata, status }: Machine) => [
    metadata.deletionTimestamp,
    metadata.annotations?.[DELETE_MACHINE_ANNOTATION],
    status?.nodeRef !== undefined,
  ];
  if (event.type === 'update' && isDeepStrictEqual(concerning(event.previous), concerning(object))) return [];
  const { name } = object.spec.infrastructureRef;
  const tsMachine = cache.peek(TSMachineKind, { ...nameOf(object), name });
  return (tsMachine && [poolOf(tsMachine) ?? []].flat()) ?? [];
}

function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (!infraWakeUp(event)) return [];
  const { namespace = '', name } = event.object.metadata;
  return cache.byIndex(TSMachinePoolKind, CLUSTER_INDEX, `${namespace}/${name}`).map(nameOf);
}

/** Its spec holds region, identity, network and tags. */
function tsClusterEvent(cache: Cache, event: InformerEvent<TSCluster>): readonly ObjectName[] {
  if (event.type !== 'update' || isDeepStrictEqual(event.previous.spec, event.object.spec)) return [];
  return byCluster(event.object)
    .flatMap((cluster) => cache.byIndex(TSMachinePoolKind, CLUSTER_INDEX, cluster))
    .map(nameOf);
}
