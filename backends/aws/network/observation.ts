// SPDX-License-Identifier: Apache-2.0
// One look at everything of a network that carries the tag of its cluster: one call for each kind.
import {
  DescribeAddressesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  type Filter,
} from '@aws-sdk/client-ec2';
import type { Ctx } from '../../../runtime/context.ts';
import type { AWSSession } from '../session/session.ts';
import { CLUSTER_TAG } from '../tags.ts';
import {
  isOf,
  type Part,
  type PartsByKind,
  type RouteTable,
  type SecurityGroup,
  type SeenSubnet,
  toAddress,
  toInternetGateway,
  toNATGateway,
  toRouteTable,
  toSecurityGroup,
  toSubnet,
  toVPC,
  type VPC,
} from './parts.ts';

/** Everything that is ours. Deleted NAT gateways are among them for about an hour. */
export async function lookAtParts(
  ctx: Ctx,
  session: AWSSession,
  infrastructureID: string,
): Promise<PartsByKind> {
  const filters = clusterFilter(infrastructureID);
  const ours = <P extends Part>(parts: readonly P[]) => parts.filter((part) => isOf(part, infrastructureID));
  const [vpcs, subnets, routeTables, internetGateways, natGateways, addresses, securityGroups] =
    await together([
      vpcsBy(ctx, session, filters),
      subnetsBy(ctx, session, filters),
      routeTablesBy(ctx, session, filters),
      session
        .ec2(ctx, new DescribeInternetGatewaysCommand({ Filters: filters }))
        .then(({ InternetGateways = [] }) => InternetGateways.map(toInternetGateway)),
      session
        .ec2(ctx, new DescribeNatGatewaysCommand({ Filter: filters }))
        .then(({ NatGateways = [] }) => NatGateways.map(toNATGateway)),
      session
        .ec2(ctx, new DescribeAddressesCommand({ Filters: filters }))
        .then(({ Addresses = [] }) => Addresses.map(toAddress)),
      securityGroupsBy(ctx, session, filters),
    ]);
  return {
    vpcs: ours(vpcs),
    subnets: ours(subnets),
    routeTables: ours(routeTables),
    internetGateways: ours(internetGateways),
    natGateways: ours(natGateways),
    addresses: ours(addresses),
    securityGroups: ours(securityGroups),
  };
}

/** Finds everything with the tag of a cluster. */
export function clusterFilter(infrastructureID: string): Filter[] {
  return [{ Name: `tag:${CLUSTER_TAG}`, Values: [infrastructureID] }];
}

export async function vpcsBy(ctx: Ctx, session: AWSSession, filters: Filter[]): Promise<VPC[]> {
  const { Vpcs = [] } = await session.ec2(ctx, new DescribeVpcsCommand({ Filters: filters }));
  return Vpcs.map(toVPC);
}

export async function subnetsBy(ctx: Ctx, session: AWSSession, filters: Filter[]): Promise<SeenSubnet[]> {
  const { Subnets = [] } = await session.ec2(ctx, new DescribeSubnetsCommand({ Filters: filters }));
  return Subnets.map(toSubnet);
}

export async function routeTablesBy(ctx: Ctx, session: AWSSession, filters: Filter[]): Promise<RouteTable[]> {
  const { RouteTables = [] } = await session.ec2(ctx, new DescribeRouteTablesCommand({ Filters: filters }));
  return RouteTables.map(toRouteTable);
}

export async function securityGroupsBy(
  ctx: Ctx,
  session: AWSSession,
  filters: Filter[],
): Promise<SecurityGroup[]> {
  const { SecurityGroups = [] } = await session.ec2(
    ctx,
    new DescribeSecurityGroupsCommand({ Filters: filters }),
  );
  return SecurityGroups.map(toSecurityGroup);
}

/** As Promise.all, but nothing is still under way when it rejects, with the first error in order. */
export async function together<const T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
