// SPDX-License-Identifier: Apache-2.0
// Control plane instances as targets of the load balancer: taken in once they run, taken out before they end (IM-11).
import { DeregisterTargetsCommand, RegisterTargetsCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NLBSpec } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';
import type { ClusterAWS } from '../network/facts.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import { refusedWith } from './scope.ts';
import { DRAIN_SECONDS } from './target-group.ts';
import { groupTargets, type TargetsOfGroup } from './targets-of-group.ts';

/** Answer of a {@link TargetRegistry}: done, or what it waits for and when to ask again. */
export type Registration =
  { readonly done: true } | { readonly done: false; readonly message: string; readonly pollMs: number };

/** The cluster of a target, and who balances the load of its API servers. */
export interface TargetCluster extends ClusterAWS {
  readonly nlb?: NLBSpec | undefined;
  /** Other than NLB: nothing is done, without a call. */
  readonly type?: NonNullable<TSClusterSpec['controlPlaneLoadBalancer']>['type'] | undefined;
}

/** Keeps the target group of a cluster in step with its control plane instances. */
export interface TargetRegistry {
  /**
   * Registers a running control plane instance where it is missing. One describe call for each target group and five minutes, however
   * many instances it has. `done` says that AWS knows the target, not that it is healthy: that is up to the API server.
   */
  register(ctx: Ctx, session: AWSSession, cluster: TargetCluster, instanceID: string): Promise<Registration>;
  /**
   * Takes an instance out before it is ended: `done` when it is no target, or drained: AWS gives it no new connections from the moment
   * when it is deregistered, and has cut the old ones {@link DRAIN_SECONDS} later. No call when that is known already. Load balancer or
   * target group gone, or not ours to look for: done. When AWS does not answer it throws TransientError, and the instance has to live on: ended as a target it
   * would still be given connections.
   */
  deregister(
    ctx: Ctx,
    session: AWSSession,
    infrastructureID: string,
    instanceID: string,
  ): Promise<Registration>;
}

/** The registry, and what the load balancer tells it. */
export interface Targets extends TargetRegistry {
  /** The target group is known from another call. */
  found(session: AWSSession, infrastructureID: string, groupARN: string): void;
  /** The target group is gone, or unknown. */
  forget(session: AWSSession, infrastructureID: string): void;
}

/** A target that was registered is believed in for so long: only what is changed outside is noticed later. */
const REGISTERED_MS = 5 * 60_000;
/** Before an end, "is no target" is believed in for so long. */
const UNREGISTERED_MS = 30_000;
/** Looks of one moment are one look. */
const TICK_MS = 1_000;
/** A target group is being made. */
const GROUP_POLL_MS = 5_000;
/** An instance that EC2 shows as running is soon running for ELB as well. */
const NOT_RUNNING_POLL_MS = 5_000;
/** Targets that nobody gave a connection are not drained: worth an early look. */
const FIRST_LOOK_MS = 2_000;
const DRAIN_MS = DRAIN_SECONDS * 1_000;

const DONE: Registration = { done: true };

/** One registry for all clusters; what it remembers can be lost. */
export function createTargets({ clock }: { readonly clock: Clock }): Targets {
  const groups = new Map<string, TargetsOfGroup>();
  const of = (session: AWSSession, infrastructureID: string) => {
    const key = `${session.account}/${session.region}/${infrastructureID}`;
    const known = groups.get(key) ?? groupTargets({ clock, infrastructureID });
    groups.set(key, known);
    return known;
  };
  return {
    async register(ctx, session, cluster, instanceID) {
      if (cluster.type !== undefined && cluster.type !== 'NLB') return DONE;
      return register(ctx, session, of(session, cluster.infrastructureID), instanceID);
    },
    deregister: (ctx, session, infrastructureID, instanceID) =>
      deregister(ctx, session, { group: of(session, infrastructureID), instanceID, clock }),
    found: (session, infrastructureID, arn) => of(session, infrastructureID).setGroup(arn),
    forget: (session, infrastructureID) =>
      void groups.delete(`${session.account}/${session.region}/${infrastructureID}`),
  };
}

