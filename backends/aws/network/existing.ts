// SPDX-License-Identifier: Apache-2.0
// A VPC and subnets that exist already. They are looked up, and never changed or tagged.
import type { Filter } from '@aws-sdk/client-ec2';
import type { AWSNetwork } from '../../../api/aws/cluster.ts';
import type { ResourceReference } from '../../../api/aws/filters.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import type { Subnet } from './facts.ts';
import { routeTablesBy, subnetsBy, together, vpcsBy } from './observation.ts';
import type { RouteTable, SeenSubnet, VPC } from './parts.ts';

const VPC_FIELD = 'spec.aws.network.vpc';
const SUBNETS_FIELD = 'spec.aws.network.subnets';

/** What a spec names, found. */
export interface ExistingNetwork {
  readonly vpcID: string;
  readonly cidrBlocks: readonly string[];
  readonly subnets: readonly Subnet[];
}

/** Looks the network up; TerminalError(NetworkInvalid | SubnetInvalid) names the field and what is wrong. */
export async function existingNetwork(
  ctx: Ctx,
  session: AWSSession,
  network: AWSNetwork,
): Promise<ExistingNetwork> {
  const vpc = await theVPC(ctx, session, network.vpc ?? {});
  const [subnets, tables] = await together([
    subnetsOf(ctx, session, network.subnets ?? [], vpc),
    routeTablesBy(ctx, session, [{ Name: 'vpc-id', Values: [vpc.id] }]),
  ]);
  return {
    vpcID: vpc.id,
    cidrBlocks: vpc.cidrBlocks,
    subnets: subnets.map(({ id, availabilityZone, vpcID }) => ({
      id,
      availabilityZone,
      vpcID,
      isPublic: leadsToInternet(id, tables),
    })),
  };
}

/** Filters of the spec as the SDK wants them. */
export function toFilters({ filters = [] }: ResourceReference): Filter[] {
  return filters.map(({ name, values }) => ({ Name: name, Values: [...values] }));
}

async function theVPC(ctx: Ctx, session: AWSSession, reference: ResourceReference): Promise<VPC> {
  const { id } = reference;
  const filters = id === undefined ? toFilters(reference) : [{ Name: 'vpc-id', Values: [id] }];
  const vpcs = await vpcsBy(ctx, session, filters);
  const [vpc, ...others] = vpcs;
  const inRegion = `in ${session.region}`;
  if (vpc === undefined) {
    const what =
      id === undefined ? `no VPC ${inRegion} matches the filters` : `there is no VPC ${id} ${inRegion}`;
    throw new TerminalError(Reason.NetworkInvalid, `${VPC_FIELD}: ${what}`);
  }
  if (others.length === 0) return vpc;
  const ids = vpcs.map((one) => one.id).sort();
  const message = `${VPC_FIELD}: ${ids.length} VPCs match the filters (${listed(ids)}): write the id of one, or more filters`;
  throw new TerminalError(Reason.NetworkInvalid, message);
}

/** Enough to know which, however many there are. */
function listed(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).join(', ');
  return ids.length > 5 ? `${shown}, ...` : shown;
}

/** Each once, in the order of the spec. One call for all that are given by id. */
async function subnetsOf(
  ctx: Ctx,
  session: AWSSession,
  references: readonly ResourceReference[],
  vpc: VPC,
): Promise<SeenSubnet[]> {
  const ids = references.flatMap(({ id }) => id ?? []);
  const byID = ids.length === 0 ? [] : await subnetsBy(ctx, session, [{ Name: 'subnet-id', Values: ids }]);
  const found = references.map(async (reference, index) => {
    const where = `${SUBNETS_FIELD}[${index}]`;
    if (reference.id !== undefined) return [requireSubnet(byID, reference.id, { vpc, where })];
    const inVPC = [...toFilters(reference), { Name: 'vpc-id', Values: [vpc.id] }];
    const subnets = await subnetsBy(ctx, session, inVPC);
    if (subnets.length > 0) return subnets;
    throw invalid(`${where}: no subnet of ${vpc.id} matches the filters`);
  });
  const all = (await together(found)).flat();
  return [...new Map(all.map((subnet) => [subnet.id, subnet])).values()];
}

function requireSubnet(
  subnets: readonly SeenSubnet[],
  id: string,
  { vpc, where }: { readonly vpc: VPC; readonly where: string },
): SeenSubnet {
  const subnet = subnets.find((one) => one.id === id);
  if (subnet === undefined) throw invalid(`${where}: there is no subnet ${id}`);
  if (subnet.vpcID === vpc.id) return subnet;
  throw invalid(`${where}: the subnet ${id} is of ${subnet.vpcID}, and ${VPC_FIELD} is ${vpc.id}`);
}

function invalid(message: string): TerminalError {
  return new TerminalError(Reason.SubnetInvalid, message);
}

/** A subnet without a route table of its own has the main one of its VPC. */
function leadsToInternet(subnetID: string, tables: readonly RouteTable[]): boolean {
  const own = tables.find(({ associations }) => associations.some((one) => one.subnetID === subnetID));
  const table = own ?? tables.find(({ isMain }) => isMain);
  return table?.routes.some(({ target, isBlackhole }) => target.startsWith('igw-') && !isBlackhole) ?? false;
}
