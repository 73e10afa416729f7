// SPDX-License-Identifier: Apache-2.0
// Who we are at a cloud, and which namespaces may be it (IC-15).
import Type, { type Static } from 'typebox';
import { type ApiObject, rules } from './meta.ts';

const RoleSchema = Type.Object(
  {
    arn: Type.String({
      description: 'ARN of the role.',
      pattern: '^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$',
      maxLength: 2048,
    }),
    externalID: Type.Optional(
      Type.String({
        description: 'External id that the trust policy of the role asks for.',
        minLength: 2,
        maxLength: 1224,
      }),
    ),
    sessionName: Type.Optional(
      Type.String({
        description: 'Name of the session, as CloudTrail shows it. Absent: ts-provider.',
        pattern: '^[A-Za-z0-9_+=,.@-]+$',
        minLength: 2,
        maxLength: 64,
      }),
    ),
    durationSeconds: Type.Optional(
      Type.Integer({
        description: 'Life of a session. Absent: 3600.',
        format: 'int32',
        minimum: 900,
        maximum: 43200,
      }),
    ),
  },
  { description: 'A role that is assumed.' },
);

/** A role that is assumed. */
export type AWSRole = Static<typeof RoleSchema>;

const AWSIdentitySchema = Type.Object(
  {
    source: Type.Enum(['Manager', 'Secret', 'Identity'], {
      description:
        'Where credentials come from. Manager: those of the manager (its service account, instance profile or environment). ' +
        'Secret: secretRef. Identity: another TSClusterIdentity, identityRef.',
    }),
    secretRef: Type.Optional(
      Type.Object(
        {
          namespace: Type.String({ description: 'Namespace of the Secret.', minLength: 1, maxLength: 63 }),
          name: Type.String({ description: 'Name of the Secret.', minLength: 1, maxLength: 253 }),
        },
        { description: 'Secret with accessKeyID, secretAccessKey and, where there is one, sessionToken.' },
      ),
    ),
    identityRef: Type.Optional(
      Type.Object(
        {
          name: Type.String({ description: 'Name of the TSClusterIdentity.', minLength: 1, maxLength: 253 }),
        },
        {
          description:
            'Another identity, whose credentials assume the roles. It need not allow the namespaces that this one allows.',
        },
      ),
    ),
    assumeRoles: Type.Optional(
      Type.Array(RoleSchema, {
        description: 'Roles that are assumed one after the other; the last one acts.',
        minItems: 1,
        maxItems: 5,
      }),
    ),
  },
  {
    description: 'Who we are at AWS.',
    ...rules(
      {
        rule: "(self.source == 'Secret') == has(self.secretRef)",
        message: 'secretRef goes with source: Secret',
      },
      {
        rule: "(self.source == 'Identity') == has(self.identityRef)",
        message: 'identityRef goes with source: Identity',
      },
      {
        rule: "self.source != 'Identity' || has(self.assumeRoles)",
        message: 'source: Identity needs assumeRoles: without a role it would be the other identity',
      },
    ),
  },
);

/** Schema of {@link TSClusterIdentitySpec}. */
export const TSClusterIdentitySpecSchema = Type.Object(
  {
    aws: AWSIdentitySchema,
    allowedNamespaces: Type.Optional(
      Type.Object(
        {
          names: Type.Optional(
            Type.Array(Type.String({ description: 'Name of a namespace.', minLength: 1, maxLength: 63 }), {
              description: 'These namespaces.',
              minItems: 1,
              maxItems: 1000,
              'x-kubernetes-list-type': 'set',
            }),
          ),
          selector: Type.Optional(
            Type.Object(
              {
                matchLabels: Type.Optional(
                  Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
                    description: 'Labels that the namespace carries, all of them.',
                    maxProperties: 32,
                  }),
                ),
              },
              { description: 'Namespaces with these labels. {} is every namespace.' },
            ),
          ),
        },
        {
          description: 'Clusters of which namespaces may use the identity. Absent: of none.',
          minProperties: 1,
        },
      ),
    ),
  },
  { description: 'Credentials, and who may use them.' },
);

/** Credentials, and who may use them. */
export type TSClusterIdentitySpec = Static<typeof TSClusterIdentitySpecSchema>;

/** Cluster-scoped: made by who administers the management cluster, named by TSClusters. */
export interface TSClusterIdentity extends ApiObject {
  spec: TSClusterIdentitySpec;
}
