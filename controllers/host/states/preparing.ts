// SPDX-License-Identifier: Apache-2.0
// The plain host becomes ready for kubeadm: by a job of its own, which is started once and then asked how far it is. What it can be made
// of may come and go, such as a registry: a try that failed is followed by another as long as the machine wants the host.
import type { HostOperation } from '../../../api/tshost-status.ts';
import type { HostClaim } from '../../../api/tshost.ts';
import type { JobProgress } from '../../../backends/host-driver.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { confirmClaim, ownerOf } from '../claim.ts';
import { mayBegin, presentClaim, saysOwner } from '../claimed-host.ts';
import { machineOfClaim } from '../machine.ts';
import { failureOf, JOB_POLL_MS, planOperation, preparationJobID, showStage, SOON_MS } from '../operation.ts';
import {
  isPrepared,
  isPreparationReason,
  preparationReason,
  type WantedPreparation,
  wantedPreparation,
} from '../preparation.ts';
import { probeHost } from '../probe.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';
import { versionSkew } from '../skew.ts';

/** From the beginning of a try to that of the next; the last one counts for all that follow. */
const RETRY_SECONDS = [30, 60, 120, 300, 600];

/** A Secret by name is not watched. */
const SECRET_POLL_MS = 15_000;

/** Asks first and starts second: what the host says of the job counts, not what we remember. */
export const preparing: StateHandler = async (ctx, scope, deps) => {
  const present = presentClaim(scope);
  if (!('claim' in present)) return present;
  const { claim } = present;
  const operation = scope.object.status?.operation;
  // Its gates tell what is to be done, and write it down.
  if (claim.for !== 'Machine' || operation?.kind !== 'Prepare') return { state: 'Claimed' };

  const seen = await deps.driver.progress(ctx, scope.access, operation.id);
  const isToStart = seen.state === 'none' || (seen.state === 'running' && seen.stopped === true);
  if (isToStart) return start(ctx, scope, deps, { claim, operation, seen });
  return follow(ctx, scope, deps, { claim, operation, seen });
};

interface Work {
  readonly claim: HostClaim;
  readonly operation: HostOperation;
  readonly seen: JobProgress;
}

async function follow(ctx: Ctx, scope: HostScope, deps: HostDeps, work: Work): Promise<Transition> {
  const { seen } = work;
  if (seen.state === 'succeeded') return ended(ctx, scope, deps, work);
  if (seen.state === 'none') return { state: 'Preparing', pollMs: JOB_POLL_MS };
  showStage(scope, seen.stage);
  if (seen.state === 'failed') return again(ctx, scope, work, seen);
  const message = `Preparing: ${seen.stage}`;
  return { state: 'Preparing', pollMs: JOB_POLL_MS, message, ...toldBefore(scope, work) };
}

/** Success is what the host itself then says of its preparation: Claimed goes on from there. */
async function ended(ctx: Ctx, scope: HostScope, deps: HostDeps, work: Work): Promise<Transition> {
  const { preparation } = await probeHost(ctx, scope, deps);
  const isThere = preparation?.complete === true && work.operation.id.endsWith(preparation.hash.slice(0, 8));
  if (isThere) return { state: 'Claimed' };
  const message = 'the job ended well, and the host does not say that it is prepared';
  return again(ctx, scope, work, { state: 'failed', stage: 'complete', message });
}

/** What the machine asks for is read anew: a Secret, or the network of the Cluster, may have changed since the last try. */
async function start(ctx: Ctx, scope: HostScope, deps: HostDeps, work: Work): Promise<Transition> {
  const { object } = scope;
  const { claim, operation, seen } = work;
  const owner = await machineOfClaim(ctx, { host: object, claim }, deps);
  // The gates of Claimed tell why not. What has begun and stopped, as in a reboot, stays what it is.
  if (!mayBegin(scope, owner)) return seen.state === 'none' ? { state: 'Claimed' } : STOPPED;
  if (versionSkew(deps.cache, owner) !== undefined) return { state: 'Claimed' };
  const wanted = await wantedPreparation(ctx, object, owner, deps);
  if (wanted === undefined) return { state: 'Claimed' };
  if ('error' in wanted) return { state: 'Preparing', pollMs: SECRET_POLL_MS, error: wanted.error };
  const id = preparationJobID('prepare', claim, { attempt: operation.attempt, hash: wanted.hash });
  if (id === operation.id) return launch(ctx, scope, deps, { ...work, wanted });
  planOperation(scope, { ...operation, id }, ctx.clock);
  return { state: 'Preparing', pollMs: SOON_MS };
}

/** Looks once more whether it is right to begin: since it was written down something may have changed. */
async function launch(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  work: Work & { readonly wanted: WantedPreparation },
): Promise<Transition> {
  const { claim, operation, wanted } = work;
  const report = scope.report ?? (await probeHost(ctx, scope, deps));
  const isForeign = !saysOwner(report, ownerOf(claim)) && report.occupants.length > 0;
  if (isForeign || isPrepared(report.preparation, wanted)) return { state: 'Claimed' };

  await confirmClaim(ctx, scope, deps);
  ctx.log.info({ claimant: claim.machine?.name, job: operation.id }, 'Preparing host');
  const job = { id: operation.id, owner: ownerOf(claim), preparation: wanted.input };
  return follow(ctx, scope, deps, { ...work, seen: await deps.driver.prepare(ctx, scope.access, job) });
}

const STOPPED: Transition = {
  state: 'Preparing',
  pollMs: 10_000,
  message: 'The preparation stopped in the middle; it goes on once the machine may be worked on again',
};

/** A try that failed is told until another one has come further, so that its reason does not come and go. */
function again(
  ctx: Ctx,
  scope: HostScope,
  { claim, operation }: Work,
  progress: Extract<JobProgress, { state: 'failed' }>,
): Transition {
  const { id, attempt, startedAt } = operation;
  const reason = preparationReason(progress);
  const message = `${failureOf(id, progress)}; try ${attempt + 1} follows while the Machine is there`;
  const retryMs = 1_000 * (RETRY_SECONDS[attempt - 1] ?? RETRY_SECONDS.at(-1)!);
  const leftMs = Date.parse(startedAt) + retryMs - ctx.clock.now().getTime();
  const error = { reason, message };
  if (leftMs > 0) return { state: 'Preparing', pollMs: Math.min(leftMs, retryMs), error };
  const hash = id.slice(id.lastIndexOf('-') + 1);
  const next = { attempt: attempt + 1, hash };
  planOperation(
    scope,
    { id: preparationJobID('prepare', claim, next), kind: 'Prepare', attempt: attempt + 1 },
    ctx.clock,
  );
  return { state: 'Preparing', pollMs: SOON_MS, error };
}

/** What a failed try has told, while the next one is under way. */
function toldBefore({ object: { status } }: HostScope, { operation }: Work): Pick<Transition, 'error'> {
  const { reason, message } = status?.error ?? {};
  if (reason === undefined || message === undefined || operation.attempt === 1) return {};
  return isPreparationReason(reason) ? { error: { reason, message } } : {};
}
