// SPDX-License-Identifier: Apache-2.0
// What RunInstances is asked for. Pure: the same machine, choice and data give the same request, as EC2's idempotency needs it.
import type {
  BlockDeviceMapping,
  EbsBlockDevice,
  InstanceMetadataOptionsRequest,
  ResourceType,
  RunInstancesCommandInput,
  TagSpecification,
} from '@aws-sdk/client-ec2';
import type { AWSMachineSpec, AWSMetadataOptions, AWSVolume } from '../../../api/aws/machine.ts';
import type { CreateIntent, MachineFacts } from '../../backend.ts';
import { MACHINE_TAG, MACHINE_UID_TAG, REQUEST_TAG, tagList, tagsOf, TOKEN_TAG } from '../tags.ts';
import type { Choice } from './choice.ts';

/** The settings that machines and launch templates of pools have in common. */
export type LaunchSpec = Pick<
  AWSMachineSpec,
  'rootVolume' | 'volumes' | 'iamInstanceProfile' | 'keyName' | 'metadataOptions'
>;

/** What is known of the image; see {@link import('./image.ts').ResolvedImage}. */
export interface LaunchImage {
  readonly id: string;
  readonly rootDevice: string;
  readonly rootSizeGiB: string;
  readonly keptDevices: readonly string[];
}

/** Image, volumes, profile, key and metadata options, in words that RunInstances and launch templates share. */
export function launchParameters(spec: LaunchSpec, image: LaunchImage) {
  return {
    ImageId: image.id,
    BlockDeviceMappings: volumesOf(spec, image),
    MetadataOptions: metadataOptions(spec.metadataOptions),
    ...(spec.iamInstanceProfile !== undefined && { IamInstanceProfile: { Name: spec.iamInstanceProfile } }),
    ...(spec.keyName !== undefined && { KeyName: spec.keyName }),
  };
}

/** Tokens are required and do not leave the host, unless the spec says otherwise. */
export function metadataOptions(options: AWSMetadataOptions = {}) {
  return {
    HttpEndpoint: options.httpEndpoint ?? 'enabled',
    HttpTokens: options.httpTokens ?? 'required',
    HttpPutResponseHopLimit: options.httpPutResponseHopLimit ?? 1,
    InstanceMetadataTags: options.instanceMetadataTags ?? 'disabled',
  } satisfies InstanceMetadataOptionsRequest;
}

function volumesOf({ rootVolume = {}, volumes = [] }: LaunchSpec, image: LaunchImage): BlockDeviceMapping[] {
  const { rootDevice, rootSizeGiB, keptDevices } = image;
  const size = rootSizeGiB === '' ? {} : { sizeGiB: Number(rootSizeGiB) };
  const root =
    rootDevice === '' ? [] : [{ DeviceName: rootDevice, Ebs: volumeOf({ ...size, ...rootVolume }) }];
  const named = new Set(volumes.map(({ deviceName }) => shortName(deviceName)));
  const kept = keptDevices.filter((name) => !named.has(shortName(name)));
  return [
    ...root,
    ...volumes.map((volume) => ({ DeviceName: volume.deviceName, Ebs: volumeOf(volume) })),
    // Otherwise as the image says.
    ...kept.map((name) => ({ DeviceName: name, Ebs: { DeleteOnTermination: true } })),
  ];
}

