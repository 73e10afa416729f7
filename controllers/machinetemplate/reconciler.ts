// SPDX-License-Identifier: Apache-2.0
// Publishes what a machine made from a TSMachineTemplate will be, so that an autoscaler can scale from zero (IMT-6).
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSMachineTemplateKind } from '../../api/kinds.ts';
import type { TSMachineSpec } from '../../api/tsmachine.ts';
import type { MachineSize } from '../../backends/backend.ts';
import { ownerCluster } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { isDeleting, servedBy } from '../../contract/served.ts';
import { infraWakeUp, OWNER_CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import type { Reconcile, WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { patchHelper } from '../../runtime/patch-helper.ts';
import { done } from '../../runtime/result.ts';

export interface MachineTemplateDeps {
  readonly client: Client;
  readonly cache: Cache;
  /** `undefined` for a backend that cannot tell. */
  readonly sizeOf: (spec: TSMachineSpec) => MachineSize | undefined;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** The reconcile function of the TSMachineTemplate controller. It makes nothing, so there is no finalizer and no condition. */
export function machineTemplateReconciler(deps: MachineTemplateDeps): Reconcile {
  return async (_ctx, name) => {
    const object = deps.cache.get(TSMachineTemplateKind, name);
    if (object === undefined || isDeleting(object) || !servedBy(deps.watchFilter, object)) return done();
    if (pausedMessage(ownerCluster(deps.cache, object), object) !== '') return done();
    const size = deps.sizeOf(object.spec.template.spec);
    if (size === undefined) return done();

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
