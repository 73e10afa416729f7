// SPDX-License-Identifier: Apache-2.0
// In which subnets the load balancer is: at most one of each zone, as AWS wants it.
import {
  DescribeSubnetsCommand,
  type DescribeSubnetsCommandInput,
  type Subnet as EC2Subnet,
} from '@aws-sdk/client-ec2';
import type { ResourceReference } from '../../../api/aws/filters.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { NetworkFacts } from '../network/facts.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import type { Scope } from './scope.ts';

/** A subnet that the load balancer could be in. */
export interface Candidate {
  readonly id: string;
  readonly availabilityZone: string;
  /** `undefined` where the user named a subnet that is none of the network's. */
  readonly isPublic: boolean | undefined;
}

const FIELD = 'spec.controlPlaneLoadBalancer.nlb.subnets';

/**
 * Ids of the subnets, sorted. A zone that the load balancer is in already keeps its subnet (`kept`, by zone): AWS would have to take it
 * out of the zone in between, which ends the connections there; for the same reason no zone is given up. Throws
 * TerminalError(SubnetInvalid) where none fits.
 */
export async function subnetsFor(
  ctx: Ctx,
  scope: Scope,
  network: NetworkFacts,
  kept: ReadonlyMap<string, string>,
): Promise<string[]> {
  const { nlb, session } = scope;
  const named = nlb.subnets && (await namedSubnets(ctx, session, { references: nlb.subnets, network }));
  const isInternetFacing = nlb.scheme !== 'Internal';
  if (named !== undefined && isInternetFacing) requirePublic(named);
  const chosen = chooseSubnets(named ?? network.subnets, { isInternetFacing, kept });
  if (chosen.length > 0) return chosen;
  throw subnetInvalid(
    'The load balancer is InternetFacing and the network has no public subnet (one whose routes lead to an internet gateway): ' +
      `add one to spec.aws.network.subnets, name one in ${FIELD}, or set spec.controlPlaneLoadBalancer.nlb.scheme: Internal`,
  );
}

/** Pure part of {@link subnetsFor}: one subnet for each zone, the same whatever the order of `candidates` is. */
export function chooseSubnets(
  candidates: readonly Candidate[],
  { isInternetFacing, kept }: { isInternetFacing: boolean; kept: ReadonlyMap<string, string> },
): string[] {
  const byZone = new Map<string, Candidate>();
  for (const candidate of [...candidates].sort(better(isInternetFacing))) {
    if (isInternetFacing && candidate.isPublic === false) continue;
    if (!byZone.has(candidate.availabilityZone)) byZone.set(candidate.availabilityZone, candidate);
  }
  const added = [...byZone].filter(([zone]) => !kept.has(zone)).map(([, { id }]) => id);
  return [...kept.values(), ...added].sort();
}

/** Private subnets are the better ones for an internal load balancer, but public ones serve as well. */
function better(isInternetFacing: boolean): (a: Candidate, b: Candidate) => number {
  const rank = ({ isPublic }: Candidate) => (isPublic === isInternetFacing ? 0 : 1);
  return (a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1);
}

function requirePublic(named: readonly Candidate[]): void {
  const [wrong] = named.filter(({ isPublic }) => isPublic === false);
  if (wrong === undefined) return;
  throw subnetInvalid(
    `${FIELD}: subnet ${wrong.id} is private (its routes lead to no internet gateway), and the load balancer is InternetFacing: ` +
      'name a public subnet, or set spec.controlPlaneLoadBalancer.nlb.scheme: Internal',
  );
}

interface Named {
  readonly references: readonly ResourceReference[];
  readonly network: NetworkFacts;
}

async function namedSubnets(
  ctx: Ctx,
  session: AWSSession,
  { references, network }: Named,
): Promise<Candidate[]> {
  const known = new Map(network.subnets.map((subnet) => [subnet.id, subnet]));
  const found: Candidate[] = [];
  for (const [index, reference] of references.entries()) {
    const field = `${FIELD}[${index}]`;
    const local = reference.id === undefined ? undefined : known.get(reference.id);
    if (local !== undefined) found.push(local);
    else {
      const described = await describe(ctx, session, { reference, network, field });
      found.push(...described.map((subnet) => known.get(subnet.id) ?? subnet));
    }
  }
  return found;
}

async function describe(
  ctx: Ctx,
  session: AWSSession,
  { reference, network, field }: { reference: ResourceReference; network: NetworkFacts; field: string },
): Promise<Candidate[]> {
  const { id, filters = [] } = reference;
  const Filters = filters.map(({ name, values }) => ({ Name: name, Values: [...values] }));
  const inNetwork = { Name: 'vpc-id', Values: [network.vpcID] };
  const input = id === undefined ? { Filters: [...Filters, inNetwork] } : { SubnetIds: [id] };
  const subnets = await ask(ctx, session, input);
  const [foreign] = subnets.filter(({ VpcId }) => VpcId !== network.vpcID);
  if (foreign !== undefined) {
    const where = `is in ${foreign.VpcId ?? 'another VPC'}, and the cluster in ${network.vpcID}`;
    throw subnetInvalid(`${field}: subnet ${foreign.SubnetId} ${where}: name subnets of the cluster's VPC`);
  }
  if (subnets.length === 0) {
    const what = id === undefined ? 'no subnet matches the filters' : `there is no subnet ${id}`;
    throw subnetInvalid(`${field}: ${what} in ${network.vpcID} (${session.region}): correct it`);
  }
  return subnets.map(({ SubnetId = '', AvailabilityZone = '' }) => ({
    id: SubnetId,
    availabilityZone: AvailabilityZone,
    isPublic: undefined,
  }));
}

async function ask(ctx: Ctx, session: AWSSession, input: DescribeSubnetsCommandInput): Promise<EC2Subnet[]> {
  try {
    const { Subnets = [] } = await session.ec2(ctx, new DescribeSubnetsCommand(input));
    return Subnets;
  } catch (error) {
    if (isRefused(error, 'InvalidSubnetID.')) return [];
    throw error;
  }
}

function subnetInvalid(message: string): TerminalError {
  return new TerminalError(Reason.SubnetInvalid, message);
}
