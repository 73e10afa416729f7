// SPDX-License-Identifier: Apache-2.0
// Machines whose instances the infrastructure will take away, replaced while there is time.
import type { Machine } from '../../api/cluster-api.ts';
import { MachineKind } from '../../api/kinds.ts';
import { isControlPlane } from '../../contract/owners.ts';
import { next, type Step } from '../../contract/phases.ts';
import { isDeleting } from '../../contract/served.ts';
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';
import type { MachineScope } from './scope.ts';

/** A Machine that waits for others asks again. */
const TURN_MS = 30_000;
/** The cache shows the deletion of a Machine by then. */
const SHOWN_MS = 60_000;

/** Deletes Machines for what is about to happen to their instances. */
export interface Replacement {
  /**
   * Whoever deletes a Machine has it cordoned, drained and replaced by core (DEL): in time, if the notice is long enough. What can wait
   * goes one after the other: maintenance may be announced for all machines of an owner at once, weeks before. Never a control plane
   * machine: its member of etcd would go without anybody asking whether the others can do without it.
   */
  replaceInterrupted(ctx: Ctx, scope: MachineScope): Promise<Step>;
}

/** One for all workers. What it remembers is needed only until the cache shows it. */
export function createReplacement({
  client,
  cache,
}: {
  readonly client: Client;
  readonly cache: Cache;
}): Replacement {
  /** Who was deleted a moment ago, by the uid of its owner. */
  const turns = new Map<string, { readonly name: string; readonly atMs: number }>();

  /** The name of a Machine that is to be replaced before this one. */
  function before(clock: Clock, machine: Machine): string | undefined {
    const owner = controllerOf(machine);
    if (owner === undefined) return undefined;
    for (const [other, { atMs }] of turns) if (hasPassed(clock, atMs, SHOWN_MS)) turns.delete(other);
    const turn = turns.get(owner);
    if (turn !== undefined && turn.name !== machine.metadata.name) return turn.name;
    const siblings = cache.list(MachineKind, machine.metadata.namespace).filter((other) => {
      return other.metadata.uid !== machine.metadata.uid && controllerOf(other) === owner;
    });
    return siblings.find((other) => isDeleting(other) || other.status?.nodeRef === undefined)?.metadata.name;
  }

  async function remove(ctx: Ctx, machine: Machine): Promise<void> {
    const { uid, name } = machine.metadata;
    const owner = controllerOf(machine);
    if (owner !== undefined) turns.set(owner, { name, atMs: ctx.clock.now().getTime() });
    await client.delete(MachineKind, nameOf(machine), {
      signal: ctx.signal,
      ...(uid !== undefined && { uid }),
    });
  }

  return {
    async replaceInterrupted(ctx, scope) {
      const { machine, facts } = scope;
      const { interruption, pollMs = TURN_MS } = facts.upkeep ?? {};
      if (interruption?.replace !== true || machine === undefined || isDeleting(machine)) return next();
      if (isControlPlane(machine, scope.object)) return next();
      const first = interruption.canWait === true ? before(ctx.clock, machine) : undefined;
      if (first !== undefined) {
        const message = `${interruption.message}; waits until Machine ${first} is replaced`;
        const waiting = { pollMs: Math.min(pollMs, TURN_MS), interruption: { ...interruption, message } };
        facts.upkeep = { ...facts.upkeep, ...waiting };
        return next();
      }
      const { reason } = interruption;
      ctx.log.info({ reason }, 'Deleting the Machine, since its instance will be taken away');
      await remove(ctx, machine);
      return next();
    },
  };
}

/** The uid of the MachineSet or MachinePool. */
function controllerOf({ metadata }: Machine): string | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
}
