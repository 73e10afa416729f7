// SPDX-License-Identifier: Apache-2.0
// What wakes a TSCluster.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX, infraWakeUp } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';

/** The watches of the TSCluster controller. */
export function clusterWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSClusterKind, map: ownEvent },
    { kind: ClusterKind, map: clusterEvent },
    {
      kind: TSMachineKind,
      map: (event: InformerEvent<TSMachine>) => machineEvent(cache, event),
    },
  ];
}

function ownEvent(event: InformerEvent<TSCluster>): readonly ObjectName[] {
  if (event.type === 'update' && isDeepStrictEqual(asked(event.previous), asked(event.object))) return [];
  return [nameOf(event.object)];
}

/** The object without what this controller itself writes. */
function asked(object: TSCluster): unknown {
  const { labels, annotations, ownerReferences, deletionTimestamp, uid } = object.metadata;
  return { spec: object.spec, labels, annotations, ownerReferences, deletionTimestamp, uid };
}

function clusterEvent(event: InformerEvent<Cluster>): readonly ObjectName[] {
  const reference = event.object.spec?.infrastructureRef;
  if (!infraWakeUp(event) || reference?.kind !== TSClusterKind.kind) return [];
  return [{ namespace: event.object.metadata.namespace ?? '', name: reference.name }];
}

/** A TSCluster that is being deleted waits for its machines to go. */
function machineEvent(cache: Cache, event: InformerEvent<TSMachine>): readonly ObjectName[] {
  if (event.type !== 'delete') return [];
  return byCluster(event.object)
    .flatMap((cluster) => cache.byIndex(TSClusterKind, CLUSTER_INDEX, cluster))
    .filter((object) => object.metadata.deletionTimestamp !== undefined)
    .map(nameOf);
}
