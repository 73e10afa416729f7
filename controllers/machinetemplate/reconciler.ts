// SPDX-License-Identifier: Apache-2.0
// Publishes what a machine made from a TSMachineTemplate will be, so that an autoscaler can scale from zero (IMT-6).
import { TSMachineTemplateKind } from '../../api/kinds.ts';
import type { TSMachineSpec } from '../../api/tsmachine.ts';
import type { MachineSize } from '../../backends/backend.ts';
import { ownerCluster } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { isDeleting, servedBy } from '../../contract/served.ts';
import type { Client } from '../../runtime/client.ts';
import type { Reconcile, WatchMapping } from '../../runtime/controller.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';
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

/** Only its own kind: after a pause the status is as right as before it. */
export const machineTemplateWatches: readonly WatchMapping[] = [
  { kind: TSMachineTemplateKind, map: (event) => (event.type === 'delete' ? [] : [nameOf(event.object)]) },
];
