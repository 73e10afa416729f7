// SPDX-License-Identifier: Apache-2.0
// What is there. All of it is read only.
import {
  DescribeListenersCommand,
  type DescribeListenersCommandOutput,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  type Listener,
  type LoadBalancer,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Ctx } from '../../../runtime/context.ts';
import { requireOwn } from '../cluster-owner.ts';
import type { AWSSession } from '../session/session.ts';
import { CLUSTER_TAG } from '../tags.ts';
import { invalid, refusedWith, type Scope } from './scope.ts';

/** A load balancer, and the ARN that AWS' types leave open. */
export type Balancer = LoadBalancer & { readonly LoadBalancerArn: string };
/** A target group, and the ARN that AWS' types leave open. */
export type Group = TargetGroup & { readonly TargetGroupArn: string };
/** Tags, or attributes, by key. */
export type Pairs = Readonly<Record<string, string>>;

/** What one look shows. Attributes and tags of somebody else's load balancer are not asked for. */
export interface Seen {
  readonly balancer: (Balancer & { readonly tags: Pairs; readonly attributes: Pairs }) | undefined;
  readonly group: (Group & { readonly tags: Pairs; readonly attributes: Pairs }) | undefined;
  readonly listeners: readonly Listener[];
}

/** Looks at all parts: six calls. Throws TerminalError(LoadBalancerInvalid | ClusterIDTaken) where somebody else has our name. */
export async function look(ctx: Ctx, scope: Scope): Promise<Seen> {
  const { session, nlb, name } = scope;
  const [balancer, group] = await Promise.all([
    findBalancer(ctx, session, nlb.name ?? name),
    findGroup(ctx, session, name),
  ]);
  const ownARN = nlb.name === undefined ? balancer?.LoadBalancerArn : undefined;
  const groupARN = group?.TargetGroupArn;
  const [tags, balancerAttributes, groupAttributes, listeners] = await Promise.all([
    tagsBy(ctx, session, [ownARN, groupARN]),
    attributesOfBalancer(ctx, session, ownARN),
    attributesOfGroup(ctx, session, groupARN),
    listenersOf(ctx, session, balancer?.LoadBalancerArn),
  ]);
  requireOurs(scope, 'load balancer', { arn: ownARN, tags });
  requireOurs(scope, 'target group', { arn: groupARN, tags });
  const tagsOf = (arn: string) => tags.get(arn) ?? {};
  return {
    balancer: balancer && {
      ...balancer,
      tags: tagsOf(balancer.LoadBalancerArn),
      attributes: balancerAttributes,
    },
    group: group && { ...group, tags: tagsOf(group.TargetGroupArn), attributes: groupAttributes },
    listeners,
  };
}

function requireOurs(
  { name, cluster, session }: Scope,
  what: string,
  { arn, tags }: { arn: string | undefined; tags: ReadonlyMap<string, Pairs> },
): void {
  if (arn === undefined) return;
  const found = tags.get(arn);
  if (isOurs(found, cluster.infrastructureID))
    return requireOwn(cluster, [{ what: `The ${what} ${name}`, tags: found ?? {} }]);
  throw invalid(
    `A ${what} named ${name} exists in ${session.region} without the tag ${CLUSTER_TAG}=${cluster.infrastructureID}, ` +
      'so it is not of this cluster: delete it, or give it the tag back if it was taken off',
  );
}

/** Only what carries the cluster's tag is ever changed or deleted. */
export function isOurs(tags: Pairs | undefined, infrastructureID: string): boolean {
  return tags?.[CLUSTER_TAG] === infrastructureID;
}

/** By its name, which is unique in account and region; `undefined` where AWS says that there is none. */
export async function findBalancer(
  ctx: Ctx,
  session: AWSSession,
  name: string,
): Promise<Balancer | undefined> {
  const answer = await orNone(
    session.elb(ctx, new DescribeLoadBalancersCommand({ Names: [name] })),
    'LoadBalancerNotFound',
  );
  const [found] = answer?.LoadBalancers ?? [];
  return withBalancerARN(found);
}

