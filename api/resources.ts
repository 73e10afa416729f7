// SPDX-License-Identifier: Apache-2.0
import type { TSchema } from 'typebox';
import {
  KubeadmConfigKind,
  KubeadmConfigTemplateKind,
  type Kind,
  TSClusterIdentityKind,
  TSClusterKind,
  TSClusterTemplateKind,
  TSHostKind,
  TSMachineKind,
  TSMachinePoolKind,
  TSMachinePoolTemplateKind,
  TSMachineTemplateKind,
  TSRemediationKind,
  TSRemediationTemplateKind,
} from './kinds.ts';
import { KubeadmConfigSpecSchema, KubeadmConfigStatusSchema } from './kubeadmconfig.ts';
import { KubeadmConfigTemplateSpecSchema } from './kubeadmconfigtemplate.ts';
import { BOOTSTRAP_PROVIDER, INFRASTRUCTURE_PROVIDER } from './labels.ts';
import { TSClusterSpecSchema, TSClusterStatusSchema } from './tscluster.ts';
import { TSClusterIdentitySpecSchema } from './tsclusteridentity.ts';
import { TSClusterTemplateSpecSchema } from './tsclustertemplate.ts';
import { TSHostSpecSchema, TSHostStatusSchema } from './tshost.ts';
import { TSMachineSpecSchema, TSMachineStatusSchema } from './tsmachine.ts';
import {
  TSMachinePoolSpecSchema,
  TSMachinePoolStatusSchema,
  TSMachinePoolTemplateSpecSchema,
} from './tsmachinepool.ts';
import { TSMachineTemplateSpecSchema, TSMachineTemplateStatusSchema } from './tsmachinetemplate.ts';
import {
  TSRemediationSpecSchema,
  TSRemediationStatusSchema,
  TSRemediationTemplateSpecSchema,
} from './tsremediation.ts';

/** A column of `kubectl get`; `wide` ones show with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly path: string;
  readonly description: string;
  readonly wide?: true;
}

/** A provider as clusterctl installs it: its components file holds the CRDs of its own kinds and no others. */
export interface Provider {
  /** Folder of its CRDs under crds/. */
  readonly folder: string;
  /** Value of the provider label (CTL-3). */
  readonly label: string;
}

/** The infrastructure provider. */
export const INFRASTRUCTURE: Provider = { folder: 'infrastructure', label: INFRASTRUCTURE_PROVIDER };

/** The bootstrap provider. */
export const BOOTSTRAP: Provider = { folder: 'bootstrap', label: BOOTSTRAP_PROVIDER };

/** Every provider of this repository. */
export const PROVIDERS: readonly Provider[] = [INFRASTRUCTURE, BOOTSTRAP];

/** What a CustomResourceDefinition is made from. A resource without `status` has no status subresource. */
export interface Resource {
  readonly provider: Provider;
  readonly kind: Kind;
  readonly description: string;
  readonly spec: TSchema;
  /** An object without a spec is accepted as it is, nothing is filled in; default false. */
  readonly specMayBeAbsent?: true;
  readonly status?: TSchema;
  /** No Cluster owns its objects, yet a move takes them along (CTL-M2). */
  readonly movesByItself?: true;
  readonly columns: readonly Column[];
}

