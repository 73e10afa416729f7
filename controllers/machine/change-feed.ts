// SPDX-License-Identifier: Apache-2.0
import { TSMachineKind } from '../../api/kinds.ts';
import type { TSMachineSpec } from '../../api/tsmachine.ts';
import { type ChangeFeed, type Changes, CursorLostError } from '../../backends/backend.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';

/** The machines of a feed's backend. */
export interface FedMachines {
  wake(machine: ObjectName): void;
  all(): readonly ObjectName[];
}

/**
 * One look at a backend's changes, waking the machines concerned, or all of them when the backend has lost track. The cursor lives in
 * memory only: after a restart every machine is reconciled anyway.
 */
export function changeFeedTick(feed: ChangeFeed, machines: FedMachines): (ctx: Ctx) => Promise<void> {
  let cursor = '';
  return async (ctx) => {
    const changes = await changesSince(ctx, feed, cursor);
    const woken = changes ?? { ...(await feed.changes(ctx, '')), machines: machines.all() };
    woken.machines.forEach((machine) => machines.wake(machine));
    // Only after waking: a crash in between wakes them again, which is harmless.
    cursor = woken.cursor;
  };
}

/** `undefined`: they cannot be told any more. */
async function changesSince(ctx: Ctx, feed: ChangeFeed, cursor: string): Promise<Changes | undefined> {
  try {
    return await feed.changes(ctx, cursor);
  } catch (error) {
    if (error instanceof CursorLostError) return undefined;
    throw error;
  }
}

/** Those with such a spec, as the cache knows them. */
export function machinesWith(
  cache: Pick<Cache, 'list'>,
  isMeant: (spec: TSMachineSpec) => boolean,
): readonly ObjectName[] {
  return cache
    .list(TSMachineKind)
    .filter(({ spec }) => isMeant(spec))
    .map(nameOf);
}
