// SPDX-License-Identifier: Apache-2.0
// What a launch template of a pool says: pure.
import { createHash } from 'node:crypto';
import type { LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData } from '@aws-sdk/client-ec2';
import type { AWSMachinePoolSpec } from '../../../api/aws/machine-pool.ts';
import type { BootstrapData } from '../../backend.ts';
import { type LaunchImage, launchParameters } from '../instance/request.ts';
import { tagList } from '../tags.ts';
import { materialOf, userDataOf } from './bootstrap.ts';

/** What was looked up for a pool. */
export interface PoolPlace {
  readonly image: LaunchImage;
  /** See {@link askedImage}. */
  readonly askedImage: string;
  /** Sorted. */
  readonly subnetIDs: readonly string[];
  /** Of the role and the pool's own, in any order. */
  readonly securityGroupIDs: readonly string[];
}

/** A version of a launch template. */
export interface TemplateContent {
  readonly data: RequestLaunchTemplateData;
  /** Of what a change of which needs new machines. */
  readonly material: string;
  /** Of everything. */
  readonly request: string;
  /** Id of the image, and a hash of how it was asked for. */
  readonly image: string;
  readonly asked: string;
}

/** What new instances of a pool are made from. Throws TerminalError(UserDataTooLarge). */
export function templateContent(
  spec: AWSMachinePoolSpec,
  place: PoolPlace,
  made: { readonly tags: Readonly<Record<string, string>>; readonly bootstrap: BootstrapData },
): TemplateContent {
  const settings = launchSettings(spec, place);
  const data: RequestLaunchTemplateData = {
    ...settings,
    UserData: userDataOf(made.bootstrap),
    TagSpecifications: tagSpecifications(made.tags),
  };
  const { format } = made.bootstrap;
  return {
    data,
    material: hashOf([settings, format, materialOf(made.bootstrap)]),
    request: hashOf([data, place.askedImage]),
    image: place.image.id,
    asked: place.askedImage,
  };
}

function launchSettings(spec: AWSMachinePoolSpec, place: PoolPlace): RequestLaunchTemplateData {
  return {
    ...launchParameters(spec, place.image),
    InstanceType: spec.instanceType as NonNullable<RequestLaunchTemplateData['InstanceType']>,
    ...interfaces(spec, place),
    ...market(spec),
  };
}

/** A public address can only be asked for with an interface, and then the groups are the interface's. */
function interfaces({ publicIP }: AWSMachinePoolSpec, place: PoolPlace): RequestLaunchTemplateData {
  // AWS lists them in any order: another order is no reason to replace machines.
  const groups = place.securityGroupIDs.toSorted();
  if (publicIP === undefined) return { SecurityGroupIds: groups };
  const one = {
    DeviceIndex: 0,
    AssociatePublicIpAddress: publicIP,
    DeleteOnTermination: true,
    Groups: groups,
  };
  return { NetworkInterfaces: [one] };
}

/** With several types the group decides on the market of each instance, and AWS refuses a template that does. */
function market({ spot, mixedInstances }: AWSMachinePoolSpec): RequestLaunchTemplateData {
  if (spot === undefined || mixedInstances !== undefined) return {};
  const price = spot.maxPrice === undefined ? {} : { MaxPrice: spot.maxPrice };
  return {
    InstanceMarketOptions: {
      MarketType: 'spot',
      SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate', ...price },
    },
  };
}

function tagSpecifications(tags: Readonly<Record<string, string>>): LaunchTemplateTagSpecificationRequest[] {
  const types = ['instance', 'volume', 'network-interface'] as const;
  return types.map((ResourceType) => ({ ResourceType, Tags: tagList(tags) }));
}

/** Enough to tell questions of one pool apart, and little of the 255 characters of a description. */
const ASKED_CHARACTERS = 16;

/** How an image is asked for: what it was found for once stays while this does, so that a newer image rolls no pool by itself. */
export function askedImage(image: AWSMachinePoolSpec['image'], version: string | undefined): string {
  return hashOf([image, version ?? '']).slice(0, ASKED_CHARACTERS);
}

/** SHA-256, hex, of JSON with sorted keys. */
export function hashOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
  return createHash('sha256').update(text).digest('hex');
}
