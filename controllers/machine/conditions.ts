// SPDX-License-Identifier: Apache-2.0
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { PhaseOutcome } from '../../contract/phases.ts';
import { readySummary, type Verdict } from '../../contract/ready-summary.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { EventContent } from '../../runtime/events.ts';
import type { Condition } from '../../runtime/object.ts';
import type { MachineScope } from './scope.ts';

/** The conditions that this controller owns; it sets them on every pass, those of the upkeep where the backend looks after instances. */
export const MACHINE_CONDITIONS = [
  ConditionType.Ready,
  ConditionType.InstanceReady,
  ConditionType.InterruptionFree,
  ConditionType.SettingsApplied,
  ConditionType.Deleting,
  ConditionType.Paused,
] as const;

/** Turns facts and outcome into conditions. The only place that decides them; pure. */
export function machineConditions(scope: MachineScope, outcome: PhaseOutcome, now: Date): Condition[] {
  const deleting = isDeleting(scope.object);
  const instance = instanceVerdict(scope, outcome);
  const removal = deletingVerdict(scope, outcome);
  const verdicts: [string, Verdict][] = [
    [ConditionType.Ready, deleting ? { ...removal, status: 'False' } : readySummary([instance])],
    [ConditionType.InstanceReady, instance],
    ...upkeepVerdicts(scope),
    [ConditionType.Deleting, removal],
    [ConditionType.Paused, { status: 'False', reason: Reason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) => setCondition(conditions, { type, ...verdict }, now),
    [...(scope.object.status?.conditions ?? [])],
  );
}

/** Says nothing new where nothing was looked at: what was said before stays. */
function upkeepVerdicts({ facts }: MachineScope): [string, Verdict][] {
  if (facts.upkeep === undefined) return [];
  const { interruption, differs } = facts.upkeep;
  const free: Verdict =
    interruption === undefined
      ? { status: 'True', reason: Reason.NoInterruption, message: '' }
      : { status: 'False', reason: interruption.reason, message: interruption.message };
  const applied: Verdict =
    differs === undefined
      ? { status: 'True', reason: Reason.SettingsApplied, message: '' }
      : { status: 'False', reason: Reason.SettingsDiffer, message: differs };
  return [
    [ConditionType.InterruptionFree, free],
    [ConditionType.SettingsApplied, applied],
  ];
}

/** Reasons that deserve an Event as well: what a person, or a MachineHealthCheck, has to act on. */
const TROUBLE: readonly string[] = [
  Reason.InstanceFailed,
  Reason.InstanceStopped,
  Reason.InstanceMissing,
  Reason.DuplicateInstances,
  Reason.BootstrapDataMissing,
  Reason.BootstrapDataInvalid,
  Reason.BootstrapFailed,
  Reason.BootstrapInterrupted,
  Reason.BootstrapTimedOut,
  Reason.BootstrapDataUnsupported,
  Reason.HostMissing,
  Reason.PreparationFailed,
  Reason.PreparationTimedOut,
  Reason.PreflightFailed,
  Reason.ArtifactsUnreachable,
  Reason.ChecksumMismatch,
  Reason.DiskFull,
  Reason.ProxyFailed,
  Reason.RepositoryUntrusted,
  Reason.PackageUnavailable,
  Reason.ImageUnavailable,
  Reason.VersionSkew,
  Reason.IdentityMissing,
  Reason.IdentityInvalid,
  Reason.IdentityNotAllowed,
  Reason.CloudRequestRefused,
  Reason.CloudAccessDenied,
  Reason.RegionInvalid,
  Reason.ImageNotFound,
  Reason.ImageAmbiguous,
  Reason.SubnetInvalid,
  Reason.SecurityGroupInvalid,
  Reason.UserDataTooLarge,
  Reason.CapacityUnavailable,
  Reason.QuotaExceeded,
  Reason.SpotInterruption,
  Reason.MaintenanceScheduled,
  Reason.RebalanceRecommended,
];

/** The Event to record when the instance came into trouble in this pass. Normal life has conditions only: writes are scarce. */
export function newTrouble(
  before: readonly Condition[] | undefined,
  after: readonly Condition[],
): EventContent | undefined {
  for (const type of [ConditionType.InstanceReady, ConditionType.InterruptionFree]) {
    const [old, now] = [before, after].map((list) => getCondition(list, type));
    if (now === undefined || now.reason === old?.reason || !TROUBLE.includes(now.reason)) continue;
    return { type: 'Warning', reason: now.reason, action: 'Reconcile', note: now.message };
  }
  return undefined;
}

function instanceVerdict(scope: MachineScope, outcome: PhaseOutcome): Verdict {
  if (outcome.error !== undefined) return failureVerdict(scope, outcome.error);
  if (outcome.waiting !== undefined) {
    return { status: 'False', reason: outcome.waiting.reason, message: outcome.waiting.message };
  }
  return observedVerdict(scope);
}

/** What the backend saw, once no phase waits or fails. */
function observedVerdict(scope: MachineScope): Verdict {
  const { instance } = scope.facts;
  switch (instance?.state) {
    case 'running':
      // What the guest complains of, where the backend knows it; the machine itself is up.
      return { status: 'True', reason: Reason.InstanceRunning, message: instance.message };
    case 'stopped':
      return { status: 'False', reason: Reason.InstanceStopped, message: instance.message };
    case 'failed':
      return { status: 'False', reason: instance.reason ?? Reason.InstanceFailed, message: instance.message };
    case 'pending':
      return {
        status: 'False',
        reason: instance.reason ?? Reason.InstancePending,
        message: instance.message,
      };
    case 'absent':
      return missingVerdict(scope);
    case undefined:
      return {
        status: 'Unknown',
        reason: Reason.InstanceUnknown,
        message: 'The backend has not been asked yet',
      };
  }
}

/** An instance that had an id is never made again (CTL-M5): whoever owns the Machine decides. */
function missingVerdict(scope: MachineScope): Verdict {
  const { providerID } = scope.object.spec;
  if (providerID === undefined) return { status: 'False', reason: Reason.InstanceDeleted, message: '' };
  const told = scope.facts.instance?.state === 'absent' ? scope.facts.instance.message : undefined;
  const what = told ?? `Instance ${providerID} no longer exists`;
  const message = `${what}; delete the Machine to have it replaced`;
  return { status: 'False', reason: Reason.InstanceMissing, message };
}

/** An error that may heal alone says what failed and leaves the status as it was; what runs keeps its reason, too. */
function failureVerdict(scope: MachineScope, error: unknown): Verdict {
  const message = errorMessage(error);
  if (error instanceof TerminalError) return { status: 'False', reason: error.reason, message };
  const before = scope.object.status?.conditions?.find(
    (condition) => condition.type === ConditionType.InstanceReady,
  );
  if (before?.status === 'True') return { status: 'True', reason: before.reason, message };
  return { status: before?.status ?? 'Unknown', reason: Reason.Retrying, message };
}

function deletingVerdict(scope: MachineScope, outcome: PhaseOutcome): Verdict {
  if (!isDeleting(scope.object)) {
    return { status: 'False', reason: Reason.NotDeleting, message: '' };
  }
  if (outcome.error !== undefined) {
    return { status: 'True', reason: Reason.DeletionFailed, message: errorMessage(outcome.error) };
  }
  return { status: 'True', reason: Reason.InstanceDeleting, message: scope.facts.destroying ?? '' };
}
