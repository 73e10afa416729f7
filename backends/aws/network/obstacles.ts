// SPDX-License-Identifier: Apache-2.0
// What is in the way of a deletion, and is not ours: mostly what the cloud controller manager of the cluster has left behind.
import { DescribeNetworkInterfacesCommand, type Filter } from '@aws-sdk/client-ec2';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { TerminalError } from '../../../runtime/errors.ts';
import { securityGroupsBy, subnetsBy, together } from './observation.ts';
import { isOf } from './parts.ts';
import type { Run } from './run.ts';

/** How many a message names. */
const MAX_NAMED = 8;

/** Names what uses the VPC that we made, or the groups that we made in another one. '' where nothing is seen. */
export async function obstacles(run: Run): Promise<string> {
  const found = (await together([interfaces(run), balancers(run), strangers(run)])).flat().sort();
  const named = found.slice(0, MAX_NAMED).join(', ');
  return found.length > MAX_NAMED ? `${named}, and ${found.length - MAX_NAMED} more` : named;
}

async function interfaces(run: Run): Promise<string[]> {
  const filter = placeFilter(run);
  if (filter === undefined) return [];
  const command = new DescribeNetworkInterfacesCommand({ Filters: [filter] });
  const { NetworkInterfaces = [] } = await run.session.ec2(run.ctx, command);
  const natGateways = new Set(run.seen.natGateways.map(({ id }) => id));
  return NetworkInterfaces.filter(({ Description = '' }) => !mentions(Description, natGateways)).map(
    ({ NetworkInterfaceId = '', Description = '', Attachment }) => {
      const of = Attachment?.InstanceId ?? Description;
      return `network interface ${NetworkInterfaceId}${of === '' ? '' : ` (${of})`}`;
    },
  );
}

function mentions(text: string, ids: ReadonlySet<string>): boolean {
  return [...ids].some((id) => text.includes(id));
}

function placeFilter({ seen }: Run): Filter | undefined {
  const [vpc] = seen.vpcs;
  if (vpc !== undefined) return { Name: 'vpc-id', Values: [vpc.id] };
  const groups = seen.securityGroups.map(({ id }) => id);
  return groups.length === 0 ? undefined : { Name: 'group-id', Values: groups };
}

async function balancers({ ctx, session, seen }: Run): Promise<string[]> {
  const vpcs = new Set(seen.vpcs.map(({ id }) => id));
  const groups = new Set(seen.securityGroups.map(({ id }) => id));
  try {
    const { LoadBalancers = [] } = await session.elb(ctx, new DescribeLoadBalancersCommand({}));
    return LoadBalancers.filter(
      ({ VpcId = '', SecurityGroups = [] }) => vpcs.has(VpcId) || SecurityGroups.some((id) => groups.has(id)),
    ).map(({ LoadBalancerName = '' }) => `load balancer ${LoadBalancerName}`);
  } catch (error) {
    if (error instanceof TerminalError) return []; // An identity for networks only need not be allowed to ask.
    throw error;
  }
}

/** Groups and subnets that somebody else made in our VPC, and groups whose rules name ours. */
async function strangers(run: Run): Promise<string[]> {
  const [vpc] = run.seen.vpcs;
  const { ctx, session, cluster } = run;
  const ours = run.seen.securityGroups.map(({ id }) => id);
  if (vpc === undefined) {
    if (ours.length === 0) return [];
    const naming = await securityGroupsBy(ctx, session, [{ Name: 'ip-permission.group-id', Values: ours }]);
    return naming
      .filter(({ id }) => !ours.includes(id))
      .map(({ id, name }) => `security group ${id} (${name})`);
  }
  const filters = [{ Name: 'vpc-id', Values: [vpc.id] }];
  const [groups, subnets] = await together([
    securityGroupsBy(ctx, session, filters),
    subnetsBy(ctx, session, filters),
  ]);
  const isStrange = (part: Parameters<typeof isOf>[0]) => !isOf(part, cluster.infrastructureID);
  return [
    ...groups
      .filter((group) => isStrange(group) && group.name !== 'default')
      .map(({ id, name }) => `security group ${id} (${name})`),
    ...subnets.filter(isStrange).map(({ id }) => `subnet ${id}`),
  ];
}
