// SPDX-License-Identifier: Apache-2.0
// The end of one instance of a group.
import { TerminateInstanceInAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import type { Ctx } from '../../../runtime/context.ts';
import { type AWSSession, isRefused } from '../session/session.ts';

/** The tag that AWS puts on every instance of a group; its value is the name of the group. */
export const GROUP_TAG = 'aws:autoscaling:groupName';

/**
 * Starts the end of an instance that carries {@link GROUP_TAG}, by its group, so that hooks of the group run and the group knows at once.
 * The desired size stays: whoever wants the pool smaller has lowered it before, in every other case the instance is to be replaced. An
 * instance that is no part of its group any more is terminated as every other. Idempotent; gone is what is seen to be gone.
 */
export async function terminateInGroup(ctx: Ctx, session: AWSSession, instanceID: string): Promise<void> {
  const inGroup = { InstanceId: instanceID, ShouldDecrementDesiredCapacity: false };
  try {
    await session.autoScaling(ctx, new TerminateInstanceInAutoScalingGroupCommand(inGroup));
  } catch (error) {
    // "Instance Id not found - No managed instance found for instance ID": detached, or ended already.
    if (!isRefused(error, 'ValidationError')) throw error;
    await session.ec2(ctx, new TerminateInstancesCommand({ InstanceIds: [instanceID] }));
  }
}
