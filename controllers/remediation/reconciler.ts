// SPDX-License-Identifier: Apache-2.0
// Repairs one machine for a MachineHealthCheck. The ladder is in phases.ts, what ends it in hand-over.ts, what wakes it in watches.ts.
import { ConditionType, Reason } from '../../api/conditions.ts';
import { MachineKind, TSRemediationKind } from '../../api/kinds.ts';
import { TSREMEDIATION_FINALIZER } from '../../api/labels.ts';
import type { TSRemediation } from '../../api/tsremediation.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { isDeleting, toServe } from '../../contract/served.ts';
import { getCondition, toMetaTime } from '../../runtime/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import { errorMessage, isConflict } from '../../runtime/errors.ts';
import { addFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { REMEDIATION_CONDITIONS, remediationConditions, stepEvent } from './conditions.ts';
import { takeBack } from './hand-over.ts';
import { type CountStep, remediationMetrics } from './metrics.ts';
import { PHASES } from './phases.ts';
import {
  findTarget,
  type Move,
  type PhaseDeps,
  type RemediationDeps,
  type RemediationScope,
} from './scope.ts';
import { createTurns } from './turns.ts';

export interface RemediationControllerDeps extends RemediationDeps {
  readonly metrics?: Metrics | undefined;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** What a remediation that goes waits for is asked for again this often. */
const TAKE_BACK_POLL_MS = 5_000;

/** The reconcile function of the TSRemediation controller. */
export function remediationReconciler(deps: RemediationControllerDeps): Reconcile {
  const phaseDeps: PhaseDeps = { ...deps, turns: createTurns() };
  const count = remediationMetrics(deps.metrics, deps.cache);
  return async (ctx, name) => {
    const finalizer = TSREMEDIATION_FINALIZER;
    const object = toServe(deps.cache.get(TSRemediationKind, name), { ...deps, finalizer });
    if (object === undefined) return done();
    const target = findTarget(deps.cache, object);
    const patch = patchHelper({
      ...deps,
      kind: TSRemediationKind,
      object,
      ownedConditions: REMEDIATION_CONDITIONS,
    });
    const paused = pausedMessage(target.cluster, object);
    if (paused !== '') {
      phaseDeps.turns.giveBack(object);
      return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });
    }
    if (addFinalizer(object, finalizer)) await patch.applySpec({ signal: ctx.signal });

    const live = target.machine && (await deps.client.get(MachineKind, nameOf(target.machine), ctx.signal));
    const scope: RemediationScope = { ...target, object, live, status: (object.status ??= {}) };
    const log = ctx.log.child({ Machine: live && keyOf(nameOf(live)) });
    if (isDeleting(object)) return end({ ...ctx, log }, scope, phaseDeps, patch);
    return climb({ ...ctx, log }, scope, phaseDeps, { patch, count });
  };
}

/** One phase, conditions, one patch, then Events: what was refused has not happened. */
async function climb(
  ctx: Ctx,
  scope: RemediationScope,
  deps: PhaseDeps,
  { patch, count }: { readonly patch: PatchHelper; readonly count: CountStep },
): Promise<Outcome> {
  const { object, status, machine } = scope;
  const before = (status.phase ??= 'Waiting');
  if (wasPaused(object)) delete status.startedAt;
  status.startedAt ??= toMetaTime(ctx.clock.now());
  const { move, failure } = await step(ctx, scope, deps);
  if (move.phase !== before) {
    status.phase = move.phase;
    status.startedAt = toMetaTime(ctx.clock.now());
  }
  await write(ctx, object, patch, move);
  if (failure !== undefined) throw failure.error;
  if (move.phase !== before) count(move.phase);
  const event = stepEvent(before, move);
  if (event !== undefined && machine !== undefined) deps.events.event(machine, event);
  return move.waitMs > 0 ? waitFor(move.waitMs, move.reason) : done();
}

/** Nobody has looked meanwhile whether the machine is well: its time begins anew. */
function wasPaused({ status }: TSRemediation): boolean {
  return getCondition(status?.conditions, ConditionType.Paused)?.status === 'True';
}

/** An error leaves the remediation where it is. A conflict ends the pass: our copy is old, and nothing of it is written. */
async function step(
  ctx: Ctx,
  scope: RemediationScope,
  deps: PhaseDeps,
): Promise<{ readonly move: Move; readonly failure?: { readonly error: unknown } }> {
  const phase = scope.status.phase ?? 'Waiting';
  try {
    return { move: await PHASES[phase](ctx, scope, deps) };
  } catch (error) {
    if (isConflict(error)) throw error;
    return {
      move: { phase, reason: Reason.Retrying, message: errorMessage(error), waitMs: 0 },
      failure: { error },
    };
  }
}

async function end(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps, patch: PatchHelper): Promise<Outcome> {
  const { object } = scope;
  const message = await takeBack(ctx, scope, deps);
  if (message === '') removeFinalizer(object, TSREMEDIATION_FINALIZER);
  await write(ctx, object, patch, { reason: Reason.Deleting, message });
  return message === '' ? done() : waitFor(TAKE_BACK_POLL_MS, Reason.Deleting);
}

async function write(
  ctx: Ctx,
  object: TSRemediation,
  patch: PatchHelper,
  said: Pick<Move, 'reason' | 'message'>,
): Promise<void> {
  const conditions = remediationConditions(object.status?.conditions, said, ctx.clock.now());
  object.status = { ...object.status, conditions };
  await patch.apply({ observedGeneration: said.reason !== Reason.Retrying, signal: ctx.signal });
}
