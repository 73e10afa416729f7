// SPDX-License-Identifier: Apache-2.0
// The ladder: reboot, evacuate, wait, try again, hand over. Each phase is written down before its first act, and each act may be repeated.
import { Reason } from '../../api/conditions.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSRemediation } from '../../api/tsremediation.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition } from '../../runtime/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import { askedBoot, askForReboot, holdOf, withdraw } from './asks.ts';
import { evacuate, returnToService } from './evacuation.ts';
import { handOver } from './hand-over.ts';
import {
  elapsedMs,
  hostName,
  type Move,
  type Phase,
  type PhaseDeps,
  type PhaseHandler,
  type RemediationScope,
  timeoutMs,
} from './scope.ts';

/** For what was written down first and is done in the next pass. */
const AT_ONCE_MS = 100;
/** Watches wake us as well. */
const GUARD_POLL_MS = 5_000;
const BOOT_POLL_MS = 5_000;
const PODS_POLL_MS = 2_000;
const HEALTH_POLL_MS = 15_000;
/** Nobody tells us of a maintenance that ends, but the TSHost, which is watched. */
const LONG_POLL_MS = 60_000;

const BACKOFF_SECONDS = 60;
const RETRIES = 1;

/** What is done in each phase. */
export const PHASES: Readonly<Record<Phase, PhaseHandler>> = {
  Waiting: waiting,
  Rebooting: rebooting,
  Evacuating: evacuating,
  Recovering: recovering,
  HandedOver: handOver,
};

