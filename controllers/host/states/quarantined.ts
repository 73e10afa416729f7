// SPDX-License-Identifier: Apache-2.0
// Quarantined: free, but nobody gets it before a person has decided. Looks show what is on the host; none frees it.
import { Reason } from '../../../api/conditions.ts';
import { CLEAN_ANNOTATION } from '../../../api/labels.ts';
import type { HostError } from '../../../api/tshost-status.ts';
import type { HostReport } from '../../../backends/host-driver.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { confirmClaim } from '../claim.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import { LOGIN_REASONS } from '../status.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';
import { whereFree } from './registering.ts';

export const quarantined: StateHandler = async (ctx, scope, deps) => {
  const { metadata, spec, status } = scope.object;
  if (spec.maintenance === true) return stay(status?.error);
  if (metadata.annotations?.[CLEAN_ANNOTATION] !== undefined) {
    await confirmClaim(ctx, scope, deps);
    // The annotation is taken off when the clean-up is planned: a crash in between does not lose it.
    return { state: 'Releasing' };
  }
  return lookAt(ctx, scope, deps);
};

async function lookAt(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const { error } = scope.object.status ?? {};
  const toAdopt = isToAdopt(scope);
  if (!toAdopt && !scope.probeDue && isAboutHost(error)) return stay(error);
  const report = await probeHost(ctx, scope, deps);
  if (toAdopt) return whereFree(scope, report);
  recordOccupants(scope.object, report.occupants);
  return stay(errorAfter(report, error));
}

/** Whoever adopts the host's Node takes what is on it. A machine that was given up without proof is nobody's to adopt. */
function isToAdopt({ object: { spec, status } }: HostScope): boolean {
  return spec.adopt === true && status?.error?.reason === Reason.HostDirty;
}

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
