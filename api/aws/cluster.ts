// SPDX-License-Identifier: Apache-2.0
// What the machines of a cluster share on AWS: region, identity, network.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { existing, SecurityGroupReferenceSchema, SubnetReferenceSchema, TagsSchema } from './filters.ts';

const CIDRBlockSchema = (description: string) =>
  Type.String({
    description,
    maxLength: 43,
    ...rules({ rule: 'isCIDR(self)', message: 'write a CIDR block, such as 10.0.0.0/16' }),
  });

const IngressRuleSchema = Type.Object(
  {
    description: Type.String({ description: 'What it is for.', minLength: 1, maxLength: 200 }),
    protocol: Type.Enum(['tcp', 'udp', 'icmp', 'ipip', 'esp', 'all'], { description: 'IP protocol.' }),
    fromPort: Type.Optional(
      Type.Integer({
        description: 'First port; for tcp and udp.',
        format: 'int32',
        minimum: 0,
        maximum: 65535,
      }),
    ),
    toPort: Type.Optional(
      Type.Integer({
        description: 'Last port; for tcp and udp.',
        format: 'int32',
        minimum: 0,
        maximum: 65535,
      }),
    ),
    cidrBlocks: Type.Optional(
      Type.Array(CIDRBlockSchema('From where.'), {
        description: 'From where. Absent: from the machines of the cluster.',
        minItems: 1,
        maxItems: 20,
      }),
    ),
  },
  {
    description: 'One rule that lets traffic in.',
    ...rules({
      rule: "(self.protocol in ['tcp', 'udp']) == (has(self.fromPort) && has(self.toPort))",
      message: 'tcp and udp need fromPort and toPort, other protocols have none',
    }),
  },
);

/** One rule that lets traffic in. */
export type AWSIngressRule = Static<typeof IngressRuleSchema>;

const ManagedNetworkSchema = Type.Object(
  {
    cidrBlock: Type.Optional(CIDRBlockSchema('IPv4 addresses of the VPC. Absent: 10.0.0.0/16.')),
    availabilityZones: Type.Optional(
      Type.Array(Type.String({ description: 'Name of a zone, such as eu-central-1a.', maxLength: 64 }), {
        description: 'Zones to use. Absent: the first three of the region that are available.',
        minItems: 1,
        maxItems: 6,
        'x-kubernetes-list-type': 'set',
      }),
    ),
    natGateways: Type.Optional(
      Type.Enum(['PerZone', 'Single', 'None'], {
        description:
          'How machines in private subnets reach the internet. PerZone (also when absent), Single: one for all zones. ' +
          'None: they do not; machines are in public subnets only where they say so.',
      }),
    ),
  },
  { description: 'A VPC with subnets, gateways and routes that is made, and deleted with the cluster.' },
);

/** A network that we make. */
export type AWSManagedNetwork = Static<typeof ManagedNetworkSchema>;

const groupsOf = (role: string) =>
  Type.Optional(
    Type.Array(SecurityGroupReferenceSchema, {
      description: `Security groups of ${role}. Absent: one is made.`,
      minItems: 1,
      maxItems: 10,
    }),
  );

const NetworkSchema = Type.Object(
  {
    managed: Type.Optional(ManagedNetworkSchema),
    vpc: Type.Optional(existing('VPC', 'vpc')),
    subnets: Type.Optional(
      Type.Array(SubnetReferenceSchema, {
        description:
          'Subnets of the VPC that may be used. A subnet whose routes lead to an internet gateway is public.',
        minItems: 1,
        maxItems: 50,
      }),
    ),
    securityGroups: Type.Optional(
      Type.Object(
        {
          controlPlane: groupsOf('control plane machines'),
          nodes: groupsOf('the other machines'),
          loadBalancer: groupsOf('the load balancer'),
        },
        { description: 'Security groups that exist already, by role.', minProperties: 1 },
      ),
    ),
    ingressRules: Type.Optional(
      Type.Array(IngressRuleSchema, {
        description:
          'What machines of the cluster may say to each other, for the network plugin. Absent: everything.',
        maxItems: 30,
      }),
    ),
    nodePortCIDRBlocks: Type.Optional(
      Type.Array(CIDRBlockSchema('From where.'), {
        description: 'From where NodePort services are reached. Absent: from nowhere outside of the cluster.',
        minItems: 1,
        maxItems: 20,
      }),
    ),
  },
  {
    description: 'The network of the cluster: one that is made (managed), or vpc and subnets that exist.',
    ...rules(
      {
        rule: 'has(self.managed) != has(self.vpc)',
        message: 'set either managed ({} takes its defaults) or vpc with subnets',
      },
      { rule: 'has(self.vpc) == has(self.subnets)', message: 'vpc and subnets go together' },
    ),
  },
);

