// SPDX-License-Identifier: Apache-2.0
// One look at everything at AWS, and what follows for machines.
import type { ChangeFeed } from '../backends/backend.ts';
import { changeFeedTick, type FedMachines } from '../controllers/machine/change-feed.ts';
import type { Ctx } from '../runtime/context.ts';
import { sleep } from '../runtime/sleep.ts';

/** An answer comes in less; a region that does not answer must not keep the news of the others. */
const PATIENCE_MS = 500;

interface Ticked {
  /** Never rejects. Its last one may still be under way. */
  tick(ctx: Ctx): Promise<void>;
}

/** Of the parts of AWS those that look by themselves. */
export interface Lookers {
  readonly machines: ChangeFeed & Ticked;
  readonly upkeep: Ticked;
  readonly orphans: Ticked;
}

/** Looks at instances, then wakes the machines of those that have changed. Does nothing while `known` knows none. */
export function lookAt(
  known: () => Promise<Lookers | undefined>,
  machines: FedMachines,
): (ctx: Ctx) => Promise<void> {
  const feed: ChangeFeed = {
    changes: async (ctx, cursor) =>
      (await known())?.machines.changes(ctx, cursor) ?? { machines: [], cursor },
  };
  const tell = changeFeedTick(feed, machines);
  return async (ctx) => {
    const lookers = await known();
    if (lookers === undefined) return;
    // In this order: the later ones go by what the first has found.
    for (const part of [lookers.machines, lookers.upkeep, lookers.orphans])
      await forAWhile(ctx, part.tick(ctx));
    await tell(ctx);
  };
}

/** Until it is done; what takes longer goes on by itself. */
async function forAWhile(ctx: Ctx, work: Promise<void>): Promise<void> {
  const isDone = new AbortController();
  const done = work.finally(() => isDone.abort());
  await Promise.race([done, sleep(ctx.clock, PATIENCE_MS, isDone.signal)]);
}
