// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { quantity } from './meta.ts';

const MAX_BOOT_DELAY_SECONDS = 3600;

/** Seconds from creation to a running instance. */
const BootDelaySeconds = Type.Integer({
  description: 'Seconds from the creation of an instance until it is booted; 0 boots at once.',
  format: 'int32',
  minimum: 0,
  maximum: MAX_BOOT_DELAY_SECONDS,
});

/** Schema of {@link InMemoryFailures}. */
export const InMemoryFailuresSchema = Type.Object(
  {
    neverBoots: Type.Optional(
      Type.Boolean({ description: 'The instance is created and never comes up, as with a broken image.' }),
    ),
    provisioningError: Type.Optional(
      Type.String({
        description: 'The instance fails while it is made, with this message.',
        minLength: 1,
        maxLength: 1024,
      }),
    ),
    diesAfterSeconds: Type.Optional(
      Type.Integer({
        description: 'The instance stops this many seconds after it came up, as with a dead disk.',
        format: 'int32',
        minimum: 0,
        maximum: 31_536_000,
      }),
    ),
    throttledCalls: Type.Optional(
      Type.Integer({
        description: 'The backend answers this many calls with "throttled" before it does anything.',
        format: 'int32',
        minimum: 0,
        maximum: 1000,
      }),
    ),
  },
  { description: 'Failures to rehearse. May be changed at any time, also on a running machine.' },
);

/** Failures on demand of a simulated machine. */
export type InMemoryFailures = Static<typeof InMemoryFailuresSchema>;

/** Schema of {@link InMemoryMachineSpec}. */
export const InMemoryMachineSpecSchema = Type.Object(
  {
    bootDelaySeconds: Type.Optional(BootDelaySeconds),
    capacity: Type.Optional(
      Type.Object(
        {
          cpu: Type.Optional(quantity('Processors that the Node reports, such as "4".')),
          memory: Type.Optional(quantity('Memory that the Node reports, such as "8Gi".')),
        },
        { description: 'What the Node of the simulated machine reports as its capacity.', minProperties: 1 },
      ),
    ),
    failures: Type.Optional(InMemoryFailuresSchema),
  },
  { description: 'A simulated machine: no virtual machine and no host is made, its Node is a real object.' },
);

/** Settings of a simulated machine. Absent fields come from the TSCluster's `inMemory`, then from the backend. */
export type InMemoryMachineSpec = Static<typeof InMemoryMachineSpecSchema>;

/** Schema of {@link InMemoryClusterSpec}. */
export const InMemoryClusterSpecSchema = Type.Object(
  {
    bootDelaySeconds: Type.Optional(BootDelaySeconds),
    failureDomains: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'Name of the failure domain.', minLength: 1, maxLength: 256 }),
            controlPlane: Type.Optional(
              Type.Boolean({
                description: 'Whether control plane machines may be placed here; true when absent.',
              }),
            ),
          },
          { description: 'One failure domain.' },
        ),
        {
          description: 'Failure domains to offer to Cluster API. Absent: machines are not spread.',
          minItems: 1,
          maxItems: 100,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
    failures: Type.Optional(InMemoryFailuresSchema),
  },
  { description: 'Defaults for the simulated machines of the cluster.' },
);

/** Settings of the in-memory backend for a whole cluster; machines override them. */
export type InMemoryClusterSpec = Static<typeof InMemoryClusterSpecSchema>;
