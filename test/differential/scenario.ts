// SPDX-License-Identifier: Apache-2.0
// One input of the differential tests: a KubeadmConfig, its owner, and the Cluster that both belong to.
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';

/** Who owns the config. A control plane Machine of a Cluster that is not initialized runs `kubeadm init`. */
export type Owner = 'control-plane' | 'worker' | 'pool';

/** Which certificate Secrets a cluster finds; certificates.ts makes them, the same for both providers. */
export type CertificateSet =
  | 'none'
  | 'rsa'
  | 'ecdsa'
  /** The CA Secret holds two certificates. */
  | 'bundle'
  /** Of another type than Cluster API's, as a user brings them, and without its label. */
  | 'user-supplied'
  /** The etcd CA without a key, and a client certificate for it. */
  | 'external-etcd'
  /** A CA and nothing else. */
  | 'ca-only'
  /** A CA without its key. */
  | 'ca-without-key'
  /** A CA Secret without a certificate. */
  | 'ca-without-certificate'
  /** A CA whose PEM ends in the middle. */
  | 'truncated-ca';

/** What matters of a Cluster. Joins with equal shapes share one. */
export interface ClusterShape {
  /** Condition ControlPlaneInitialized. */
  readonly initialized: boolean;
  readonly certificates: CertificateSet;
  /** Default true. */
  readonly infrastructureProvisioned?: boolean;
  readonly paused?: boolean;
  /** Default 10.20.30.40:6443; `null` for none. */
  readonly endpoint?: { readonly host: string; readonly port: number } | null;
  readonly network?: {
    readonly serviceDomain?: string;
    readonly services?: readonly string[];
    readonly pods?: readonly string[];
  };
  /** Version of the KubeadmControlPlane that controlPlaneRef names; `missing` names one that is not there, `none`: no reference. */
  readonly controlPlane: string;
  /** Default: one for the cluster that works, where the cluster is initialized. */
  readonly kubeconfig?: 'none';
  /** The init lock is there already, and names another Machine that lives. */
  readonly locked?: boolean;
}

/** A token Secret that is in the workload cluster before anything else. */
export interface GivenToken {
  readonly token: string;
  readonly lifetimeMs: number;
}

export interface Scenario {
  /** A DNS label: name of the owner, of the KubeadmConfig and of its data Secret. */
  readonly id: string;
  readonly owner: Owner;
  /** `spec.version` of the owner. */
  readonly version: string | undefined;
  readonly cluster: ClusterShape;
  readonly spec: KubeadmConfigSpec;
  /** Whether a data Secret is to appear, or the config stays without one. */
  readonly expect: 'data' | 'held';
  /** The node, or all nodes of a pool, have joined. */
  readonly joined?: boolean;
  /** As after a move: the owner names a data Secret of the config's name, which has no owner, and the status is empty. */
  readonly moved?: boolean;
  /** The data Secret was made before, and the status says so; `lost`: only the status does. */
  readonly created?: 'there' | 'lost';
  /** Kind of the infrastructure machine; default one that we know nothing of. */
  readonly infrastructure?: string;
  readonly tokens?: readonly GivenToken[];
}

/** `init`, `control-plane-join`, `worker-join` or `pool-join`. */
export function purposeOf({ owner, cluster }: Scenario): string {
  if (owner === 'control-plane') return cluster.initialized ? 'control-plane-join' : 'init';
  return `${owner}-join`;
}
