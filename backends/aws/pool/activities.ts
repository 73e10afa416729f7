// SPDX-License-Identifier: Apache-2.0
// Why a group has fewer instances than it is to have, in AWS' own words.
import { type Activity, DescribeScalingActivitiesCommand } from '@aws-sdk/client-auto-scaling';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { EnsuredPool } from '../../machine-pool-backend.ts';
import type { AWSSession } from '../session/session.ts';

/** Enough to see past ends of instances to the last launch. */
const LOOKED_AT = 10;

/** Why the last launch failed; `undefined` when it did not. One call. */
export async function launchFailure(
  ctx: Ctx,
  session: AWSSession,
  group: string,
): Promise<EnsuredPool['waiting']> {
  const answer = await session.autoScaling(
    ctx,
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group, MaxRecords: LOOKED_AT }),
  );
  return failureOf(answer.Activities ?? []);
}

/** `activities` come newest first. */
export function failureOf(activities: readonly Activity[]): EnsuredPool['waiting'] {
  const launch = activities.find(({ Description = '' }) => Description.startsWith('Launching'));
  if (launch?.StatusCode !== 'Failed' && launch?.StatusCode !== 'Cancelled') return undefined;
  const message = (launch.StatusMessage ?? '').replace(/\s+/g, ' ').trim();
  return { reason: reasonOf(message), message: `AWS could not launch an instance of the group: ${message}` };
}

function reasonOf(message: string): string {
  // A quota is asked for in words of capacity: "more vCPU capacity than your current vCPU limit".
  if (/limit of|LimitExceeded|vCPU limit|quota/i.test(message)) return Reason.QuotaExceeded;
  if (/capacity|UnfulfillableCapacity|not supported in your requested Availability Zone/i.test(message))
    return Reason.CapacityUnavailable;
  return Reason.CloudRequestRefused;
}
