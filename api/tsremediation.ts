// SPDX-License-Identifier: Apache-2.0
// What a MachineHealthCheck asks for when a machine is unhealthy, and how far it is (MHC-4).
import Type, { type Static } from 'typebox';
import {
  type ApiObject,
  ConditionsSchema,
  ObservedGenerationSchema,
  TemplateMetadataSchema,
} from './meta.ts';

const seconds = (description: string, minimum: number) =>
  Type.Optional(Type.Integer({ description, format: 'int32', minimum, maximum: 86_400 }));

/** Schema of {@link TSRemediationSpec}. */
export const TSRemediationSpecSchema = Type.Object(
  {
    retryLimit: Type.Optional(
      Type.Integer({
        description:
          'How often the machine is rebooted before it is replaced; 1 when absent, 0 replaces at once.',
        format: 'int32',
        minimum: 0,
        maximum: 10,
      }),
    ),
    timeoutSeconds: seconds(
      'How long a reboot may take, and after it the Node to be healthy; 300 when absent.',
      10,
    ),
    backoffSeconds: seconds(
      'Pause before the second reboot, doubled for each further one; 60 when absent.',
      0,
    ),
    nodeOutOfService: Type.Optional(
      Type.Boolean({
        description:
          'Once the reboot is proven, the Node is declared out of service until its pods have moved, also stateful ones; its kubelet starts after that. Default true.',
      }),
    ),
    maxConcurrent: Type.Optional(
      Type.Integer({
        description:
          'Most machines of a Cluster that are worked on at once; of control plane machines always one. 1 when absent.',
        format: 'int32',
        minimum: 1,
        maximum: 100,
      }),
    ),
  },
  { description: 'How an unhealthy machine is repaired before it is replaced.', default: {} },
);

/** How an unhealthy machine is repaired before it is replaced. */
export type TSRemediationSpec = Static<typeof TSRemediationSpecSchema>;

/** Schema of {@link TSRemediationStatus}. */
export const TSRemediationStatusSchema = Type.Object(
  {
    phase: Type.Optional(
      Type.Enum(['Waiting', 'Rebooting', 'Evacuating', 'Recovering', 'HandedOver'], {
        description:
          'Waiting for others to be done; Rebooting until the boot ID has changed; Evacuating until its pods have moved; Recovering until the Node is healthy; HandedOver to the owner of the Machine, who replaces it.',
      }),
    ),
    tries: Type.Optional(
      Type.Integer({ description: 'Reboots that were begun.', format: 'int32', minimum: 0 }),
    ),
    bootID: Type.Optional(
      Type.String({ description: 'The boot that the present try ends.', maxLength: 256 }),
    ),
    startedAt: Type.Optional(
      Type.String({ description: 'When the present phase began.', format: 'date-time' }),
    ),
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(ObservedGenerationSchema),
  },
  { description: 'How far it is. When it is lost, the machine may be rebooted once more.' },
);

/** How far a remediation is. */
export type TSRemediationStatus = Static<typeof TSRemediationStatusSchema>;

/** Schema of {@link TSRemediationTemplateSpec}. */
export const TSRemediationTemplateSpecSchema = Type.Object(
  {
    template: Type.Object(
      { metadata: Type.Optional(TemplateMetadataSchema), spec: TSRemediationSpecSchema },
      { description: 'What a TSRemediation is made from.' },
    ),
  },
  { description: 'The template that a MachineHealthCheck names in spec.remediation.templateRef.' },
);

/** Desired state of the remediations made from a template. */
export type TSRemediationTemplateSpec = Static<typeof TSRemediationTemplateSpecSchema>;

/** One request of a MachineHealthCheck, named like its Machine. */
export interface TSRemediation extends ApiObject {
  spec: TSRemediationSpec;
  status?: TSRemediationStatus;
}

/** What a MachineHealthCheck makes TSRemediations from. */
export interface TSRemediationTemplate extends ApiObject {
  spec: TSRemediationTemplateSpec;
}
