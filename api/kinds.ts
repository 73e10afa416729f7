// SPDX-License-Identifier: Apache-2.0
import {
  CLUSTER_API_GROUP,
  type Cluster,
  type CertificateSigningRequest,
  type ConfigMap,
  type Machine,
  type MachinePool,
  type Node,
  type Pod,
  type Secret,
} from './cluster-api.ts';
import type { KubeadmConfig } from './kubeadmconfig.ts';
import type { KubeadmConfigTemplate } from './kubeadmconfigtemplate.ts';
import type { ApiObject } from './meta.ts';
import type { TSCluster } from './tscluster.ts';
import type { TSClusterIdentity } from './tsclusteridentity.ts';
import type { TSClusterTemplate } from './tsclustertemplate.ts';
import type { TSHost } from './tshost.ts';
import type { TSMachine } from './tsmachine.ts';
import type { TSMachinePool, TSMachinePoolTemplate } from './tsmachinepool.ts';
import type { TSMachineTemplate } from './tsmachinetemplate.ts';
import type { TSRemediation, TSRemediationTemplate } from './tsremediation.ts';

/** How a kind is reached on the API server; `shape` is never set, it carries `T` for the type checker. */
export interface Kind<T extends ApiObject = ApiObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly shape?: T;
}

/** Group of every kind of the infrastructure provider (GEN-3). */
export const INFRASTRUCTURE_GROUP = 'infrastructure.cluster.x-k8s.io';

/** The one version of {@link INFRASTRUCTURE_GROUP} that is served and stored (0.4). */
export const API_VERSION = 'v1alpha1';

/** Group of every kind of the bootstrap provider (GEN-3). */
export const BOOTSTRAP_GROUP = 'bootstrap.cluster.x-k8s.io';

/** The one version of {@link BOOTSTRAP_GROUP} that is served and stored: the one that the control plane provider writes (0.1). */
export const BOOTSTRAP_API_VERSION = 'v1beta2';

const OURS = `${INFRASTRUCTURE_GROUP}/${API_VERSION}`;
const BOOTSTRAP = `${BOOTSTRAP_GROUP}/${BOOTSTRAP_API_VERSION}`;
const CORE = `${CLUSTER_API_GROUP}/v1beta2`;

/** The InfraCluster. */
export const TSClusterKind: Kind<TSCluster> = namespaced(OURS, 'TSCluster', 'tsclusters');

/** The InfraClusterTemplate. */
export const TSClusterTemplateKind: Kind<TSClusterTemplate> = namespaced(
  OURS,
  'TSClusterTemplate',
  'tsclustertemplates',
);

/** The InfraMachine. */
export const TSMachineKind: Kind<TSMachine> = namespaced(OURS, 'TSMachine', 'tsmachines');

/** The InfraMachineTemplate. */
export const TSMachineTemplateKind: Kind<TSMachineTemplate> = namespaced(
  OURS,
  'TSMachineTemplate',
  'tsmachinetemplates',
);

/** The InfraMachinePool. */
export const TSMachinePoolKind: Kind<TSMachinePool> = namespaced(OURS, 'TSMachinePool', 'tsmachinepools');

/** The InfraMachinePoolTemplate. */
export const TSMachinePoolTemplateKind: Kind<TSMachinePoolTemplate> = namespaced(
  OURS,
  'TSMachinePoolTemplate',
  'tsmachinepooltemplates',
);

/** Credentials, and who may use them. */
export const TSClusterIdentityKind: Kind<TSClusterIdentity> = {
  apiVersion: OURS,
  kind: 'TSClusterIdentity',
  plural: 'tsclusteridentities',
  namespaced: false,
};

/** One host of the inventory. */
export const TSHostKind: Kind<TSHost> = namespaced(OURS, 'TSHost', 'tshosts');

/** What a MachineHealthCheck asks for (MHC-4). */
export const TSRemediationKind: Kind<TSRemediation> = namespaced(OURS, 'TSRemediation', 'tsremediations');

/** What a MachineHealthCheck makes them from. */
export const TSRemediationTemplateKind: Kind<TSRemediationTemplate> = namespaced(
  OURS,
  'TSRemediationTemplate',
  'tsremediationtemplates',
);

/** The BootstrapConfig, also under the stock kubeadm control plane provider (0.1). */
export const KubeadmConfigKind: Kind<KubeadmConfig> = namespaced(
  BOOTSTRAP,
  'KubeadmConfig',
  'kubeadmconfigs',
);

/** The BootstrapConfigTemplate. */
export const KubeadmConfigTemplateKind: Kind<KubeadmConfigTemplate> = namespaced(
  BOOTSTRAP,
  'KubeadmConfigTemplate',
  'kubeadmconfigtemplates',
);

/** Core's Cluster. */
export const ClusterKind: Kind<Cluster> = namespaced(CORE, 'Cluster', 'clusters');

/** Core's Machine. */
export const MachineKind: Kind<Machine> = namespaced(CORE, 'Machine', 'machines');

/** Core's MachinePool. */
export const MachinePoolKind: Kind<MachinePool> = namespaced(CORE, 'MachinePool', 'machinepools');

/** `v1.Secret`. */
export const SecretKind: Kind<Secret> = namespaced('v1', 'Secret', 'secrets');

/** `v1.ConfigMap`. */
export const ConfigMapKind: Kind<ConfigMap> = namespaced('v1', 'ConfigMap', 'configmaps');

/** `v1.Namespace`. */
export const NamespaceKind: Kind = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
};

/** `certificates.k8s.io/v1`, in workload clusters. */
export const CertificateSigningRequestKind: Kind<CertificateSigningRequest> = {
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  namespaced: false,
};

/** `v1.Node`, in workload clusters. */
export const NodeKind: Kind<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

/** `v1.Pod`, in workload clusters. */
export const PodKind: Kind<Pod> = namespaced('v1', 'Pod', 'pods');

function namespaced<T extends ApiObject>(apiVersion: string, kind: string, plural: string): Kind<T> {
  return { apiVersion, kind, plural, namespaced: true };
}
