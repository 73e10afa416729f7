// SPDX-License-Identifier: Apache-2.0
// A network that we make, from its VPC to its routes.
import type { AWSManagedNetwork } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { ensureNATGateway, removeSurplusGateways } from './nat.ts';
import { together } from './observation.ts';
import { isLiving, type PartsByKind, type SeenSubnet } from './parts.ts';
import { ensureInternetGateway, ensureRouteTable, type Target } from './routes.ts';
import type { Run } from './run.ts';
import { ensureGroups } from './security-groups.ts';
import { settleDuplicates } from './settle.ts';
import { repairTags } from './tag-repair.ts';
import { ensureSubnets, ensureVPC, type ZonedVPC } from './vpc.ts';

/** Makes and repairs all of it, as far as it goes without waiting. */
export async function ensureManaged(run: Run, wanted: AWSManagedNetwork): Promise<void> {
  await settleDuplicates(run);
  const zoned = await ensureVPC(run, wanted);
  if (zoned === undefined) return;
  const [gateway, subnets] = await together([
    ensureInternetGateway(run, zoned.vpc),
    ensureSubnets(run, zoned),
  ]);
  const natZones = natZonesOf(wanted, zoned.zones);
  const { vpc } = zoned;
  await together([
    ensureRouteTable(run, {
      vpc,
      slot: { kind: 'routeTables', role: 'public' },
      target: gateway && { internetGateway: gateway.id },
      subnetIDs: subnets.publicOnes.map(({ id }) => id),
    }),
    // A NAT gateway in a VPC that is not attached to the internet fails.
    gateway === undefined ? undefined : ensurePrivateRoutes(run, { ...zoned, ...subnets, natZones }),
    ensureGroups(run, { vpcID: vpc.id, cidrBlocks: vpc.cidrBlocks, natAddresses: natAddressesOf(run.seen) }),
  ]);
  await removeSurplusGateways(run, natZones);
  await repairTags(run);
}

/** Zones that have a NAT gateway. */
function natZonesOf(
  { natGateways = 'PerZone' }: AWSManagedNetwork,
  zones: readonly string[],
): readonly string[] {
  if (natGateways === 'None') return [];
  return natGateways === 'Single' ? zones.slice(0, 1) : zones;
}

/** Public addresses behind which our private subnets are. */
function natAddressesOf({ addresses, natGateways }: PartsByKind): string[] {
  const used = natGateways.filter(isLiving).flatMap(({ allocationIDs }) => allocationIDs);
  return addresses
    .filter(({ id, publicIP }) => publicIP !== '' && used.includes(id))
    .map(({ publicIP }) => publicIP);
}

interface PrivateRouting extends ZonedVPC {
  readonly publicOnes: readonly SeenSubnet[];
  readonly privateOnes: readonly SeenSubnet[];
  readonly natZones: readonly string[];
}

async function ensurePrivateRoutes(run: Run, routing: PrivateRouting): Promise<void> {
  const { vpc, publicOnes, privateOnes, natZones } = routing;
  const natSubnets = publicOnes.filter(({ availabilityZone }) => natZones.includes(availabilityZone));
  const gateways = await together(natSubnets.map((subnet) => ensureNATGateway(run, subnet)));
  const targetOf = (zone: string): Target | undefined => {
    if (natZones.length === 0) return { nowhere: true };
    const natZone = natZones.includes(zone) ? zone : natZones[0];
    const gateway = gateways.find((one) => one !== undefined && one.zone === natZone);
    return gateway && { natGateway: gateway.id };
  };
  await together(
    privateOnes.map(({ id, availabilityZone: zone }) =>
      ensureRouteTable(run, {
        vpc,
        slot: { kind: 'routeTables', role: 'private', zone },
        target: targetOf(zone),
        subnetIDs: [id],
      }),
    ),
  );
}

/** Subnets of the zones that the spec wants; a zone that was taken off keeps its subnets until the cluster goes, unused. */
export function usableSubnets(
  subnets: readonly SeenSubnet[],
  { availabilityZones }: AWSManagedNetwork,
): SeenSubnet[] {
  return subnets
    .filter(({ role }) => role === 'public' || role === 'private')
    .filter(({ availabilityZone }) => availabilityZones?.includes(availabilityZone) ?? true);
}

/** What is there is not deleted behind somebody's back: the spec has changed from a VPC that we made to one that exists. */
export function requireUnmanaged({ vpcs }: PartsByKind): void {
  const [vpc] = vpcs;
  if (vpc === undefined) return;
  const message = `spec.aws.network names a VPC, and this cluster has made ${vpc.id}: set spec.aws.network.managed`;
  throw new TerminalError(Reason.NetworkInvalid, message);
}
