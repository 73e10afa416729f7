// SPDX-License-Identifier: Apache-2.0
// The host is given back: out of the load balancer, then the job that stops and removes everything of a cluster, when it is its turn.
import { isDeepStrictEqual } from 'node:util';
import { ConditionType, Reason } from '../../../api/conditions.ts';
import { TSHostKind } from '../../../api/kinds.ts';
import { CLEAN_ANNOTATION } from '../../../api/labels.ts';
import type { HostClaim } from '../../../api/tshost.ts';
import type { HostReport } from '../../../backends/host-driver.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { getCondition } from '../../../runtime/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { keyOf, nameOf } from '../../../runtime/object.ts';
import { memberIsOut } from '../balancer-members.ts';
import { claimOf, confirmClaim, freeClaim, ownerOf } from '../claim.ts';
import { cleanedOwner, saysOwner, takeBack } from '../claimed-host.ts';
import { type ClaimingMachine, machineAsCached, machineOfClaim, pausedClaimant } from '../machine.ts';
import { cleanJobID, JOB_POLL_MS, planOperation, showStage, SOON_MS } from '../operation.ts';
import { probeHost, recordOccupants } from '../probe.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';

/** Only the cache is asked. */
const WAIT_POLL_MS = 1_000;
const TURN_POLL_MS = 5_000;

/** What is written down has begun, and is seen through; all else is asked first. */
export const releasing: StateHandler = async (ctx, scope, deps) => {
  const claim = claimOf(scope.object);
  const paused = pausedClaimant(deps.cache, scope.object, claim);
  if (paused !== '') return { state: 'Releasing', message: `Left alone: ${paused}` };
  if (scope.object.status?.operation?.kind === 'Clean') return clean(ctx, scope, deps);
  if (claim === undefined) {
    const isAsked = scope.object.metadata.annotations?.[CLEAN_ANNOTATION] !== undefined;
    return isAsked ? cleanFree(ctx, scope, deps) : { state: 'Registering' };
  }
  if (claim.releasing !== true) return { state: 'Claimed' };
  return giveBack(ctx, scope, deps, claim);
};

/** Waits first, since they are cheap and may be many; the host itself is asked last, and right before its clean-up is written down. */
async function giveBack(ctx: Ctx, scope: HostScope, deps: HostDeps, claim: HostClaim): Promise<Transition> {
  const { object } = scope;
  const at = { host: object, claim };
  const cached = machineAsCached(deps.cache, at);
  const waiting =
    claim.for === 'Machine' && !isUnnamed(cached) ? await outOfBalancer(ctx, scope, deps, cached) : undefined;
  if (waiting !== undefined) return waiting;
  const hasWaited =
    getCondition(object.status?.conditions, ConditionType.Ready)?.reason === Reason.WaitingForTurn;
  if (hasWaited) {
    const message = takeTurn(scope, deps);
    if (message !== '') return waitForTurn(message);
  }
  const owner = await machineOfClaim(ctx, at, deps);
  return (await neverBegun(ctx, scope, deps, { ...owner, claim })) ?? plan(ctx, scope, deps);
}

/** The machine does not name the host; it does not wait for what it never was part of. */
function isUnnamed({ agreement }: ClaimingMachine): boolean {
  return agreement === 'notYet' || agreement === 'lost';
}

/**
 * Where the host goes when the claim that ends never began on it: then nothing on it is ours to remove. By both sides' own words, and
 * then by the host's: its owner file is written before the first step of a job, and removed after the last.
 */
async function neverBegun(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  owner: ClaimingMachine & { readonly claim: HostClaim },
): Promise<Transition | undefined> {
  const { claim } = owner;
  if (claim.for === 'Machine' && isUnnamed(owner)) return neverNamed(ctx, scope, deps, claim);
  const report = await probeHost(ctx, scope, deps);
  if (saysOwner(report, ownerOf(claim))) return undefined;
  if (report.owner === undefined && report.occupants.length === 0) {
    recordOccupants(scope.object, []);
    freeClaim(scope);
    return { state: 'Available' };
  }
  // An adopted host may name the owner of a former life.
  const isOurs = isAdopted(scope, owner) || (report.owner === undefined && wasMade(scope, owner));
  return isOurs ? undefined : disown(ctx, scope, claim, report);
}

/**
 * A machine that names no host may have come back from a backup without what it has named since: the host is asked, if it answers. If not,
 * the claim ends all the same, and the host is not given to anybody before it has been looked at.
 */
async function neverNamed(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  claim: HostClaim,
): Promise<Transition | undefined> {
  try {
    const report = await probeHost(ctx, scope, deps);
    if (saysOwner(report, ownerOf(claim))) return undefined;
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
  }
  return takeBack(ctx, scope, claim);
}

