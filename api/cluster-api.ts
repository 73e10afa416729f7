// SPDX-License-Identifier: Apache-2.0
import type { ApiObject, Condition } from './meta.ts';
import type { Endpoint } from './tscluster.ts';

/** Group of the core kinds. */
export const CLUSTER_API_GROUP = 'cluster.x-k8s.io';

/** A reference as core writes it: no version and no namespace (GEN-9). */
export interface ContractReference {
  apiGroup: string;
  kind: string;
  name: string;
}

/** The part of `Cluster` (v1beta2) that we read. */
export interface Cluster extends ApiObject {
  spec?: {
    paused?: boolean;
    controlPlaneEndpoint?: Endpoint;
    infrastructureRef?: ContractReference;
    controlPlaneRef?: ContractReference;
    clusterNetwork?: {
      serviceDomain?: string;
      services?: { cidrBlocks?: string[] };
      pods?: { cidrBlocks?: string[] };
    };
  };
  status?: {
    initialization?: { infrastructureProvisioned?: boolean; controlPlaneInitialized?: boolean };
    conditions?: Condition[];
  };
}

/** The part of `Machine` (v1beta2) that we read. */
export interface Machine extends ApiObject {
  spec: {
    clusterName: string;
    version?: string;
    failureDomain?: string;
    providerID?: string;
    infrastructureRef: ContractReference;
    bootstrap?: {
      /** The empty string on Machines of a MachinePool (IM-8). */
      dataSecretName?: string;
      configRef?: ContractReference;
    };
  };
  status?: {
    nodeRef?: { name: string };
    initialization?: { infrastructureProvisioned?: boolean; bootstrapDataSecretCreated?: boolean };
    conditions?: Condition[];
  };
}

/** The part of `MachinePool` (v1beta2) that we read. */
export interface MachinePool extends ApiObject {
  spec: {
    clusterName: string;
    /** 1 when absent (KB-4). */
    replicas?: number;
    /** Where its machines may be (IMP-11). */
    failureDomains?: string[];
    /** What a Machine of the pool would be. */
    template: {
      spec: Pick<Machine['spec'], 'version' | 'bootstrap'> &
        Partial<Pick<Machine['spec'], 'infrastructureRef'>>;
    };
  };
  status?: {
    nodeRefs?: { name?: string }[];
    initialization?: { infrastructureProvisioned?: boolean; bootstrapDataSecretCreated?: boolean };
    conditions?: Condition[];
  };
}

/** `v1.Secret`; values are base64. */
export interface Secret extends ApiObject {
  type?: string;
  data?: Record<string, string>;
}

/** `v1.ConfigMap`, without binary data. */
export interface ConfigMap extends ApiObject {
  data?: Record<string, string>;
}

/** The part of `v1.Node` that we read and write. */
export interface Node extends ApiObject {
  spec?: {
    providerID?: string;
    taints?: { key: string; value?: string; effect: string }[];
  };
  status?: {
    addresses?: { type: string; address: string }[];
    capacity?: Record<string, string>;
    allocatable?: Record<string, string>;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    nodeInfo?: Record<string, string>;
  };
}

/** The part of `v1.Pod` that we read. */
export interface Pod extends ApiObject {
  spec?: {
    nodeName?: string;
    tolerations?: {
      key?: string;
      operator?: string;
      value?: string;
      effect?: string;
      tolerationSeconds?: number;
    }[];
  };
  status?: { phase?: string };
}

/** The part of `certificates.k8s.io/v1` CertificateSigningRequest that we read and write. */
export interface CertificateSigningRequest extends ApiObject {
  spec: {
    /** PEM in base64. */
    request: string;
    signerName: string;
    username?: string;
    groups?: string[];
    usages?: string[];
  };
  status?: {
    certificate?: string;
    conditions?: {
      type: string;
      status: string;
      reason?: string;
      message?: string;
      lastUpdateTime?: string;
    }[];
  };
}
