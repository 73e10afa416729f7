// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { AWSClusterSpecSchema, NLBSpecSchema } from './aws/cluster.ts';
import { HostClusterSpecSchema, MatchLabelsSchema } from './host.ts';
import { InMemoryClusterSpecSchema } from './inmemory.ts';
import {
  type ApiObject,
  ConditionsSchema,
  InitializationSchema,
  ObservedGenerationSchema,
  rules,
  type ValidationRule,
} from './meta.ts';

const EndpointSchema = Type.Object(
  {
    host: Type.Optional(
      Type.String({
        description: 'DNS name or IP address of the control plane.',
        minLength: 1,
        maxLength: 512,
      }),
    ),
    port: Type.Optional(
      Type.Integer({
        description: 'TCP port of the control plane.',
        format: 'int32',
        minimum: 1,
        maximum: 65535,
      }),
    ),
  },
  {
    description:
      'Where the API server of the cluster answers. Leave it out until it is known; fixed once host and port are set.',
    minProperties: 1,
  },
);

/** Host and port of a control plane; unknown parts are absent, never empty (IC-2). */
export type Endpoint = Static<typeof EndpointSchema>;

/** The fields that TSCluster and TSClusterTemplate share; the rules differ. */
export const clusterSpecFields = {
  controlPlaneEndpoint: Type.Optional(EndpointSchema),
  controlPlaneLoadBalancer: Type.Optional(
    Type.Object(
      {
        type: Type.Optional(
          Type.Enum(['External', 'HAProxy', 'VirtualIP', 'NLB'], {
            description:
              'External (also when absent): somebody else makes the endpoint and writes it here or on the Cluster. ' +
              'NLB: a network load balancer of AWS, whose name becomes the endpoint. ' +
              'HAProxy: a TSHost of the namespace becomes the load balancer, and its address the endpoint. ' +
              'VirtualIP: the hosts of the control plane share the address controlPlaneEndpoint.host, which moves among them.',
          }),
        ),
        virtualIP: Type.Optional(
          Type.Object(
            {
              routerID: Type.Optional(
                Type.Integer({
                  description:
                    'VRRP router id, for networks where another one has the id that is made from the address.',
                  format: 'int32',
                  minimum: 1,
                  maximum: 255,
                }),
              ),
            },
            { description: 'VirtualIP: how the address is shared.', minProperties: 1 },
          ),
        ),
        nlb: Type.Optional(NLBSpecSchema),
        hostSelector: Type.Optional(
          Type.Object(
            { matchLabels: MatchLabelsSchema },
            { description: 'HAProxy: which TSHosts may become the load balancer.' },
          ),
        ),
      },
      {
        description: 'Who makes the control plane endpoint.',
        minProperties: 1,
        ...rules(
          {
            rule: "(has(self.type) && self.type == 'HAProxy') == has(self.hostSelector)",
            message:
              'HAProxy needs hostSelector.matchLabels, such as role: load-balancer; other types take none',
          },
          {
            rule: "!has(self.virtualIP) || (has(self.type) && self.type == 'VirtualIP')",
            message: 'virtualIP is for the type VirtualIP only: take it off, or set type: VirtualIP',
          },
          {
            rule: "!has(self.nlb) || (has(self.type) && self.type == 'NLB')",
            message: 'nlb is for the type NLB only: take it off, or set type: NLB',
          },
        ),
      },
    ),
  ),
  inMemory: Type.Optional(InMemoryClusterSpecSchema),
  hosts: Type.Optional(HostClusterSpecSchema),
  aws: Type.Optional(AWSClusterSpecSchema),
};

/** Not in a template: each cluster has its own. */
const infrastructureID = Type.Optional(
  Type.String({
    description:
      'What the resources of this cluster are tagged with, unlike those of every other cluster. Written by the controller before it makes anything, then fixed.',
    pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
    minLength: 1,
    maxLength: 63,
  }),
);

/** Core copies the endpoint once and never again (IC-2), and certificates carry it: a later change could only mislead. */
const fixedEndpoint: ValidationRule = {
  rule:
    '!has(oldSelf.controlPlaneEndpoint) || !has(oldSelf.controlPlaneEndpoint.host) || ' +
    '!has(oldSelf.controlPlaneEndpoint.port) || ' +
    '(has(self.controlPlaneEndpoint) && self.controlPlaneEndpoint == oldSelf.controlPlaneEndpoint)',
  message:
    'controlPlaneEndpoint is fixed once host and port are set: make a new Cluster for another endpoint',
  fieldPath: '.controlPlaneEndpoint',
};

/** CEL: who makes the endpoint. */
function typeOf(spec: string): string {
  const balancer = `${spec}.controlPlaneLoadBalancer`;
  return `(has(${balancer}) && has(${balancer}.type) ? ${balancer}.type : 'External')`;
}

/** Hosts hear of a change one after the other, and with two ids there are two holders meanwhile. */
const fixedRouterID: ValidationRule = {
  rule:
    `${typeOf('self')} != 'VirtualIP' || ${typeOf('oldSelf')} != 'VirtualIP' || ` +
    `${routerIDOf('self')} == ${routerIDOf('oldSelf')}`,
  message: 'virtualIP.routerID is fixed: make a new Cluster for another one',
  fieldPath: '.controlPlaneLoadBalancer.virtualIP.routerID',
};

/** CEL: 0 where it is made from the address. */
function routerIDOf(spec: string): string {
  const virtualIP = `${spec}.controlPlaneLoadBalancer.virtualIP`;
  return `(has(${virtualIP}) && has(${virtualIP}.routerID) ? ${virtualIP}.routerID : 0)`;
}

