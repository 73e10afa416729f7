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
import type { NameMemory } from '../name-memory.ts';
import {
  type Balancer,
  findBalancer,
  findGroup,
  type Group,
  isOurs,
  listenersOf,
  type Pairs,
  tagsBy,
} from './look.ts';
import { refusedWith, type Scope } from './scope.ts';

/** AWS lets go of a target group some seconds after its last listener is gone. */
const POLL_MS = 3_000;
/** While AWS may not show yet what was made last. */
const UNSETTLED_POLL_MS = 15_000;

/** In messages, and in the memory of what may be there. */
export const balancerKey = ({ name }: Scope): string => `load balancer ${name}`;
export const groupKey = ({ name }: Scope): string => `target group ${name}`;

/**
 * One step nearer to the end: listeners in load balancers of others, our own load balancer (its listeners go with it), the target
 * group. `gone` when a look has shown none of them, at a time when it would show them; what was deleted in this call is looked for by
 * the next one.
 */
export async function removeParts(ctx: Ctx, scope: Scope, memory: NameMemory): Promise<Destroyed> {
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
  if (balancer !== undefined && isOwn(balancer.LoadBalancerArn))
    left.push(await removeBalancer(ctx, scope, { balancer, memory }));
  const ownGroup = isOwn(group?.TargetGroupArn) ? group : undefined;
  left.push(
    ...(await removeListeners(ctx, scope, { group: ownGroup, balancerARN: balancer?.LoadBalancerArn })),
  );
  if (ownGroup !== undefined) left.push(await removeGroup(ctx, scope, { group: ownGroup, memory }));
  if (left.length > 0)
    return { state: 'inProgress', message: `Deleting ${left.join(', ')}`, pollMs: POLL_MS };
  return settled(scope, memory);
}

/** Nothing was seen. A listener of ours holds its target group. */
function settled(scope: Scope, memory: NameMemory): Destroyed {
  const unsettled = [balancerKey(scope), groupKey(scope)].filter((key) => !memory.isSettled(key));
  if (unsettled.length === 0) return { state: 'gone' };
  const message = `Waiting until AWS would show ${unsettled.join(' and ')}, should it have been made`;
  return { state: 'inProgress', message, pollMs: UNSETTLED_POLL_MS };
}

async function removeBalancer(
  ctx: Ctx,
  scope: Scope,
  { balancer, memory }: { balancer: Balancer; memory: NameMemory },
): Promise<string> {
  const what = balancerKey(scope);
  try {
    const command = new DeleteLoadBalancerCommand({ LoadBalancerArn: balancer.LoadBalancerArn });
    await scope.session.elb(ctx, command);
    memory.goes(what);
    return what;
  } catch (error) {
    // Deleted before, or not yet known there; a later look tells.
    if (refusedWith(error, 'LoadBalancerNotFound')) return what;
    if (!refusedWith(error, 'OperationNotPermitted')) throw error;
    const message = `Load balancer ${scope.name} is protected from deletion: switch its deletion protection off`;
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

async function removeGroup(
  ctx: Ctx,
  scope: Scope,
  { group, memory }: { group: Group; memory: NameMemory },
): Promise<string> {
  const command = new DeleteTargetGroupCommand({ TargetGroupArn: group.TargetGroupArn });
  const what = groupKey(scope);
  try {
    await scope.session.elb(ctx, command);
    memory.goes(what);
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
