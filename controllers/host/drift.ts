// SPDX-License-Identifier: Apache-2.0
// What a preparation laid down on a host that is in use, and is not there as it was left: told, and repaired where that disturbs nobody, or
// where a person says so.
import { createHash } from 'node:crypto';
import { Reason } from '../../api/conditions.ts';
import { APPROVE_REPAIR_ANNOTATION } from '../../api/labels.ts';
import type { HostOperation } from '../../api/tshost-status.ts';
import type { HostClaim } from '../../api/tshost.ts';
import type { Drift, JobProgress } from '../../backends/host-driver.ts';
import type { Verdict } from '../../contract/ready-summary.ts';
import type { Ctx } from '../../runtime/context.ts';
import { confirmClaim, ownerOf } from './claim.ts';
import { mayBegin } from './claimed-host.ts';
import { type ClaimingMachine, machineOfClaim } from './machine.ts';
import { failureOf, JOB_POLL_MS, planOperation, preparationJobID, showStage, SOON_MS } from './operation.ts';
import { preparationReason, type WantedPreparation, wantedPreparation } from './preparation.ts';
import { driftLine, probeHost } from './probe.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';

/** So many paths are named; the rest are counted. */
const NAMED = 5;

/** What is said of the preparation, and when to look again. */
export type Repair = Pick<Transition, 'prepared' | 'pollMs'>;

/**
 * Of a host that is in use: follows a repair that was begun, and begins one where the last look found something. Nothing is said of a host that
 * was not prepared.
 */
export async function keepPrepared(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  claim: HostClaim,
): Promise<Repair> {
  const { operation, preparation } = scope.object.status ?? {};
  if (operation?.kind === 'Repair') return follow(ctx, scope, deps, { claim, operation });
  if (preparation === undefined && scope.report?.preparation === undefined) return {};
  // What is approved is what was seen last: look whether it still is so.
  if (scope.report === undefined && approvedBy(scope) !== undefined) await probeHost(ctx, scope, deps);
  return scope.report === undefined ? {} : decide(ctx, scope, deps, { claim, after: 0 });
}

function approvedBy({ object }: HostScope): string | undefined {
  return object.metadata.annotations?.[APPROVE_REPAIR_ANNOTATION];
}

/** What was approved is what has drifted, and nothing else. */
function isApproved(scope: HostScope): boolean {
  const drifted = driftOf(scope);
  return drifted.length > 0 && approvedBy(scope) === approvalOf(drifted);
}

type Policy = 'Harmless' | 'Never' | undefined;

function policyOf({ object }: Pick<ClaimingMachine, 'object'>): Policy {
  return object?.spec.host?.preparation?.repair;
}

function driftOf({ report }: HostScope): readonly Drift[] {
  return report?.preparation?.drifted ?? [];
}

interface Work {
  readonly claim: HostClaim;
  readonly operation: HostOperation;
}

/** Says what has drifted, and begins what may be begun. `after`: tries that failed. */
async function decide(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  work: { readonly claim: HostClaim; readonly after: number },
): Promise<Repair> {
  const { object } = scope;
  const drifted = driftOf(scope);
  // Something else was approved.
  if (!isApproved(scope)) delete object.metadata.annotations?.[APPROVE_REPAIR_ANNOTATION];
  if (drifted.length === 0) return { prepared: undefined };
  const owner = await machineOfClaim(ctx, { host: object, claim: work.claim }, deps);
  const policy = policyOf(owner);
  const told: Repair = { prepared: driftedVerdict(drifted, policy) };
  const isToBegin = mayBegin(scope, owner) && toRepair(scope, policy).length > 0;
  return isToBegin ? plan(ctx, scope, deps, { ...work, owner, told }) : told;
}

/** Writes down what is to be done; it is done in the next pass. */
async function plan(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  work: {
    readonly claim: HostClaim;
    readonly after: number;
    readonly owner: ClaimingMachine;
    readonly told: Repair;
  },
): Promise<Repair> {
  const { claim, owner, told } = work;
  const wanted = await wantedPreparation(ctx, scope.object, owner, deps);
  if (wanted === undefined) return told;
  if ('error' in wanted) return { prepared: { status: 'False', ...wanted.error } };
  if (!isOf(scope, wanted)) return { prepared: changedVerdict(driftOf(scope)) };
  const attempt = await freeAttempt(ctx, scope, deps, { ...work, hash: wanted.hash });
  const id = preparationJobID('repair', claim, { attempt, hash: wanted.hash });
  planOperation(scope, { id, kind: 'Repair', attempt }, ctx.clock);
  return { ...told, pollMs: SOON_MS };
}

/** A host keeps the last of these jobs, and none runs twice: of two numbers one is free. */
async function freeAttempt(
  ctx: Ctx,
  { access }: HostScope,
  { driver }: HostDeps,
  { claim, hash, after }: { readonly claim: HostClaim; readonly hash: string; readonly after: number },
): Promise<number> {
  const id = preparationJobID('repair', claim, { attempt: after + 1, hash });
  const { state } = await driver.progress(ctx, access, id);
  return state === 'none' || state === 'running' ? after + 1 : after + 2;
}

