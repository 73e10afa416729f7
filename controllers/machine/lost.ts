// SPDX-License-Identifier: Apache-2.0
// A TSMachine that went away under the pass that made its instance.
import { ClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { hasPassed } from '../../runtime/clock.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { errorMessage, TransientError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/object.ts';
import { sleep } from '../../runtime/sleep.ts';
import { machineFacts, type MachineScope } from './scope.ts';

/** Between two looks at an instance that is ending. */
const PAUSE_MS = 3_000;
/** An instance of a cloud ends within less, mostly; a pass has a minute. */
const PATIENCE_MS = 45_000;

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
  await destroyWhileWeCan(ctx, scope);
}

/** Nobody comes again, and some of what a machine has goes only once its instance is gone, such as its stored user data. */
async function destroyWhileWeCan(ctx: Ctx, scope: MachineScope): Promise<void> {
  const startMs = ctx.clock.now().getTime();
  for (;;) {
    const left = await leftAfterDestroy(ctx, scope);
    if (left === undefined) return;
    if (ctx.signal.aborted || hasPassed(ctx.clock, startMs, PATIENCE_MS)) {
      ctx.log.warn({ message: left }, 'The instance of a deleted TSMachine has not ended yet; it is left so');
      return;
    }
    await sleep(ctx.clock, PAUSE_MS, ctx.signal);
  }
}

/** What there is still to wait for; `undefined` when all is gone. */
async function leftAfterDestroy(ctx: Ctx, scope: MachineScope): Promise<string | undefined> {
  try {
    const destroyed = await scope.backend.destroy(ctx, machineFacts(scope));
    return destroyed.state === 'gone' ? undefined : destroyed.message;
  } catch (error) {
    if (error instanceof TransientError) return errorMessage(error);
    throw error;
  }
}
