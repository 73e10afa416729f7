// SPDX-License-Identifier: Apache-2.0
// The clean-up has ended: the host is looked at, and free when nothing of a cluster runs on it any more (invariant 5).
import { Reason } from '../../../api/conditions.ts';
import { CLEAN_ANNOTATION, FORCE_RELEASE_ANNOTATION } from '../../../api/labels.ts';
import type { HostOperation } from '../../../api/tshost-status.ts';
import type { TSHost } from '../../../api/tshost.ts';
import type { Occupant } from '../../../backends/host-driver.ts';
import { hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { claimOf, confirmClaim, freeClaim, providerIDOf } from '../claim.ts';
import { cleanedOwner } from '../claimed-host.ts';
import { pausedClaimant } from '../machine.ts';
import { cleanJobID, failureOf, failureReason, planOperation } from '../operation.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import type { HostScope, StateHandler, Transition } from '../scope.ts';

/** Tries before a person has to look. */
const MAX_ATTEMPTS = 3;
/** From the beginning of a try to that of the next. */
const RETRY_MS = 60_000;

const FAILURES = {
  failed: Reason.CleanFailed,
  interrupted: Reason.CleanFailed,
  timedOut: Reason.CleanTimedOut,
};

/** Proof first. Our own folder on the host goes before the last look, and not while anything may run: it says whose host it is. */
export const cleaning: StateHandler = async (ctx, scope, deps) => {
  const { object } = scope;
  const operation = object.status?.operation;
  if (operation?.kind !== 'Clean') return { state: 'Releasing' };
  const paused = pausedClaimant(deps.cache, object, claimOf(object));
  if (paused !== '') return { state: 'Cleaning', message: `Left alone: ${paused}` };

  const progress = await deps.driver.progress(ctx, scope.access, operation.id);
  if (progress.state === 'running') return { state: 'Releasing' };
  if (progress.state === 'failed') {
    const reason = failureReason(progress, FAILURES);
    return again(ctx, scope, operation, { reason, message: failureOf(operation.id, progress) });
  }
  const before = (await probeHost(ctx, scope, deps)).occupants;
  if (mayRun(before)) return again(ctx, scope, operation, stillRuns(before));
  const owner = await cleanedOwner(ctx, scope, deps);
  await confirmClaim(ctx, scope, deps);
  await deps.driver.finishClean(ctx, scope.access, owner);
  const { occupants } = await probeHost(ctx, scope, deps);
  return mayRun(occupants) ? again(ctx, scope, operation, stillRuns(occupants)) : free(scope, occupants);
};

/** The machine is gone: nothing of it runs. What stayed on the disk keeps the host out of the pool. */
function free(scope: HostScope, occupants: readonly Occupant[]): Transition {
  recordOccupants(scope.object, occupants);
  freeClaim(scope);
  if (occupants.length > 0) return { state: 'Quarantined', error: dirtyError(occupants) };
  return { state: 'Available' };
}

/** Another try after a while; after the last one a person has to act, and the claim stays, since nothing is proven. */
function again(
  ctx: Ctx,
  scope: HostScope,
  { attempt, startedAt }: HostOperation,
  wrong: NonNullable<Transition['error']>,
): Transition {
  const { object } = scope;
  const isAsked = object.metadata.annotations?.[CLEAN_ANNOTATION] !== undefined;
  if (attempt >= MAX_ATTEMPTS && !isAsked) return giveUp(object, wrong);
  const startedMs = Date.parse(startedAt);
  if (!isAsked && !hasPassed(ctx.clock, startedMs, RETRY_MS)) {
    const pollMs = startedMs + RETRY_MS - ctx.clock.now().getTime();
    const message = `${wrong.message}; try ${attempt + 1} of ${MAX_ATTEMPTS} follows within a minute`;
    return { state: 'Cleaning', pollMs, error: { ...wrong, message } };
  }
  delete object.metadata.annotations?.[CLEAN_ANNOTATION];
  const id = cleanJobID(object.spec.claim, attempt + 1);
  planOperation(scope, { id, kind: 'Clean', attempt: attempt + 1 }, ctx.clock);
  return { state: 'Releasing' };
}

/** Nobody waits for a host that was free already. */
function giveUp(object: TSHost, { reason, message }: NonNullable<Transition['error']>): Transition {
  const claim = claimOf(object);
  const advice = `mend the host, then set the annotation ${CLEAN_ANNOTATION} to have it cleaned once more`;
  if (claim === undefined)
    return { state: 'Quarantined', error: { reason, message: `${message}; ${advice}` } };
  const force = `, or give ${claim.for === 'Machine' ? 'the machine' : 'the host'} up without proof with the annotation ${FORCE_RELEASE_ANNOTATION}: "${providerIDOf(object, claim)}"`;
  return { state: 'Cleaning', error: { reason, message: `${message}; ${advice}${force}` } };
}

function mayRun(occupants: readonly Occupant[]): boolean {
  return occupants.some(({ running }) => running);
}

function stillRuns(occupants: readonly Occupant[]): NonNullable<Transition['error']> {
  const running = occupants.filter((one) => one.running).map(({ what }) => what);
  const more = running.length > 3 ? ` and ${running.length - 3} more` : '';
  const message = `After the clean-up something still runs: ${running.slice(0, 3).join(', ')}${more}`;
  return { reason: Reason.CleanFailed, message };
}
