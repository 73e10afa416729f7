// SPDX-License-Identifier: Apache-2.0
// What wakes a TSHost. An event that cannot change what we would do wakes nobody; our own writes never do.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSClusterKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import {
  APPROVE_REPAIR_ANNOTATION,
  CLEAN_ANNOTATION,
  FORCE_RELEASE_ANNOTATION,
  HOLD_KUBELET_ANNOTATION,
  PAUSED_ANNOTATION,
  REBOOT_ANNOTATION,
  TSHOST_FINALIZER,
} from '../../api/labels.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { claimOf } from './claim.ts';
import { sharersOf } from './virtual-ip-members.ts';

/** Index over TSHosts: `namespace/name` of the TSMachine that the claim names. */
export const CLAIM_INDEX = 'claim';

/** Index over TSHosts: `namespace/name` of the TSCluster whose load balancer the host is. */
export const BALANCER_INDEX = 'balancer';

/** What the informer of TSHosts has to know. */
export const HOST_INDEXES: Readonly<Record<string, (host: TSHost) => readonly string[]>> = {
  [CLAIM_INDEX]: ({ spec: { claim } }) => (claim?.machine === undefined ? [] : [keyOf(claim.machine)]),
  [BALANCER_INDEX]: ({ spec: { claim } }) => (claim?.cluster === undefined ? [] : [keyOf(claim.cluster)]),
};

/** The watches of the TSHost controller. */
export function hostWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSHostKind, map: (event: InformerEvent<TSHost>) => hostEvent(cache, event) },
    { kind: TSMachineKind, map: (event: InformerEvent<TSMachine>) => machineEvent(cache, event) },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
    { kind: TSClusterKind, map: (event: InformerEvent<TSCluster>) => tsClusterEvent(cache, event) },
  ];
}

function hostEvent(cache: Cache, event: InformerEvent<TSHost>): readonly ObjectName[] {
  const { object } = event;
  if (event.type !== 'update')
    return [nameOf(object), ...balancersOf(cache, object), ...sharersWith(cache, object)];
  const { previous } = event;
  const own = isNews(previous, object) || wasTaken(previous, object) ? [nameOf(object)] : [];
  if (isDeepStrictEqual(asMember(previous), asMember(object))) return own;
  return [
    ...own,
    ...balancersOf(cache, object),
    ...balancersOf(cache, previous),
    ...sharersWith(cache, object),
    ...sharersWith(cache, previous),
  ];
}

/** Taken off by us when it is done. */
const ANSWERED = [
  APPROVE_REPAIR_ANNOTATION,
  CLEAN_ANNOTATION,
  FORCE_RELEASE_ANNOTATION,
  REBOOT_ANNOTATION,
  HOLD_KUBELET_ANNOTATION,
];

/** Somebody else changed what we act on. Left out is what this controller writes outside of status. */
function isNews(previous: TSHost, object: TSHost): boolean {
  const [before, after] = [asked(previous), asked(object)];
  // Only we make a host free, and answer annotations by taking them off.
  if (after.claim === undefined) delete before.claim;
  for (const annotation of ANSWERED) {
    if (after.annotations[annotation] === undefined) delete before.annotations[annotation];
  }
  if (after.annotations[HOLD_KUBELET_ANNOTATION] === 'held') {
    delete before.annotations[HOLD_KUBELET_ANNOTATION];
    delete after.annotations[HOLD_KUBELET_ANNOTATION];
  }
  // Keys that were seen first come from us as well.
  const { ssh } = before.spec;
  if (ssh.hostKeyPolicy === 'TrustOnFirstUse' && ssh.hostKeys === undefined) delete after.spec.ssh.hostKeys;
  return !isDeepStrictEqual(before, after);
}

function asked({ metadata, spec: { claim, ...spec } }: TSHost) {
  const { labels, annotations, deletionTimestamp, uid } = metadata;
  const held: { claim?: HostClaim } = claim?.for === undefined ? {} : { claim };
  return {
    ...{ labels, deletionTimestamp, uid, ...held },
    annotations: { ...annotations },
    spec: { ...spec, ssh: { ...spec.ssh } },
  };
}

/** Somebody took away what we wrote: our hold on a host in use, or what it says. */
function wasTaken(previous: TSHost, object: TSHost): boolean {
  const isLoose = hasFinalizer(previous, TSHOST_FINALIZER) && !hasFinalizer(object, TSHOST_FINALIZER);
  return (
    (isLoose && claimOf(object) !== undefined) ||
    (previous.status !== undefined && object.status === undefined)
  );
}

