// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { AWSMachinePoolSpecSchema } from './aws/machine-pool.ts';
import {
  type ApiObject,
  ConditionsSchema,
  InitializationSchema,
  ObservedGenerationSchema,
  rules,
  TemplateMetadataSchema,
} from './meta.ts';

/** The fields that TSMachinePool and TSMachinePoolTemplate share. */
const poolSpecFields = {
  aws: Type.Optional(AWSMachinePoolSpecSchema),
};

const exactlyOneBackend = {
  rule: 'has(self.aws)',
  message: 'set exactly one backend: aws',
};

/** Schema of {@link TSMachinePoolSpec}. */
export const TSMachinePoolSpecSchema = Type.Object(
  {
    ...poolSpecFields,
    providerID: Type.Optional(
      Type.String({
        description: 'Identity of the group. Written by the controller (IMP-5).',
        minLength: 1,
        maxLength: 512,
      }),
    ),
    providerIDList: Type.Optional(
      Type.Array(Type.String({ description: 'A providerID.', minLength: 1, maxLength: 512 }), {
        description:
          'ProviderIDs of the instances of the pool. Written by the controller; core reads it (IMP-2).',
        maxItems: 10000,
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    infrastructureID: Type.Optional(
      Type.String({
        description:
          'Name of the group, after ts-provider-, unlike that of every other pool. Written by the controller before it makes anything, then fixed.',
        pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
        minLength: 1,
        maxLength: 100,
      }),
    ),
    choice: Type.Optional(
      Type.Record(Type.String(), Type.String({ description: 'A value.', maxLength: 512 }), {
        description:
          'Where the group is and as whom it was made, so that it can be deleted when its cluster is gone. Written by the controller with infrastructureID, then fixed.',
        maxProperties: 20,
      }),
    ),
  },
  {
    description: 'Machines that are made and replaced by the infrastructure, from one description.',
    ...rules(
      exactlyOneBackend,
      {
        rule: '!has(oldSelf.infrastructureID) || (has(self.infrastructureID) && self.infrastructureID == oldSelf.infrastructureID)',
        message: 'infrastructureID belongs to the controller: leave it as it is, the group is found by it',
        fieldPath: '.infrastructureID',
      },
      {
        rule: '!has(oldSelf.choice) || (has(self.choice) && self.choice == oldSelf.choice)',
        message: 'choice belongs to the controller: leave it as it is, the group is found there',
        fieldPath: '.choice',
      },
    ),
  },
);

/** Desired state of a pool. */
export type TSMachinePoolSpec = Static<typeof TSMachinePoolSpecSchema>;

/** Schema of {@link TSMachinePoolStatus}. */
export const TSMachinePoolStatusSchema = Type.Object(
  {
    ready: Type.Optional(
      Type.Boolean({
        description: 'Whether the pool has been there once. Core 1.14 reads this one (IMP-4b).',
      }),
    ),
    initialization: Type.Optional(InitializationSchema),
    replicas: Type.Optional(
      Type.Integer({ description: 'Instances that there are (IMP-3).', format: 'int32', minimum: 0 }),
    ),
    infrastructureMachineKind: Type.Optional(
      Type.String({
        description: 'Kind of the objects that stand for its instances (IMP-7).',
        maxLength: 63,
      }),
    ),
    capacity: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Resources of one machine, as quantities in strings; autoscalers read it.',
      }),
    ),
    nodeInfo: Type.Optional(
      Type.Object(
        {
          architecture: Type.Optional(
            Type.Enum(['amd64', 'arm64', 's390x', 'ppc64le'], {
              description: 'Processor architecture of the Nodes.',
            }),
          ),
          operatingSystem: Type.Optional(
            Type.Enum(['linux'], { description: 'Operating system of the Nodes.' }),
          ),
        },
        { description: 'What a Node of the pool will say of itself.' },
      ),
    ),
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(ObservedGenerationSchema),
  },
  { description: 'What was observed. Can be lost and is found again (GEN-18).' },
);

/** Observed state of a pool. */
export type TSMachinePoolStatus = Static<typeof TSMachinePoolStatusSchema>;

/** The InfraMachinePool of ts-provider (IMP-1). */
export interface TSMachinePool extends ApiObject {
  spec: TSMachinePoolSpec;
  status?: TSMachinePoolStatus;
}

/** Schema of {@link TSMachinePoolTemplateSpec}. */
export const TSMachinePoolTemplateSpecSchema = Type.Object(
  {
    template: Type.Object(
      {
        metadata: Type.Optional(TemplateMetadataSchema),
        spec: Type.Object(poolSpecFields, {
          description: 'Spec of every TSMachinePool made from the template.',
          ...rules(exactlyOneBackend),
        }),
      },
      { description: 'What a TSMachinePool is made from.' },
    ),
  },
  { description: 'The template that a ClusterClass names for its machine pools (IMP-12).' },
);

/** Desired state of the pools made from a template. */
export type TSMachinePoolTemplateSpec = Static<typeof TSMachinePoolTemplateSpecSchema>;

/** What a ClusterClass makes TSMachinePools from. */
export interface TSMachinePoolTemplate extends ApiObject {
  spec: TSMachinePoolTemplateSpec;
}
