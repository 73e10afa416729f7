// SPDX-License-Identifier: Apache-2.0
// The Auto Scaling group of a pool at AWS: look, make, change, empty, delete.
import {
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { PoolFacts } from '../../machine-pool-backend.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { POOL_TAG } from '../tags.ts';
import {
  creation,
  groupName,
  mayRebalance,
  protectionToSet,
  REBALANCE,
  tagsToSet,
  update,
  type WantedGroup,
} from './group.ts';

/** Value of {@link POOL_TAG}. */
export function poolTag({ namespace, name }: Pick<PoolFacts, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** The group of a pool; `undefined` when there is none. TerminalError(DuplicateInstances) when it was made for another pool. One call. */
export async function findGroup(
  ctx: Ctx,
  session: AWSSession,
  pool: PoolFacts,
): Promise<AutoScalingGroup | undefined> {
  const name = groupName(pool);
  const query = { AutoScalingGroupNames: [name] };
  const answer = await session.autoScaling(ctx, new DescribeAutoScalingGroupsCommand(query));
  const [group] = answer.AutoScalingGroups ?? [];
  if (group === undefined) return undefined;
  const owner = group.Tags?.find(({ Key }) => Key === POOL_TAG)?.Value ?? 'nobody that we know';
  if (owner === poolTag(pool)) return group;
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Auto Scaling group ${name} belongs to TSMachinePool ${owner}: this one is a copy of it; ` +
      'make it anew without spec.infrastructureID, spec.choice and finalizers',
  );
}

/** A group of the same name is there already when our last look was behind: nothing was made then, and the next look shows it. */
export async function createGroup(ctx: Ctx, session: AWSSession, wanted: WantedGroup): Promise<void> {
  ctx.log.info({ group: groupName(wanted.pool) }, 'Creating Auto Scaling group');
  try {
    await session.autoScaling(ctx, new CreateAutoScalingGroupCommand(creation(wanted)));
  } catch (error) {
    if (!isRefused(error, 'AlreadyExists', 'AlreadyExistsFault')) throw mayHeal(error, wanted);
  }
}

/** Changes what differs; answers whether that concerned the group itself. No call where nothing does. */
export async function changeGroup(
  ctx: Ctx,
  session: AWSSession,
  wanted: WantedGroup,
  group: AutoScalingGroup,
): Promise<boolean> {
  const name = groupName(wanted.pool);
  // First, so that a group that becomes smaller has nothing to choose from.
  await setProtection(ctx, session, group, !wanted.pool.isSizedElsewhere);
  if (mayRebalance(wanted, group)) {
    const processes = { AutoScalingGroupName: name, ScalingProcesses: [REBALANCE] };
    await session.autoScaling(ctx, new SuspendProcessesCommand(processes));
  }
  const change = update(wanted, group);
  if (change !== undefined) {
    const { MinSize, MaxSize, DesiredCapacity } = change;
    ctx.log.info({ group: name, MinSize, MaxSize, DesiredCapacity }, 'Changing Auto Scaling group');
    try {
      await session.autoScaling(ctx, new UpdateAutoScalingGroupCommand(change));
    } catch (error) {
      throw mayHeal(error, wanted);
    }
  }
  const Tags = tagsToSet(wanted, group);
  if (Tags.length > 0) await session.autoScaling(ctx, new CreateOrUpdateTagsCommand({ Tags }));
  return change !== undefined;
}

/** Auto Scaling may not know yet what EC2 has made a moment ago. */
function mayHeal(error: unknown, { template }: WantedGroup): unknown {
  if (!template.isFresh || !isRefused(error, 'ValidationError')) return error;
  return new TransientError(error.message, { cause: error });
}

/** Most ids that one call takes (Auto Scaling API reference, SetInstanceProtection). */
const PROTECTED_AT_ONCE = 50;

/** Of instances in service; no call where all are so. */
export async function setProtection(
  ctx: Ctx,
  session: AWSSession,
  group: AutoScalingGroup,
  isProtected: boolean,
): Promise<void> {
  const ids = protectionToSet(isProtected, group);
  for (let start = 0; start < ids.length; start += PROTECTED_AT_ONCE) {
    const command = new SetInstanceProtectionCommand({
      AutoScalingGroupName: group.AutoScalingGroupName,
      InstanceIds: ids.slice(start, start + PROTECTED_AT_ONCE),
      ProtectedFromScaleIn: isProtected,
    });
    try {
      await session.autoScaling(ctx, command);
    } catch (error) {
      // An instance has come or gone since the look that named it: the next one knows.
      throw isRefused(error, 'ValidationError') ? new TransientError(error.message, { cause: error }) : error;
    }
  }
}

/** The group is to have nothing; no call where it is so already. What is protected stays. */
export async function emptyGroup(ctx: Ctx, session: AWSSession, group: AutoScalingGroup): Promise<void> {
  if (group.MinSize === 0 && group.MaxSize === 0 && group.DesiredCapacity === 0) return;
  const { AutoScalingGroupName } = group;
  ctx.log.info({ group: AutoScalingGroupName }, 'Setting the size of the Auto Scaling group to 0');
  const change = { AutoScalingGroupName, MinSize: 0, MaxSize: 0, DesiredCapacity: 0 };
  await session.autoScaling(ctx, new UpdateAutoScalingGroupCommand(keptPolicy(group, change)));
}

/** As in `update` of group.ts. */
function keptPolicy<T extends object>({ MixedInstancesPolicy }: AutoScalingGroup, change: T): T {
  return MixedInstancesPolicy === undefined ? change : { ...change, MixedInstancesPolicy };
}

/** Starts its end. */
export async function deleteGroup(ctx: Ctx, session: AWSSession, name: string): Promise<void> {
  ctx.log.info({ group: name }, 'Deleting Auto Scaling group');
  try {
    // Forced: an instance may have come since the last look, and nobody waits for it.
    const command = new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: name, ForceDelete: true });
    await session.autoScaling(ctx, command);
  } catch (error) {
    // "AutoScalingGroup name not found".
    if (!isRefused(error, 'ValidationError')) throw error;
  }
}
