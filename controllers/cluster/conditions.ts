// SPDX-License-Identifier: Apache-2.0
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { PhaseOutcome } from '../../contract/phases.ts';
import { readySummary, type Verdict } from '../../contract/ready-summary.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { Condition } from '../../runtime/object.ts';
import type { ClusterScope } from './scope.ts';

/** The conditions that this controller owns; it sets every one of them on every pass. */
export const CLUSTER_CONDITIONS = [
  ConditionType.Ready,
  ConditionType.NetworkReady,
  ConditionType.ControlPlaneEndpointReady,
  ConditionType.Deleting,
  ConditionType.Paused,
] as const;

/** Turns facts and outcome into conditions. The only place that decides them; pure. */
export function clusterConditions(scope: ClusterScope, outcome: PhaseOutcome, now: Date): Condition[] {
  const deleting = isDeleting(scope.object);
  const endpoint = deleting ? endpointBefore(scope) : endpointVerdict(scope, outcome);
  const network = deleting ? undefined : networkVerdict(scope, outcome);
  const removal = deleting ? removalVerdict(outcome) : notDeleting();
  const parts = network === undefined ? [endpoint] : [network, endpoint];
  const verdicts: (readonly [string, Verdict])[] = [
    [ConditionType.Ready, deleting ? { ...removal, status: 'False' } : readySummary(parts)],
    ...(network === undefined ? [] : ([[ConditionType.NetworkReady, network]] as const)),
    [ConditionType.ControlPlaneEndpointReady, endpoint],
    [ConditionType.Deleting, removal],
    [ConditionType.Paused, { status: 'False', reason: Reason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) => setCondition(conditions, { type, ...verdict }, now),
    [...(scope.object.status?.conditions ?? [])],
  );
}

/** Those that need the identity, or the network. */
const NETWORK_PHASES: readonly string[] = ['recordInfrastructureID', 'ensureNetwork'];

/** `undefined` where the cluster has no network of its own, or where nothing new is known of it. */
function networkVerdict(scope: ClusterScope, outcome: PhaseOutcome): Verdict | undefined {
  const { facts } = scope;
  if (NETWORK_PHASES.includes(outcome.failedPhase ?? ''))
    return failed(scope, ConditionType.NetworkReady, outcome.error);
  if (facts.network === undefined) return undefined;
  if (facts.network.state === 'ready') return { status: 'True', reason: Reason.NetworkReady, message: '' };
  return { status: 'False', reason: facts.network.reason, message: facts.network.message };
}

/** An error that may heal alone says what failed and leaves what was ready as it was: nothing is known to be broken. */
function failed(scope: ClusterScope, type: string, error: unknown): Verdict {
  const message = errorMessage(error);
  if (error instanceof TerminalError) return { status: 'False', reason: error.reason, message };
  const before = getCondition(scope.object.status?.conditions, type);
  if (before?.status === 'True') return { status: 'True', reason: before.reason, message };
  return { status: before?.status ?? 'Unknown', reason: Reason.Retrying, message };
}

function endpointVerdict(scope: ClusterScope, outcome: PhaseOutcome): Verdict {
  if (outcome.error !== undefined) {
    return failed(scope, ConditionType.ControlPlaneEndpointReady, outcome.error);
  }
  if (outcome.waiting !== undefined) {
    return { status: 'False', reason: outcome.waiting.reason, message: outcome.waiting.message };
  }
  return { status: 'True', reason: Reason.EndpointReady, message: '' };
}

/** Deleting says nothing new about the endpoint. */
function endpointBefore(scope: ClusterScope): Verdict {
  const before = getCondition(scope.object.status?.conditions, ConditionType.ControlPlaneEndpointReady);
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
