// SPDX-License-Identifier: Apache-2.0
// The end of a pool: the group, what is left of its instances, the launch template. Only what carries the tags of the pool is touched.
import {
  DescribeInstancesCommand,
  type Filter,
  type Instance,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { Ctx } from '../../../runtime/context.ts';
import type { Destroyed } from '../../backend.ts';
import type { PoolFacts } from '../../machine-pool-backend.ts';
import type { NameMemory } from '../name-memory.ts';
import type { AWSSession } from '../session/session.ts';
import { CLUSTER_TAG, POOL_TAG } from '../tags.ts';
import { groupName } from './group.ts';
import { deleteGroup, emptyGroup, findGroup, poolTag, setProtection } from './groups.ts';
import type { LaunchTemplates, TemplateOwner } from './launch-templates.ts';

const POLL_MS = 5_000;

/** One step; `gone` when a look has shown that nothing is left, and what may have been asked for would be shown by now. */
export async function removePool(
  ctx: Ctx,
  session: AWSSession,
  {
    pool,
    templates,
    owner,
    memory,
  }: {
    readonly pool: PoolFacts;
    readonly templates: LaunchTemplates;
    readonly owner: TemplateOwner;
    readonly memory: NameMemory;
  },
): Promise<Destroyed> {
  const group = await findGroup(ctx, session, pool);
  const name = groupName(pool);
  if (group !== undefined) {
    memory.mayBe(name);
    const message = `Waiting for Auto Scaling group ${name} to go`;
    // Set while the group goes.
    if (group.Status !== undefined && group.Status !== '') {
      memory.goes(name);
      return inProgress(message);
    }
    const left = group.Instances?.length ?? 0;
    if (left === 0) {
      await deleteGroup(ctx, session, name);
      memory.goes(name);
      return inProgress(message);
    }
    await setProtection(ctx, session, group, false);
    await emptyGroup(ctx, session, group);
    return inProgress(`Waiting for ${left} instances of Auto Scaling group ${name} to go`);
  }
  const left = await endInstances(ctx, session, pool);
  if (left > 0) return inProgress(`Waiting for ${left} instances of the pool to terminate`);
  if (!memory.isSettled(name))
    return inProgress(`Waiting until AWS would show Auto Scaling group ${name}, should it have been made`);
  await templates.remove(ctx, session, owner);
  return { state: 'gone' };
}

function inProgress(message: string): Destroyed {
  return { state: 'inProgress', message, pollMs: POLL_MS };
}

/** EC2's largest page. */
const PAGE = 1000;
const NOT_TERMINATED = ['pending', 'running', 'shutting-down', 'stopping', 'stopped'];

/** Ends what somebody has taken out of the group; answers how many are not terminated yet. */
async function endInstances(ctx: Ctx, session: AWSSession, pool: PoolFacts): Promise<number> {
  const Filters: Filter[] = [
    { Name: `tag:${CLUSTER_TAG}`, Values: [pool.choice['cluster'] ?? ''] },
    { Name: `tag:${POOL_TAG}`, Values: [poolTag(pool)] },
    { Name: 'instance-state-name', Values: NOT_TERMINATED },
  ];
  const left: Instance[] = [];
  let NextToken: string | undefined;
  do {
    const page = await session.ec2(
      ctx,
      new DescribeInstancesCommand({ Filters, MaxResults: PAGE, NextToken }),
    );
    left.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances));
    NextToken = page.NextToken === '' ? undefined : page.NextToken;
  } while (NextToken !== undefined);
  const living = left.filter(({ State }) => State?.Name !== 'shutting-down');
  if (living.length > 0) {
    const InstanceIds = living.map(({ InstanceId = '' }) => InstanceId);
    ctx.log.info({ instances: InstanceIds }, 'Terminating instances that are left of the pool');
    await session.ec2(ctx, new TerminateInstancesCommand({ InstanceIds }));
  }
  return left.length;
}
