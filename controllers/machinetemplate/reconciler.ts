// SPDX-License-Identifier: Apache-2.0
// Publishes what a machine made from a TSMachineTemplate will be, so that an autoscaler can scale from zero (IMT-6).
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSMachineTemplateKind } from '../../api/kinds.ts';
import type { Backends } from '../../backends/backend.ts';
import { infraCluster, ownerCluster } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { isDeleting, servedBy } from '../../contract/served.ts';
import { infraWakeUp, OWNER_CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import type { Reconcile, WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { patchHelper } from '../../runtime/patch-helper.ts';
import { done, waitFor } from '../../runtime/result.ts';

export interface MachineTemplateDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly backends: Backends;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** Nothing wakes a template when its cluster has come so far that somebody can be asked. */
const UNKNOWN_SIZE_POLL_MS = 60_000;

/** The reconcile function of the TSMachineTemplate controller. It makes nothing, so there is no finalizer and no condition. */
export function machineTemplateReconciler(deps: MachineTemplateDeps): Reconcile {
  return async (ctx, name) => {
    const object = deps.cache.get(TSMachineTemplateKind, name);
    if (object === undefined || isDeleting(object) || !servedBy(deps.watchFilter, object)) return done();
    const cluster = ownerCluster(deps.cache, object);
    if (pausedMessage(cluster, object) !== '') return done();
    const { spec } = object.spec.template;
    const backend = deps.backends.for(spec);
    if (backend.size === undefined) return done();
    const facts = { ...nameOf(object), spec, cluster: infraCluster(deps.cache, cluster)?.spec };
    const size = await backend.size(ctx, facts);
    if (size === undefined) return waitFor(UNKNOWN_SIZE_POLL_MS, 'the size of a machine is not known yet');

    const patch = patchHelper({ ...deps, kind: TSMachineTemplateKind, object, ownedConditions: [] });
    const { capacity, architecture, operatingSystem } = size;
    object.status = { capacity: { ...capacity }, nodeInfo: { architecture, operatingSystem } };
    await patch.apply({ observedGeneration: false });
    return done();
  };
}

/** The watches of the TSMachineTemplate controller: a template that came paused (a move) is looked at when its Cluster goes on. */
export function machineTemplateWatches(cache: Cache): readonly WatchMapping[] {
  return [
    { kind: TSMachineTemplateKind, map: (event) => (event.type === 'delete' ? [] : [nameOf(event.object)]) },
    { kind: ClusterKind, map: (event: InformerEvent<Cluster>) => clusterEvent(cache, event) },
  ];
}

function clusterEvent(cache: Cache, event: InformerEvent<Cluster>): readonly ObjectName[] {
  if (!infraWakeUp(event)) return [];
  return cache.byIndex(TSMachineTemplateKind, OWNER_CLUSTER_INDEX, keyOf(nameOf(event.object))).map(nameOf);
}
