// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { AWSMachineSpecSchema } from './aws/machine.ts';
import { exactlyOneBackend, fixedBackend, fixedSettings } from './backends.ts';
import { HostMachineSpecSchema } from './host.ts';
import { InMemoryMachineSpecSchema } from './inmemory.ts';
import {
  type ApiObject,
  ConditionsSchema,
  InitializationSchema,
  ObservedGenerationSchema,
  rules,
  type ValidationRule,
} from './meta.ts';

/** Schema of {@link CreateIntent}. */
const CreateIntentSchema = Type.Object(
  {
    attempt: Type.Integer({
      description:
        'Counts the attempts to make an instance; grows only after the last one is proven to have made nothing.',
      format: 'int64',
      minimum: 1,
    }),
    clientToken: Type.String({
      description: 'Unique to the attempt: the same token always means the same instance.',
      minLength: 1,
      maxLength: 128,
    }),
    requestHash: Type.String({
      description: 'Hash of everything that is sent with the create call.',
      minLength: 1,
      maxLength: 128,
    }),
    choice: Type.Optional(
      Type.Record(Type.String(), Type.String({ description: 'A value.', maxLength: 512 }), {
        description:
          'What the backend has chosen for the attempt where the settings leave a choice, such as image, subnet and market.',
        maxProperties: 20,
      }),
    ),
  },
  {
    description:
      'Written by the controller before it creates anything: the promise to make at most one instance.',
    ...rules({
      rule: 'self == oldSelf || self.attempt > oldSelf.attempt',
      message:
        'createIntent belongs to the controller: leave it as it is (a new token needs a higher attempt)',
    }),
  },
);

/** The promise to make at most one instance (design, invariants 1 and 2); survives a move because it is in spec. */
export type CreateIntent = Static<typeof CreateIntentSchema>;

/** The fields that TSMachine and TSMachineTemplate share; the rules differ. */
export const machineSpecFields = {
  providerID: Type.Optional(
    Type.String({
      description:
        'Identity of the instance, the same as on its Node. Written by the controller, then fixed.',
      minLength: 1,
      maxLength: 512,
    }),
  ),
  createIntent: Type.Optional(CreateIntentSchema),
  inMemory: Type.Optional(InMemoryMachineSpecSchema),
  host: Type.Optional(HostMachineSpecSchema),
  aws: Type.Optional(AWSMachineSpecSchema),
};

const identityRules: readonly ValidationRule[] = [
  {
    rule: '!has(oldSelf.providerID) || (has(self.providerID) && self.providerID == oldSelf.providerID)',
    message: 'providerID is fixed once it is set: delete the Machine to have it replaced',
    fieldPath: '.providerID',
  },
  {
    rule: '!has(oldSelf.createIntent) || has(self.createIntent)',
    message: 'createIntent belongs to the controller: keep it, it is what prevents a second instance',
    fieldPath: '.createIntent',
  },
];

/** Schema of {@link TSMachineSpec}. There is no `failureDomain` on purpose: core would overwrite the Machine's with it (IM-3c). */
export const TSMachineSpecSchema = Type.Object(machineSpecFields, {
  description:
    'What the machine is made of. Exactly one backend is set; everything but failures to rehearse is fixed.',
  ...rules(exactlyOneBackend, fixedBackend, ...identityRules, ...fixedSettings),
});

/** Desired state of a machine; exactly one backend member is set. */
export type TSMachineSpec = Static<typeof TSMachineSpecSchema>;

const MachineAddressSchema = Type.Object(
  {
    type: Type.Enum(['Hostname', 'ExternalIP', 'InternalIP', 'ExternalDNS', 'InternalDNS'], {
      description: 'What the address is: Hostname, ExternalIP, InternalIP, ExternalDNS or InternalDNS.',
    }),
    address: Type.String({ description: 'The address itself.', minLength: 1, maxLength: 256 }),
  },
  { description: 'One address of the machine.' },
);

/** One address of a machine (IM-4). */
export type MachineAddress = Static<typeof MachineAddressSchema>;

/** Schema of {@link TSMachineStatus}. */
export const TSMachineStatusSchema = Type.Object(
  {
    initialization: Type.Optional(InitializationSchema),
    addresses: Type.Optional(
      Type.Array(MachineAddressSchema, {
        description: 'Addresses of the machine, as the backend reports them.',
        maxItems: 256,
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    interruptible: Type.Optional(
      Type.Boolean({
        description:
          'The infrastructure may take the instance back (Spot). Cluster API labels the Node so (IM-6).',
      }),
    ),
    failureDomain: Type.Optional(
      Type.String({
        description: 'The failure domain where the instance really is.',
        minLength: 1,
        maxLength: 256,
      }),
    ),
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(ObservedGenerationSchema),
  },
  { description: 'What was observed. Can be lost and is found again (GEN-18).' },
);

/** Observed state of a machine. */
export type TSMachineStatus = Static<typeof TSMachineStatusSchema>;

/** The InfraMachine of ts-provider (IM-1). */
export interface TSMachine extends ApiObject {
  spec: TSMachineSpec;
  status?: TSMachineStatus;
}
