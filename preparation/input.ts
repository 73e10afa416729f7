// SPDX-License-Identifier: Apache-2.0
import type { HostPreparation } from '../api/preparation.ts';

/** A name and its password, from a Secret. Never logged. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Contents of the Secrets that a preparation names. */
export interface PreparationSecrets {
  /** By the endpoint of the mirror. */
  readonly registries: Readonly<Record<string, Login>>;
  readonly proxy?: Login;
}

/** Networks of the cluster: what is never asked through a proxy. */
export interface ClusterNetwork {
  readonly podCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  readonly serviceDomain: string;
  readonly endpointHost?: string;
  readonly nodeAddress?: string;
}

/** Everything that a preparation follows from. */
export interface PreparationInput {
  /** With a leading `v`: kubelet, kubeadm and kubectl are of exactly this version. */
  readonly kubernetesVersion: string;
  readonly spec: HostPreparation;
  readonly secrets: PreparationSecrets;
  /** Packages of the distribution besides those that Kubernetes needs, such as keepalived. */
  readonly packages: readonly string[];
  readonly network: ClusterNetwork;
  /** TCP ports that Kubernetes will listen on here: nobody else may have them. */
  readonly mustServe: readonly number[];
}
