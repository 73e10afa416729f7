// SPDX-License-Identifier: Apache-2.0
// What wakes a TSMachine. An event that cannot change what we would do wakes nobody: an idle fleet asks its cloud nothing.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  MachineKind,
  TSClusterIdentityKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX, clustersOfIdentity, infraWakeUp } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';
import { hostWatch } from './host-watch.ts';

/** The watches of the TSMachine controller. */
export function machineWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSMachineKind, map: ownEvent },
    { kind: MachineKind, map: machineEvent },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
    { kind: TSClusterKind, map: (event: InformerEvent<TSCluster>) => tsClusterEvent(cache, event) },
    {
      kind: TSClusterIdentityKind,
      map: (event: InformerEvent<TSClusterIdentity>) => identityEvent(cache, event),
    },
    hostWatch(cache),
  ];
}

function ownEvent(event: InformerEvent<TSMachine>): readonly ObjectName[] {
  if (event.type !== 'update') return [nameOf(event.object)];
  const { previous, object } = event;
  const same = isDeepStrictEqual(asked(previous), asked(object));
  return same && !wasTaken(previous, object) ? [] : [nameOf(object)];
}

/** The object without what this controller itself writes. */
function asked(object: TSMachine): unknown {
  const spec = { ...object.spec, providerID: undefined, createIntent: undefined };
  const { labels, annotations, ownerReferences, deletionTimestamp, uid } = object.metadata;
  return { spec, labels, annotations, ownerReferences, deletionTimestamp, uid };
}

/** Somebody took away what we wrote: our hold on the object, or what it says. */
function wasTaken(previous: TSMachine, object: TSMachine): boolean {
  const held = hasFinalizer(previous, TSMACHINE_FINALIZER) && !hasFinalizer(object, TSMACHINE_FINALIZER);
  return held || (previous.status !== undefined && object.status === undefined);
}

/** Core writes a Machine's status often; its spec concerns us, and whether its Node is there. */
function machineEvent(event: InformerEvent<Machine>): readonly ObjectName[] {
  if (event.type === 'update' && isDeepStrictEqual(concerning(event.previous), concerning(event.object)))
    return [];
  const reference = event.object.spec.infrastructureRef;
  if (reference.kind !== TSMachineKind.kind) return [];
  return [{ namespace: event.object.metadata.namespace ?? '', name: reference.name }];
}

function concerning({ metadata, status }: Machine): unknown {
  return [metadata.generation, status?.nodeRef !== undefined];
}

function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (!infraWakeUp(event)) return [];
  const { namespace = '', name } = event.object.metadata;
  return cache.byIndex(TSMachineKind, CLUSTER_INDEX, `${namespace}/${name}`).map(nameOf);
}

/** Its spec holds defaults of the machines, failures to rehearse, and the failure domains that a machine may have to wait for. */
function tsClusterEvent(cache: Cache, event: InformerEvent<TSCluster>): readonly ObjectName[] {
  if (event.type !== 'update' || isDeepStrictEqual(event.previous.spec, event.object.spec)) return [];
  return byCluster(event.object)
    .flatMap((cluster) => cache.byIndex(TSMachineKind, CLUSTER_INDEX, cluster))
    .map(nameOf);
}

/** What was refused to an identity may be allowed now. */
function identityEvent(cache: Cache, event: InformerEvent<TSClusterIdentity>): readonly ObjectName[] {
  return clustersOfIdentity(cache, event)
    .flatMap(byCluster)
    .flatMap((cluster) => cache.byIndex(TSMachineKind, CLUSTER_INDEX, cluster))
    .map(nameOf);
}
