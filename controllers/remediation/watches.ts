// SPDX-License-Identifier: Apache-2.0
// What wakes a TSRemediation. The Node is not watched: whether it is healthy is the MachineHealthCheck's to say.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSHostKind, TSMachineKind, TSRemediationKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSRemediation } from '../../api/tsremediation.ts';
import { ownerMachine } from '../../contract/owners.ts';
import { byCluster, CLUSTER_INDEX, infraWakeUp } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { askedBoot, holdOf } from './asks.ts';

/** The watches of the TSRemediation controller. */
export function remediationWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSRemediationKind, map: (event: InformerEvent<TSRemediation>) => ownEvent(cache, event) },
    { kind: TSHostKind, map: (event: InformerEvent<TSHost>) => hostEvent(cache, event) },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
  ];
}

/** One that ends its work, or goes, lets another one begin. */
function ownEvent(cache: Cache, event: InformerEvent<TSRemediation>): readonly ObjectName[] {
  const { object } = event;
  if (event.type === 'add') return [nameOf(object)];
  const own = event.type === 'update' && !isDeepStrictEqual(asked(event.previous), asked(object));
  const before = event.type === 'update' ? event.previous.status?.phase : undefined;
  const isNews = event.type === 'delete' || before !== object.status?.phase;
  return [...(own ? [nameOf(object)] : []), ...(isNews ? waitingBeside(cache, object) : [])];
}

/** Also a status that somebody has taken away. */
function asked({ metadata, spec, status }: TSRemediation): unknown[] {
  const { labels, annotations, deletionTimestamp, uid } = metadata;
  return [labels, annotations, deletionTimestamp, uid, spec, status?.phase === undefined];
}

function waitingBeside(cache: Cache, object: TSRemediation): readonly ObjectName[] {
  const key = keyOf(nameOf(object));
  return byCluster(object)
    .flatMap((cluster) => cache.byIndex(TSRemediationKind, CLUSTER_INDEX, cluster))
    .filter((one) => one.status?.phase === 'Waiting' && keyOf(nameOf(one)) !== key)
    .map(nameOf);
}

function hostEvent(cache: Cache, event: InformerEvent<TSHost>): readonly ObjectName[] {
  const { object } = event;
  const machine = object.spec.claim?.machine;
  if (machine === undefined) return [];
  if (event.type === 'update' && isDeepStrictEqual(seen(event.previous), seen(object))) return [];
  const tsMachine = cache.peek(TSMachineKind, { namespace: machine.namespace, name: machine.name });
  const owner = tsMachine && ownerMachine(cache, tsMachine);
  const name = owner && nameOf(owner);
  return name !== undefined && cache.peek(TSRemediationKind, name) !== undefined ? [name] : [];
}

function seen(host: TSHost): unknown[] {
  const { spec, status } = host;
  return [spec.claim, spec.maintenance, status?.state, status?.bootID, askedBoot(host), holdOf(host)];
}

function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (!infraWakeUp(event)) return [];
  return cache.byIndex(TSRemediationKind, CLUSTER_INDEX, keyOf(nameOf(event.object))).map(nameOf);
}
