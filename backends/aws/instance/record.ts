// SPDX-License-Identifier: Apache-2.0
// What we keep of an instance: as little as decides something.
import type { Instance, InstanceNetworkInterface, InstanceStateName } from '@aws-sdk/client-ec2';
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
  /** The first one, if any. The others may come and go, as those that a network plugin adds for pods. */
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
    tags: tagsOf(instance),
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

/** By key: EC2 tells them in any order. */
function tagsOf({ Tags = [] }: Instance): Record<string, string> {
  return Object.fromEntries(
    Tags.map(({ Key = '', Value = '' }) => [Key, Value] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
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

function interfacesOf(instance: Instance): InstanceRecord['networkInterfaces'] {
  const first = firstInterface(instance);
  return first === undefined
    ? []
    : [{ id: first.NetworkInterfaceId ?? '', securityGroupIDs: groupIDs(first.Groups) }];
}

/** The one that it was launched with: of the first card, at its first place. */
function firstInterface({ NetworkInterfaces = [] }: Instance): InstanceNetworkInterface | undefined {
  const placeOf = ({ Attachment }: InstanceNetworkInterface) =>
    (Attachment?.NetworkCardIndex ?? 0) * 1_000 + (Attachment?.DeviceIndex ?? 0);
  return [...NetworkInterfaces].sort((a, b) => placeOf(a) - placeOf(b))[0];
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

/** Only those of the instance itself: further addresses of its interfaces are those of pods, many, and they come and go. */
function addressesOf(instance: Instance): MachineAddress[] {
  const { Ipv6Addresses = [] } = firstInterface(instance) ?? {};
  const ipv6 = Ipv6Addresses.find(({ IsPrimaryIpv6 }) => IsPrimaryIpv6 === true) ?? Ipv6Addresses[0];
  return [
    ...typed('InternalIP', [instance.PrivateIpAddress, instance.Ipv6Address ?? ipv6?.Ipv6Address]),
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
