// SPDX-License-Identifier: Apache-2.0
// What wakes the node linker. Nodes are not watched: a watch for each workload cluster costs more than a look now and then.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX, infraWakeUp } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';

/** The watches of the node linker. */
export function nodeWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSClusterKind, map: ownEvent },
    { kind: ClusterKind, map: clusterEvent },
    { kind: TSMachineKind, map: (event: InformerEvent<TSMachine>) => machineEvent(cache, event) },
  ];
}

function ownEvent(event: InformerEvent<TSCluster>): readonly ObjectName[] {
  if (event.type === 'update' && isDeepStrictEqual(asked(event.previous), asked(event.object))) return [];
  return [nameOf(event.object)];
}

function asked({ spec, metadata }: TSCluster): unknown {
  const { labels, annotations, ownerReferences, deletionTimestamp, uid } = metadata;
  return [spec.hosts, labels, annotations, ownerReferences, deletionTimestamp, uid];
}

function clusterEvent(event: InformerEvent<Cluster>): readonly ObjectName[] {
  const reference = event.object.spec?.infrastructureRef;
  if (!infraWakeUp(event) || reference?.kind !== TSClusterKind.kind) return [];
  return [{ namespace: event.object.metadata.namespace ?? '', name: reference.name }];
}

/** A machine on a host that is to have a Node, or is known by other addresses than before. */
function machineEvent(cache: Cache, event: InformerEvent<TSMachine>): readonly ObjectName[] {
  if (event.type === 'delete' || event.object.spec.host === undefined) return [];
  if (event.type === 'update' && isDeepStrictEqual(linkedBy(event.previous), linkedBy(event.object)))
    return [];
  return byCluster(event.object)
    .flatMap((cluster) => cache.byIndex(TSClusterKind, CLUSTER_INDEX, cluster))
    .map(nameOf);
}

function linkedBy({ spec, status, metadata }: TSMachine): unknown {
  const { addresses, failureDomain, initialization } = status ?? {};
  return [spec.providerID, addresses, failureDomain, initialization?.provisioned, metadata.annotations];
}
