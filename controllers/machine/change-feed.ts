// SPDX-License-Identifier: Apache-2.0
import type { ChangeFeed } from '../../backends/backend.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { ObjectName } from '../../runtime/object.ts';

/**
 * One look at a backend's changes, waking the machines concerned. The cursor lives in memory only: after a restart every
 * machine is reconciled anyway.
 */
export function changeFeedTick(
  feed: ChangeFeed,
  wake: (machine: ObjectName) => void,
): (ctx: Ctx) => Promise<void> {
  let cursor = '';
  return async (ctx) => {
    const changes = await feed.changes(ctx, cursor);
    changes.machines.forEach(wake);
    // Only after waking: a crash in between wakes them again, which is harmless.
    cursor = changes.cursor;
  };
}
