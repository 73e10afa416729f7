// SPDX-License-Identifier: Apache-2.0
// Kinds of other people that the stack reads and changes, in the shape that it needs.
import type { Condition, Kind, KubeObject } from '../../runtime/object.ts';

/** How a webhook is reached: as a Service of the cluster, or at a URL. */
export interface WebhookClientConfig {
  service?: { namespace: string; name: string; path?: string; port?: number };
  url?: string;
  caBundle?: string;
}

export interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig: WebhookClientConfig }[];
}

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    conversion?: { strategy: string; webhook?: { clientConfig: WebhookClientConfig } };
  };
  status?: { conditions?: { type: string; status: string }[] };
}

/** What a MachineDeployment and a KubeadmControlPlane have in common for whoever watches their progress. */
export interface MachineOwner extends KubeObject {
  spec: { replicas?: number };
  status?: { replicas?: number; upToDateReplicas?: number; conditions?: Condition[] };
}

export const MutatingWebhookConfigurationKind: Kind<WebhookConfiguration> = clusterScoped(
  'admissionregistration.k8s.io/v1',
  'MutatingWebhookConfiguration',
);

export const ValidatingWebhookConfigurationKind: Kind<WebhookConfiguration> = clusterScoped(
  'admissionregistration.k8s.io/v1',
  'ValidatingWebhookConfiguration',
);

export const CustomResourceDefinitionKind: Kind<CustomResourceDefinition> = clusterScoped(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
);

export const NamespaceKind: Kind = clusterScoped('v1', 'Namespace');

export const KubeadmControlPlaneKind: Kind<MachineOwner> = {
  apiVersion: 'controlplane.cluster.x-k8s.io/v1beta2',
  kind: 'KubeadmControlPlane',
  plural: 'kubeadmcontrolplanes',
  namespaced: true,
};

export const MachineDeploymentKind: Kind<MachineOwner> = {
  apiVersion: 'cluster.x-k8s.io/v1beta2',
  kind: 'MachineDeployment',
  plural: 'machinedeployments',
  namespaced: true,
};

export const ClusterClassKind: Kind = {
  apiVersion: 'cluster.x-k8s.io/v1beta2',
  kind: 'ClusterClass',
  plural: 'clusterclasses',
  namespaced: true,
};

function clusterScoped<T extends KubeObject>(apiVersion: string, kind: string): Kind<T> {
  return { apiVersion, kind, plural: `${kind.toLowerCase()}s`, namespaced: false };
}
