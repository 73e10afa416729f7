// SPDX-License-Identifier: Apache-2.0
// What wakes a TSCluster.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  TSClusterIdentityKind,
  TSClusterKind,
  TSHostKind,
  TSMachineKind,
  TSMachinePoolKind,
} from '../../api/kinds.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX, clustersOfIdentity, infraWakeUp } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { type KubeObject, nameOf, type ObjectName } from '../../runtime/object.ts';

/** The watches of the TSCluster controller. */
export function clusterWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSClusterKind, map: ownEvent },
    { kind: ClusterKind, map: clusterEvent },
    {
      kind: TSMachineKind,
      map: (event: InformerEvent<TSMachine>) => machineEvent(cache, event),
    },
    { kind: TSMachinePoolKind, map: (event) => machineEvent(cache, event) },
    {
      kind: TSClusterIdentityKind,
      map: (event: InformerEvent<TSClusterIdentity>) => clustersOfIdentity(cache, event).map(nameOf),
    },
    { kind: TSHostKind, map: (event: InformerEvent<TSHost>) => hostEvent(cache, event) },
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

/** A TSCluster that is being deleted waits for its machines and pools to go. */
function machineEvent(cache: Cache, event: InformerEvent<KubeObject>): readonly ObjectName[] {
  if (event.type !== 'delete') return [];
  return byCluster(event.object)
    .flatMap((cluster) => cache.byIndex(TSClusterKind, CLUSTER_INDEX, cluster))
    .filter((object) => object.metadata.deletionTimestamp !== undefined)
    .map(nameOf);
}

/** A host that is, or was, a load balancer; or one that is free, for those that have none yet. */
function hostEvent(cache: Cache, event: InformerEvent<TSHost>): readonly ObjectName[] {
  const known = event.type === 'update' ? [event.previous, event.object] : [event.object];
  if (event.type === 'update' && isDeepStrictEqual(offered(event.previous), offered(event.object))) return [];
  const { namespace } = event.object.metadata;
  const owners = known.flatMap(({ spec }) => spec.claim?.cluster ?? []).map(({ name }) => name);
  const waiting = event.object.spec.claim?.for === undefined ? withoutBalancer(cache, namespace) : [];
  return [...new Set([...owners, ...waiting])].map((name) => ({ namespace: namespace ?? '', name }));
}

/** What the load balancer's phases look at. */
function offered({ metadata, spec, status }: TSHost): unknown {
  const { state, operationalStatus, error, loadBalancer } = status ?? {};
  return [
    ...[metadata.labels, metadata.deletionTimestamp, metadata.uid],
    ...[spec.claim, spec.ssh.address, spec.maintenance, spec.adopt],
    ...[state, operationalStatus, error, loadBalancer !== undefined],
  ];
}

function withoutBalancer(cache: Cache, namespace: string | undefined): string[] {
  return cache
    .list(TSClusterKind, namespace)
    .filter(({ spec }) => spec.controlPlaneLoadBalancer?.type === 'HAProxy')
    .filter(({ status }) => status?.initialization?.provisioned !== true)
    .map(({ metadata }) => metadata.name);
}