const CLUSTER: Column = {
  name: 'Cluster',
  type: 'string',
  path: String.raw`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,
  description: 'The Cluster it belongs to',
};
const AGE: Column = {
  name: 'Age',
  type: 'date',
  path: '.metadata.creationTimestamp',
  description: 'Time since it was created',
};

/** Is it ready, and why not. */
const STATE: readonly Column[] = [
  condition('Ready', 'Ready', 'status', 'Whether it is ready'),
  condition('Reason', 'Ready', 'reason', 'Why it is ready or not, in a word'),
];
const PAUSED: Column = {
  ...condition('Paused', 'Paused', 'status', 'Whether reconciliation is paused'),
  wide: true,
};
const STATE_WIDE: readonly Column[] = [
  { ...condition('Message', 'Ready', 'message', 'Why it is not ready, in a sentence'), wide: true },
  PAUSED,
];

function condition(name: string, type: string, field: string, description: string): Column {
  return { name, type: 'string', path: `.status.conditions[?(@.type=="${type}")].${field}`, description };
}

function owner(kind: string, description: string): Column {
  return {
    name: kind,
    type: 'string',
    path: `.metadata.ownerReferences[?(@.kind=="${kind}")].name`,
    description,
  };
}

/** Every kind that our providers serve, in the order of their names. */
export const RESOURCES: readonly Resource[] = [
  {
    provider: BOOTSTRAP,
    kind: KubeadmConfigKind,
    description: 'KubeadmConfig is what one machine, or each machine of a pool, is told when it first boots.',
    spec: KubeadmConfigSpecSchema,
    specMayBeAbsent: true,
    status: KubeadmConfigStatusSchema,
    columns: [
      CLUSTER,
      {
        name: 'Data secret created',
        type: 'string',
        path: '.status.initialization.dataSecretCreated',
        description: 'Whether the bootstrap data is there',
      },
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: BOOTSTRAP,
    kind: KubeadmConfigTemplateKind,
    description: 'KubeadmConfigTemplate is what KubeadmConfigs are made from.',
    spec: KubeadmConfigTemplateSpecSchema,
    specMayBeAbsent: true,
    columns: [
      owner('ClusterClass', 'The ClusterClass that it belongs to'),
      owner('Cluster', 'The Cluster that it belongs to'),
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSClusterKind,
    description: 'TSCluster is the infrastructure that the machines of a Cluster share.',
    spec: TSClusterSpecSchema,
    status: TSClusterStatusSchema,
    columns: [
      CLUSTER,
      {
        name: 'Host',
        type: 'string',
        path: '.spec.controlPlaneEndpoint.host',
        description: 'Control plane host',
      },
      {
        name: 'Port',
        type: 'integer',
        path: '.spec.controlPlaneEndpoint.port',
        description: 'Control plane port',
      },
      ...STATE,
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSClusterIdentityKind,
    description: 'TSClusterIdentity is who we are at a cloud, and which namespaces may be it.',
    spec: TSClusterIdentitySpecSchema,
    movesByItself: true,
    columns: [
      {
        name: 'Source',
        type: 'string',
        path: '.spec.aws.source',
        description: 'Where credentials come from',
      },
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSClusterTemplateKind,
    description: 'TSClusterTemplate is what a ClusterClass makes TSClusters from.',
    spec: TSClusterTemplateSpecSchema,
    columns: [AGE],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSHostKind,
    description: 'TSHost is one machine that exists and can become a Node of some cluster.',
    spec: TSHostSpecSchema,
    status: TSHostStatusSchema,
    movesByItself: true,
    columns: [
      { name: 'State', type: 'string', path: '.status.state', description: 'Where it is in its life' },
      {
        name: 'Status',
        type: 'string',
        path: '.status.operationalStatus',
        description: 'Whether it can be worked with',
      },
      {
        name: 'Machine',
        type: 'string',
        path: '.spec.claim.machine.name',
        description: 'The TSMachine that has it',
      },
      { name: 'Error', type: 'string', path: '.status.error.reason', description: 'What is wrong with it' },
      { name: 'Address', type: 'string', path: '.spec.ssh.address', description: 'Its address', wide: true },
      {
        name: 'Failure Domain',
        type: 'string',
        path: '.spec.failureDomain',
        description: 'The failure domain that it stands in',
        wide: true,
      },
      { name: 'CPUs', type: 'integer', path: '.status.hardware.cpus', description: 'Processors', wide: true },
      { name: 'Memory', type: 'string', path: '.status.hardware.memory', description: 'Memory', wide: true },
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSMachineKind,
    description: 'TSMachine is one machine on one of the backends.',
    spec: TSMachineSpecSchema,
    status: TSMachineStatusSchema,
    columns: [
      CLUSTER,
      {
        name: 'Failure Domain',
        type: 'string',
        path: '.status.failureDomain',
        description: 'The failure domain where its instance is',
      },
      ...STATE,
      { ...owner('Machine', 'The Machine that owns it'), wide: true },
      {
        name: 'Provider ID',
        type: 'string',
        path: '.spec.providerID',
        description: 'Identity of its instance',
        wide: true,
      },
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSMachinePoolKind,
    description: 'TSMachinePool is a group of machines that the infrastructure makes and replaces.',
    spec: TSMachinePoolSpecSchema,
    status: TSMachinePoolStatusSchema,
    columns: [
      CLUSTER,
      {
        name: 'Replicas',
        type: 'integer',
        path: '.status.replicas',
        description: 'Instances that there are',
      },
      ...STATE,
      { ...owner('MachinePool', 'The MachinePool that owns it'), wide: true },
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSMachinePoolTemplateKind,
    description: 'TSMachinePoolTemplate is what a ClusterClass makes TSMachinePools from.',
    spec: TSMachinePoolTemplateSpecSchema,
    columns: [AGE],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSMachineTemplateKind,
    description: 'TSMachineTemplate is what TSMachines are made from.',
    spec: TSMachineTemplateSpecSchema,
    status: TSMachineTemplateStatusSchema,
    columns: [
      { name: 'CPU', type: 'string', path: '.status.capacity.cpu', description: 'Processors of a machine' },
      { name: 'Memory', type: 'string', path: '.status.capacity.memory', description: 'Memory of a machine' },
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSRemediationKind,
    description: 'TSRemediation is the repair of one unhealthy machine; a MachineHealthCheck makes it.',
    spec: TSRemediationSpecSchema,
    status: TSRemediationStatusSchema,
    columns: [
      CLUSTER,
      { name: 'Phase', type: 'string', path: '.status.phase', description: 'How far it is' },
      { name: 'Tries', type: 'integer', path: '.status.tries', description: 'Reboots that were begun' },
      ...STATE,
      ...STATE_WIDE,
      AGE,
    ],
  },
  {
    provider: INFRASTRUCTURE,
    kind: TSRemediationTemplateKind,
    description: 'TSRemediationTemplate is what a MachineHealthCheck makes TSRemediations from.',
    spec: TSRemediationTemplateSpecSchema,
    columns: [AGE],
  },
];
