// SPDX-License-Identifier: Apache-2.0
// Quarantined: free, but nobody gets it before a person has decided. Looks show what is on the host; none frees it.
import { Reason } from '../../../api/conditions.ts';
import { CLEAN_ANNOTATION } from '../../../api/labels.ts';
import type { HostError } from '../../../api/tshost-status.ts';
import type { HostReport } from '../../../backends/host-driver.ts';
import { confirmClaim } from '../claim.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import { LOGIN_REASONS } from '../status.ts';
import type { StateHandler, Transition } from '../scope.ts';

export const quarantined: StateHandler = async (ctx, scope, deps) => {
  const { metadata, spec, status } = scope.object;
  if (spec.maintenance === true) return stay(status?.error);
  if (metadata.annotations?.[CLEAN_ANNOTATION] !== undefined) {
    await confirmClaim(ctx, scope, deps);
    // The annotation is taken off when the clean-up is planned: a crash in between does not lose it.
    return { state: 'Releasing' };
  }
  if (!scope.probeDue && isAboutHost(status?.error)) return stay(status.error);
  const report = await probeHost(ctx, scope, deps);
  recordOccupants(scope.object, report.occupants);
  return stay(errorAfter(report, status?.error));
};

function stay(error: Transition['error']): Transition {
  return { state: 'Quarantined', ...(error && { error }) };
}

/** Why it is quarantined, and not why it could not be looked at. */
function isAboutHost(error: HostError | undefined): error is HostError {
  return error !== undefined && !LOGIN_REASONS.includes(error.reason);
}

/** Force-released stays force-released: what was not proven then is not proven by nothing being seen now. */
function errorAfter({ occupants }: HostReport, before: HostError | undefined): Transition['error'] {
  if (before?.reason === Reason.ForceReleased) return before;
  if (occupants.length > 0) return dirtyError(occupants);
  const message = `Nothing of a cluster was found any more; set the annotation ${CLEAN_ANNOTATION} to have the host cleaned and taken back`;
  return { reason: before !== undefined && isAboutHost(before) ? before.reason : Reason.HostDirty, message };
}
