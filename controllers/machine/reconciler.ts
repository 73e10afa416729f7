// SPDX-License-Identifier: Apache-2.0
// Drives one TSMachine to its spec. Phases live in phases.ts, conditions in conditions.ts, what wakes it in watches.ts.
import { TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { Cluster } from '../../api/cluster-api.ts';
import type { Backends } from '../../backends/backend.ts';
import { clusterOfMachine, ownerMachine } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { runPhases } from '../../contract/phases.ts';
import { servedBy } from '../../contract/watch-filter.ts';
import type { Client } from '../../runtime/client.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper } from '../../runtime/patch-helper.ts';
import { done } from '../../runtime/result.ts';
import { MACHINE_CONDITIONS, machineConditions } from './conditions.ts';
import { deletePhases, normalPhases } from './phases.ts';
import type { MachineScope } from './scope.ts';

export interface MachineDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly backends: Backends;
  readonly events: EventRecorder;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** The reconcile function of the TSMachine controller. */
export function machineReconciler(deps: MachineDeps): Reconcile {
  return async (ctx, name) => {
    const object = deps.cache.get(TSMachineKind, name);
    if (object === undefined || !servedBy(deps.watchFilter, object)) return done();
    const deleting = object.metadata.deletionTimestamp !== undefined;
    // Without our finalizer nothing was ever made: whatever deletes it needs nothing of us (also clusterctl's delete-for-move).
    if (deleting && !hasFinalizer(object, TSMACHINE_FINALIZER)) return done();

    const machine = ownerMachine(deps.cache, object);
    const cluster = clusterOfMachine(deps.cache, object, machine);
    // Core sets the owner, and the watch on Machines wakes us. Deleting needs no owners.
    if ((machine === undefined || cluster === undefined) && !deleting) return done();

    const log = ctx.log.child({ Machine: machine && keyOf(nameOf(machine)), Cluster: cluster && keyOf(nameOf(cluster)) });
    const patch = patchHelper({ ...deps, kind: TSMachineKind, object, ownedConditions: MACHINE_CONDITIONS });
    const paused = pausedMessage(cluster, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });

    const scope: MachineScope = {
      object,
      machine,
      cluster,
      tsCluster: infraCluster(deps.cache, object, cluster),
      backend: deps.backends.for(object.spec),
      facts: {},
    };
    const phaseDeps = { ...deps, persist: () => patch.applySpec() };
    const phases = deleting ? deletePhases(phaseDeps) : normalPhases(phaseDeps);
    const outcome = await runPhases({ ...ctx, log }, phases, scope);
    (object.status ??= {}).conditions = machineConditions(scope, outcome, ctx.clock.now());
    await patch.apply({ observedGeneration: outcome.ok });
    return outcome.settle();
  };
}

/** The TSCluster that the Cluster names; `undefined` when it is of another kind or gone. */
function infraCluster(cache: Cache, object: TSMachine, cluster: Cluster | undefined): TSCluster | undefined {
  const reference = cluster?.spec?.infrastructureRef;
  if (reference === undefined || reference.kind !== TSClusterKind.kind) return undefined;
  return cache.get(TSClusterKind, { namespace: object.metadata.namespace ?? '', name: reference.name });
}