/** One that does not begin keeps no turn: its last pass may have got one and could not write so. */
async function waiting(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<Move> {
  const move = await begin(ctx, scope, deps);
  if (move.phase !== 'Rebooting') deps.turns.giveBack(scope.object);
  return move;
}

/** What must be true before a boot is ended; cheap things first, the turn last. */
async function begin(ctx: Ctx, scope: RemediationScope, { turns, cache }: PhaseDeps): Promise<Move> {
  const { object, status, host } = scope;
  const settled = nothingToRepair(scope);
  if (settled !== undefined) return settled;
  const why = notRepairable(scope);
  if (why !== '') return go('HandedOver', Reason.HandedOver, why);
  const obstacle = obstacleOf(scope);
  if (obstacle !== '') return stay('Waiting', Reason.WaitingForGuard, obstacle, LONG_POLL_MS);
  const pauseMs = backoffMs(object) - elapsedMs(object, ctx.clock.now());
  if (pauseMs > 0) return stay('Waiting', Reason.RebootFailed, 'The next reboot waits for its time', pauseMs);
  const message = turns.take(object, cache, ctx.clock.now());
  if (message !== '') return stay('Waiting', Reason.WaitingForGuard, message, GUARD_POLL_MS);
  status.tries = (status.tries ?? 0) + 1;
  delete status.bootID;
  Object.assign(status, bootOf(host));
  return go('Rebooting', Reason.Rebooting, `${hostName(scope)} reboots, ${tryOf(scope)}`);
}

/** The Machine is on its way out, or well. */
function nothingToRepair(scope: RemediationScope): Move | undefined {
  const { machine } = scope;
  if (machine === undefined || isDeleting(machine))
    return stay('Waiting', Reason.Deleting, 'The Machine is going away already', LONG_POLL_MS);
  return isHealthyAgain(scope) ? stay('Waiting', Reason.Recovering, HEALTHY, HEALTH_POLL_MS) : undefined;
}

/** Unknown after a move, until the host has been looked at. */
function bootOf(host: TSHost | undefined): { bootID?: string } {
  const bootID = host?.status?.bootID;
  return bootID === undefined ? {} : { bootID };
}

async function rebooting(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<Move> {
  const { status, host } = scope;
  if (host === undefined) return go('HandedOver', Reason.HandedOver, GONE);
  if (status.bootID === undefined) Object.assign(status, bootOf(host));
  if (hasRebooted(status, host)) return rebooted(scope, host);
  if (isOverdue(ctx, scope)) {
    await withdraw(ctx, deps, host);
    return failed(scope, `${hostName(scope)} has not rebooted in ${timeoutMs(scope.object) / 1_000} s`);
  }
  if (status.bootID !== undefined && status.bootID === host.status?.bootID) {
    const holdKubelet = isToEvacuate(scope) && holdOf(host) !== 'held';
    await askForReboot(ctx, deps, host, { bootID: status.bootID, holdKubelet });
  }
  return stay('Rebooting', Reason.Rebooting, `${hostName(scope)} reboots, ${tryOf(scope)}`, BOOT_POLL_MS);
}

/** Another boot ID is the proof; the TSHost controller writes it before it takes the annotation off. */
function hasRebooted({ bootID }: RemediationScope['status'], host: TSHost): boolean {
  const present = host.status?.bootID;
  return present !== undefined && present !== bootID && askedBoot(host) === undefined;
}

function rebooted(scope: RemediationScope, host: TSHost): Move {
  const what = `${hostName(scope)} has rebooted`;
  return holdOf(host) === 'held'
    ? go('Evacuating', Reason.Evacuating, `${what}; its pods move before its kubelet starts`)
    : go('Recovering', Reason.Recovering, `${what}; its Node is to become healthy`);
}

/** Bounded: a pod that nobody takes away must not keep the Node from coming back. */
async function evacuating(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<Move> {
  if (holdOf(scope.host) !== 'held')
    return go('Recovering', Reason.Recovering, 'The kubelet is not held any more');
  const worked = await evacuate(ctx, scope, deps);
  if ('trouble' in worked) return stay('Evacuating', Reason.Evacuating, worked.trouble, GUARD_POLL_MS);
  const left = worked.result ?? [];
  if (left.length === 0 || isOverdue(ctx, scope)) {
    const what = left.length === 0 ? 'All pods have moved' : `${left.length} pods have not moved in time`;
    return go('Recovering', Reason.Recovering, `${what}; the kubelet starts`);
  }
  const message = `${left.length} pods are to leave the Node: ${left.slice(0, 3).join(', ')}`;
  return stay('Evacuating', Reason.Evacuating, message, PODS_POLL_MS);
}

/** First the Node is in service, then its kubelet starts: the other way round pods that run would be taken for dead ones. */
async function recovering(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<Move> {
  const { host, live } = scope;
  const trouble = await letGo(ctx, scope, deps);
  if (trouble !== '') return stay('Recovering', Reason.Recovering, trouble, GUARD_POLL_MS);
  if (isOverdue(ctx, scope) && !isHealthyAgain(scope)) {
    if (host === undefined) return go('HandedOver', Reason.HandedOver, GONE);
    const isJudged = getCondition(live?.status?.conditions, HEALTH) !== undefined;
    if (isJudged) return failed(scope, `The Node is not healthy after the reboot of ${hostName(scope)}`);
  }
  const message = isHealthyAgain(scope) ? HEALTHY : 'The Node is to become healthy';
  return stay('Recovering', Reason.Recovering, message, HEALTH_POLL_MS);
}

/** '' when nothing keeps the Node out of service, nor its kubelet from starting. */
async function letGo(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<string> {
  const { host } = scope;
  if (host === undefined || holdOf(host) === undefined || holdOf(host) === 'release') return '';
  const worked = await returnToService(ctx, scope, deps);
  if ('trouble' in worked) return worked.trouble;
  await withdraw(ctx, deps, host);
  return '';
}

const GONE = 'The machine has no host any more';
const HEALTHY = 'The machine is healthy again: its MachineHealthCheck takes this away';
const HEALTH = 'HealthCheckSucceeded';

/** Another try, or the end of them. One in which somebody else had the host does not count. */
function failed(scope: RemediationScope, what: string): Move {
  const tried = scope.status.tries ?? 0;
  const obstacle = obstacleOf(scope);
  if (obstacle !== '') {
    scope.status.tries = Math.max(0, tried - 1);
    return go('Waiting', Reason.WaitingForGuard, obstacle);
  }
  if (tried >= retryLimit(scope.object))
    return go('HandedOver', Reason.HandedOver, `${what}, ${tryOf(scope)}`);
  return go('Waiting', Reason.RebootFailed, `${what}, ${tryOf(scope)}`);
}

/** Why a reboot is no help; '' when it may be. */
function notRepairable({ object, status, tsMachine, host }: RemediationScope): string {
  const limit = retryLimit(object);
  if (limit === 0) return 'spec.retryLimit is 0: the machine is replaced and not repaired';
  if ((status.tries ?? 0) >= limit)
    return `It was rebooted ${status.tries} times, and its Node is not healthy`;
  if (tsMachine !== undefined && tsMachine.spec.host === undefined)
    return 'Machines of this backend cannot be rebooted';
  if (host === undefined) return 'The machine has no host';
  // After a move the status is lost, and found again.
  const { state = 'Provisioned' } = host.status ?? {};
  return state === 'Provisioned' ? '' : `Host ${host.metadata.name} is ${state}: no Node runs on it`;
}

/** Why nothing is begun although it would help: somebody works on the host, and the TSHost controller leaves it alone. */
function obstacleOf({ host, tsMachine }: RemediationScope): string {
  if (host?.spec.maintenance === true) return `Host ${host.metadata.name} is in maintenance`;
  const paused = [host, tsMachine].map((one) => (one === undefined ? '' : pausedMessage(undefined, one)));
  const why = paused.find((one) => one !== '');
  return why === undefined ? '' : `Host ${host?.metadata.name} is left alone: ${why}`;
}

/** The members of a control plane are needed back soon, and their pods do not move. */
function isToEvacuate({ object, isControlPlane }: RemediationScope): boolean {
  return object.spec.nodeOutOfService !== false && !isControlPlane;
}

/** Said after it had been unhealthy: what stands there from before is not meant. */
function isHealthyAgain({ object, live }: RemediationScope): boolean {
  const health = getCondition(live?.status?.conditions, HEALTH);
  const since = Date.parse(health?.lastTransitionTime ?? '');
  return health?.status === 'True' && since >= Date.parse(object.metadata.creationTimestamp ?? '');
}

function tryOf({ object, status }: RemediationScope): string {
  return `try ${status.tries ?? 0} of ${retryLimit(object)}`;
}

function retryLimit({ spec }: TSRemediation): number {
  return spec.retryLimit ?? RETRIES;
}

function isOverdue({ clock }: Ctx, { object }: RemediationScope): boolean {
  return elapsedMs(object, clock.now()) > timeoutMs(object);
}

/** None before the first try. */
function backoffMs({ spec, status }: TSRemediation): number {
  const tries = status?.tries ?? 0;
  return tries === 0 ? 0 : (spec.backoffSeconds ?? BACKOFF_SECONDS) * 1_000 * 2 ** (tries - 1);
}

function stay(phase: Phase, reason: Reason, message: string, waitMs: number): Move {
  return { phase, reason, message, waitMs };
}

function go(phase: Phase, reason: Reason, message: string): Move {
  return { phase, reason, message, waitMs: AT_ONCE_MS };
}
