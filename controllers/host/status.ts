// SPDX-License-Identifier: Apache-2.0
// State, operational status and error are axes of their own: each says one thing, and none hides another.
import { Reason } from '../../api/conditions.ts';
import type { HostError, HostState, OperationalStatus } from '../../api/tshost-status.ts';
import type { TSHost, TSHostStatus } from '../../api/tshost.ts';
import { toMetaTime } from '../../runtime/conditions.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import { claimOf } from './claim.ts';
import { type Contact, UNREACHABLE_AFTER } from './contact.ts';
import { isToReboot } from './reboot.ts';
import { withRunbook } from './runbook.ts';
import type { Transition } from './scope.ts';

/** How one handler ended. */
export type Step = { readonly transition: Transition } | { readonly error: unknown };

/** What of the contact with a host matters here. */
export type ContactResult = Pick<Contact, 'outcome' | 'message' | 'failures'>;

/** Why we cannot log in: what a person has to mend, in the spec, in a Secret or on the host. */
export const LOGIN_REASONS: readonly string[] = [
  Reason.HostKeyUnknown,
  Reason.HostKeyMismatch,
  Reason.CredentialsMissing,
  Reason.CredentialsInvalid,
  Reason.CredentialsRefused,
  Reason.SudoRefused,
];

/**
 * One that reboots does not answer for a while: whoever has asked for it waits. But others must not wait for ever for a host that never
 * comes back. At three seconds and more from one call to the next this is five minutes or more.
 */
const LOST_IN_REBOOT_AFTER = 100;

/** States in which nothing runs on the host by itself, but for a repair of what is in use. */
const WITHOUT_OPERATION: readonly HostState[] = [
  'Registering',
  'Available',
  'Claimed',
  'Provisioned',
  'Quarantined',
];

/** Writes to our copy where the host is, whether it can be worked with, and what is wrong. Pure. */
export function recordStep(object: TSHost, step: Step, at: { contact: ContactResult; now: Date }): void {
  const status = (object.status ??= {});
  if ('transition' in step) recordTransition(object, status, step.transition, at.now);
  else if (step.error instanceof TerminalError) {
    const { reason } = step.error;
    setError(status, { reason, message: errorMessage(step.error) }, at.now);
  }
  status.operationalStatus = operationalStatus(object, at.contact);
}

function recordTransition(object: TSHost, status: TSHostStatus, to: Transition, now: Date): void {
  status.state = to.state;
  const isRepair = to.state === 'Provisioned' && status.operation?.kind === 'Repair';
  if (WITHOUT_OPERATION.includes(to.state) && !isRepair) delete status.operation;
  if (claimOf(object)?.for !== 'LoadBalancer') delete status.loadBalancer;
  if (claimOf(object)?.for !== 'Machine') delete status.virtualIP;
  setError(status, to.error, now);
}

/** `since` tells how long it has been like that: it stays while the reason does, though the words may change. */
function setError(status: TSHostStatus, error: Omit<HostError, 'since'> | undefined, now: Date): void {
  const before = status.error;
  delete status.error;
  if (error === undefined) return;
  const since = before?.reason === error.reason ? before.since : toMetaTime(now);
  status.error = { reason: error.reason, message: withRunbook(error.reason, error.message), since };
}

/** Unreachable ends with an answer, not with a restart of ours. */
function operationalStatus(object: TSHost, contact: ContactResult): OperationalStatus {
  const { spec, status } = object;
  if (spec.maintenance === true) return 'Maintenance';
  if (contact.outcome === 'answered') return 'OK';
  if (status?.operationalStatus === 'Unreachable') return 'Unreachable';
  const patience = isToReboot(object) ? LOST_IN_REBOOT_AFTER : UNREACHABLE_AFTER;
  return contact.failures() >= patience ? 'Unreachable' : 'OK';
}
