// SPDX-License-Identifier: Apache-2.0

/** On every object of a cluster: the name of the Cluster (GEN-16). */
export const CLUSTER_NAME_LABEL = 'cluster.x-k8s.io/cluster-name';

/** On control plane Machines; counts by its presence, its value is empty (IM-11, PIT-31). */
export const CONTROL_PLANE_LABEL = 'cluster.x-k8s.io/control-plane';

/** Which manager serves an object, where several run (GEN-15). */
export const WATCH_FILTER_LABEL = 'cluster.x-k8s.io/watch-filter';

/** On everything that a provider installs (CTL-3). */
export const PROVIDER_LABEL = 'cluster.x-k8s.io/provider';

/** The value of {@link PROVIDER_LABEL} for the infrastructure provider (CTL-2). */
export const INFRASTRUCTURE_PROVIDER = 'infrastructure-ts-provider';

/** The value of {@link PROVIDER_LABEL} for the bootstrap provider (CTL-2). */
export const BOOTSTRAP_PROVIDER = 'bootstrap-ts-provider';

/** On a CRD: which of its versions speak the v1beta2 contract (GEN-5). */
export const CONTRACT_LABEL = 'cluster.x-k8s.io/v1beta2';

/** Pauses one object, with any value (GEN-10). */
export const PAUSED_ANNOTATION = 'cluster.x-k8s.io/paused';

/** On a KubeadmConfig, or in the metadata of its template: the Ignition version to render, such as `3.4.0`. */
export const IGNITION_VERSION_ANNOTATION = 'bootstrap.cluster.x-k8s.io/ignition-version';

/** On an InfraCluster that somebody else fulfils, with any value (IC-10). */
export const MANAGED_BY_ANNOTATION = 'cluster.x-k8s.io/managed-by';

/** On a TSCluster from before machines may build on it until they are gone (IC-11). */
export const TSCLUSTER_FINALIZER = 'tscluster.infrastructure.cluster.x-k8s.io';

/** On a TSMachine from before its instance may exist until it is verifiably gone (IM-12). */
export const TSMACHINE_FINALIZER = 'tsmachine.infrastructure.cluster.x-k8s.io';

/** On a KubeadmConfig: most bytes of bootstrap data that its infrastructure takes, as a whole number. */
export const DATA_LIMIT_ANNOTATION = 'bootstrap.cluster.x-k8s.io/data-limit';

/** On a KubeadmConfig: `gzip` says that its infrastructure and its image take compressed bootstrap data, `none` that they do not. */
export const COMPRESSION_ANNOTATION = 'bootstrap.cluster.x-k8s.io/compression';

/**
 * On a bootstrap data Secret: the public half of the token in the data. It tells, from metadata alone, that a renewal of the token
 * was interrupted before the data had followed.
 */
export const TOKEN_ID_ANNOTATION = 'bootstrap.cluster.x-k8s.io/token-id';

/** On an object: clusterctl moves it though no Cluster owns it (CTL-M2). */
export const MOVE_LABEL = 'clusterctl.cluster.x-k8s.io/move';

/** On a CRD: clusterctl moves its objects, and whatever they own, though no Cluster owns them (CTL-M2). */
export const MOVE_HIERARCHY_LABEL = 'clusterctl.cluster.x-k8s.io/move-hierarchy';

/** On a TSHost while somebody has it: it does not go before its machine does. */
export const TSHOST_FINALIZER = 'tshost.infrastructure.cluster.x-k8s.io';

/**
 * On a TSHost: gives its machine up without proof that it is gone. The value is the providerID of the machine, so that it cannot hit a
 * later one. The host stays Quarantined; what was done is recorded as an Event and in the status.
 */
export const FORCE_RELEASE_ANNOTATION = 'infrastructure.cluster.x-k8s.io/force-release';

/** On a TSHost that is Quarantined, with any value: clean it and look again. Taken off when that has begun. */
export const CLEAN_ANNOTATION = 'infrastructure.cluster.x-k8s.io/clean';

/** On a TSHost: hosts with the same value are one pool, of which only so many are cleaned at once. Absent: the pool is the namespace. */
export const POOL_LABEL = 'infrastructure.cluster.x-k8s.io/pool';

/**
 * On a TSHost: the boot ID that shall end. The host is rebooted only while it has this boot ID, so that asking twice reboots once; the
 * annotation is taken off when the host has another one.
 */
export const REBOOT_ANNOTATION = 'infrastructure.cluster.x-k8s.io/reboot';

/**
 * On a TSHost, together with {@link REBOOT_ANNOTATION}: `hold` asks that its kubelet does not start in the next boot. `held` answers that
 * it does not; the annotation goes when it does, since the host had rebooted by itself. `release` lets it start, and goes when that is done.
 */
export const HOLD_KUBELET_ANNOTATION = 'infrastructure.cluster.x-k8s.io/hold-kubelet';

/** On a TSHost whose preparation has drifted: repairs what the message of the condition Prepared names; the value is the one that it says. */
export const APPROVE_REPAIR_ANNOTATION = 'infrastructure.cluster.x-k8s.io/approve-repair';

/** On a TSRemediation while it may have changed something that it has to take back. */
export const TSREMEDIATION_FINALIZER = 'tsremediation.infrastructure.cluster.x-k8s.io';

/** On a TSMachinePool from before its group may exist until it is verifiably gone. */
export const TSMACHINEPOOL_FINALIZER = 'tsmachinepool.infrastructure.cluster.x-k8s.io';

/** On a Machine of a pool that shall be the next one to go (IMP-9). */
export const DELETE_MACHINE_ANNOTATION = 'cluster.x-k8s.io/delete-machine';

/** On a MachinePool whose size somebody else decides, with any value but `false` (IMP-10). */
export const REPLICAS_MANAGED_BY_ANNOTATION = 'cluster.x-k8s.io/replicas-managed-by';

/** On what a pool makes: the name of its MachinePool (IMP-7). */
export const POOL_NAME_LABEL = 'cluster.x-k8s.io/pool-name';
