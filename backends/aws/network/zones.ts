// SPDX-License-Identifier: Apache-2.0
// The zones of a network that we make. Its VPC records them, in order: a zone that the region gets later never moves anything.
import { CreateTagsCommand, DescribeAvailabilityZonesCommand } from '@aws-sdk/client-ec2';
import type { AWSManagedNetwork } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import { type SeenSubnet, type VPC, ZONES_TAG } from './parts.ts';
import type { Run } from './run.ts';

/** How many zones a network has that names none. */
const DEFAULT_ZONES = 3;

/** Zones of a VPC in the order in which it was carved: the place in the list is the slot. */
export function recordedZones(vpc: VPC, subnets: readonly SeenSubnet[]): string[] {
  const tag = vpc.tags[ZONES_TAG];
  if (tag !== undefined) return tag.split(' ').filter((zone) => zone !== '');
  // Somebody took the tag away. Private blocks follow each other in the order of the slots.
  const own = subnets.filter(({ vpcID, role }) => vpcID === vpc.id && role === 'private');
  return own
    .sort((a, b) => firstAddress(a) - firstAddress(b))
    .map(({ availabilityZone }) => availabilityZone);
}

function firstAddress({ cidrBlock }: SeenSubnet): number {
  const bytes = cidrBlock.split('/')[0]?.split('.') ?? [];
  return bytes.reduce((value, byte) => value * 256 + Number(byte), 0);
}

/** Zones for a VPC that is still to be made. */
export async function chooseZones(
  ctx: Ctx,
  session: AWSSession,
  { availabilityZones }: AWSManagedNetwork,
): Promise<string[]> {
  const available = await availableZones(ctx, session);
  if (availabilityZones === undefined) return available.slice(0, DEFAULT_ZONES);
  requireAvailable(session, availabilityZones, available);
  return availabilityZones;
}

/** The recorded zones, and those that the spec has got since; these are recorded before anything is made in them. */
export async function addZones(run: Run, vpc: VPC, wanted: readonly string[]): Promise<string[]> {
  const recorded = recordedZones(vpc, run.seen.subnets);
  const added = wanted.filter((zone) => !recorded.includes(zone));
  const zones = [...recorded, ...added];
  if (added.length > 0) requireAvailable(run.session, added, await availableZones(run.ctx, run.session));
  if (vpc.tags[ZONES_TAG] !== zonesTag(zones)) {
    const Tags = [{ Key: ZONES_TAG, Value: zonesTag(zones) }];
    await run.session.ec2(run.ctx, new CreateTagsCommand({ Resources: [vpc.id], Tags }));
  }
  return zones;
}

/** Value of the tag that records zones. */
export function zonesTag(zones: readonly string[]): string {
  return zones.join(' ');
}

function requireAvailable(
  { region }: AWSSession,
  zones: readonly string[],
  available: readonly string[],
): void {
  const missing = zones.filter((zone) => !available.includes(zone));
  if (missing.length === 0) return;
  const message =
    `spec.aws.network.managed.availabilityZones: ${missing.join(', ')} is no available zone of ${region}; ` +
    `there are ${available.join(', ')}`;
  throw new TerminalError(Reason.NetworkInvalid, message);
}

/** By name. Local and wavelength zones are none that a whole cluster can be in. */
async function availableZones(ctx: Ctx, session: AWSSession): Promise<string[]> {
  const Filters = [
    { Name: 'state', Values: ['available'] },
    { Name: 'zone-type', Values: ['availability-zone'] },
  ];
  const { AvailabilityZones = [] } = await session.ec2(
    ctx,
    new DescribeAvailabilityZonesCommand({ Filters }),
  );
  return AvailabilityZones.flatMap(({ ZoneName }) => ZoneName ?? []).sort();
}
