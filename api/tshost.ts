// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import {
  type ApiObject,
  ConditionsSchema,
  ObservedGenerationSchema,
  rules,
  type ValidationRule,
} from './meta.ts';
import { HostStatusFields } from './tshost-status.ts';

const NAME = { minLength: 1, maxLength: 253 };

const CredentialsRefSchema = Type.Object(
  { name: Type.String({ description: 'Name of a Secret in the same namespace.', ...NAME }) },
  {
    description:
      'The Secret with the credentials: ssh-privatekey or password; optional passphrase, ssh-certificate, sudo-password.',
  },
);

const hostKeys = Type.Array(
  Type.String({
    description: 'A public host key.',
    minLength: 20,
    maxLength: 8192,
    pattern: '^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$',
  }),
  {
    description:
      'Public host keys to accept, as ssh-keyscan prints them without the address: "ssh-ed25519 AAAA...".',
    maxItems: 16,
    'x-kubernetes-list-type': 'atomic',
  },
);

const HostKeyPolicySchema = Type.Enum(['Pinned', 'TrustOnFirstUse'], {
  description:
    'Pinned (also when absent): only hostKeys are accepted. TrustOnFirstUse: the key of the first connection is accepted and written to hostKeys.',
});

const endpointFields = {
  address: Type.String({ description: 'IP address or DNS name.', ...NAME }),
  port: Type.Optional(
    Type.Integer({
      description: 'TCP port of sshd; 22 when absent.',
      format: 'int32',
      minimum: 1,
      maximum: 65535,
    }),
  ),
  user: Type.Optional(
    Type.String({
      description: 'User to log in as; root when absent. Another one needs sudo.',
      minLength: 1,
      maxLength: 64,
    }),
  ),
  credentialsRef: CredentialsRefSchema,
  hostKeys: Type.Optional(hostKeys),
  hostKeyPolicy: Type.Optional(HostKeyPolicySchema),
};

const BastionSchema = Type.Object(endpointFields, {
  description: 'A host to go through; it needs no sudo, only leave to forward.',
});

const SshSchema = Type.Object(
  { ...endpointFields, bastion: Type.Optional(BastionSchema) },
  { description: 'How the host is reached.' },
);

/** How a TSHost is reached; its credentials are in Secrets. */
export type TSHostSsh = Static<typeof SshSchema>;

const OwnerSchema = (what: string) =>
  Type.Object(
    {
      namespace: Type.String({ description: `Namespace of the ${what}.`, ...NAME }),
      name: Type.String({ description: `Name of the ${what}.`, ...NAME }),
      uid: Type.String({ description: `UID of the ${what}.`, minLength: 1, maxLength: 128 }),
    },
    { description: `The ${what} that has the host.` },
  );

const handsOff =
  'leave the claim to the controllers; to take a host from a dead machine see force-release in the runbook';

const claimRules: readonly ValidationRule[] = [
  {
    rule:
      'has(self.machine) == has(self.clientToken) && !(has(self.machine) && has(self.cluster)) && ' +
      'has(self.for) == (has(self.machine) || has(self.cluster)) && (!has(self.releasing) || has(self.for))',
    message: `a claim names the one owner that "for" says, a free host none: ${handsOff}`,
  },
  {
    rule: 'self.generation >= oldSelf.generation',
    message: `the generation of a claim only grows: ${handsOff}`,
  },
  {
    rule: 'self.generation > oldSelf.generation || !has(self.for) || (has(oldSelf.for) && has(self.clientToken) == has(oldSelf.clientToken))',
    message: `a host changes its owner only with a higher generation: ${handsOff}`,
  },
  {
    rule: 'self.generation > oldSelf.generation || !has(self.clientToken) || !has(oldSelf.clientToken) || self.clientToken == oldSelf.clientToken',
    message: `a host changes its owner only with a higher generation: ${handsOff}`,
  },
];

/** Schema of {@link HostClaim}. */
export const HostClaimSchema = Type.Object(
  {
    generation: Type.Integer({
      description: 'Grows by one with each claim; stays when the host is free.',
      format: 'int64',
      minimum: 1,
    }),
    for: Type.Optional(
      Type.Enum(['Machine', 'LoadBalancer'], {
        description: 'What the host is used for. Absent: the host is free.',
      }),
    ),
    machine: Type.Optional(OwnerSchema('TSMachine')),
    cluster: Type.Optional(OwnerSchema('TSCluster')),
    clientToken: Type.Optional(
      Type.String({
        description:
          'The client token of the claim; unlike a UID it is the same after a move to another management cluster.',
        minLength: 1,
        maxLength: 128,
      }),
    ),
    requestHash: Type.Optional(
      Type.String({
        description: 'Hash of the request that the client token stands for.',
        minLength: 1,
        maxLength: 128,
      }),
    ),
    previous: Type.Optional(
      Type.String({
        description: 'Instance id of the machine that had the host last: it never gets a second one.',
        minLength: 8,
        maxLength: 8,
      }),
    ),
    releasing: Type.Optional(
      Type.Boolean({ description: 'The owner gives the host back: it is cleaned, then free.' }),
    ),
  },
  {
    description:
      'Who has the host. Written by the controllers with compare-and-swap, in spec so that a move keeps it. Leave it alone.',
    ...rules(...claimRules),
  },
);

/** Who has a host (invariant 3). Free when `for` is absent. */
export type HostClaim = Static<typeof HostClaimSchema>;

const keepsClaim: ValidationRule = {
  rule: '!has(oldSelf.claim) || has(self.claim)',
  message: 'claim belongs to the controllers: keep it, it is what prevents two machines on one host',
  fieldPath: '.claim',
};

const keepsAddress: ValidationRule = {
  rule: '!has(oldSelf.claim) || !has(oldSelf.claim.for) || (self.ssh.address == oldSelf.ssh.address)',
  message:
    'the address of a host in use is fixed: it would be another machine; delete the Machine first, or make another TSHost',
  fieldPath: '.ssh.address',
};

/** Schema of {@link TSHostSpec}. */
export const TSHostSpecSchema = Type.Object(
  {
    ssh: SshSchema,
    failureDomain: Type.Optional(
      Type.String({
        description: 'The failure domain that the host stands in, such as a rack.',
        minLength: 1,
        maxLength: 63,
        pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$',
      }),
    ),
    maintenance: Type.Optional(
      Type.Boolean({
        description:
          'Somebody works on the host: it is not claimed and nothing is started on it; what runs goes on. Default false.',
      }),
    ),
    adopt: Type.Optional(
      Type.Boolean({
        description:
          'The host runs its Node already: only a TSMachine with spec.host.adopt takes it, and does not bootstrap it. Default false.',
      }),
    ),
    claim: Type.Optional(HostClaimSchema),
  },
  {
    description: 'One machine that exists: how it is reached, where it stands, and who has it.',
    ...rules(keepsClaim, keepsAddress),
  },
);

/** Desired state of a host. */
export type TSHostSpec = Static<typeof TSHostSpecSchema>;

/** Schema of {@link TSHostStatus}. */
export const TSHostStatusSchema = Type.Object(
  {
    ...HostStatusFields,
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(ObservedGenerationSchema),
  },
  {
    description:
      'What was observed. Can be lost: it is found again on the host and in spec.claim (GEN-18). Written only when it changes.',
  },
);

/** Observed state of a host. */
export type TSHostStatus = Static<typeof TSHostStatusSchema>;

/** One host of the inventory. */
export interface TSHost extends ApiObject {
  spec: TSHostSpec;
  status?: TSHostStatus;
}
