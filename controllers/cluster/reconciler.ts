// SPDX-License-Identifier: Apache-2.0
// Drives one TSCluster to its spec. Phases live in phases.ts, conditions in conditions.ts, what wakes it in watches.ts.
import { TSClusterKind, TSMachineKind, TSMachinePoolKind } from '../../api/kinds.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import type { TSCluster, TSClusterSpec } from '../../api/tscluster.ts';
import type { HostInventory } from '../../backends/host-inventory.ts';
import { isExternallyManaged } from '../../contract/externally-managed.ts';
import { ownerCluster } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { runPhases } from '../../contract/phases.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { isDeleting, toServe } from '../../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import { addFinalizer } from '../../runtime/finalizers.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { CLUSTER_CONDITIONS, clusterConditions } from './conditions.ts';
import { DELETE, NORMAL } from './phases.ts';
import type { ClusterScope, CloudCluster } from './scope.ts';

export interface ClusterDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly inventory: HostInventory;
  /** Who makes the network and the load balancer of such a cluster; `undefined` where nobody has to. */
  readonly cloudOf: (spec: TSClusterSpec) => CloudCluster | undefined;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** The reconcile function of the TSCluster controller. */
export function clusterReconciler(deps: ClusterDeps): Reconcile {
  return async (ctx, name) => {
    const object = toServe(deps.cache.get(TSClusterKind, name), { ...deps, finalizer: TSCLUSTER_FINALIZER });
    if (object === undefined || isExternallyManaged(object)) return done();

    const cluster = ownerCluster(deps.cache, object);
    // Core sets the owner on the object itself, and our own watch wakes us (IC-12). Deleting needs no owner.
    if (cluster === undefined && !isDeleting(object)) return done();

    const log = ctx.log.child({ Cluster: cluster && keyOf(nameOf(cluster)) });
    const patch = patchHelper({ ...deps, kind: TSClusterKind, object, ownedConditions: CLUSTER_CONDITIONS });
    const paused = pausedMessage(cluster, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });

    const { inventory } = deps;
    const scope: ClusterScope = {
      ...{ object, cluster, inventory, facts: {} },
      cloud: deps.cloudOf(object.spec),
      persist: () => patch.applySpec(),
      machineNames: () => machineNames(deps.cache, object),
    };
    return drive({ ...ctx, log }, scope, patch);
  };
}

/** Phases, conditions, one patch: in this order, also when a phase failed. */
async function drive(ctx: Ctx, scope: ClusterScope, patch: PatchHelper): Promise<Outcome> {
  const { object } = scope;
  // Before anything that machines may build on; deletion then waits for them (IC-11). Does nothing while deleting.
  addFinalizer(object, TSCLUSTER_FINALIZER);
  const outcome = await runPhases(ctx, isDeleting(object) ? DELETE : NORMAL, scope);
  object.status = { ...object.status, conditions: clusterConditions(scope, outcome, ctx.clock.now()) };
  await patch.apply({ observedGeneration: outcome.ok });
  return orDrift(outcome.settle(), scope);
}

/** What was changed outside is found when it is looked for. */
function orDrift(outcome: Outcome, { facts: { pollMs } }: ClusterScope): Outcome {
  return outcome.kind === 'done' && pollMs !== undefined ? waitFor(pollMs, 'drift') : outcome;
}

function machineNames(cache: Cache, object: TSCluster): readonly string[] {
  return byCluster(object)
    .flatMap((cluster) => [
      ...cache.byIndex(TSMachineKind, CLUSTER_INDEX, cluster),
      ...cache.byIndex(TSMachinePoolKind, CLUSTER_INDEX, cluster),
    ])
    .map((machine) => machine.metadata.name)
    .sort();
}
