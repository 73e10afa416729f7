// SPDX-License-Identifier: Apache-2.0
// What a machine may be made of, in the order in which it is asked for, and what AWS has none of at present.
import { createHash } from 'node:crypto';
import type { AWSMachineSpec, AWSOffer } from '../../../api/aws/machine.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts } from '../../backend.ts';
import type { NetworkFacts, Subnet } from '../network/facts.ts';
import type { AWSSession } from '../session/session.ts';
import type { ExistingResources } from './existing.ts';

/** One thing to ask for. */
export interface Offer {
  /** 0 is the machine as it is described, 1 its first fallback. */
  readonly index: number;
  readonly instanceType: string;
  readonly subnetID: string;
  readonly availabilityZone: string;
  readonly market: 'on-demand' | 'spot';
  /** US dollars an hour; '' without a cap. */
  readonly maxPrice: string;
  /** What else narrows down where it may run, see {@link placementOf}. */
  readonly placement: string;
}

/** A machine that asks for instances, as its parts know it. */
export interface Asking {
  readonly machine: MachineFacts;
  readonly spec: AWSMachineSpec;
  readonly facts: NetworkFacts;
}

/**
 * Every offer of a machine, best first. One that names no subnet stands for one in each zone where the machine may be, beginning with
 * the zone that its name decides, so that machines spread. Throws TerminalError(SubnetInvalid).
 */
export async function offersOf(
  ctx: Ctx,
  session: AWSSession,
  { machine, spec, facts }: Asking,
  existing: ExistingResources,
): Promise<Offer[]> {
  const offers: Offer[] = [];
  const asked: readonly AWSOffer[] = [{}, ...(spec.fallbacks ?? [])];
  for (const [index, offer] of asked.entries()) {
    const own = index === 0 || offer.subnet === undefined;
    const reference = own ? spec.subnet : offer.subnet;
    const field = own ? 'spec.aws.subnet' : `spec.aws.fallbacks[${index - 1}].subnet`;
    const subnets =
      reference === undefined
        ? usable(facts, spec)
        : await existing.subnets(ctx, session, facts, { reference, field });
    // A fallback that names a subnet means it, wherever the machine was to be.
    const zone = own ? machine.failureDomain : undefined;
    for (const subnet of spread(inZone(subnets, zone, field), machine))
      offers.push({ index, ...settings(spec, offer), ...placeOf(subnet), placement: placementOf(spec) });
  }
  return offers;
}

function placeOf({ id, availabilityZone }: Pick<Subnet, 'id' | 'availabilityZone'>) {
  return { subnetID: id, availabilityZone };
}

/** Reservation, placement group and tenancy: such capacity says nothing of what other machines may have. '' without any. */
export function placementOf({ capacityReservation, placementGroup, tenancy }: AWSMachineSpec): string {
  const narrow = [
    ...(capacityReservation === undefined ? [] : [capacityReservation.id ?? capacityReservation.preference]),
    ...(placementGroup === undefined ? [] : [placementGroup.name, placementGroup.partition]),
    ...(tenancy === undefined || tenancy === 'default' ? [] : [tenancy]),
  ];
  return narrow.join(' ');
}

function settings(
  spec: AWSMachineSpec,
  offer: AWSOffer,
): Pick<Offer, 'instanceType' | 'market' | 'maxPrice'> {
  const isSpot = offer.market === undefined ? spec.spot !== undefined : offer.market === 'Spot';
  return {
    instanceType: offer.instanceType ?? spec.instanceType,
    market: isSpot ? 'spot' : 'on-demand',
    maxPrice: isSpot ? (offer.maxPrice ?? spec.spot?.maxPrice ?? '') : '',
  };
}

/** Private ones, or public ones for a machine with a public address; whatever there is where there are none of these. */
function usable({ subnets, vpcID }: NetworkFacts, { publicIP = false }: AWSMachineSpec): readonly Subnet[] {
  if (subnets.length === 0)
    throw new TerminalError(
      Reason.SubnetInvalid,
      `VPC ${vpcID} has no subnet for machines; add one to spec.aws.network of the TSCluster`,
    );
  const fitting = subnets.filter(({ isPublic }) => isPublic === publicIP);
  return fitting.length > 0 ? fitting : subnets;
}

type Place = Pick<Subnet, 'id' | 'availabilityZone'>;

function inZone(subnets: readonly Place[], zone: string | undefined, field: string): readonly Place[] {
  if (zone === undefined || zone === '') return subnets;
  const there = subnets.filter(({ availabilityZone }) => availabilityZone === zone);
  if (there.length > 0) return there;
  const zones = [...new Set(subnets.map(({ availabilityZone }) => availabilityZone))].sort().join(', ');
  const message = `${field}: the Machine asks for failure domain ${zone}, and there are subnets in ${zones} only`;
  throw new TerminalError(
    Reason.SubnetInvalid,
    `${message}; add a subnet there, or ask for another failure domain`,
  );
}

/** One subnet for each zone. Its zone and its subnet are the machine's own: the same every time. */
function spread(subnets: readonly Place[], { namespace, name }: MachineFacts): Place[] {
  const place = createHash('sha256').update(`${namespace}/${name}`).digest();
  const zones = [...new Set(subnets.map(({ availabilityZone }) => availabilityZone))].sort();
  const first = place.readUInt32BE(0) % Math.max(zones.length, 1);
  return [...zones.slice(first), ...zones.slice(0, first)].flatMap((zone) => {
    const there = subnets
      .filter(({ availabilityZone }) => availabilityZone === zone)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    return there[place.readUInt32BE(4) % there.length] ?? [];
  });
}