/** Nobody else can choose it: it has to be free in the network of the hosts. VRRP with a password is for IPv4. */
const virtualIPAddress: ValidationRule = {
  rule:
    `${typeOf('self')} != 'VirtualIP' || (has(self.controlPlaneEndpoint) && has(self.controlPlaneEndpoint.host) && ` +
    'isIP(self.controlPlaneEndpoint.host) && ip(self.controlPlaneEndpoint.host).family() == 4)',
  message:
    'VirtualIP needs controlPlaneEndpoint.host: a free IPv4 address in the network of the control plane hosts',
  fieldPath: '.controlPlaneEndpoint',
};

/** The endpoint came from it, and a host may carry it. */
const fixedLoadBalancer: ValidationRule = {
  rule:
    '!has(oldSelf.controlPlaneEndpoint) || !has(oldSelf.controlPlaneEndpoint.host) || ' +
    `${typeOf('oldSelf')} == ${typeOf('self')}`,
  message:
    'controlPlaneLoadBalancer.type is fixed once there is an endpoint: make a new Cluster for another one',
  fieldPath: '.controlPlaneLoadBalancer',
};

/** CEL: which load balancer it is, and who reaches it. */
function nlbOf(spec: string): string {
  const nlb = `${spec}.controlPlaneLoadBalancer.nlb`;
  const has = `has(${spec}.controlPlaneLoadBalancer) && has(${nlb})`;
  return (
    `[${has} && has(${nlb}.name) ? ${nlb}.name : '', ` +
    `${has} && has(${nlb}.scheme) ? ${nlb}.scheme : 'InternetFacing']`
  );
}

/** Resources stay where they were made, and are found again by what they are tagged with. */
const awsRules: readonly ValidationRule[] = [
  {
    rule: "TYPE != 'NLB' || has(self.aws)".replace('TYPE', typeOf('self')),
    message: 'controlPlaneLoadBalancer.type NLB needs aws: the load balancer is made there',
    fieldPath: '.controlPlaneLoadBalancer',
  },
  {
    rule:
      '!has(oldSelf.controlPlaneEndpoint) || !has(oldSelf.controlPlaneEndpoint.host) || ' +
      `${nlbOf('self')} == ${nlbOf('oldSelf')}`,
    message:
      'nlb.name and nlb.scheme are fixed once there is an endpoint, which leads to that load balancer: make a new Cluster for another one',
    fieldPath: '.controlPlaneLoadBalancer.nlb',
  },
  {
    rule: '!has(oldSelf.infrastructureID) || (has(self.infrastructureID) && self.infrastructureID == oldSelf.infrastructureID)',
    message:
      'infrastructureID belongs to the controller: leave it as it is, the resources of the cluster are found by it',
    fieldPath: '.infrastructureID',
  },
  {
    rule: '!has(oldSelf.infrastructureID) || !has(oldSelf.aws) || (has(self.aws) && self.aws.region == oldSelf.aws.region)',
    message: 'aws.region is fixed: make a new Cluster in the other region',
    fieldPath: '.aws',
  },
  {
    // A mistake in it can be mended until something was made.
    rule:
      '!has(oldSelf.infrastructureID) || !has(oldSelf.aws) || !has(oldSelf.aws.accountID) || ' +
      '(has(self.aws) && has(self.aws.accountID) && self.aws.accountID == oldSelf.aws.accountID)',
    message:
      'aws.accountID is fixed: leave it as it is, the resources of the cluster are there; make a new Cluster in the other account',
    fieldPath: '.aws',
  },
  {
    rule:
      '!has(oldSelf.infrastructureID) || !has(oldSelf.aws) || !has(self.aws) || ' +
      '(has(self.aws.network.managed) == has(oldSelf.aws.network.managed) && ' +
      '(!has(self.aws.network.vpc) || !has(oldSelf.aws.network.vpc) || self.aws.network.vpc == oldSelf.aws.network.vpc))',
    message:
      'the VPC of a cluster is fixed (aws.network.managed, aws.network.vpc): make a new Cluster in the other one',
    fieldPath: '.aws.network',
  },
];

/** Schema of {@link TSClusterSpec}. */
export const TSClusterSpecSchema = Type.Object(
  { ...clusterSpecFields, infrastructureID },
  {
    description: 'Settings of every backend that the cluster uses, and who makes its endpoint.',
    default: {},
    ...rules(fixedEndpoint, fixedLoadBalancer, fixedRouterID, virtualIPAddress, ...awsRules),
  },
);

/** Desired state of the infrastructure that the machines of a cluster share. */
export type TSClusterSpec = Static<typeof TSClusterSpecSchema>;

const FailureDomainSchema = Type.Object(
  {
    name: Type.String({ description: 'Name of the failure domain.', minLength: 1, maxLength: 256 }),
    controlPlane: Type.Optional(
      Type.Boolean({ description: 'Whether control plane machines may be placed here.' }),
    ),
    attributes: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'What else the backend knows of it.' }),
    ),
  },
  { description: 'One failure domain.' },
);

/** Schema of {@link TSClusterStatus}. */
export const TSClusterStatusSchema = Type.Object(
  {
    initialization: Type.Optional(InitializationSchema),
    failureDomains: Type.Optional(
      Type.Array(FailureDomainSchema, {
        description: 'Failure domains that Cluster API may place machines in, sorted by name.',
        minItems: 1,
        maxItems: 100,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(ObservedGenerationSchema),
  },
  { description: 'What was observed. Can be lost and is found again (GEN-18).' },
);

/** Observed state of the infrastructure of a cluster. */
export type TSClusterStatus = Static<typeof TSClusterStatusSchema>;

/** The InfraCluster of ts-provider (IC-1). The API server fills in an absent spec with `{}`. */
export interface TSCluster extends ApiObject {
  spec: TSClusterSpec;
  status?: TSClusterStatus;
}
