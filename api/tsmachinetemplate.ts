// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { exactlyOneBackend } from './backends.ts';
import { type ApiObject, rules, TemplateMetadataSchema } from './meta.ts';
import { machineSpecFields } from './tsmachine.ts';

/** Schema of {@link TSMachineTemplateSpec}. */
export const TSMachineTemplateSpecSchema = Type.Object(
  {
    template: Type.Object(
      {
        metadata: Type.Optional(TemplateMetadataSchema),
        spec: Type.Object(machineSpecFields, {
          description: 'Spec of every TSMachine made from the template. Exactly one backend is set.',
          ...rules(
            exactlyOneBackend,
            {
              rule: '!has(self.providerID)',
              message: 'leave providerID out of a template: the controller gives each machine its own',
              fieldPath: '.providerID',
            },
            {
              rule: '!has(self.createIntent)',
              message: 'leave createIntent out of a template: the controller writes it for each machine',
              fieldPath: '.createIntent',
            },
          ),
        }),
      },
      { description: 'What a TSMachine is made from.' },
    ),
  },
  {
    description:
      'The template. It may be changed, but machines are rolled by a new template name, not by new content: ' +
      'a changed template only serves machines that are made later. It is not immutable, because the dry runs ' +
      'of ClusterClass change it and a validation rule cannot tell a dry run (IMT-3, IMT-4).',
  },
);

/** Desired state of the machines made from a template. */
export type TSMachineTemplateSpec = Static<typeof TSMachineTemplateSpecSchema>;

/** Schema of {@link TSMachineTemplateStatus}. */
export const TSMachineTemplateStatusSchema = Type.Object(
  {
    capacity: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description:
          'Resources of a machine made from the template, as quantities in strings; autoscalers read it.',
      }),
    ),
    nodeInfo: Type.Optional(
      Type.Object(
        {
          architecture: Type.Optional(
            Type.Enum(['amd64', 'arm64', 's390x', 'ppc64le'], {
              description: 'Processor architecture of the Node.',
            }),
          ),
          operatingSystem: Type.Optional(
            Type.String({
              description: 'Operating system of the Node, such as linux.',
              minLength: 1,
              maxLength: 64,
            }),
          ),
        },
        { description: 'What the Node of a machine made from the template will be.', minProperties: 1 },
      ),
    ),
  },
  { description: 'What scaling from zero needs to know (IMT-6).' },
);

/** What scaling from zero reads (IMT-6). */
export type TSMachineTemplateStatus = Static<typeof TSMachineTemplateStatusSchema>;

/** The InfraMachineTemplate of ts-provider (IMT-1). */
export interface TSMachineTemplate extends ApiObject {
  spec: TSMachineTemplateSpec;
  status?: TSMachineTemplateStatus;
}
