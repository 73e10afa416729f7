// SPDX-License-Identifier: Apache-2.0
// Secrets of the management cluster, read as seldom as can be: a thousand machines of a cluster share one CA.
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind } from '../../api/kinds.ts';
import type { Client } from '../../runtime/client.ts';
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import { type TerminalError, TransientError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { compareResourceVersions } from '../../runtime/informer-store.ts';
import { keyOf, type ObjectName } from '../../runtime/object.ts';
import { singleFlight } from './single-flight.ts';

/** Reads whole Secrets. Never logs one. */
export interface SecretReader {
  /**
   * `undefined` when it does not exist. The content of a Secret with the cluster's label is as new as the watch; another one's
   * may be 5 s old, since nobody tells us of its changes.
   */
  read(name: ObjectName): Promise<Secret | undefined>;
  /** Whether it was read and no watch will tell that it changes. */
  isUnwatched(name: ObjectName): boolean;
}

/** A Secret without the cluster's label is not watched: look again now and then. */
export const SECRET_POLL_MS = 30_000;

/** The same error, to be looked at again: no watch will tell that the Secret behind it was mended. */
export function lookAgain({ message }: TerminalError): TransientError {
  return new TransientError(message, { retryAfterMs: SECRET_POLL_MS });
}

interface Entry {
  /** `undefined`: there was none. */
  readonly secret: Secret | undefined;
  readonly readAt: number;
  usedAt: number;
}

/** How long a Secret that is not watched counts as unchanged. */
const UNWATCHED_MS = 5_000;

/** How long a Secret that does not exist counts as absent: many may ask in the same moment. */
const ABSENT_MS = 1_000;

/** What nobody asked for in this time is forgotten: keys should not stay in memory for nothing. */
const FORGET_MS = 10 * 60_000;

/** `cache` holds metadata of Secrets that have the cluster's label; content comes from `client`. */
export function createSecretReader(deps: {
  readonly client: Client;
  readonly cache: Cache;
  readonly clock: Clock;
}): SecretReader {
  const { client, cache, clock } = deps;
  const entries = new Map<string, Entry>();
  const flight = singleFlight<Secret | undefined>();

  return {
    async read(name) {
      const key = keyOf(name);
      const entry = entries.get(key);
      if (entry !== undefined && isFresh(entry, cache.peek(SecretKind, name)?.metadata.resourceVersion)) {
        entry.usedAt = clock.now().getTime();
        return entry.secret;
      }
      return flight(key, () => fetch(key, name));
    },
    isUnwatched: (name) =>
      entries.get(keyOf(name))?.secret !== undefined && cache.peek(SecretKind, name) === undefined,
  };

  /** What the watch knows decides, where it knows the Secret; else the age does. */
  function isFresh({ secret, readAt }: Entry, watched: string | undefined): boolean {
    if (watched !== undefined && secret !== undefined) {
      return compareResourceVersions(secret.metadata.resourceVersion, watched) >= 0;
    }
    if (watched !== undefined) return false;
    return !hasPassed(clock, readAt, secret === undefined ? ABSENT_MS : UNWATCHED_MS);
  }

  /** Without the signal of the one who asked first: the others must not fail with it. The client bounds the call. */
  async function fetch(key: string, name: ObjectName): Promise<Secret | undefined> {
    const nowMs = clock.now().getTime();
    for (const [other, { usedAt }] of entries) if (nowMs - usedAt > FORGET_MS) entries.delete(other);
    const secret = await client.get(SecretKind, name);
    entries.set(key, { secret, readAt: nowMs, usedAt: nowMs });
    return secret;
  }
}
