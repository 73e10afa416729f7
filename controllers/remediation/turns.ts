// SPDX-License-Identifier: Apache-2.0
// Never more machines of a Cluster at once than the guard allows, and of its control plane one.
import { TSRemediationKind } from '../../api/kinds.ts';
import type { TSRemediation } from '../../api/tsremediation.ts';
import { byCluster } from '../../contract/watches.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { holdOf } from './asks.ts';
import { elapsedMs, findTarget, type Phase, type Target, timeoutMs } from './scope.ts';

/** Gives out turns. Who has begun is read from the cache, so that a restart forgets nothing. */
export interface Turns {
  /** '' when the remediation may begin now, else one line that says what it waits for. Asking again is harmless. */
  take(object: TSRemediation, cache: Cache, now: Date): string;
  /** It does not want its turn any more, if it has got one that nobody else knows of. */
  giveBack(object: TSRemediation): void;
}

const AT_WORK: readonly (Phase | undefined)[] = ['Rebooting', 'Evacuating', 'Recovering'];

/** The book of one process: it holds what was given out and is not in the cache yet. */
export function createTurns(): Turns {
  const given = new Set<string>();
  return {
    take(object, cache, now) {
      const key = keyOf(nameOf(object));
      const own = findTarget(cache, object);
      forget(given, cache);
      const busy = cache
        .list<TSRemediation>(TSRemediationKind, object.metadata.namespace)
        .filter((one) => keyOf(nameOf(one)) !== key)
        .map((one) => ({ one, target: findTarget(cache, one) }))
        .filter(({ one, target }) => clusterOf(one, target) === clusterOf(object, own))
        .filter(({ one, target }) => {
          const isStuck = isOverdue(one, now) && (own.isControlPlane || holdOf(target.host) === undefined);
          return given.has(keyOf(nameOf(one))) || (isAtWork(one) && !isStuck);
        });
      const limit = object.spec.maxConcurrent ?? 1;
      if (busy.length >= limit)
        return `${busy.length} of ${limit} machines of the cluster are being worked on`;
      const partner = busy.find(({ target }) => target.isControlPlane)?.one;
      if (partner !== undefined && own.isControlPlane)
        return `${partner.metadata.name}, another machine of the control plane, is being worked on`;
      given.add(key);
      return '';
    },
    giveBack: (object) => void given.delete(keyOf(nameOf(object))),
  };
}

/** By its Machine: who makes one by hand may leave out the label. */
function clusterOf(object: TSRemediation, { machine }: Target): string | undefined {
  const { namespace = '' } = object.metadata;
  return machine === undefined ? byCluster(object)[0] : `${namespace}/${machine.spec.clusterName}`;
}

/**
 * Longer in its phase than it should be: nobody says whether its machine is well, or the workload cluster does not answer. It may never
 * end, and so holds nobody up for ever; but as long as it keeps a kubelet, only the control plane, without which it cannot end.
 */
function isOverdue(object: TSRemediation, now: Date): boolean {
  const mayStick = ['Evacuating', 'Recovering'].includes(object.status?.phase ?? '');
  return mayStick && elapsedMs(object, now) > timeoutMs(object);
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
