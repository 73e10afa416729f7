// SPDX-License-Identifier: Apache-2.0
// The conditions and Events of a TSRemediation. Pure.
import { ConditionType, Reason } from '../../api/conditions.ts';
import { setCondition } from '../../runtime/conditions.ts';
import type { EventContent } from '../../runtime/events.ts';
import type { Condition } from '../../runtime/object.ts';
import type { Move, Phase } from './scope.ts';

/** The conditions that this controller owns; it sets every one of them on every pass. */
export const REMEDIATION_CONDITIONS = [ConditionType.Remediated, ConditionType.Paused] as const;

/** Remediated is never True: the object goes as soon as the machine is healthy. */
export function remediationConditions(
  before: readonly Condition[] | undefined,
  { reason, message }: Pick<Move, 'reason' | 'message'>,
  now: Date,
): Condition[] {
  const remediated = { type: ConditionType.Remediated, status: 'False', reason, message } as const;
  const notPaused = {
    type: ConditionType.Paused,
    status: 'False',
    reason: Reason.NotPaused,
    message: '',
  } as const;
  return setCondition(setCondition(before, remediated, now), notPaused, now);
}

/** What a step of the ladder deserves to be told on the Machine, which outlives the remediation. */
export function stepEvent(before: Phase, { phase, message: note }: Move): EventContent | undefined {
  if (phase === before) return undefined;
  const hasRebooted = before === 'Rebooting' && (phase === 'Evacuating' || phase === 'Recovering');
  if (hasRebooted) return { type: 'Normal', reason: Reason.Rebooted, action: 'Remediate', note };
  const reason = TOLD[phase];
  return reason && { type: phase === 'Rebooting' ? 'Normal' : 'Warning', reason, action: 'Remediate', note };
}

const TOLD: Partial<Record<Phase, Reason>> = {
  Rebooting: Reason.Rebooting,
  Waiting: Reason.RebootFailed,
  HandedOver: Reason.HandedOver,
};
