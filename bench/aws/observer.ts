// SPDX-License-Identifier: Apache-2.0
// Sees infrastructure objects change through one watch: lists again and again would be work for the API server that is measured.
import { pause } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';

export interface Watched<T extends KubeObject> {
  readonly kind: Kind<T>;
  readonly namespace: string;
  /** Once true for an object it counts as provisioned, whatever becomes of it. */
  isProvisioned(object: T): boolean;
}

export interface Observer {
  /** Settles when so many objects have been provisioned. */
  untilProvisioned(count: number): Promise<void>;
  /** Settles when none exists any more. */
  untilGone(): Promise<void>;
  /** Twice is harmless. */
  stop(): void;
}

const WATCH_SECONDS = 3_600;
const LOOK_MS = 50;
const TIMEOUT_MS = 1_200_000;

/** Sees what happens from now on. */
export function observe<T extends KubeObject>(
  client: Pick<ApiClient, 'snapshot' | 'watch'>,
  watched: Watched<T>,
): Observer {
  const stopped = new AbortController();
  const seen: Seen = { living: new Set(), provisioned: new Set(), failure: undefined };
  read(client, watched, { seen, signal: stopped.signal }).catch((error: unknown) => {
    if (!stopped.signal.aborted) seen.failure = error;
  });
  const until = async (what: string, isSo: () => boolean) => {
    const deadline = Date.now() + TIMEOUT_MS;
    while (!isSo()) {
      if (seen.failure !== undefined)
        throw new Error(`the bench cannot watch ${watched.kind.plural}`, { cause: seen.failure });
      if (Date.now() > deadline) throw new Error(`waited ${TIMEOUT_MS / 1000} s in vain until ${what}`);
      await pause(LOOK_MS);
    }
  };
  const { plural } = watched.kind;
  return {
    untilProvisioned: (count) =>
      until(`${count} ${plural} are provisioned`, () => seen.provisioned.size >= count),
    untilGone: () => until(`all ${plural} are gone`, () => seen.living.size === 0),
    stop: () => stopped.abort(),
  };
}

interface Seen {
  readonly living: Set<string>;
  readonly provisioned: Set<string>;
  failure: unknown;
}

/** Until it is stopped. An API server ends the watches of a kind whose CRD changes, which it does once more soon after it is installed. */
async function read<T extends KubeObject>(
  client: Pick<ApiClient, 'snapshot' | 'watch'>,
  { kind, namespace, isProvisioned }: Watched<T>,
  { seen, signal }: { seen: Seen; signal: AbortSignal },
): Promise<void> {
  const see = (object: T) => {
    seen.living.add(object.metadata.name);
    if (isProvisioned(object)) seen.provisioned.add(object.metadata.name);
  };
  while (!signal.aborted) {
    const { items, resourceVersion } = await client.snapshot(kind, { namespace }, signal);
    seen.living.clear();
    for (const object of items) see(object);
    const options = { namespace, resourceVersion, timeoutSeconds: WATCH_SECONDS };
    for await (const { type, object } of client.watch(kind, options, signal)) {
      if (type === 'DELETED') seen.living.delete(object.metadata.name);
      else if (type === 'ADDED' || type === 'MODIFIED') see(object);
    }
    await pause(LOOK_MS);
  }
}
