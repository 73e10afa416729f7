// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../../api/cluster-api.ts';
import type { KubeadmConfig, KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import type { CertificatePurpose, CertificateSlot, KeyPair } from '../../kubeadm/certificates.ts';
import type { SecretValues, TemplateVariables } from '../../kubeadm/files.ts';
import type { ClusterFacts, Purpose } from '../../kubeadm/machine-contents.ts';
import type { PublishedData } from '../../kubeadm/size.ts';
import type { Client } from '../../runtime/client.ts';
import { isTrue } from '../../runtime/conditions.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import type { ConfigOwner } from './owners.ts';

/** What one reconcile works on, and what its phases found out. */
export interface BootstrapScope {
  /** Our own copy: phases change it, few patches write it. */
  readonly object: KubeadmConfig;
  readonly owner: ConfigOwner;
  readonly cluster: Cluster;
  readonly facts: Facts;
}

/** Filled by phases, read by later ones and by conditions.ts. */
export interface Facts {
  /** Set by chooseSpec: the spec as it is to be rendered and then recorded. */
  spec?: KubeadmConfigSpec;
  /** Set by readInputs. */
  secrets?: SecretValues;
  variables?: TemplateVariables;
  /** Set by readCertificates of an init: what is there, before what is missing is made. */
  found?: Certificates;
  /** Set once all that are needed are there. */
  certificates?: Certificates;
  /** Set by connect, for a join that needs a token in the workload cluster. */
  workload?: Client;
  /** Set by render. */
  rendered?: PublishedData;
  /** Set by takeInitLock. */
  lockHeld?: boolean;
  /** Set by storeData. */
  stored?: boolean;
  /** Set by what keeps published data alive: the data are to be made again, with a new token or with the recorded one. */
  renew?: 'data' | 'token';
  /** Set by checkDataSecret: what was published is gone, and cannot be made again. */
  lost?: string;
  /** When to look at the token again, in milliseconds; no complaint, so no condition tells it. */
  recheckMs?: number;
}

/** Key pairs that a machine gets, or of which it gets the hash. */
export interface Certificates {
  readonly slots: readonly CertificateSlot[];
  readonly pairs: ReadonlyMap<CertificatePurpose, KeyPair>;
}

/** Whether data have been published; the latch that core reads (BC-4). */
export function isCreated({ status }: KubeadmConfig): boolean {
  return status?.initialization?.dataSecretCreated === true;
}

/** The name of the Secret with the data: deterministic, so that it can be told without a status (BC-3). */
export function dataSecretName(config: KubeadmConfig): string {
  return config.status?.dataSecretName || config.metadata.name;
}

/** Whether somebody else runs `kubeadm init`, or has (BC-13). */
export function isControlPlaneInitialized({ status }: Cluster): boolean {
  return isTrue(status?.conditions, 'ControlPlaneInitialized');
}

/** What kubeadm is to do on the machine. */
export function purposeOf({ cluster, owner }: BootstrapScope): Purpose {
  if (!isControlPlaneInitialized(cluster)) return 'init';
  return owner.isControlPlane ? 'control-plane-join' : 'worker-join';
}

/** Plain data about the Cluster, for rendering (KB 6.3). */
export function clusterFacts(cluster: Cluster): ClusterFacts {
  const { serviceDomain, services, pods } = cluster.spec?.clusterNetwork ?? {};
  return {
    name: cluster.metadata.name,
    controlPlaneEndpoint: endpointOf(cluster),
    serviceDomain: serviceDomain === '' ? undefined : serviceDomain,
    serviceCIDRs: services?.cidrBlocks ?? [],
    podCIDRs: pods?.cidrBlocks ?? [],
  };
}

/** Where the control plane answers; `undefined` until host and port are known. */
export function endpointOf(cluster: Cluster): ClusterFacts['controlPlaneEndpoint'] {
  const { host = '', port = 0 } = cluster.spec?.controlPlaneEndpoint ?? {};
  return host === '' || port === 0 ? undefined : { host, port };
}

/** `Cluster namespace/name`, for messages. */
export function clusterText(cluster: Cluster): string {
  return `Cluster ${keyOf(nameOf(cluster))}`;
}

/** `Machine namespace/name`, for messages. */
export function ownerText(owner: ConfigOwner): string {
  return `${owner.kind} ${keyOf(owner)}`;
}
