// SPDX-License-Identifier: Apache-2.0
// Secrets that many hosts share: read as seldom as can be.
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind } from '../../api/kinds.ts';
import type { Client } from '../../runtime/client.ts';
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { keyOf, type ObjectName } from '../../runtime/object.ts';

/** A host whose job runs is asked every second: its Secrets are not. */
const FRESH_MS = 30_000;

/** Keys should not stay in memory for nothing. */
const FORGET_MS = 30 * 60_000;

/** Reads Secrets by name. They are a person's: they are only read. */
export interface SecretReader {
  /** At most 30 s old; `undefined` when there is none, which is asked anew each time. */
  get(ctx: Ctx, name: ObjectName): Promise<Secret | undefined>;
}

/** Nothing is read before the first question. */
export function createSecretReader(deps: { readonly client: Client; readonly clock: Clock }): SecretReader {
  const { client, clock } = deps;
  const entries = new Map<string, { readonly secret: Secret; readonly readMs: number }>();
  const inTurn = turnTaking();

  return {
    get: (ctx, name) =>
      inTurn(keyOf(name), () => {
        for (const [key, { readMs }] of entries) if (hasPassed(clock, readMs, FORGET_MS)) entries.delete(key);
        return current(ctx, name);
      }),
  };

  async function current(ctx: Ctx, name: ObjectName): Promise<Secret | undefined> {
    const known = entries.get(keyOf(name));
    if (known !== undefined && !hasPassed(clock, known.readMs, FRESH_MS)) return known.secret;
    entries.delete(keyOf(name));
    const secret = await client.get(SecretKind, name, ctx.signal);
    if (secret !== undefined) entries.set(keyOf(name), { secret, readMs: clock.now().getTime() });
    return secret;
  }
}

/** What a key of the Secret holds, as text; '' when it is not there. */
export function textOf(secret: Secret, key: string): string {
  return Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
}

/** Work with the same key is done one after the other: hosts that share a Secret cost one read. */
function turnTaking() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work);
    // Who comes next waits for the end, however it ends.
    const ended = mine.catch(() => {});
    last.set(key, ended);
    try {
      return await mine;
    } finally {
      if (last.get(key) === ended) last.delete(key);
    }
  };
}
