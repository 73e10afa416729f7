// SPDX-License-Identifier: Apache-2.0
// What a TSMachine asks of a host, and what the hosts of a cluster share.
import Type, { type Static } from 'typebox';
import { quantity } from './meta.ts';
import { HostPreparationSchema } from './preparation.ts';

/** Schema of `matchLabels`. */
export const MatchLabelsSchema = Type.Record(
  Type.String(),
  Type.String({ description: 'Value of the label.', maxLength: 63 }),
  {
    description: 'Labels that the TSHost carries, all of them.',
    maxProperties: 32,
  },
);

const HostSelectorSchema = Type.Object(
  {
    matchLabels: Type.Optional(MatchLabelsSchema),
    minCPU: Type.Optional(
      Type.Integer({
        description: 'Fewest processors, as measured.',
        format: 'int32',
        minimum: 1,
        maximum: 4096,
      }),
    ),
    minMemory: Type.Optional(
      quantity(
        'Least memory, as measured, such as "64Gi". A little less than the nominal size is what a kernel sees.',
      ),
    ),
    minDisk: Type.Optional(quantity('Least size of the largest disk, as measured, such as "1Ti".')),
    architecture: Type.Optional(
      Type.Enum(['amd64', 'arm64', 's390x', 'ppc64le'], { description: 'Processor architecture.' }),
    ),
    operatingSystem: Type.Optional(
      Type.String({
        description:
          'Family of the operating system as the host reports it, such as debian (also of Ubuntu) or rhel.',
        minLength: 1,
        maxLength: 64,
      }),
    ),
  },
  { description: 'Which TSHosts will do. Absent: every one in the namespace.', minProperties: 1 },
);

/** Which hosts will do for a machine: labels, and what was measured. */
export type HostSelector = Static<typeof HostSelectorSchema>;

/** Schema of {@link HostMachineSpec}. */
export const HostMachineSpecSchema = Type.Object(
  {
    selector: Type.Optional(HostSelectorSchema),
    adopt: Type.Optional(
      Type.Boolean({
        description:
          'Takes over a TSHost with spec.adopt that runs its Node already, without bootstrapping it; such hosts only. Default false.',
      }),
    ),
    preparation: Type.Optional(HostPreparationSchema),
  },
  { description: 'A host from the inventory of the namespace, reached over SSH.' },
);

/** What a TSMachine asks of a host. */
export type HostMachineSpec = Static<typeof HostMachineSpecSchema>;

/** Schema of {@link HostClusterSpec}. */
export const HostClusterSpecSchema = Type.Object(
  {
    failureDomains: Type.Optional(
      Type.Array(Type.String({ description: 'Name of a failure domain.', minLength: 1, maxLength: 63 }), {
        description:
          'Failure domains to offer to Cluster API for control plane machines; TSHosts name theirs in spec.failureDomain.',
        minItems: 1,
        maxItems: 100,
        'x-kubernetes-list-type': 'set',
      }),
    ),
    cloudControllerManager: Type.Optional(
      Type.Enum(['None', 'External'], {
        description:
          'None (also when absent): nobody else initializes Nodes, so the taint of an external cloud provider is taken off. External: it is left alone.',
      }),
    ),
  },
  { description: 'What the hosts of the cluster share.', minProperties: 1 },
);

/** What the hosts of a cluster share. */
export type HostClusterSpec = Static<typeof HostClusterSpecSchema>;
