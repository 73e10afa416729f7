// SPDX-License-Identifier: Apache-2.0
// At most so many hosts of a pool are cleaned at once: a mistake in a fleet is seen before it has reached every host.
import { TSHostKind } from '../../api/kinds.ts';
import { POOL_LABEL } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';

/** Gives out turns. What has begun is read from the cache, so that a restart forgets nothing. */
export interface Turns {
  /** '' when the host may be cleaned now, else one line that says what it waits for. Asking again is harmless. */
  take(host: TSHost, from: { readonly cache: Cache; readonly limit: number }): string;
}

/** The book of one process: it holds what was given out and is not in the cache yet. */
export function createTurns(): Turns {
  const given = new Set<string>();
  return {
    take(host, { cache, limit }) {
      const key = keyOf(nameOf(host));
      if (isBeingCleaned(host)) return '';
      const pool = poolOf(host);
      const hosts = cache.list<TSHost>(TSHostKind, host.metadata.namespace);
      const others = hosts.filter((one) => poolOf(one) === pool && keyOf(nameOf(one)) !== key);
      forget(given, hosts);
      const busy = others.filter((one) => isBeingCleaned(one) || given.has(keyOf(nameOf(one)))).length;
      if (busy >= limit) return `${busy} of ${limit} hosts of pool ${pool} are being cleaned`;
      given.add(key);
      return '';
    },
  };
}

/** A turn ends with the wait for it: the host has begun, or it does not want to be cleaned any more. */
function forget(given: Set<string>, hosts: readonly TSHost[]): void {
  const namespace = hosts[0]?.metadata.namespace ?? '';
  const waiting = new Set(
    hosts
      .filter((one) => one.status?.state === 'Releasing' && !isBeingCleaned(one))
      .map((one) => keyOf(nameOf(one))),
  );
  for (const key of given) if (key.startsWith(`${namespace}/`) && !waiting.has(key)) given.delete(key);
}

/** Whether the clean-up of the host has begun and not ended: it was written down before the host was touched. */
export function isBeingCleaned({ status }: TSHost): boolean {
  return (
    (status?.state === 'Releasing' || status?.state === 'Cleaning') && status.operation?.kind === 'Clean'
  );
}

/** The pool of a host: its label, else its namespace. Pools do not reach over namespaces. */
function poolOf({ metadata }: TSHost): string {
  return metadata.labels?.[POOL_LABEL] ?? metadata.namespace ?? '';
}