async function register(
  ctx: Ctx,
  session: AWSSession,
  group: TargetsOfGroup,
  instanceID: string,
): Promise<Registration> {
  const arn = await group.arn(ctx, session);
  if (arn === undefined)
    return notYet('The target group of the load balancer is not there yet', GROUP_POLL_MS);
  const targets = await group.targets(ctx, session, arn, REGISTERED_MS);
  if (targets.get(instanceID) === 'registered') return DONE;
  const command = new RegisterTargetsCommand({ TargetGroupArn: arn, Targets: [{ Id: instanceID }] });
  try {
    await session.elb(ctx, command);
  } catch (error) {
    if (refusedWith(error, 'InvalidTarget')) return notYet(errorMessage(error), NOT_RUNNING_POLL_MS);
    if (!refusedWith(error, 'TargetGroupNotFound')) throw error;
    group.setGroup(undefined);
    return notYet('The target group of the load balancer is gone', GROUP_POLL_MS);
  }
  group.setTarget(instanceID, 'registered');
  return DONE;
}

interface Leaving {
  readonly group: TargetsOfGroup;
  readonly instanceID: string;
  readonly clock: Clock;
}

async function deregister(ctx: Ctx, session: AWSSession, leaving: Leaving): Promise<Registration> {
  const { group, instanceID, clock } = leaving;
  const since = group.drainingSince(instanceID);
  if (since !== undefined && hasPassed(clock, since, DRAIN_MS)) return DONE;
  try {
    const arn = await ownGroup(ctx, session, group);
    return arn === undefined ? DONE : await leave(ctx, session, { ...leaving, arn, since });
  } catch (error) {
    throw error instanceof TransientError ? notAnswered(instanceID, error) : error;
  }
}

/** Who may not look for load balancers has made none and registered nothing: the instance can end. */
async function ownGroup(ctx: Ctx, session: AWSSession, group: TargetsOfGroup): Promise<string | undefined> {
  try {
    return await group.arn(ctx, session);
  } catch (error) {
    if (!isLookDenied(error)) throw error;
    ctx.log.warn(
      { message: errorMessage(error) },
      'The load balancer could not be looked up; the instance ends as if it were no target of one',
    );
    return undefined;
  }
}

/** Only the look itself: where AWS has shown a target group, no refusal is taken for an answer. */
function isLookDenied(error: unknown): boolean {
  if (!(error instanceof AWSRefusal) || error.reason !== Reason.CloudAccessDenied) return false;
  return error.action === 'DescribeTargetGroups' || error.action === 'DescribeLoadBalancers';
}

function notAnswered(instanceID: string, cause: TransientError): TransientError {
  const { retryAfterMs } = cause;
  const message = `Instance ${instanceID} is not ended before the load balancer has let go of it, and AWS does not answer`;
  return new TransientError(message, { cause, ...(retryAfterMs !== undefined && { retryAfterMs }) });
}

/** `since`: when we have seen the instance begin to drain. */
async function leave(
  ctx: Ctx,
  session: AWSSession,
  { group, instanceID, clock, arn, since }: Leaving & { arn: string; since: number | undefined },
): Promise<Registration> {
  const targets = await group.targets(ctx, session, arn, since === undefined ? UNREGISTERED_MS : TICK_MS);
  const state = targets.get(instanceID);
  if (state === 'registered') return takeOut(ctx, session, { group, arn, instanceID });
  if (state === undefined) {
    group.setTarget(instanceID, 'drained');
    return DONE;
  }
  // After a restart nobody knows when it began: the whole time again.
  if (since === undefined) group.setTarget(instanceID, 'draining');
  const leftMs = since === undefined ? DRAIN_MS : since + DRAIN_MS - clock.now().getTime();
  return draining(instanceID, Math.max(leftMs, TICK_MS));
}

async function takeOut(
  ctx: Ctx,
  session: AWSSession,
  { group, arn, instanceID }: { group: TargetsOfGroup; arn: string; instanceID: string },
): Promise<Registration> {
  const command = new DeregisterTargetsCommand({ TargetGroupArn: arn, Targets: [{ Id: instanceID }] });
  try {
    await session.elb(ctx, command);
  } catch (error) {
    if (!refusedWith(error, 'TargetGroupNotFound', 'InvalidTarget')) throw error;
    group.setTarget(instanceID, 'drained');
    return DONE;
  }
  group.setTarget(instanceID, 'draining');
  return draining(instanceID, FIRST_LOOK_MS);
}

function draining(instanceID: string, pollMs: number): Registration {
  const message = `The load balancer lets connections to ${instanceID} end, for up to ${DRAIN_SECONDS} s`;
  return notYet(message, pollMs);
}

function notYet(message: string, pollMs: number): Registration {
  return { done: false, message, pollMs };
}
