// SPDX-License-Identifier: Apache-2.0
// The conditions of a TSHost. The only place that decides them; pure.
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { HostPreparationStatus, HostState } from '../../api/tshost-status.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { Verdict } from '../../contract/ready-summary.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { Condition } from '../../runtime/object.ts';
import { claimantOf, claimOf } from './claim.ts';
import { hostKeyVerdict } from './host-keys.ts';
import type { Transition } from './scope.ts';
import { type ContactResult, LOGIN_REASONS, type Step } from './status.ts';

/** The conditions that this controller owns; it sets every one of them on every pass. */
export const HOST_CONDITIONS = [
  ConditionType.Ready,
  ConditionType.Reachable,
  ConditionType.HostKeyVerified,
  ConditionType.Prepared,
  ConditionType.Paused,
] as const;

/** Conditions of a host whose status says already how the step ended. */
export function hostConditions(
  object: TSHost,
  step: Step,
  at: { readonly contact: ContactResult; readonly now: Date },
): Condition[] {
  const reachable = reachableVerdict(object, at.contact);
  const prepared = preparedVerdict(object, step);
  const verdicts: [string, Verdict][] = [
    [ConditionType.Ready, readyVerdict(object, step, reachable)],
    [ConditionType.Reachable, reachable],
    [ConditionType.HostKeyVerified, hostKeyVerdict(object)],
    ...(prepared === undefined ? [] : [[ConditionType.Prepared, prepared] satisfies [string, Verdict]]),
    [ConditionType.Paused, { status: 'False', reason: Reason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) => setCondition(conditions, { type, ...verdict }, at.now),
    (object.status?.conditions ?? []).filter(
      ({ type }) => type !== ConditionType.Prepared || prepared !== undefined,
    ),
  );
}

/** True: it can be claimed, or serves whoever has it, and nothing is wrong. */
function readyVerdict(object: TSHost, step: Step, reachable: Verdict): Verdict {
  const { status } = object;
  const claim = claimOf(object);
  if (status?.error !== undefined) return { status: 'False', ...pick(status.error) };
  if (isDeleting(object) && claim !== undefined) {
    const message = `Being deleted: waits until ${claimantOf(claim)} gives the host back`;
    return { status: 'False', reason: Reason.Deleting, message };
  }
  if (status?.operationalStatus === 'Unreachable') return { ...reachable, status: 'False' };
  if (status?.operationalStatus === 'Maintenance') {
    const message = 'Nothing is started on the host until spec.maintenance is taken away';
    return { status: 'False', reason: Reason.HostInMaintenance, message };
  }
  return 'transition' in step ? stateVerdict(object, step.transition) : failureVerdict(object, step.error);
}

const STATE_REASONS: Readonly<Record<HostState, string>> = {
  Registering: Reason.Registering,
  Available: Reason.HostAvailable,
  Claimed: Reason.HostClaimed,
  Preparing: Reason.Preparing,
  Bootstrapping: Reason.Bootstrapping,
  Provisioned: Reason.HostInUse,
  Releasing: Reason.Releasing,
  Cleaning: Reason.Cleaning,
  Quarantined: Reason.HostDirty,
};

function stateVerdict(
  object: TSHost,
  to: { readonly state: HostState; readonly reason?: string; readonly message?: string },
): Verdict {
  const isReady = to.state === 'Available' || (to.state === 'Provisioned' && to.reason !== Reason.Rebooting);
  const claim = claimOf(object);
  const claimant = claim === undefined ? '' : claimantOf(claim);
  return {
    status: isReady ? 'True' : 'False',
    reason: to.reason ?? STATE_REASONS[to.state],
    message: to.message ?? claimant,
  };
}

/** What may heal alone leaves the condition as it was: a blip is no news. */
function failureVerdict(object: TSHost, error: unknown): Verdict {
  const before = getCondition(object.status?.conditions, ConditionType.Ready);
  if (before !== undefined) return { status: before.status, ...pick(before) };
  return { status: 'Unknown', reason: Reason.Retrying, message: errorMessage(error) };
}

/** Only of a host that was prepared, or is being: on others there is nothing to say. */
function preparedVerdict(object: TSHost, step: Step): Verdict | undefined {
  const { state, preparation, conditions, error } = object.status ?? {};
  if (state === 'Preparing')
    return error === undefined
      ? { status: 'False', reason: Reason.Preparing, message: '' }
      : { status: 'False', ...pick(error) };
  const to: Partial<Transition> = 'transition' in step ? step.transition : {};
  if (to.prepared !== undefined) return to.prepared;
  if (preparation === undefined) return undefined;
  const before = getCondition(conditions, ConditionType.Prepared);
  const isToldAlready = state === 'Provisioned' && before !== undefined && !('prepared' in to);
  if (isToldAlready) return { status: before.status, ...pick(before) };
  return { status: 'True', reason: Reason.Prepared, message: preparedMessage(preparation) };
}

function preparedMessage({ version, unverifiedRegistries = [] }: HostPreparationStatus): string {
  const endpoints = unverifiedRegistries.join(', ');
  const unverified = endpoints === '' ? '' : `; certificates are not verified of ${endpoints}`;
  return `For Kubernetes ${version}${unverified}`;
}

function reachableVerdict({ status = {} }: TSHost, contact: ContactResult): Verdict {
  const { error, operationalStatus } = status;
  if (error !== undefined && LOGIN_REASONS.includes(error.reason)) return { status: 'False', ...pick(error) };
  if (contact.outcome === 'answered') return { status: 'True', reason: Reason.HostReachable, message: '' };
  const before = getCondition(status.conditions, ConditionType.Reachable);
  const isNews = operationalStatus === 'Unreachable' || before === undefined;
  if (contact.outcome === 'unanswered' && isNews) {
    return { status: 'False', reason: Reason.HostUnreachable, message: contact.message };
  }
  if (before !== undefined) return { status: before.status, ...pick(before) };
  return { status: 'Unknown', reason: Reason.Registering, message: 'The host has not been contacted yet' };
}

function pick({ reason, message }: { reason: string; message: string }) {
  return { reason, message };
}
