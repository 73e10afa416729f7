// SPDX-License-Identifier: Apache-2.0
// Objects that many reconciles ask for and nobody watches: read by name, and kept for a minute.
import type { Client } from '../../runtime/client.ts';
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { keyOf, type Kind, type KubeObject, type ObjectName } from '../../runtime/object.ts';

const FRESH_MS = 60_000;

/** Reads objects of one kind. */
export interface FreshObjects<T extends KubeObject> {
  /** At most a minute old; `undefined` when there is none, which is asked anew each time. */
  get(ctx: Ctx, name: ObjectName): Promise<T | undefined>;
}

/** Nothing is read before the first question; who asks while it is read gets the same answer. */
export function createFreshObjects<T extends KubeObject>(
  deps: { readonly client: Pick<Client, 'get'>; readonly clock: Clock },
  kind: Kind<T>,
): FreshObjects<T> {
  const { client, clock } = deps;
  const known = new Map<string, { readonly object: Promise<T | undefined>; readonly readMs: number }>();

  return {
    get(ctx, name) {
      // Secrets should not stay in memory for nothing.
      for (const [key, { readMs }] of known) if (hasPassed(clock, readMs, FRESH_MS)) known.delete(key);
      const key = keyOf(name);
      const entry = known.get(key);
      if (entry !== undefined) return entry.object;
      const object = client.get(kind, name, ctx.signal);
      const read = { object, readMs: clock.now().getTime() };
      known.set(key, read);
      const forget = (): void => {
        if (known.get(key) === read) known.delete(key);
      };
      object.then((found) => found === undefined && forget(), forget);
      return object;
    },
  };
}
