// SPDX-License-Identifier: Apache-2.0
// Drives one TSMachine to its spec. Phases live in phases.ts, conditions in conditions.ts, what wakes it in watches.ts.
import { TSMachineKind } from '../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import type { Backends } from '../../backends/backend.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { runPhases } from '../../contract/phases.ts';
import { isDeleting, toServe } from '../../contract/served.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { MACHINE_CONDITIONS, machineConditions, newTrouble } from './conditions.ts';
import type { LostInstances } from './lost.ts';
import { DELETE, normalPhases } from './phases.ts';
import { createReplacement, type Replacement } from './replacement.ts';
import { findOwners, type MachineScope } from './scope.ts';

export interface MachineDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly backends: Backends;
  readonly events: EventRecorder;
  /** Ends instances whose TSMachines went away while they were made. */
  readonly lost: LostInstances;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** The reconcile function of the TSMachine controller. */
export function machineReconciler(deps: MachineDeps): Reconcile {
  const replacement = createReplacement(deps);
  return async (ctx, name) => {
    const object = toServe(deps.cache.get(TSMachineKind, name), { ...deps, finalizer: TSMACHINE_FINALIZER });
    if (object === undefined) return done();

    const owners = findOwners(deps.cache, object);
    const { machine, cluster } = owners;
    // Core sets the owner, and the watch on Machines wakes us. Deleting needs no owners.
    if ((machine === undefined || cluster === undefined) && !isDeleting(object)) return done();

    const log = ctx.log.child({
      Machine: machine && keyOf(nameOf(machine)),
      Cluster: cluster && keyOf(nameOf(cluster)),
    });
    const patch = patchHelper({ ...deps, kind: TSMachineKind, object, ownedConditions: MACHINE_CONDITIONS });
    const paused = pausedMessage(cluster, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });

    const scope: MachineScope = { object, ...owners, backend: deps.backends.for(object.spec), facts: {} };
    return drive({ ...ctx, log }, scope, patch, { ...deps, replacement });
  };
}

/** Phases, conditions, one patch: in this order, also when a phase failed. */
async function drive(
  ctx: Ctx,
  scope: MachineScope,
  patch: PatchHelper,
  deps: MachineDeps & { readonly replacement: Replacement },
): Promise<Outcome> {
  const { object } = scope;
  const phases = isDeleting(object) ? DELETE : normalPhases({ ...deps, persist: () => patch.applySpec() });
  const outcome = await runPhases(ctx, phases, scope);
  const before = object.status?.conditions;
  const conditions = machineConditions(scope, outcome, ctx.clock.now());
  object.status = { ...object.status, conditions };
  try {
    await patch.apply({ observedGeneration: outcome.ok });
  } catch (error) {
    await deps.lost.end(ctx, scope);
    throw error;
  }
  const trouble = newTrouble(before, conditions);
  if (trouble !== undefined) deps.events.event(object, trouble);
  return orUpkeep(outcome.settle(), scope);
}

/** What is due around a living instance is looked at in time, though nothing is waited for. */
function orUpkeep(outcome: Outcome, { facts }: MachineScope): Outcome {
  const pollMs = facts.upkeep?.pollMs;
  return outcome.kind === 'done' && pollMs !== undefined ? waitFor(pollMs, 'upkeep') : outcome;
}
