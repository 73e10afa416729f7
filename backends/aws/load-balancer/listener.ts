// SPDX-License-Identifier: Apache-2.0
// The listener: the endpoint's port of the load balancer, led to the target group.
import {
  CreateListenerCommand,
  type Listener,
  ModifyListenerCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { type Balancer, differing, type Group, isOurs, tagsBy } from './look.ts';
import { invalid, refusedWith, type Scope, wantedTags } from './scope.ts';

/**
 * Makes the listener where the port has none, else puts it right. On somebody else's load balancer only a listener with our tag is
 * changed; throws TerminalError(LoadBalancerInvalid) where the port belongs to somebody else.
 */
export async function settleListener(
  ctx: Ctx,
  scope: Scope,
  parts: { balancer: Balancer; group: Group; listeners: readonly Listener[] },
): Promise<void> {
  const { balancer, group, listeners } = parts;
  const present = listeners.find(({ Port }) => Port === scope.port);
  if (present === undefined) return create(ctx, scope, { balancer, group });
  if (present.Protocol === 'TCP' && leadsTo(present, group.TargetGroupArn)) return;
  const arn = present.ListenerArn ?? '';
  if (!(await isChangeable(ctx, scope, arn))) {
    throw invalid(
      `Port ${scope.port} of load balancer ${balancer.LoadBalancerName} has a listener of somebody else (${arn}): ` +
        'delete it, or set spec.controlPlaneEndpoint.port to a free one',
    );
  }
  const action = { Type: 'forward' as const, TargetGroupArn: group.TargetGroupArn };
  const input = { ListenerArn: arn, Protocol: 'TCP' as const, Port: scope.port, DefaultActions: [action] };
  await scope.session.elb(ctx, new ModifyListenerCommand(input));
}

async function create(
  ctx: Ctx,
  scope: Scope,
  { balancer, group }: { balancer: Balancer; group: Group },
): Promise<void> {
  const command = new CreateListenerCommand({
    LoadBalancerArn: balancer.LoadBalancerArn,
    Protocol: 'TCP',
    Port: scope.port,
    DefaultActions: [{ Type: 'forward', TargetGroupArn: group.TargetGroupArn }],
    Tags: differing(wantedTags(scope), {}),
  });
  try {
    await scope.session.elb(ctx, command);
  } catch (error) {
    if (!refusedWith(error, 'DuplicateListener')) throw error;
    const what = `Port ${scope.port} of load balancer ${balancer.LoadBalancerName}`;
    throw new TransientError(`${what} has got a listener this moment: looking again`, { cause: error });
  }
}

/** Whether it forwards to this target group and to nothing else. */
export function leadsTo({ DefaultActions = [] }: Listener, groupARN: string): boolean {
  const [action, ...others] = DefaultActions;
  if (action?.Type !== 'forward' || others.length > 0) return false;
  const groups = action.ForwardConfig?.TargetGroups ?? [{ TargetGroupArn: action.TargetGroupArn }];
  return groups.length === 1 && groups[0]?.TargetGroupArn === groupARN;
}

async function isChangeable(ctx: Ctx, { nlb, session, cluster }: Scope, arn: string): Promise<boolean> {
  // Whoever changed a listener of our own load balancer, it is ours.
  if (nlb.name === undefined) return true;
  const tags = await tagsBy(ctx, session, [arn]);
  return isOurs(tags.get(arn), cluster.infrastructureID);
}