/** The network of a cluster. */
export type AWSNetwork = Static<typeof NetworkSchema>;

/** Schema of {@link AWSClusterSpec}. */
export const AWSClusterSpecSchema = Type.Object(
  {
    region: Type.String({
      description: 'Region, such as eu-central-1.',
      pattern: '^[a-z]{2}(-[a-z]+)+-[0-9]+$',
      maxLength: 64,
    }),
    identityRef: Type.Object(
      {
        name: Type.String({ description: 'Name of the TSClusterIdentity.', minLength: 1, maxLength: 253 }),
      },
      { description: 'Who we are at AWS: a TSClusterIdentity that allows this namespace.' },
    ),
    accountID: Type.Optional(
      Type.String({
        description:
          'Account of the identity, twelve digits in quotes. Absent: written by the controller before it makes anything. Fixed from then on: ' +
          'with an identity of another account nothing is made, changed or deleted.',
        pattern: '^[0-9]{12}$',
        maxLength: 12,
      }),
    ),
    interruptionQueue: Type.Optional(
      Type.String({
        description:
          'Name of an SQS queue in the account and region of the cluster that EventBridge puts events of EC2 into: spot notices, rebalance ' +
          'recommendations. Its messages are read and deleted. Absent: notices are asked for, and rebalance recommendations are not known.',
        pattern: '^[A-Za-z0-9_-]+$',
        minLength: 1,
        maxLength: 80,
      }),
    ),
    network: NetworkSchema,
    tags: Type.Optional(TagsSchema),
  },
  { description: 'AWS: where the cluster is, as whom, and in which network.' },
);

/** Settings of AWS for a whole cluster. */
export type AWSClusterSpec = Static<typeof AWSClusterSpecSchema>;

/** Schema of {@link NLBSpec}. */
export const NLBSpecSchema = Type.Object(
  {
    scheme: Type.Optional(
      Type.Enum(['InternetFacing', 'Internal'], {
        description:
          'Who can reach it. Absent: InternetFacing. Its subnets are the public, or the private ones.',
      }),
    ),
    name: Type.Optional(
      Type.String({
        description:
          'Name of a network load balancer that exists. It stays when the cluster goes; listener and target group are made in it. Absent: one is made.',
        pattern: '^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$',
        maxLength: 32,
      }),
    ),
    subnets: Type.Optional(
      Type.Array(SubnetReferenceSchema, {
        description: 'Subnets of the load balancer. Absent: one for each zone of the network.',
        minItems: 1,
        maxItems: 6,
      }),
    ),
    crossZone: Type.Optional(
      Type.Boolean({ description: 'Balances over all zones, not only in its own. Absent: true.' }),
    ),
    allowedCIDRBlocks: Type.Optional(
      Type.Array(CIDRBlockSchema('From where.'), {
        description:
          'From where the API server is reached. Absent: from everywhere (of the VPC, when Internal).',
        minItems: 1,
        maxItems: 50,
      }),
    ),
    healthCheck: Type.Optional(
      Type.Object(
        {
          protocol: Type.Optional(
            Type.Enum(['TCP', 'HTTPS'], { description: 'HTTPS asks /readyz. Absent: HTTPS.' }),
          ),
          intervalSeconds: Type.Optional(
            Type.Integer({
              description: 'Between two checks. Absent: 10.',
              format: 'int32',
              minimum: 5,
              maximum: 300,
            }),
          ),
          thresholdCount: Type.Optional(
            Type.Integer({
              description: 'Checks in a row that decide. Absent: 2.',
              format: 'int32',
              minimum: 2,
              maximum: 10,
            }),
          ),
        },
        { description: 'How the load balancer sees that an API server is well.', minProperties: 1 },
      ),
    ),
  },
  { description: 'NLB: a network load balancer of AWS.', minProperties: 1 },
);

/** Settings of a network load balancer. */
export type NLBSpec = Static<typeof NLBSpecSchema>;