function isAdopted({ object }: HostScope, { object: machine }: ClaimingMachine): boolean {
  return object.spec.adopt === true && machine?.spec.host?.adopt === true;
}

/** Somebody says that the host became, or began to become, what it was claimed for, though its own word is missing: the file was deleted. */
function wasMade({ object: { status } }: HostScope, { object: machine }: ClaimingMachine): boolean {
  const isProvisioned = machine?.status?.initialization?.provisioned === true;
  const { operation, loadBalancer, virtualIP } = status ?? {};
  const isBegun = operation !== undefined && ['Prepare', 'Bootstrap'].includes(operation.kind);
  return isProvisioned || isBegun || (loadBalancer ?? virtualIP) !== undefined;
}

/** What is on the host was there before the claim, or is another's: it is not cleaned, and the next look quarantines it. */
function disown(ctx: Ctx, scope: HostScope, claim: HostClaim, { owner }: HostReport): Transition {
  ctx.log.info({ owner: owner?.token }, 'What is on the host is not of the claim that ends');
  return takeBack(ctx, scope, claim);
}

async function outOfBalancer(
  ctx: Ctx,
  { object }: HostScope,
  deps: HostDeps,
  owner: ClaimingMachine,
): Promise<Transition | undefined> {
  const message = await memberIsOut(ctx, object, owner, deps);
  if (message === '') return undefined;
  return { state: 'Releasing', pollMs: WAIT_POLL_MS, reason: Reason.WaitingForLoadBalancer, message };
}

function takeTurn({ object }: HostScope, { turns, cache, cleaningPerPool }: HostDeps): string {
  return turns.take(object, { cache, limit: cleaningPerPool });
}

function waitForTurn(message: string): Transition {
  return { state: 'Releasing', pollMs: TURN_POLL_MS, reason: Reason.WaitingForTurn, message };
}

/** Two TSHosts may be one host: what the other one's machine made is not removed in the name of this one. */
async function cleanFree(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const { owner } = await probeHost(ctx, scope, deps);
  const other = deps.cache
    .list(TSHostKind)
    .find((host) => claimOf(host) !== undefined && isDeepStrictEqual(ownerOf(claimOf(host)!), owner));
  if (other === undefined) return plan(ctx, scope, deps);
  delete scope.object.metadata.annotations?.[CLEAN_ANNOTATION];
  const message = `The host says that it is TSHost ${keyOf(nameOf(other))}, which is in use: nothing is cleaned. One host, one TSHost: delete this one`;
  return { state: 'Quarantined', error: { reason: Reason.HostClaimedElsewhere, message } };
}

/** Takes a turn and writes down what is to be done. It is done in the next pass: so nobody cleans whom the others cannot see. */
async function plan(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const { object } = scope;
  if (object.spec.maintenance === true)
    return { state: 'Releasing', message: 'In maintenance: nothing is started on the host' };
  const message = takeTurn(scope, deps);
  if (message !== '') return waitForTurn(message);
  const attempt = claimOf(object) === undefined ? await nextAttempt(ctx, scope, deps) : 1;
  const id = cleanJobID(object.spec.claim, attempt);
  planOperation(scope, { id, kind: 'Clean', attempt }, ctx.clock);
  delete object.metadata.annotations?.[CLEAN_ANNOTATION];
  return { state: 'Releasing', pollMs: SOON_MS };
}

/** More tries than any person asks for; a host that answers "done" to whatever it is asked must not keep us busy. */
const MAX_ATTEMPT = 30;

/** Earlier tries may have left their jobs on the host, and those do not run again. */
async function nextAttempt(ctx: Ctx, { object, access }: HostScope, { driver }: HostDeps): Promise<number> {
  for (let attempt = 1; attempt < MAX_ATTEMPT; attempt++) {
    const { state } = await driver.progress(ctx, access, cleanJobID(object.spec.claim, attempt));
    if (state === 'none' || state === 'running') return attempt;
  }
  return MAX_ATTEMPT;
}

/** The job runs on the host by itself; how it ended is judged in Cleaning. */
async function clean(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const id = scope.object.status?.operation?.id ?? '';
  let progress = await deps.driver.progress(ctx, scope.access, id);
  if (progress.state === 'none' || (progress.state === 'running' && progress.stopped === true)) {
    const owner = await cleanedOwner(ctx, scope, deps);
    await confirmClaim(ctx, scope, deps);
    ctx.log.info({ job: id }, 'Cleaning host');
    progress = await deps.driver.clean(ctx, scope.access, id, owner);
  }
  if (progress.state === 'succeeded' || progress.state === 'failed') return { state: 'Cleaning' };
  if (progress.state === 'none') return { state: 'Releasing', pollMs: JOB_POLL_MS };
  showStage(scope, progress.stage);
  return { state: 'Releasing', pollMs: JOB_POLL_MS, message: `Cleaning: ${progress.stage}` };
}