/** By its ARN; `undefined` where AWS says that it is gone. */
export async function balancerByARN(
  ctx: Ctx,
  session: AWSSession,
  arn: string,
): Promise<Balancer | undefined> {
  const answer = await orNone(
    session.elb(ctx, new DescribeLoadBalancersCommand({ LoadBalancerArns: [arn] })),
    'LoadBalancerNotFound',
  );
  const [found] = answer?.LoadBalancers ?? [];
  return withBalancerARN(found);
}

/** By its name, which is unique in account and region; `undefined` where AWS says that there is none. */
export async function findGroup(ctx: Ctx, session: AWSSession, name: string): Promise<Group | undefined> {
  const answer = await orNone(
    session.elb(ctx, new DescribeTargetGroupsCommand({ Names: [name] })),
    'TargetGroupNotFound',
  );
  const [found] = answer?.TargetGroups ?? [];
  return withGroupARN(found);
}

/** Of an answer of AWS. */
export function withBalancerARN(found: LoadBalancer | undefined): Balancer | undefined {
  return found?.LoadBalancerArn === undefined
    ? undefined
    : { ...found, LoadBalancerArn: found.LoadBalancerArn };
}

/** Of an answer of AWS. */
export function withGroupARN(found: TargetGroup | undefined): Group | undefined {
  return found?.TargetGroupArn === undefined ? undefined : { ...found, TargetGroupArn: found.TargetGroupArn };
}

/** Tags by ARN, in one call; none where there is nothing to ask about. */
export async function tagsBy(
  ctx: Ctx,
  session: AWSSession,
  arns: readonly (string | undefined)[],
): Promise<ReadonlyMap<string, Pairs>> {
  const ResourceArns = arns.filter((arn) => arn !== undefined);
  if (ResourceArns.length === 0) return new Map();
  const answer = await session.elb(ctx, new DescribeTagsCommand({ ResourceArns }));
  const descriptions = answer.TagDescriptions ?? [];
  return new Map(descriptions.map(({ ResourceArn = '', Tags }) => [ResourceArn, pairs(Tags)]));
}

/** All listeners of a load balancer; none when it is gone. */
export async function listenersOf(
  ctx: Ctx,
  session: AWSSession,
  arn: string | undefined,
): Promise<Listener[]> {
  const all: Listener[] = [];
  if (arn === undefined) return all;
  let marker: string | undefined;
  do {
    const input = { LoadBalancerArn: arn, ...(marker !== undefined && { Marker: marker }) };
    const answer: DescribeListenersCommandOutput | undefined = await orNone(
      session.elb(ctx, new DescribeListenersCommand(input)),
      'LoadBalancerNotFound',
    );
    all.push(...(answer?.Listeners ?? []));
    marker = answer?.NextMarker;
  } while (marker !== undefined && marker !== '');
  return all;
}

async function attributesOfBalancer(ctx: Ctx, session: AWSSession, arn: string | undefined): Promise<Pairs> {
  if (arn === undefined) return {};
  const answer = await session.elb(ctx, new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: arn }));
  return pairs(answer.Attributes);
}

async function attributesOfGroup(ctx: Ctx, session: AWSSession, arn: string | undefined): Promise<Pairs> {
  if (arn === undefined) return {};
  const answer = await session.elb(ctx, new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn }));
  return pairs(answer.Attributes);
}

function pairs(list: readonly { Key?: string | undefined; Value?: string | undefined }[] = []): Pairs {
  return Object.fromEntries(list.map(({ Key = '', Value = '' }) => [Key, Value]));
}

/** What of `wanted` is missing or different, as AWS takes it; empty where all is as it shall be. */
export function differing(wanted: Pairs, found: Pairs): { Key: string; Value: string }[] {
  return Object.entries(wanted)
    .filter(([key, value]) => found[key] !== value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}

async function orNone<T>(answer: Promise<T>, code: string): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (refusedWith(error, code)) return undefined;
    throw error;
  }
}
