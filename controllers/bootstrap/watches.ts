// SPDX-License-Identifier: Apache-2.0
// What wakes a KubeadmConfig. An event that cannot change what we would do wakes nobody; our own writes never do.
import { isDeepStrictEqual } from 'node:util';
import type { Cluster, Machine, MachinePool, Secret } from '../../api/cluster-api.ts';
import { ClusterKind, KubeadmConfigKind, MachineKind, MachinePoolKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfig } from '../../api/kubeadmconfig.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import { byCluster, CLUSTER_INDEX, infraWakeUp } from '../../contract/watches.ts';
import { secretsOf } from '../../kubeadm/files.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { controllerOf } from './data-secret.ts';
import { isControlPlaneInitialized, isCreated } from './scope.ts';

/**
 * The watches of the KubeadmConfig controller (KB-6). The init lock wakes nobody when it goes: two machines that both cannot init
 * would pass it to and fro without end.
 */
export function bootstrapWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: KubeadmConfigKind, map: ownEvent },
    { kind: MachineKind, map: (event: InformerEvent<Machine>) => machineEvent(cache, event) },
    { kind: MachinePoolKind, map: (event: InformerEvent<MachinePool>) => poolEvent(cache, event) },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
    { kind: SecretKind, map: (event: InformerEvent<Secret>) => secretEvent(cache, event) },
  ];
}

function ownEvent(event: InformerEvent<KubeadmConfig>): readonly ObjectName[] {
  if (event.type === 'delete') return [];
  if (event.type === 'add') return [nameOf(event.object)];
  const { previous, object } = event;
  const lost = isCreated(previous) && !isCreated(object);
  const wakes = lost || !isDeepStrictEqual(asked(previous), asked(object)) || isMended(previous, object);
  return wakes ? [nameOf(object)] : [];
}

function asked({ metadata }: KubeadmConfig): unknown {
  const { labels, annotations, ownerReferences, deletionTimestamp, uid } = metadata;
  return { labels, annotations, ownerReferences, deletionTimestamp, uid };
}

/** What we fill in where it is absent (6.3.3, 6.4, KB-18). */
const FILLED_IN = [
  'clusterConfiguration.controlPlaneEndpoint',
  'joinConfiguration.controlPlane',
  ...['token', 'caCertHashes', 'apiServerEndpoint', 'unsafeSkipCAVerification'].map(
    (field) => `joinConfiguration.discovery.bootstrapToken.${field}`,
  ),
];

/** Another spec, of which what we fill in does not count. Once data are published, the spec does not matter any more (BC-11). */
function isMended(previous: KubeadmConfig, object: KubeadmConfig): boolean {
  if (isCreated(object)) return false;
  const [before, after] = [leavesOf(previous.spec ?? {}), leavesOf(object.spec ?? {})];
  for (const path of FILLED_IN) if (!before.has(path)) after.delete(path);
  return !isDeepStrictEqual(before, after);
}

/** Values by their path; lists and empty objects are values. */
function leavesOf(value: object, path = '', leaves = new Map<string, unknown>()): Map<string, unknown> {
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    const here = path === '' ? key : `${path}.${key}`;
    const isBranch = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    if (isBranch && Object.keys(inner).length > 0) leavesOf(inner, here, leaves);
    else leaves.set(here, inner);
  }
  return leaves;
}

function machineEvent(cache: Cache, event: InformerEvent<Machine>): readonly ObjectName[] {
  const { object } = event;
  if (event.type === 'delete') {
    // It may have held the init lock.
    const mayHold = object.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
    return mayHold ? pending(cache, `${object.metadata.namespace ?? ''}/${object.spec.clusterName}`) : [];
  }
  const same = event.type === 'update' && isDeepStrictEqual(ofMachine(event.previous), ofMachine(object));
  return same ? [] : ownConfig(cache, object, object.spec.bootstrap?.configRef);
}

/** Its `dataSecretName` comes from us, and its Node's arrival only ends a timer. */
function ofMachine({ spec, metadata }: Machine): unknown[] {
  const { version, clusterName, bootstrap } = spec;
  return [version, clusterName, bootstrap?.configRef, metadata.labels?.[CONTROL_PLANE_LABEL]];
}