async function follow(ctx: Ctx, scope: HostScope, deps: HostDeps, work: Work): Promise<Repair> {
  const { operation, claim } = work;
  const seen = await deps.driver.progress(ctx, scope.access, operation.id);
  switch (seen.state) {
    case 'succeeded':
      return ended(ctx, scope, deps, claim);
    case 'failed':
      // The next look begins another try.
      return scope.report === undefined
        ? { prepared: failedVerdict(operation.id, seen) }
        : again(ctx, scope, deps, work);
    case 'none':
      return start(ctx, scope, deps, work);
    case 'running':
      return seen.stopped === true ? start(ctx, scope, deps, work) : running(scope, seen);
  }
}

function running(scope: HostScope, seen: JobProgress): Repair {
  const stage = 'stage' in seen ? seen.stage : 'start';
  showStage(scope, stage);
  const message = `Repairing: ${stage}`;
  return { prepared: { status: 'False', reason: Reason.Repairing, message }, pollMs: JOB_POLL_MS };
}

/** One try for each look: what drifts again at once is not repaired every second. */
async function ended(ctx: Ctx, scope: HostScope, deps: HostDeps, claim: HostClaim): Promise<Repair> {
  const { object } = scope;
  delete object.status?.operation;
  delete object.metadata.annotations?.[APPROVE_REPAIR_ANNOTATION];
  await probeHost(ctx, scope, deps);
  const drifted = driftOf(scope);
  if (drifted.length === 0) return { prepared: undefined };
  return {
    prepared: driftedVerdict(drifted, policyOf(await machineOfClaim(ctx, { host: object, claim }, deps))),
  };
}

async function again(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { claim, operation }: Work,
): Promise<Repair> {
  delete scope.object.status?.operation;
  return decide(ctx, scope, deps, { claim, after: operation.attempt });
}

/** Looks once more: since it was written down somebody may have mended it, or taken the machine back. */
async function start(ctx: Ctx, scope: HostScope, deps: HostDeps, work: Work): Promise<Repair> {
  const { object, access } = scope;
  const { claim, operation } = work;
  const owner = await machineOfClaim(ctx, { host: object, claim }, deps);
  const wanted = await wantedPreparation(ctx, object, owner, deps);
  await probeHost(ctx, scope, deps);
  const only = toRepair(scope, policyOf(owner));
  const isWanted = wanted !== undefined && !('error' in wanted) && isOf(scope, wanted) && only.length > 0;
  if (!isWanted || !mayBegin(scope, owner)) {
    delete object.status?.operation;
    return { prepared: undefined, pollMs: SOON_MS };
  }
  await confirmClaim(ctx, scope, deps);
  ctx.log.info({ claimant: claim.machine?.name, steps: only }, 'Repairing the preparation of a host');
  const job = { id: operation.id, owner: ownerOf(claim), preparation: wanted.input, only };
  return running(scope, await deps.driver.prepare(ctx, access, job));
}

/** A repair takes some steps: of another preparation they would leave a host that is neither the one nor the other. */
function isOf({ report }: HostScope, { hash }: WantedPreparation): boolean {
  return report?.preparation?.hash === hash;
}

/** Ids of the steps that may be taken again: what disturbs nobody, unless even that is not wanted, and what was approved. */
function toRepair(scope: HostScope, policy: Policy): readonly string[] {
  const chosen = driftOf(scope).filter((one) => isApproved(scope) || isHarmless(one, policy));
  return [...new Set(chosen.map(({ step }) => step))];
}

function isHarmless({ impact }: Drift, policy: Policy): boolean {
  return impact === 'none' && policy !== 'Never';
}

/** What a person writes to approve the repair of exactly this. */
function approvalOf(drifted: readonly Drift[]): string {
  const lines = drifted.map(driftLine).toSorted().join('\n');
  return createHash('sha256').update(lines).digest('hex').slice(0, 12);
}

function driftedVerdict(drifted: readonly Drift[], policy: Policy): Verdict {
  const lines = drifted.map(driftLine).toSorted();
  const more = lines.length > NAMED ? ` and ${lines.length - NAMED} more` : '';
  const what = `Not as the preparation left it: ${lines.slice(0, NAMED).join(', ')}${more}`;
  const isAsked = drifted.some((one) => !isHarmless(one, policy));
  const advice = isAsked
    ? `; to have it repaired set the annotation ${APPROVE_REPAIR_ANNOTATION}: "${approvalOf(drifted)}"`
    : '; being repaired';
  return { status: 'False', reason: Reason.Drifted, message: what + advice };
}

function changedVerdict(drifted: readonly Drift[]): Verdict {
  const what = drifted.map(driftLine).toSorted().slice(0, NAMED).join(', ');
  const message = `Not as the preparation left it: ${what}; not repaired, since hosts are prepared otherwise now (a Secret, the network of the Cluster, or the release of ts-provider has changed): mend it by hand, or delete the Machine to have it replaced`;
  return { status: 'False', reason: Reason.Drifted, message };
}

function failedVerdict(id: string, progress: Extract<JobProgress, { state: 'failed' }>): Verdict {
  const message = `The repair failed: ${failureOf(id, progress)}; the next look at the host tries again`;
  return { status: 'False', reason: preparationReason(progress), message };
}
