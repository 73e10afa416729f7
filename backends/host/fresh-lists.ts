// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../runtime/context.ts';
import type { HostInventory, InventoryHost } from '../host-inventory.ts';

/** Lists the hosts of a namespace from the API server. */
export type ListFresh = (ctx: Ctx, namespace: string) => Promise<readonly InventoryHost[]>;

/** Longer than any list takes, and shorter than a reconcile. */
const LIST_TIMEOUT_MS = 20_000;

/**
 * Many machines that ask at the same moment share one list: each gets one that began after it had asked, and one runs at a time. So a
 * thousand machines that wait for hosts cost the API server a few lists and not a thousand.
 */
export function freshLists(inventory: HostInventory): ListFresh {
  const queues = new Map<string, Queue>();
  return (ctx, namespace) => {
    const queue = queues.get(namespace) ?? { running: Promise.resolve(), waiting: undefined };
    queues.set(namespace, queue);
    return untilAborted(
      enqueue(queue, () => inventory.listNow(sharedContext(ctx), namespace)),
      ctx,
    );
  };
}

type Answer = Promise<readonly InventoryHost[]>;

interface Queue {
  /** Never rejects. */
  running: Promise<unknown>;
  /** The list that has not begun yet: whoever comes now may share it. */
  waiting: Answer | undefined;
}

function enqueue(queue: Queue, list: () => Answer): Answer {
  if (queue.waiting !== undefined) return queue.waiting;
  const answer = queue.running.then(() => {
    queue.waiting = undefined;
    return list();
  });
  queue.waiting = answer;
  queue.running = answer.catch(() => undefined);
  return answer;
}

/** One that gives up must not take the list away from the others. */
function sharedContext(ctx: Ctx): Ctx {
  return { ...ctx, signal: AbortSignal.timeout(LIST_TIMEOUT_MS) };
}

/** Rejects with the signal's reason as soon as the caller has no more time. */
async function untilAborted(answer: Answer, { signal }: Ctx): Answer {
  signal.throwIfAborted();
  const ended = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true, signal: ended.signal });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    ended.abort();
  }
}