function poolEvent(cache: Cache, event: InformerEvent<MachinePool>): readonly ObjectName[] {
  if (event.type === 'delete') return [];
  const same = event.type === 'update' && isDeepStrictEqual(ofPool(event.previous), ofPool(event.object));
  return same ? [] : ownConfig(cache, event.object, event.object.spec.template.spec.bootstrap?.configRef);
}

function ofPool({ spec }: MachinePool): unknown[] {
  const { version, bootstrap } = spec.template.spec;
  return [version, spec.clusterName, bootstrap?.configRef];
}

function ownConfig(
  cache: Cache,
  owner: Machine | MachinePool,
  reference: { kind: string; name: string } | undefined,
): readonly ObjectName[] {
  if (reference?.kind !== KubeadmConfigKind.kind) return [];
  const name = { ...nameOf(owner), name: reference.name };
  return cache.peek(KubeadmConfigKind, name) === undefined ? [] : [name];
}

/** Unpaused: everybody looks, tokens may have ended. A control plane: all, one of them removes the lock. Else who still waits. */
function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (event.type === 'delete') return [];
  const cluster = keyOf(nameOf(event.object));
  if (event.type === 'add') return all(cache, cluster);
  const { previous, object } = event;
  const initialized = isControlPlaneInitialized(object) && !isControlPlaneInitialized(previous);
  if (initialized || previous.spec?.paused !== object.spec?.paused) return all(cache, cluster);
  return infraWakeUp(event) || !isDeepStrictEqual(ofCluster(previous), ofCluster(object))
    ? pending(cache, cluster)
    : [];
}

function ofCluster({ spec }: Cluster): unknown[] {
  return [spec?.controlPlaneRef, spec?.clusterNetwork];
}

/** Certificates and the kubeconfig of a cluster, by the end of their names (KB-30, CP-11). */
export const CLUSTER_SECRETS = ['ca', 'sa', 'proxy', 'etcd', 'apiserver-etcd-client', 'kubeconfig'];

function secretEvent(cache: Cache, event: InformerEvent<Secret>): readonly ObjectName[] {
  const { object } = event;
  const { namespace = '', name } = object.metadata;
  const controller = controllerOf(event.type === 'update' ? event.previous : object);
  const ofConfig = controller?.kind === KubeadmConfigKind.kind;
  if (ofConfig && isWorthALook(event)) return [{ namespace, name: controller.name }];
  if (ofConfig) return [];
  const waiting = byCluster(object).flatMap((key) => pending(cache, key));
  // Somebody else's, where the data are to be (6.2.3).
  if (event.type === 'delete') return waiting.filter((config) => config.name === name);
  const cluster = object.metadata.labels?.[CLUSTER_NAME_LABEL] ?? '';
  const ofCluster = CLUSTER_SECRETS.some((suffix) => name === `${cluster}-${suffix}`);
  return waiting.filter((config) => ofCluster || config.name === name || isNamedBy(cache, config, name));
}

/** Data that somebody deleted, or took from us. That they are there is no news to who has made them. */
function isWorthALook(event: InformerEvent<Secret>): boolean {
  if (event.type !== 'update') return event.type === 'delete';
  const [before, after] = [event.previous, event.object].map(({ metadata }) => metadata.ownerReferences);
  return !isDeepStrictEqual(before, after);
}

function isNamedBy(cache: Cache, config: ObjectName, secret: string): boolean {
  const spec = cache.peek(KubeadmConfigKind, config)?.spec;
  return spec !== undefined && secretsOf(spec).some(({ name }) => name === secret);
}

function all(cache: Cache, cluster: string): readonly ObjectName[] {
  return cache.byIndex(KubeadmConfigKind, CLUSTER_INDEX, cluster).map(nameOf);
}

function pending(cache: Cache, cluster: string): readonly ObjectName[] {
  return cache
    .byIndex(KubeadmConfigKind, CLUSTER_INDEX, cluster)
    .filter((config) => !isCreated(config))
    .map(nameOf);
}
