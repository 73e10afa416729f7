// SPDX-License-Identifier: Apache-2.0
// What is known of the targets of one cluster, so that all its machines share one look.
import {
  DescribeTargetHealthCommand,
  type TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { AWSSession } from '../session/session.ts';
import { findGroup, isOurs, tagsBy } from './look.ts';
import { nameOf, refusedWith } from './scope.ts';

/** `registered`: may get connections. */
export type TargetState = 'registered' | 'draining';

/** The targets of one target group. Looks are made with the session of whoever asks: that of before may have lost its key. */
export interface TargetsOfGroup {
  /** `undefined` where the cluster has none; looked up once, and again a minute after there was none. */
  arn(ctx: Ctx, session: AWSSession): Promise<string | undefined>;
  /** Every target, as it was `maxAgeMs` ago at most; whoever asks while a look is under way gets what that one sees. */
  targets(
    ctx: Ctx,
    session: AWSSession,
    arn: string,
    maxAgeMs: number,
  ): Promise<ReadonlyMap<string, TargetState>>;
  /** When a target began to drain, in ms; 0 for one that is known to be drained; `undefined` for one that does neither. */
  drainingSince(instanceID: string): number | undefined;
  /** What we have changed ourselves: no look that began before can undo it. */
  setTarget(instanceID: string, state: TargetState | 'drained'): void;
  /** The target group is known; `undefined`: look again. */
  setGroup(arn: string | undefined): void;
}

/** The absence of a target group is asked about again after this. */
const ABSENT_MS = 60_000;
/** An instance ends some minutes after it was taken out at the latest, and is never asked about again. */
const FORGET_MS = 60 * 60_000;

interface Known {
  readonly clock: Clock;
  readonly infrastructureID: string;
  group: { readonly arn: string | undefined; readonly atMs: number } | undefined;
  targets: Map<string, TargetState>;
  targetsAtMs: number | undefined;
  /** Since when, by instance; 0: drained. */
  readonly leaving: Map<string, { readonly sinceMs: number; readonly setMs: number }>;
  /** Ours since the look that is under way began. */
  changed: Map<string, TargetState | 'drained'>;
  lookingForGroup: Promise<string | undefined> | undefined;
  looking: Promise<void> | undefined;
}

/** Nothing is known at first. */
export function groupTargets(of: Readonly<{ clock: Clock; infrastructureID: string }>): TargetsOfGroup {
  const known: Known = {
    ...of,
    group: undefined,
    targets: new Map(),
    targetsAtMs: undefined,
    leaving: new Map(),
    changed: new Map(),
    lookingForGroup: undefined,
    looking: undefined,
  };
  return {
    arn: (ctx, session) => arnOf(ctx, session, known),
    async targets(ctx, session, arn, maxAgeMs) {
      const { targetsAtMs, clock } = known;
      if (targetsAtMs === undefined || hasPassed(clock, targetsAtMs, maxAgeMs)) {
        known.looking ??= look(ctx, session, known, arn).finally(() => (known.looking = undefined));
        await known.looking;
      }
      return known.targets;
    },
    drainingSince: (instanceID) => known.leaving.get(instanceID)?.sinceMs,
    setTarget: (instanceID, state) => setTarget(known, instanceID, state),
    setGroup(arn) {
      if (arn !== known.group?.arn) known.targetsAtMs = undefined;
      known.group = arn === undefined ? undefined : { arn, atMs: known.clock.now().getTime() };
    },
  };
}

async function arnOf(ctx: Ctx, session: AWSSession, known: Known): Promise<string | undefined> {
  const { group, clock } = known;
  if (group?.arn !== undefined) return group.arn;
  if (group !== undefined && !hasPassed(clock, group.atMs, ABSENT_MS)) return undefined;
  known.lookingForGroup ??= lookForGroup(ctx, session, known).finally(
    () => (known.lookingForGroup = undefined),
  );
  return known.lookingForGroup;
}

async function lookForGroup(ctx: Ctx, session: AWSSession, known: Known): Promise<string | undefined> {
  const { infrastructureID, clock } = known;
  const found = await findGroup(ctx, session, nameOf(infrastructureID));
  const tags = await tagsBy(ctx, session, [found?.TargetGroupArn]);
  const isOwn = found !== undefined && isOurs(tags.get(found.TargetGroupArn), infrastructureID);
  known.group = { arn: isOwn ? found.TargetGroupArn : undefined, atMs: clock.now().getTime() };
  return known.group.arn;
}

async function look(ctx: Ctx, session: AWSSession, known: Known, arn: string): Promise<void> {
  known.changed = new Map();
  const atMs = known.clock.now().getTime();
  const descriptions = await describe(ctx, session, known, arn);
  known.targets = new Map(descriptions.map(stateOf));
  // The answer may be of a moment before.
  for (const [instanceID, state] of known.changed) put(known.targets, instanceID, state);
  known.targetsAtMs = atMs;
}

async function describe(
  ctx: Ctx,
  session: AWSSession,
  known: Known,
  arn: string,
): Promise<TargetHealthDescription[]> {
  try {
    const command = new DescribeTargetHealthCommand({ TargetGroupArn: arn });
    return (await session.elb(ctx, command)).TargetHealthDescriptions ?? [];
  } catch (error) {
    if (!refusedWith(error, 'TargetGroupNotFound')) throw error;
    known.group = undefined;
    return [];
  }
}

/** A target that is unhealthy, or in a zone without load balancer, is one that may get connections again. */
function stateOf({ Target, TargetHealth }: TargetHealthDescription): [string, TargetState] {
  return [Target?.Id ?? '', TargetHealth?.State === 'draining' ? 'draining' : 'registered'];
}

function put(targets: Map<string, TargetState>, instanceID: string, state: TargetState | 'drained'): void {
  if (state === 'drained') targets.delete(instanceID);
  else targets.set(instanceID, state);
}

function setTarget(known: Known, instanceID: string, state: TargetState | 'drained'): void {
  const nowMs = known.clock.now().getTime();
  put(known.targets, instanceID, state);
  known.changed.set(instanceID, state);
  for (const [other, { setMs }] of known.leaving)
    if (hasPassed(known.clock, setMs, FORGET_MS)) known.leaving.delete(other);
  if (state === 'registered') known.leaving.delete(instanceID);
  else known.leaving.set(instanceID, { sinceMs: state === 'drained' ? 0 : nowMs, setMs: nowMs });
}
