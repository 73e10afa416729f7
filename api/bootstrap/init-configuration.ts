// SPDX-License-Identifier: Apache-2.0
// What kubeadm init does on the first control plane machine: `spec.initConfiguration` of a KubeadmConfig.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { atomicList, filled, integer, text, time } from './fields.ts';
import {
  APIEndpointSchema,
  NodeRegistrationSchema,
  PatchesSchema,
  SkipPhasesSchema,
  TimeoutsSchema,
} from './node-registration.ts';

const words = (item: string, description: string) =>
  Type.Optional(atomicList(text(item, 256), description, { minItems: 1, maxItems: 100 }));

const BootstrapTokenSchema = Type.Object(
  {
    token: Type.String({
      description: 'The token: six lower-case letters or digits, a dot, and sixteen more.',
      minLength: 1,
      maxLength: 23,
      ...rules({
        rule: "self.matches('^[a-z0-9]{6}[.][a-z0-9]{16}$')",
        message:
          'token must be 6 lower-case letters or digits, a dot, and 16 more, as "kubeadm token generate" prints it',
      }),
    }),
    description: Type.Optional(text('What the token is for.')),
    ttlSeconds: Type.Optional(
      integer(
        'Seconds for which the token is valid; 86400 when absent, 0 for ever. Not together with expires.',
        {
          minimum: 0,
        },
      ),
    ),
    expires: Type.Optional(time('When the token ends. Not together with ttlSeconds.')),
    usages: words(
      'A use: signing or authentication.',
      'What the token may be used for; both uses when absent.',
    ),
    groups: words('Name of a group.', 'Further groups of who uses the token.'),
  },
  { description: 'One bootstrap token.' },
);

/** A bootstrap token that kubeadm init makes. */
export type BootstrapToken = Static<typeof BootstrapTokenSchema>;

/** Schema of {@link InitConfiguration}. */
export const InitConfigurationSchema = filled(
  {
    bootstrapTokens: Type.Optional(
      atomicList(BootstrapTokenSchema, 'Bootstrap tokens that kubeadm init makes.', {
        minItems: 1,
        maxItems: 100,
      }),
    ),
    nodeRegistration: Type.Optional(NodeRegistrationSchema),
    localAPIEndpoint: Type.Optional(APIEndpointSchema),
    skipPhases: Type.Optional(SkipPhasesSchema),
    patches: Type.Optional(PatchesSchema),
    timeouts: Type.Optional(TimeoutsSchema),
  },
  'Settings of kubeadm init, for the first control plane machine.',
);

/** Settings of kubeadm init. */
export type InitConfiguration = Static<typeof InitConfigurationSchema>;
