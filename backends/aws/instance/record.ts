// SPDX-License-Identifier: Apache-2.0
// What we keep of an instance: as little as decides something.
import type { Instance, InstanceStateName } from '@aws-sdk/client-ec2';
import { awsProviderID } from '../../../api/provider-id.ts';
import type { MachineAddress } from '../../../api/tsmachine.ts';

/** An instance as EC2 has told of it. Lists are sorted, so that equal records are equal as JSON. */
export interface InstanceRecord {
  readonly id: string;
  readonly state: InstanceStateName;
  readonly availabilityZone: string;
  readonly instanceType: string;
  readonly imageID: string;
  readonly vpcID: string;
  readonly subnetID: string;
  readonly addresses: readonly MachineAddress[];
  readonly tags: Readonly<Record<string, string>>;
  /** Of its first network interface. */
  readonly securityGroupIDs: readonly string[];
  readonly networkInterfaces: readonly {
    readonly id: string;
    readonly securityGroupIDs: readonly string[];
  }[];
  readonly metadataOptions: {
    readonly httpEndpoint?: string;
    readonly httpTokens?: string;
    readonly httpPutResponseHopLimit?: number;
    readonly instanceMetadataTags?: string;
  };
  readonly isSpot: boolean;
  readonly spotRequestID?: string;
  /** Why it is not running any more: AWS' code and sentence. */
  readonly stateReason?: { readonly code: string; readonly message: string };
  /** Such as `User initiated (2026-01-31 12:00:00 GMT)`; '' while it runs. */
  readonly stateTransition: string;
  /** Changes when it is stopped and started. */
  readonly launchedMs: number;
}

/** The record of an answer; `undefined` without id, state or zone, which EC2 always gives. */
export function recordOf(instance: Instance): InstanceRecord | undefined {
  const { InstanceId: id, State, Placement } = instance;
  const availabilityZone = Placement?.AvailabilityZone;
  if (id === undefined || State?.Name === undefined || availabilityZone === undefined) return undefined;
  return {
    ...{ id, state: State.Name, availabilityZone },
    ...placeOf(instance),
    addresses: addressesOf(instance),
    tags: Object.fromEntries((instance.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
    securityGroupIDs: groupIDs(instance.SecurityGroups),
    networkInterfaces: interfacesOf(instance),
    metadataOptions: metadataOptionsOf(instance),
    isSpot: instance.InstanceLifecycle === 'spot',
    ...(instance.SpotInstanceRequestId && { spotRequestID: instance.SpotInstanceRequestId }),
    ...lifeOf(instance),
  };
}

function placeOf(instance: Instance) {
  const { InstanceType: instanceType = '', ImageId: imageID = '' } = instance;
  const { VpcId: vpcID = '', SubnetId: subnetID = '' } = instance;
  return { instanceType, imageID, vpcID, subnetID };
}

function lifeOf(instance: Instance): Pick<InstanceRecord, 'stateReason' | 'stateTransition' | 'launchedMs'> {
  const { Code: code = '', Message: message = '' } = instance.StateReason ?? {};
  return {
    ...(code !== '' && { stateReason: { code, message } }),
    stateTransition: instance.StateTransitionReason ?? '',
    launchedMs: instance.LaunchTime?.getTime() ?? 0,
  };
}

function groupIDs(groups: Instance['SecurityGroups'] = []): string[] {
  return groups.map(({ GroupId = '' }) => GroupId).sort();
}

function interfacesOf({ NetworkInterfaces = [] }: Instance): InstanceRecord['networkInterfaces'] {
  return [...NetworkInterfaces]
    .sort((a, b) => (a.Attachment?.DeviceIndex ?? 0) - (b.Attachment?.DeviceIndex ?? 0))
    .map(({ NetworkInterfaceId = '', Groups }) => ({
      id: NetworkInterfaceId,
      securityGroupIDs: groupIDs(Groups),
    }));
}

function metadataOptionsOf({ MetadataOptions: options }: Instance): InstanceRecord['metadataOptions'] {
  const { HttpEndpoint, HttpTokens, HttpPutResponseHopLimit, InstanceMetadataTags } = options ?? {};
  return {
    ...(HttpEndpoint !== undefined && { httpEndpoint: HttpEndpoint }),
    ...(HttpTokens !== undefined && { httpTokens: HttpTokens }),
    ...(HttpPutResponseHopLimit !== undefined && { httpPutResponseHopLimit: HttpPutResponseHopLimit }),
    ...(InstanceMetadataTags !== undefined && { instanceMetadataTags: InstanceMetadataTags }),
  };
}

/** The first private address first: it is the one that a kubelet takes. */
function addressesOf(instance: Instance): MachineAddress[] {
  const interfaces = instance.NetworkInterfaces ?? [];
  const internal = [
    instance.PrivateIpAddress,
    ...interfaces.flatMap(({ PrivateIpAddresses = [] }) =>
      PrivateIpAddresses.map(({ PrivateIpAddress }) => PrivateIpAddress),
    ),
    ...interfaces.flatMap(({ Ipv6Addresses = [] }) => Ipv6Addresses.map(({ Ipv6Address }) => Ipv6Address)),
  ];
  return [
    ...typed('InternalIP', internal),
    ...typed('ExternalIP', [instance.PublicIpAddress]),
    ...typed('InternalDNS', [instance.PrivateDnsName]),
    ...typed('Hostname', [instance.PrivateDnsName]),
    ...typed('ExternalDNS', [instance.PublicDnsName]),
  ];
}

function typed(type: MachineAddress['type'], addresses: readonly (string | undefined)[]): MachineAddress[] {
  const known = addresses.filter((address) => address !== undefined && address !== '');
  return [...new Set(known)].map((address) => ({ type, address: address as string }));
}

/** The same as on the Node of the instance. */
export function providerIDOf({ availabilityZone, id }: InstanceRecord): string {
  return awsProviderID(availabilityZone, id);
}

/** It has, or will have, an end that is still to come. A shutting-down instance still has its network interfaces. */
export function isLiving({ state }: InstanceRecord): boolean {
  return state !== 'terminated';
}

/** Its end has begun, and nothing can take that back. */
export function isEnding({ state }: InstanceRecord): boolean {
  return state === 'shutting-down' || state === 'terminated';
}

/** It will be in another state soon. */
export function isInMotion({ state }: InstanceRecord): boolean {
  return state === 'pending' || state === 'shutting-down' || state === 'stopping';
}