/** What a load balancer serves follows from these, and what is told to hosts that share an address. */
function asMember({ metadata, spec, status }: TSHost): unknown[] {
  const { state, hardware, virtualIP } = status ?? {};
  return [metadata.deletionTimestamp, spec.claim, spec.ssh.address, state, hardware?.nics, virtualIP?.peers];
}

/** The hosts that balance the control plane which the machine on this host is part of. */
function balancersOf(cache: Cache, host: TSHost): readonly ObjectName[] {
  const machine = host.spec.claim?.machine;
  const object = machine && cache.peek(TSMachineKind, machine);
  return object === undefined ? [] : balancersOfMachine(cache, object);
}

function balancersOfMachine(cache: Cache, machine: TSMachine): readonly ObjectName[] {
  return isControlPlane(machine, ownerMachine(cache, machine))
    ? byCluster(machine).flatMap((key) => balancers(cache, key))
    : [];
}

/** The other hosts of the control plane, when it shares an address. */
function sharersWith(cache: Cache, host: TSHost): readonly ObjectName[] {
  const machine = host.spec.claim?.machine;
  const object = machine && cache.peek(TSMachineKind, machine);
  if (object === undefined) return [];
  return sharersOfMachine(cache, object).filter(({ name }) => name !== host.metadata.name);
}

function sharersOfMachine(cache: Cache, machine: TSMachine): readonly ObjectName[] {
  if (!isControlPlane(machine, ownerMachine(cache, machine))) return [];
  return byCluster(machine)
    .flatMap((key) => cache.byIndex<TSCluster>(TSClusterKind, CLUSTER_INDEX, key))
    .flatMap((tsCluster) => sharersOf(cache, tsCluster))
    .map(nameOf);
}

/** `cluster` is `namespace/name` of the Cluster. */
function balancers(cache: Cache, cluster: string): readonly ObjectName[] {
  return cache
    .byIndex(TSClusterKind, CLUSTER_INDEX, cluster)
    .flatMap((object) => cache.byIndex(TSHostKind, BALANCER_INDEX, keyOf(nameOf(object))))
    .map(nameOf);
}

/** Whether a host and its machine agree on each other. */
function machineEvent(cache: Cache, event: InformerEvent<TSMachine>): readonly ObjectName[] {
  const { object } = event;
  const isSame = event.type === 'update' && isDeepStrictEqual(identity(event.previous), identity(object));
  if (isSame) return [];
  return [
    ...hostsOfMachine(cache, object),
    ...balancersOfMachine(cache, object),
    ...sharersOfMachine(cache, object),
  ];
}

function identity({ metadata, spec }: TSMachine): unknown[] {
  const { uid, deletionTimestamp, annotations } = metadata;
  return [uid, deletionTimestamp, annotations?.[PAUSED_ANNOTATION], spec.providerID, spec.createIntent];
}

/** The host that the machine names, and those that name the machine. */
function hostsOfMachine(cache: Cache, { metadata, spec }: TSMachine): readonly ObjectName[] {
  const { namespace = '', name } = metadata;
  const claimed = cache.byIndex(TSHostKind, CLAIM_INDEX, keyOf({ namespace, name })).map(nameOf);
  const named = spec.providerID === undefined ? undefined : parseProviderID(spec.providerID);
  if (named?.backend !== 'host') return claimed;
  return [{ namespace: named.namespace, name: named.host }, ...claimed];
}

/** Hosts of a paused Cluster are left alone; a balancer of one that is being deleted holds nobody up. */
function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (event.type === 'update' && isDeepStrictEqual(awaited(event.previous), awaited(event.object))) return [];
  const key = keyOf(nameOf(event.object));
  const machines = cache.byIndex(TSMachineKind, CLUSTER_INDEX, key);
  return [...machines.flatMap((machine) => hostsOfMachine(cache, machine)), ...balancers(cache, key)];
}

function awaited({ metadata, spec }: Cluster): unknown[] {
  return [metadata.deletionTimestamp, spec?.paused];
}

/** The port that its load balancer listens on, the address that its hosts share. */
function tsClusterEvent(cache: Cache, event: InformerEvent<TSCluster>): readonly ObjectName[] {
  const { object } = event;
  if (event.type === 'update' && isDeepStrictEqual(event.previous.spec, object.spec)) return [];
  const balancing = cache.byIndex(TSHostKind, BALANCER_INDEX, keyOf(nameOf(object)));
  return [...balancing, ...sharersOf(cache, object)].map(nameOf);
}
