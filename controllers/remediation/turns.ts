// SPDX-License-Identifier: Apache-2.0
// Never more machines of a Cluster at once than the guard allows, and of its control plane one.
import { TSRemediationKind } from '../../api/kinds.ts';
import type { TSRemediation } from '../../api/tsremediation.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { findTarget, type Phase } from './scope.ts';

/** Gives out turns. Who has begun is read from the cache, so that a restart forgets nothing. */
export interface Turns {
  /** '' when the remediation may begin now, else one line that says what it waits for. Asking again is harmless. */
  take(object: TSRemediation, cache: Cache): string;
}

const AT_WORK: readonly (Phase | undefined)[] = ['Rebooting', 'Evacuating', 'Recovering'];

/** The book of one process: it holds what was given out and is not in the cache yet. */
export function createTurns(): Turns {
  const given = new Set<string>();
  return {
    take(object, cache) {
      const key = keyOf(nameOf(object));
      const all = byCluster(object).flatMap((cluster) =>
        cache.byIndex(TSRemediationKind, CLUSTER_INDEX, cluster),
      );
      forget(given, cache);
      const busy = all.filter((one) => {
        const other = keyOf(nameOf(one));
        return other !== key && (given.has(other) || isAtWork(one));
      });
      const limit = object.spec.maxConcurrent ?? 1;
      if (busy.length >= limit)
        return `${busy.length} of ${limit} machines of the cluster are being worked on`;
      const partner = busy.find((one) => findTarget(cache, one).isControlPlane);
      if (partner !== undefined && findTarget(cache, object).isControlPlane)
        return `${partner.metadata.name}, another machine of the control plane, is being worked on`;
      given.add(key);
      return '';
    },
  };
}

/** One that is deleted still takes back what it did. */
function isAtWork(object: TSRemediation): boolean {
  return AT_WORK.includes(object.status?.phase);
}

/** A turn ends in the book once the cache has what became of it. */
function forget(given: Set<string>, cache: Cache): void {
  const waiting = new Set(
    cache
      .list(TSRemediationKind)
      .filter((one) => !isDeleting(one) && [undefined, 'Waiting'].includes(one.status?.phase))
      .map((one) => keyOf(nameOf(one))),
  );
  for (const key of given) if (!waiting.has(key)) given.delete(key);
}
