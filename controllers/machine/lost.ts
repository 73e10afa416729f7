// SPDX-License-Identifier: Apache-2.0
// A TSMachine that went away under the pass that made its instance.
import { ClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { nameOf } from '../../runtime/object.ts';
import { machineFacts, type MachineScope } from './scope.ts';

/**
 * Ends the instance that this pass has made when its object is gone. The API server looks at finalizers when a DELETE comes in, not
 * when it carries it out: our finalizer, written and read back in between, does not hold the object, and nobody would ever ask
 * for the instance again. A Cluster that is paused or gone may be on its move elsewhere, and the instance with it: then it stays.
 */
export async function endLostInstance(ctx: Ctx, scope: MachineScope, client: Client): Promise<void> {
  if (scope.facts.intent === undefined) return;
  const { object } = scope;
  const now = await client.get(TSMachineKind, nameOf(object), ctx.signal);
  if (now?.metadata.uid === object.metadata.uid) return;
  const cluster = scope.cluster && (await client.get(ClusterKind, nameOf(scope.cluster), ctx.signal));
  if (cluster === undefined || cluster.spec?.paused === true) {
    ctx.log.warn(
      'The TSMachine went away while its instance was made; its Cluster may be moving, so it stays',
    );
    return;
  }
  ctx.log.warn('The TSMachine was deleted while its instance was made; ending the instance');
  await scope.backend.destroy(ctx, machineFacts(scope));
}
