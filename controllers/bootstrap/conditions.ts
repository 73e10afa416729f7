// SPDX-License-Identifier: Apache-2.0
import { BootstrapConditionType, BootstrapReason } from '../../api/bootstrap-conditions.ts';
import type { PhaseOutcome } from '../../contract/phases.ts';
import type { Verdict } from '../../contract/ready-summary.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { EventContent } from '../../runtime/events.ts';
import type { Condition } from '../../runtime/object.ts';
import { type BootstrapScope, isCreated } from './scope.ts';

/** The conditions that this controller owns (KB-11). */
export const BOOTSTRAP_CONDITIONS = [
  BootstrapConditionType.Ready,
  BootstrapConditionType.DataSecretAvailable,
  BootstrapConditionType.CertificatesAvailable,
  BootstrapConditionType.Paused,
] as const;

/** What fails in these phases, and any wait with the reason InternalError, is about certificates. */
const CERTIFICATES_PHASES = ['readCertificates', 'makeCertificates'];

/** Turns facts and outcome into conditions, with the stock provider's reasons and polarity. The only place that decides them; pure. */
export function bootstrapConditions(scope: BootstrapScope, outcome: PhaseOutcome, now: Date): Condition[] {
  const before = scope.object.status?.conditions;
  const data = dataSecretVerdict(scope, outcome);
  // Until they were looked at there is nothing to say of them: the stock provider leaves the condition out as well.
  const certificates =
    certificatesVerdict(scope, outcome) ?? getCondition(before, BootstrapConditionType.CertificatesAvailable);
  const verdicts: [string, Verdict | undefined][] = [
    [BootstrapConditionType.Ready, summary(data, certificates)],
    [BootstrapConditionType.CertificatesAvailable, certificates],
    [BootstrapConditionType.DataSecretAvailable, data],
    [BootstrapConditionType.Paused, { status: 'False', reason: BootstrapReason.NotPaused, message: '' }],
  ];
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) =>
      verdict === undefined ? conditions : setCondition(conditions, { type, ...plain(verdict) }, now),
    [...(before ?? [])],
  );
}

function plain({ status, reason, message }: Verdict): Verdict {
  return { status, reason, message };
}

function dataSecretVerdict({ object }: BootstrapScope, { error, waiting }: PhaseOutcome): Verdict {
  const message = error === undefined ? (waiting?.message ?? '') : errorMessage(error);
  // Data that are there stay there when their token cannot be renewed; a wait says that they are not, or must not be used.
  const available = isCreated(object) && (error !== undefined || waiting === undefined);
  return available
    ? { status: 'True', reason: BootstrapReason.Available, message }
    : { status: 'False', reason: BootstrapReason.NotAvailable, message };
}

/** `undefined`: this pass did not look at them. */
function certificatesVerdict(scope: BootstrapScope, outcome: PhaseOutcome): Verdict | undefined {
  const { error, failedPhase, waiting } = outcome;
  if (failedPhase !== undefined && CERTIFICATES_PHASES.includes(failedPhase)) {
    return { status: 'Unknown', reason: BootstrapReason.InternalError, message: errorMessage(error) };
  }
  if (waiting?.reason === BootstrapReason.InternalError) {
    return { status: 'Unknown', reason: BootstrapReason.InternalError, message: waiting.message };
  }
  // Without them there would have been no data.
  const available = scope.facts.certificates !== undefined || isCreated(scope.object);
  return available ? { status: 'True', reason: BootstrapReason.Available, message: '' } : undefined;
}

/** As core sums up: what is false goes before what is unknown; each part in a line of its own. */
function summary(data: Verdict, certificates: Verdict | undefined): Verdict {
  const parts: [string, Verdict][] = [
    [BootstrapConditionType.DataSecretAvailable, data],
    [BootstrapConditionType.CertificatesAvailable, certificates ?? NOT_REPORTED],
  ];
  const broken = parts.filter(([, { status }]) => status !== 'True');
  const told = (broken.length > 0 ? broken : parts).filter(([, { message }]) => message !== '');
  const message = told.map(([type, part]) => `* ${type}: ${part.message}`).join('\n');
  if (broken.length === 0) return { status: 'True', reason: BootstrapReason.Ready, message };
  return broken.some(([, { status }]) => status === 'False')
    ? { status: 'False', reason: BootstrapReason.NotReady, message }
    : { status: 'Unknown', reason: BootstrapReason.ReadyUnknown, message };
}

const NOT_REPORTED: Verdict = { status: 'Unknown', reason: '', message: 'Condition not yet reported' };

/** The Event to record when published data are lost for good. Normal life has conditions only: writes are scarce. */
export function newTrouble(
  { facts }: BootstrapScope,
  before: readonly Condition[] | undefined,
): EventContent | undefined {
  const told = getCondition(before, BootstrapConditionType.DataSecretAvailable)?.message === facts.lost;
  if (facts.lost === undefined || told) return undefined;
  return { type: 'Warning', reason: 'DataSecretLost', action: 'Reconcile', note: facts.lost };
}
