// SPDX-License-Identifier: Apache-2.0
// What a network consists of, as far as it is ours: read from the answers of the SDK.
import type * as EC2 from '@aws-sdk/client-ec2';
import { CLUSTER_TAG, ROLE_TAG, tagValue } from '../tags.ts';
import { fromIpPermissions, type Permission } from './permissions.ts';

/** Which zone something is in, where there is one of it in each. */
export const ZONE_TAG = 'ts-provider/zone';
/** Of a VPC: its zones, in the order in which it was carved, with spaces between. */
export const ZONES_TAG = 'ts-provider/zones';

/** What all parts have. `role` and `zone` are '' where no tag says them. */
export interface Part {
  readonly id: string;
  readonly role: string;
  readonly zone: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface VPC extends Part {
  /** The first one, which was carved. */
  readonly cidrBlock: string;
  readonly cidrBlocks: readonly string[];
}

export interface SeenSubnet extends Part {
  readonly vpcID: string;
  readonly cidrBlock: string;
  readonly availabilityZone: string;
}

export interface RouteTable extends Part {
  readonly vpcID: string;
  /** It is of the subnets that say nothing else. */
  readonly isMain: boolean;
  readonly associations: readonly { readonly id: string; readonly subnetID: string }[];
  readonly routes: readonly Route[];
}

export interface Route {
  readonly destination: string;
  /** Id of a gateway. */
  readonly target: string;
  /** Its target is gone. */
  readonly isBlackhole: boolean;
}

export interface InternetGateway extends Part {
  readonly vpcIDs: readonly string[];
}

export interface NATGateway extends Part {
  readonly vpcID: string;
  readonly state: string;
  readonly allocationIDs: readonly string[];
  readonly publicAddresses: readonly string[];
  /** Why it failed. */
  readonly failure: string;
}

export interface Address extends Part {
  readonly publicIP: string;
  readonly isAssociated: boolean;
  /** Id of the instance or of the network interface that has it; '' where none does. */
  readonly usedBy: string;
}

export interface SecurityGroup extends Part {
  readonly vpcID: string;
  readonly name: string;
  readonly ingress: readonly Permission[];
  readonly egress: readonly Permission[];
}

/** Everything of a cluster's network that carries its tag. */
export interface Parts {
  vpcs: VPC;
  subnets: SeenSubnet;
  routeTables: RouteTable;
  internetGateways: InternetGateway;
  natGateways: NATGateway;
  addresses: Address;
  securityGroups: SecurityGroup;
}

export type Kind = keyof Parts;

/** All parts by kind. */
export type PartsByKind = { [K in Kind]: Parts[K][] };

/** How people and the tags of AWS call each kind. */
export const KINDS: Record<Kind, { readonly type: EC2.ResourceType; readonly noun: string }> = {
  vpcs: { type: 'vpc', noun: 'VPC' },
  subnets: { type: 'subnet', noun: 'subnet' },
  routeTables: { type: 'route-table', noun: 'route table' },
  internetGateways: { type: 'internet-gateway', noun: 'internet gateway' },
  natGateways: { type: 'natgateway', noun: 'NAT gateway' },
  addresses: { type: 'elastic-ip', noun: 'Elastic IP address' },
  securityGroups: { type: 'security-group', noun: 'security group' },
};

/** Whether a NAT gateway is there, or will be. */
export function isLiving({ state }: NATGateway): boolean {
  return state === 'pending' || state === 'available';
}

export function toVPC(vpc: EC2.Vpc = {}): VPC {
  const { VpcId: id = '', CidrBlock: cidrBlock = '', CidrBlockAssociationSet: associations = [] } = vpc;
  const present = associations.filter(({ CidrBlockState }) => CidrBlockState?.State !== 'disassociated');
  const blocks = present.flatMap(({ CidrBlock: block }) => block ?? []);
  const cidrBlocks = [...new Set([cidrBlock, ...blocks])];
  return { ...part(id, vpc.Tags), cidrBlock, cidrBlocks };
}

export function toSubnet(subnet: EC2.Subnet = {}): SeenSubnet {
  const { SubnetId: id = '', VpcId: vpcID = '', CidrBlock: cidrBlock = '' } = subnet;
  const availabilityZone = subnet.AvailabilityZone ?? '';
  return { ...part(id, subnet.Tags), zone: availabilityZone, vpcID, cidrBlock, availabilityZone };
}

export function toRouteTable(table: EC2.RouteTable = {}): RouteTable {
  const { RouteTableId: id = '', VpcId: vpcID = '', Associations = [], Routes = [] } = table;
  return {
    ...part(id, table.Tags),
    vpcID,
    isMain: Associations.some(({ Main }) => Main === true),
    associations: Associations.filter(({ SubnetId }) => SubnetId !== undefined).map(
      ({ RouteTableAssociationId: association = '', SubnetId: subnetID = '' }) => ({
        id: association,
        subnetID,
      }),
    ),
    routes: Routes.map((route) => ({
      destination: route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock ?? '',
      target: route.NatGatewayId ?? route.GatewayId ?? '',
      isBlackhole: route.State === 'blackhole',
    })),
  };
}

export function toInternetGateway(gateway: EC2.InternetGateway = {}): InternetGateway {
  const { InternetGatewayId: id = '', Attachments = [] } = gateway;
  return { ...part(id, gateway.Tags), vpcIDs: Attachments.flatMap(({ VpcId }) => VpcId ?? []) };
}

export function toNATGateway(gateway: EC2.NatGateway = {}): NATGateway {
  const { NatGatewayId: id = '', VpcId: vpcID = '', State: state = '', NatGatewayAddresses = [] } = gateway;
  return {
    ...part(id, gateway.Tags),
    vpcID,
    state,
    allocationIDs: NatGatewayAddresses.flatMap(({ AllocationId }) => AllocationId ?? []),
    publicAddresses: NatGatewayAddresses.flatMap(({ PublicIp }) => PublicIp ?? []),
    failure: gateway.FailureMessage ?? gateway.FailureCode ?? '',
  };
}

export function toAddress(address: EC2.Address = {}): Address {
  const { AllocationId: id = '', PublicIp: publicIP = '', AssociationId = '' } = address;
  const usedBy = address.InstanceId || address.NetworkInterfaceId || '';
  return { ...part(id, address.Tags), publicIP, isAssociated: AssociationId !== '', usedBy };
}

export function toSecurityGroup(group: EC2.SecurityGroup = {}): SecurityGroup {
  const { GroupId: id = '', VpcId: vpcID = '', GroupName: name = '' } = group;
  return {
    ...part(id, group.Tags),
    vpcID,
    name,
    ingress: fromIpPermissions(group.IpPermissions),
    egress: fromIpPermissions(group.IpPermissionsEgress),
  };
}

function part(id: string, tags: readonly EC2.Tag[] = []): Part {
  return {
    id,
    role: tagValue(tags, ROLE_TAG) ?? '',
    zone: tagValue(tags, ZONE_TAG) ?? '',
    tags: Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value])),
  };
}

/** Whether it carries the tag of this cluster: the condition of every change and deletion. */
export function isOf({ tags }: Part, infrastructureID: string): boolean {
  return tags[CLUSTER_TAG] === infrastructureID;
}
