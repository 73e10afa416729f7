// SPDX-License-Identifier: Apache-2.0
import type { TSchema } from 'typebox';
import {
  type Kind,
  TSClusterKind,
  TSClusterTemplateKind,
  TSMachineKind,
  TSMachineTemplateKind,
} from './kinds.ts';
import { TSClusterSpecSchema, TSClusterStatusSchema } from './tscluster.ts';
import { TSClusterTemplateSpecSchema } from './tsclustertemplate.ts';
import { TSMachineSpecSchema, TSMachineStatusSchema } from './tsmachine.ts';
import { TSMachineTemplateSpecSchema, TSMachineTemplateStatusSchema } from './tsmachinetemplate.ts';

/** A column of `kubectl get`; `wide` ones show with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly path: string;
  readonly description: string;
  readonly wide?: true;
}

/** What a CustomResourceDefinition is made from. A resource without `status` has no status subresource. */
export interface Resource {
  readonly kind: Kind;
  readonly description: string;
  readonly spec: TSchema;
  readonly status?: TSchema;
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
const STATE_WIDE: readonly Column[] = [
  { ...condition('Message', 'Ready', 'message', 'Why it is not ready, in a sentence'), wide: true },
  { ...condition('Paused', 'Paused', 'status', 'Whether reconciliation is paused'), wide: true },
];

function condition(name: string, type: string, field: string, description: string): Column {
  return { name, type: 'string', path: `.status.conditions[?(@.type=="${type}")].${field}`, description };
}

/** Every kind that this provider serves, in the order of their names. */
export const RESOURCES: readonly Resource[] = [
  {
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
    kind: TSClusterTemplateKind,
    description: 'TSClusterTemplate is what a ClusterClass makes TSClusters from.',
    spec: TSClusterTemplateSpecSchema,
    columns: [AGE],
  },
  {
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
      {
        name: 'Machine',
        type: 'string',
        path: '.metadata.ownerReferences[?(@.kind=="Machine")].name',
        description: 'The Machine that owns it',
        wide: true,
      },
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
];