/** EC2 takes a device name with or without its folder. */
function shortName(deviceName: string): string {
  return deviceName.replace(/^\/dev\//, '');
}

/** gp3, encrypted, and gone with the instance. */
function volumeOf(volume: AWSVolume): EbsBlockDevice {
  return {
    DeleteOnTermination: true,
    VolumeType: volume.type ?? 'gp3',
    Encrypted: volume.encrypted ?? true,
    ...(volume.sizeGiB !== undefined && { VolumeSize: volume.sizeGiB }),
    ...(volume.iops !== undefined && { Iops: volume.iops }),
    ...(volume.throughputMiBps !== undefined && { Throughput: volume.throughputMiBps }),
    ...(volume.kmsKeyID !== undefined && { KmsKeyId: volume.kmsKeyID }),
  };
}

/** A machine that is made. */
export interface Launch {
  readonly machine: MachineFacts;
  readonly spec: AWSMachineSpec;
  readonly intent: CreateIntent;
  readonly choice: Choice;
  /** Base64; absent in a request that is only to find out what became of the token. */
  readonly userData?: string;
  /** Further tags of the instance. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** The whole request. */
export function runInstances(launch: Launch): RunInstancesCommandInput {
  const { spec, intent, choice, userData } = launch;
  return {
    MinCount: 1,
    MaxCount: 1,
    ClientToken: intent.clientToken,
    InstanceType: choice.instanceType as RunInstancesCommandInput['InstanceType'],
    ...launchParameters(spec, { ...choice, id: choice.imageID }),
    ...network(spec, choice),
    ...placement(spec),
    ...market(choice),
    TagSpecifications: tagSpecifications(launch),
    ...(userData !== undefined && { UserData: userData }),
  };
}

/** An interface of its own only where it says something that the instance cannot. */
function network(
  { publicIP, privateDNS }: AWSMachineSpec,
  choice: Choice,
): Partial<RunInstancesCommandInput> {
  const groups = [...choice.securityGroupIDs];
  const dns = privateDNS && {
    PrivateDnsNameOptions: {
      HostnameType: privateDNS.hostnameType,
      EnableResourceNameDnsARecord: privateDNS.enableResourceNameDNSARecord,
      EnableResourceNameDnsAAAARecord: privateDNS.enableResourceNameDNSAAAARecord,
    },
  };
  if (publicIP === undefined) return { SubnetId: choice.subnetID, SecurityGroupIds: groups, ...dns };
  const first = { DeviceIndex: 0, SubnetId: choice.subnetID, Groups: groups, DeleteOnTermination: true };
  return { NetworkInterfaces: [{ ...first, AssociatePublicIpAddress: publicIP }], ...dns };
}

function placement(spec: AWSMachineSpec): Partial<RunInstancesCommandInput> {
  const { tenancy, placementGroup, capacityReservation, cpuOptions } = spec;
  const place = {
    ...(tenancy !== undefined && { Tenancy: tenancy }),
    ...(placementGroup !== undefined && { GroupName: placementGroup.name }),
    ...(placementGroup?.partition !== undefined && { PartitionNumber: placementGroup.partition }),
  };
  return {
    ...(Object.keys(place).length > 0 && { Placement: place }),
    ...(capacityReservation !== undefined && {
      CapacityReservationSpecification: reservation(capacityReservation),
    }),
    ...(cpuOptions !== undefined && {
      CpuOptions: {
        CoreCount: cpuOptions.coreCount,
        ThreadsPerCore: cpuOptions.threadsPerCore,
        AmdSevSnp: cpuOptions.amdSevSnp,
      },
    }),
  };
}

function reservation({ id, preference }: NonNullable<AWSMachineSpec['capacityReservation']>) {
  return id === undefined
    ? { CapacityReservationPreference: preference }
    : { CapacityReservationTarget: { CapacityReservationId: id } };
}

/** A spot instance that is taken back is terminated: its Machine is replaced, never started again. */
function market({ market: kind, maxPrice }: Choice): Partial<RunInstancesCommandInput> {
  if (kind !== 'spot') return {};
  return {
    InstanceMarketOptions: {
      MarketType: 'spot',
      SpotOptions: {
        SpotInstanceType: 'one-time',
        InstanceInterruptionBehavior: 'terminate',
        ...(maxPrice !== '' && { MaxPrice: maxPrice }),
      },
    },
  };
}

/** On everything that the call makes: later calls could get lost, and leave volumes that nobody knows. */
function tagSpecifications(launch: Launch): TagSpecification[] {
  const shared = sharedTags(launch);
  const kinds: ResourceType[] = ['volume', 'network-interface'];
  if (launch.choice.market === 'spot') kinds.push('spot-instances-request');
  return [
    { ResourceType: 'instance', Tags: tagList({ ...shared, ...launch.tags, ...instanceTags(launch) }) },
    ...kinds.map((ResourceType) => ({ ResourceType, Tags: tagList(shared) })),
  ];
}

function sharedTags({ machine, spec, choice }: Launch): Record<string, string> {
  const { infrastructureID, clusterName, role } = choice;
  return tagsOf({
    ...{ infrastructureID, clusterName, role, name: machine.name },
    user: [machine.cluster?.aws?.tags, spec.tags],
    own: { [MACHINE_TAG]: `${machine.namespace}/${machine.name}` },
  });
}

function instanceTags({ machine, intent }: Launch): Record<string, string> {
  return {
    [MACHINE_UID_TAG]: machine.uid,
    [TOKEN_TAG]: intent.clientToken,
    [REQUEST_TAG]: intent.requestHash,
  };
}

/** What an instance of this machine is tagged with; the upkeep puts them back where they differ. */
export function tagsOfInstance(launch: Omit<Launch, 'userData'>): Record<string, string> {
  return { ...sharedTags(launch), ...launch.tags, ...instanceTags(launch) };
}
