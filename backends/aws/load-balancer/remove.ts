// SPDX-License-Identifier: Apache-2.0
// The end of the load balancer: what carries the cluster's tag, and nothing else.
import {
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { Destroyed } from '../../backend.ts';
import { requireOwn } from '../cluster-owner.ts';
import { findBalancer, findGroup, type Group, isOurs, listenersOf, type Pairs, tagsBy } from './look.ts';
import { refusedWith, type Scope } from './scope.ts';

/** AWS lets go of a target group some seconds after its last listener is gone. */
const POLL_MS = 3_000;

/**
 * One step nearer to the end: listeners in load balancers of others, our own load balancer (its listeners go with it), the target
 * group. `gone` when a look has shown none of them; what was deleted in this call is looked for by the next one.
 */
export async function removeParts(ctx: Ctx, scope: Scope): Promise<Destroyed> {
  const { session, name, cluster } = scope;
  const [balancer, group] = await Promise.all([
    findBalancer(ctx, session, name),
    findGroup(ctx, session, name),
  ]);
  const tags = await tagsBy(ctx, session, [balancer?.LoadBalancerArn, group?.TargetGroupArn]);
  const isOwn = (arn: string | undefined) => isOurs(tags.get(arn ?? ''), cluster.infrastructureID);
  const own = [...tags].filter(([arn]) => isOwn(arn));
  requireOwn(
    cluster,
    own.map(([arn, itsTags]) => ({ what: arn, tags: itsTags })),
  );
  const left: string[] = [];
  if (balancer !== undefined && isOwn(balancer.LoadBalancerArn)) {
    await removeBalancer(ctx, scope, balancer.LoadBalancerArn);
    left.push(`load balancer ${name}`);
  }
  const ownGroup = isOwn(group?.TargetGroupArn) ? group : undefined;
  left.push(
    ...(await removeListeners(ctx, scope, { group: ownGroup, balancerARN: balancer?.LoadBalancerArn })),
  );
  if (ownGroup !== undefined) left.push(await removeGroup(ctx, scope, ownGroup));
  if (left.length === 0) return { state: 'gone' };
  return { state: 'inProgress', message: `Deleting ${left.join(', ')}`, pollMs: POLL_MS };
}

async function removeBalancer(ctx: Ctx, { session, name }: Scope, arn: string): Promise<void> {
  try {
    const command = new DeleteLoadBalancerCommand({ LoadBalancerArn: arn });
    await tolerant(session.elb(ctx, command), 'LoadBalancerNotFound');
  } catch (error) {
    if (!refusedWith(error, 'OperationNotPermitted')) throw error;
    const message = `Load balancer ${name} is protected from deletion: switch its deletion protection off`;
    throw new TerminalError(Reason.LoadBalancerInvalid, message, { cause: error });
  }
}

/**
 * Our listeners in load balancers of others: in the one that the spec names, and in every one that leads to our target group, since
 * the spec may have named another one before.
 */
async function removeListeners(
  ctx: Ctx,
  scope: Scope,
  { group, balancerARN }: { group: Group | undefined; balancerARN: string | undefined },
): Promise<string[]> {
  const { session, nlb, cluster } = scope;
  const given = nlb.name === undefined ? undefined : await findBalancer(ctx, session, nlb.name);
  const arns = new Set([...(group?.LoadBalancerArns ?? []), ...(given ? [given.LoadBalancerArn] : [])]);
  arns.delete(balancerARN ?? '');
  const removed: string[] = [];
  for (const arn of arns) {
    const listeners = await listenersOf(ctx, session, arn);
    const tags = await tagsOfAll(
      ctx,
      scope,
      listeners.map(({ ListenerArn }) => ListenerArn),
    );
    for (const [listener, itsTags] of tags) {
      if (!isOurs(itsTags, cluster.infrastructureID)) continue;
      requireOwn(cluster, [{ what: listener, tags: itsTags }]);
      const command = new DeleteListenerCommand({ ListenerArn: listener });
      await tolerant(session.elb(ctx, command), 'ListenerNotFound');
      removed.push(`listener ${listener}`);
    }
  }
  return removed;
}

/** How many resources DescribeTags takes. */
const TAGS_AT_ONCE = 20;

async function tagsOfAll(
  ctx: Ctx,
  { session }: Scope,
  arns: readonly (string | undefined)[],
): Promise<Map<string, Pairs>> {
  const all = new Map<string, Pairs>();
  for (let start = 0; start < arns.length; start += TAGS_AT_ONCE) {
    const some = await tagsBy(ctx, session, arns.slice(start, start + TAGS_AT_ONCE));
    for (const [arn, tags] of some) all.set(arn, tags);
  }
  return all;
}

async function removeGroup(ctx: Ctx, { session, name }: Scope, group: Group): Promise<string> {
  const command = new DeleteTargetGroupCommand({ TargetGroupArn: group.TargetGroupArn });
  const what = `target group ${name}`;
  try {
    await session.elb(ctx, command);
    return what;
  } catch (error) {
    if (refusedWith(error, 'TargetGroupNotFound')) return what;
    if (!refusedWith(error, 'ResourceInUse')) throw error;
    const users = group.LoadBalancerArns?.join(', ') ?? '';
    return `${what} (a listener of ${users === '' ? 'a load balancer' : users} still leads to it)`;
  }
}

async function tolerant(answer: Promise<unknown>, code: string): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!refusedWith(error, code)) throw error;
  }
}
