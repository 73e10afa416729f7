// SPDX-License-Identifier: Apache-2.0
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { PhaseOutcome } from '../../contract/phases.ts';
import { readySummary, type Verdict } from '../../contract/ready-summary.ts';
import { isDeleting } from '../../contract/served.ts';
import { setCondition } from '../../runtime/conditions.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { Condition } from '../../runtime/object.ts';
import type { ClusterScope } from './scope.ts';

/** The conditions that this controller owns; it sets every one of them on every pass. */
export const CLUSTER_CONDITIONS = [
  ConditionType.Ready,
  ConditionType.ControlPlaneEndpointReady,
  ConditionType.Deleting,
  ConditionType.Paused,
] as const;

/** Turns facts and outcome into conditions. The only place that decides them; pure. */
export function clusterConditions(scope: ClusterScope, outcome: PhaseOutcome, now: Date): Condition[] {
  const deleting = isDeleting(scope.object);
  const endpoint = deleting ? endpointBefore(scope) : endpointVerdict(outcome);
  const removal = deleting ? removalVerdict(outcome) : notDeleting();
  const verdicts: [string, Verdict][] = [
    [ConditionType.Ready, deleting ? { ...removal, status: 'False' } : readySummary([endpoint])],
    [ConditionType.ControlPlaneEndpointReady, endpoint],
    [ConditionType.Deleting, removal],
    [ConditionType.Paused, { status: 'False', reason: Reason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) => setCondition(conditions, { type, ...verdict }, now),
    [...(scope.object.status?.conditions ?? [])],
  );
}

function endpointVerdict(outcome: PhaseOutcome): Verdict {
  if (outcome.error !== undefined) {
    return { status: 'Unknown', reason: Reason.Retrying, message: errorMessage(outcome.error) };
  }
  if (outcome.waiting !== undefined) {
    return { status: 'False', reason: outcome.waiting.reason, message: outcome.waiting.message };
  }
  return { status: 'True', reason: Reason.EndpointReady, message: '' };
}

/** Deleting says nothing new about the endpoint. */
function endpointBefore(scope: ClusterScope): Verdict {
  const before = scope.object.status?.conditions?.find(
    (one) => one.type === ConditionType.ControlPlaneEndpointReady,
  );
  return before ?? { status: 'Unknown', reason: Reason.Deleting, message: '' };
}

function notDeleting(): Verdict {
  return { status: 'False', reason: Reason.NotDeleting, message: '' };
}

function removalVerdict(outcome: PhaseOutcome): Verdict {
  if (outcome.error !== undefined) {
    return { status: 'True', reason: Reason.DeletionFailed, message: errorMessage(outcome.error) };
  }
  return {
    status: 'True',
    reason: outcome.waiting?.reason ?? Reason.Deleting,
    message: outcome.waiting?.message ?? '',
  };
}
