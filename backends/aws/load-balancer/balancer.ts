// SPDX-License-Identifier: Apache-2.0
// The load balancer itself: made, put right, or somebody else's that is only used.
import {
  AddTagsCommand,
  CreateLoadBalancerCommand,
  ModifyLoadBalancerAttributesCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { NetworkFacts } from '../network/facts.ts';
import { type Balancer, differing, type Pairs, type Seen, withBalancerARN } from './look.ts';
import { invalid, refusedWith, type Scope, wantedTags } from './scope.ts';
import { subnetsFor } from './subnets.ts';

const SCHEMES = { InternetFacing: 'internet-facing', Internal: 'internal' } as const;

/**
 * Makes the load balancer where there is none, else puts right what was changed. Somebody else's (`nlb.name`) is only checked. Throws
 * TerminalError(LoadBalancerInvalid | SubnetInvalid).
 */
export async function settleBalancer(
  ctx: Ctx,
  scope: Scope,
  { seen, network }: { seen: Seen; network: NetworkFacts },
): Promise<Balancer> {
  const { balancer } = seen;
  if (scope.nlb.name !== undefined) return checkGiven(scope, balancer, network);
  if (balancer !== undefined) {
    checkFixed(scope, balancer, network);
    return repair(ctx, scope, { balancer, network });
  }
  checkNotLost(scope);
  return create(ctx, scope, network);
}

/** The zones that the load balancer is in, and its subnet there. */
export function subnetByZone({ AvailabilityZones = [] }: Balancer): Map<string, string> {
  return new Map(AvailabilityZones.map(({ ZoneName = '', SubnetId = '' }) => [ZoneName, SubnetId]));
}

/** The subnet of each zone is chosen by us, so that zones of the cluster that it does not cover are added. */
async function create(ctx: Ctx, scope: Scope, network: NetworkFacts): Promise<Balancer> {
  const { session, name, nlb } = scope;
  const groups = [...network.securityGroups.loadBalancer].sort();
  const command = new CreateLoadBalancerCommand({
    Name: name,
    Type: 'network',
    Scheme: SCHEMES[nlb.scheme ?? 'InternetFacing'],
    IpAddressType: 'ipv4',
    Subnets: await subnetsFor(ctx, scope, network, new Map()),
    SecurityGroups: groups,
    Tags: differing(wantedTags(scope), {}),
  });
  const answer = await named(session.elb(ctx, command), `load balancer named ${name}`);
  const made = withBalancerARN(answer.LoadBalancers?.[0]);
  if (made === undefined) throw new TransientError(`CreateLoadBalancer: no load balancer in the answer`);
  await setAttributes(ctx, scope, made.LoadBalancerArn, {});
  return made;
}

/**
 * AWS answers the same request again with what it has made, and refuses another one of the same name. We had looked and seen none, so
 * it was made this moment, or is not shown yet: a later look finds it, and says whose it is.
 */
export async function named<T>(answer: Promise<T>, what: string): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!refusedWith(error, 'DuplicateLoadBalancerName', 'DuplicateTargetGroupName')) throw error;
    const message = `AWS has a ${what} with other settings, and does not show it yet: looking again`;
    throw new TransientError(message, { cause: error });
  }
}

async function repair(
  ctx: Ctx,
  scope: Scope,
  { balancer, network }: { balancer: NonNullable<Seen['balancer']>; network: NetworkFacts },
): Promise<Balancer> {
  const { session } = scope;
  const arn = balancer.LoadBalancerArn;
  const tags = differing(wantedTags(scope), balancer.tags);
  if (tags.length > 0) await session.elb(ctx, new AddTagsCommand({ ResourceArns: [arn], Tags: tags }));
  await setAttributes(ctx, scope, arn, balancer.attributes);
  const groups = [...network.securityGroups.loadBalancer].sort();
  if (groups.length > 0 && !isSame(groups, balancer.SecurityGroups ?? []))
    await session.elb(ctx, new SetSecurityGroupsCommand({ LoadBalancerArn: arn, SecurityGroups: groups }));
  return addZones(ctx, scope, { balancer, network });
}

async function addZones(
  ctx: Ctx,
  scope: Scope,
  { balancer, network }: { balancer: Balancer; network: NetworkFacts },
): Promise<Balancer> {
  const present = subnetByZone(balancer);
  const subnets = await subnetsFor(ctx, scope, network, present);
  if (subnets.length === present.size) return balancer;
  const arn = balancer.LoadBalancerArn;
  const command = new SetSubnetsCommand({ LoadBalancerArn: arn, Subnets: subnets });
  const { AvailabilityZones = [] } = await scope.session.elb(ctx, command);
  return { ...balancer, AvailabilityZones };
}

async function setAttributes(ctx: Ctx, { nlb, session }: Scope, arn: string, found: Pairs): Promise<void> {
  const wanted = { 'load_balancing.cross_zone.enabled': String(nlb.crossZone ?? true) };
  const Attributes = differing(wanted, found);
  if (Attributes.length === 0) return;
  await session.elb(ctx, new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn: arn, Attributes }));
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}

function checkGiven(scope: Scope, balancer: Balancer | undefined, network: NetworkFacts): Balancer {
  const field = `spec.controlPlaneLoadBalancer.nlb.name: load balancer ${scope.nlb.name}`;
  if (balancer === undefined)
    throw invalid(`${field} does not exist in ${scope.session.region}: make it, or take the name off`);
  if (balancer.Type !== 'network')
    throw invalid(`${field} is of type ${balancer.Type}: name a network load balancer`);
  if (balancer.VpcId !== network.vpcID) {
    const where = `is in ${balancer.VpcId}, and the cluster in ${network.vpcID}`;
    throw invalid(`${field} ${where}: name one in the cluster's VPC`);
  }
  const { scheme } = scope.nlb;
  if (scheme !== undefined && balancer.Scheme !== SCHEMES[scheme])
    throw invalid(`${field} is ${balancer.Scheme}, and nlb.scheme is ${scheme}: take nlb.scheme off`);
  return balancer;
}

/** AWS cannot change these. */
function checkFixed({ nlb, name }: Scope, balancer: Balancer, network: NetworkFacts): void {
  const scheme = nlb.scheme ?? 'InternetFacing';
  if (balancer.Scheme !== SCHEMES[scheme]) {
    const message = `Load balancer ${name} is ${balancer.Scheme}, which cannot be changed`;
    throw invalid(`${message}: set spec.controlPlaneLoadBalancer.nlb.scheme back, or make a new Cluster`);
  }
  if (balancer.VpcId !== network.vpcID) {
    const message = `Load balancer ${name} is in ${balancer.VpcId}, and the cluster in ${network.vpcID}`;
    throw invalid(`${message}: set spec.aws.network back, or make a new Cluster`);
  }
}

/**
 * AWS gives each load balancer another DNS name. Where the endpoint is the name of one of ours that is gone, a new one would look as
 * if it served the cluster while nobody asks it: Nodes and certificates have the old name.
 */
function checkNotLost({ cluster, name }: Scope): void {
  const { host = '' } = cluster.spec.controlPlaneEndpoint ?? {};
  if (!host.toLowerCase().startsWith(`${name}-`) || !host.includes('.elb.')) return;
  throw invalid(
    `Load balancer ${name} was deleted outside, and with it ${host}, which is the endpoint of the cluster for good: ` +
      'no other one can have that name. Make a new Cluster',
  );
}
