// SPDX-License-Identifier: Apache-2.0
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { PhaseOutcome } from '../../contract/phases.ts';
import { readySummary, type Verdict } from '../../contract/ready-summary.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { EventContent } from '../../runtime/events.ts';
import type { Condition } from '../../runtime/object.ts';
import type { PoolScope } from './scope.ts';

/** The conditions that this controller owns; it sets every one of them on every pass. */
export const POOL_CONDITIONS = [
  ConditionType.Ready,
  ConditionType.PoolReady,
  ConditionType.Deleting,
  ConditionType.Paused,
] as const;

/** Turns facts and outcome into conditions. The only place that decides them; pure. */
export function poolConditions(scope: PoolScope, outcome: PhaseOutcome, now: Date): Condition[] {
  const deleting = isDeleting(scope.object);
  const pool = deleting ? before(scope) : poolVerdict(scope, outcome);
  const removal = deletingVerdict(scope, outcome);
  const verdicts: [string, Verdict][] = [
    [ConditionType.Ready, deleting ? { ...removal, status: 'False' } : readySummary([pool])],
    [ConditionType.PoolReady, pool],
    [ConditionType.Deleting, removal],
    [ConditionType.Paused, { status: 'False', reason: Reason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) => setCondition(conditions, { type, ...verdict }, now),
    [...(scope.object.status?.conditions ?? [])],
  );
}

/** Normal life of a pool, which deserves no Event: writes are scarce. */
const QUIET: readonly string[] = [
  ...[Reason.PoolReady, Reason.PoolScaling, Reason.PoolRefreshing, Reason.Retrying],
  ...[Reason.WaitingForClusterInfrastructure, Reason.WaitingForBootstrapData, Reason.Deleting],
];

/** The Event to record when the pool came into trouble in this pass: what a person has to act on. */
export function newTrouble(
  earlier: readonly Condition[] | undefined,
  after: readonly Condition[],
): EventContent | undefined {
  const [old, now] = [earlier, after].map((list) => getCondition(list, ConditionType.PoolReady));
  if (now === undefined || now.reason === old?.reason || QUIET.includes(now.reason)) return undefined;
  return { type: 'Warning', reason: now.reason, action: 'Reconcile', note: now.message };
}

function poolVerdict(scope: PoolScope, outcome: PhaseOutcome): Verdict {
  if (outcome.error !== undefined) return failureVerdict(scope, outcome.error);
  if (outcome.waiting !== undefined)
    return { status: 'False', reason: outcome.waiting.reason, message: outcome.waiting.message };
  return { status: 'True', reason: Reason.PoolReady, message: '' };
}

/** An error that may heal alone says what failed and leaves the status as it was. */
function failureVerdict(scope: PoolScope, error: unknown): Verdict {
  const message = errorMessage(error);
  if (error instanceof TerminalError) return { status: 'False', reason: error.reason, message };
  const { status, reason } = before(scope);
  return { status, reason: status === 'True' ? reason : Reason.Retrying, message };
}

/** What was said last. */
function before({ object }: PoolScope): Verdict {
  const last = getCondition(object.status?.conditions, ConditionType.PoolReady);
  return (
    last ?? { status: 'Unknown', reason: isDeleting(object) ? Reason.Deleting : Reason.Retrying, message: '' }
  );
}

function deletingVerdict(scope: PoolScope, outcome: PhaseOutcome): Verdict {
  if (!isDeleting(scope.object)) return { status: 'False', reason: Reason.NotDeleting, message: '' };
  if (outcome.error !== undefined)
    return { status: 'True', reason: Reason.DeletionFailed, message: errorMessage(outcome.error) };
  const reason = outcome.waiting?.reason ?? Reason.PoolDeleting;
  return { status: 'True', reason, message: scope.facts.deleting ?? '' };
}
