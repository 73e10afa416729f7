// SPDX-License-Identifier: Apache-2.0
// TSMachines that went away under the pass that made their instances.
import { ClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { MachineBackend, MachineFacts } from '../../backends/backend.ts';
import { hasPassed } from '../../runtime/clock.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { Logger } from '../../runtime/logger.ts';
import { nameOf } from '../../runtime/object.ts';
import { machineFacts, type MachineScope } from './scope.ts';

/** How long an instance may take to end. */
const PATIENCE_MS = 10 * 60_000;
/** They are few: a DELETE has to be under way in the moment in which the finalizer is written. */
const MOST = 200;

/**
 * Instances whose objects are gone while they end. In memory only: a manager that stops or loses its lease asks nobody again, and
 * what has not ended by then is an orphan, as the backend tells of those.
 */
export interface LostInstances {
  /**
   * Begins to end the instance that this pass has made when its object is gone, and leaves the rest to {@link tick}. Throws only
   * what reading the objects throws.
   */
  end(ctx: Ctx, scope: MachineScope): Promise<void>;
  /** Asks once more for each that has not ended; after ten minutes a line in the log says what is left, and it is forgotten. */
  tick(ctx: Ctx): Promise<void>;
}

interface Lost {
  readonly backend: MachineBackend;
  readonly machine: MachineFacts;
  /** Of the pass that made it. */
  readonly log: Logger;
  readonly sinceMs: number;
}

export function createLostInstances({ client }: { readonly client: Client }): LostInstances {
  /** By UID of the TSMachine. */
  const ending = new Map<string, Lost>();

  return {
    async end(ctx, scope) {
      if (!(await isLost(ctx, scope, client))) return;
      ctx.log.warn('The TSMachine was deleted while its instance was made; ending the instance');
      const { backend } = scope;
      const lost = { backend, machine: machineFacts(scope), log: ctx.log, sinceMs: nowMs(ctx) };
      const left = await askToEnd(ctx, lost);
      if (left === undefined) return;
      if (ending.size < MOST) ending.set(lost.machine.uid, lost);
      else giveUp(lost, left);
    },
    async tick(ctx) {
      const work = [...ending].map(async ([uid, lost]) => {
        const left = await askToEnd(ctx, lost);
        const isLate = hasPassed(ctx.clock, lost.sinceMs, PATIENCE_MS);
        if (left === undefined || isLate) ending.delete(uid);
        if (left !== undefined && isLate) giveUp(lost, left);
      });
      await Promise.all(work);
    },
  };
}

/**
 * The API server looks at finalizers when a DELETE comes in, not when it carries it out: our finalizer, written and read back in
 * between, does not hold the object, and nobody would ever ask for the instance again. A Cluster that is paused or gone may be on its
 * move elsewhere, and the instance with it: then it stays.
 */
async function isLost(ctx: Ctx, scope: MachineScope, client: Client): Promise<boolean> {
  if (scope.facts.intent === undefined) return false;
  const { object } = scope;
  const now = await client.get(TSMachineKind, nameOf(object), ctx.signal);
  if (now?.metadata.uid === object.metadata.uid) return false;
  const cluster = scope.cluster && (await client.get(ClusterKind, nameOf(scope.cluster), ctx.signal));
  if (cluster !== undefined && cluster.spec?.paused !== true) return true;
  ctx.log.warn('The TSMachine went away while its instance was made; its Cluster may be moving, so it stays');
  return false;
}

/** What there is still to wait for; `undefined` when all is gone, or when asking again is of no use. Never throws. */
async function askToEnd(ctx: Ctx, { backend, machine, log }: Lost): Promise<string | undefined> {
  try {
    const destroyed = await backend.destroy({ ...ctx, log }, machine);
    // Some of what a machine has goes only once its instance is gone, such as its stored user data.
    return destroyed.state === 'gone' ? undefined : destroyed.message;
  } catch (error) {
    if (!(error instanceof TerminalError)) return errorMessage(error);
    log.error({ err: error }, 'The instance of a deleted TSMachine cannot be ended; it is left so');
    return undefined;
  }
}

function giveUp({ log, machine }: Lost, left: string): void {
  const text = 'The instance of a deleted TSMachine has not ended in time; it is left so';
  log.warn({ providerID: machine.providerID, left }, text);
}

function nowMs({ clock }: Ctx): number {
  return clock.now().getTime();
}
