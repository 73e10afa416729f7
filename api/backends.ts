// SPDX-License-Identifier: Apache-2.0
import type { ValidationRule } from './meta.ts';

/** A backend member of `TSMachine.spec`, and which of its settings an instance is made from. */
interface BackendFields {
  readonly name: string;
  /** These never change on a TSMachine: nothing would change the instance. */
  readonly fixed: readonly string[];
}

/** Every backend of the union. A new one is a line here, a member in `machineSpecFields`, and its folder under backends/. */
const BACKENDS: readonly BackendFields[] = [
  { name: 'inMemory', fixed: ['bootDelaySeconds', 'capacity'] },
  { name: 'host', fixed: ['selector', 'adopt', 'preparation'] },
  {
    name: 'aws',
    // Tags, further security groups, metadata options, onInterruption and onRebalance are changed on the living instance.
    fixed: [
      ...[
        'instanceType',
        'image',
        'subnet',
        'fallbacks',
        'rootVolume',
        'volumes',
        'iamInstanceProfile',
        'keyName',
      ],
      ...['publicIP', 'privateDNS', 'tenancy', 'placementGroup', 'capacityReservation', 'cpuOptions', 'spot'],
      'userData',
    ],
  },
];

const names = BACKENDS.map(({ name }) => name).join(', ');

/** Two backends, or none, is never meant. */
export const exactlyOneBackend: ValidationRule = {
  rule: `[${BACKENDS.map(({ name }) => `has(self.${name})`).join(', ')}].filter(set, set).size() == 1`,
  message: `set exactly one backend, one of: ${names} (an empty object {} takes its defaults)`,
};

/** The instance stays where it was made. */
export const fixedBackend: ValidationRule = {
  rule: BACKENDS.map(({ name }) => `has(self.${name}) == has(oldSelf.${name})`).join(' && '),
  message:
    'the backend of a machine is fixed: make a new TSMachineTemplate with the other backend and roll the machines to it',
};

/** One rule for each setting that an instance is made from. */
export const fixedSettings: readonly ValidationRule[] = BACKENDS.flatMap(({ name, fixed }) =>
  fixed.map((field) => fixedSetting(name, field)),
);

function fixedSetting(backend: string, field: string): ValidationRule {
  const [now, before] = [`self.${backend}`, `oldSelf.${backend}`];
  const changed = `has(${now}.${field}) != has(${before}.${field}) || (has(${now}.${field}) && ${now}.${field} != ${before}.${field})`;
  return {
    rule: `!has(${now}) || !has(${before}) || !(${changed})`,
    message: `${backend}.${field} is fixed on a machine: make a new TSMachineTemplate with the other value and roll the machines to it`,
    fieldPath: `.${backend}.${field}`,
  };
}
