// SPDX-License-Identifier: Apache-2.0
// Drives one TSMachinePool to its spec. Phases live in phases.ts, conditions in conditions.ts, what wakes it in watches.ts.
import { TSMachinePoolKind } from '../../api/kinds.ts';
import { TSMACHINEPOOL_FINALIZER } from '../../api/labels.ts';
import type { MachinePoolBackends } from '../../backends/machine-pool-backend.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { runPhases } from '../../contract/phases.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { isDeleting, toServe } from '../../contract/served.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { type Absences, createAbsences } from './absences.ts';
import { newTrouble, POOL_CONDITIONS, poolConditions } from './conditions.ts';
import { deletePhases, normalPhases } from './phases.ts';
import { findPoolOwners, type PoolScope } from './scope.ts';

export interface MachinePoolDeps {
  readonly client: Client;
  /** Knows TSMachinePools, TSMachines and Machines by CLUSTER_INDEX, MachinePools, Clusters and TSClusters. */
  readonly cache: Cache;
  readonly backends: MachinePoolBackends;
  readonly events: EventRecorder;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** The reconcile function of the TSMachinePool controller. */
export function machinePoolReconciler(deps: MachinePoolDeps): Reconcile {
  const absences = createAbsences();
  return async (ctx, name) => {
    const finalizer = TSMACHINEPOOL_FINALIZER;
    const object = toServe(deps.cache.get(TSMachinePoolKind, name), { ...deps, finalizer });
    if (object === undefined || isDeleting(object)) absences.forget(keyOf(name));
    if (object === undefined) return done();

    const owners = findPoolOwners(deps.cache, object);
    const { machinePool, cluster } = owners;
    // Core sets the owner on the object itself, and our own watch wakes us. Deleting needs no owners.
    if ((machinePool === undefined || cluster === undefined) && !isDeleting(object)) return done();

    const log = ctx.log.child({
      MachinePool: machinePool && keyOf(nameOf(machinePool)),
      Cluster: cluster && keyOf(nameOf(cluster)),
    });
    const patch = patchHelper({ ...deps, kind: TSMachinePoolKind, object, ownedConditions: POOL_CONDITIONS });
    const paused = pausedMessage(cluster, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });

    const scope: PoolScope = { object, ...owners, backend: deps.backends.for(object.spec), facts: {} };
    return drive({ ...ctx, log }, scope, patch, { ...deps, absences });
  };
}

/** Phases, conditions, one patch: in this order, also when a phase failed. */
async function drive(
  ctx: Ctx,
  scope: PoolScope,
  patch: PatchHelper,
  deps: MachinePoolDeps & { readonly absences: Absences },
): Promise<Outcome> {
  const { object } = scope;
  const phaseDeps = { ...deps, persist: () => patch.applySpec() };
  const phases = isDeleting(object) ? deletePhases(phaseDeps) : normalPhases(phaseDeps);
  const outcome = await runPhases(ctx, phases, scope);
  const before = object.status?.conditions;
  const conditions = poolConditions(scope, outcome, ctx.clock.now());
  object.status = { ...object.status, conditions };
  await patch.apply({ observedGeneration: outcome.ok });
  const trouble = newTrouble(before, conditions);
  if (trouble !== undefined) deps.events.event(object, trouble);
  return orLookAgain(outcome.settle(), scope);
}

/** The group and the Secret with the bootstrap data change without a word to us. */
function orLookAgain(outcome: Outcome, { facts }: PoolScope): Outcome {
  const pollMs = facts.ensured?.pollMs;
  return outcome.kind === 'done' && pollMs !== undefined ? waitFor(pollMs, 'look again') : outcome;
}
