// SPDX-License-Identifier: Apache-2.0
// Which instances somebody knows, as the caches say, and whom to tell of the others.
import { Reason } from '../api/conditions.ts';
import { TSClusterKind, TSMachineKind } from '../api/kinds.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { TSMachine } from '../api/tsmachine.ts';
import type { ClaimedMachine, KnownMachines, Orphan } from '../backends/aws/instance/orphans.ts';
import { ownerCluster } from '../contract/owners.ts';
import { pausedMessage } from '../contract/paused.ts';
import { servedBy } from '../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import type { Foundation } from './foundation.ts';

type Caches = Pick<Foundation, 'cache' | 'informers' | 'watchFilter'>;

/** Unknown is only what a cluster of ours, which is not paused, has nothing of; a cluster that nobody here knows may be somebody else's. */
export function knownMachines(base: Caches): KnownMachines {
  return {
    knows(claimed) {
      if (!base.informers.synced()) return 'unsure';
      const cluster = clusterOf(base, claimed);
      if (cluster === undefined || !servedBy(base.watchFilter, cluster)) return 'unsure';
      if (pausedMessage(ownerCluster(base.cache, cluster), cluster) !== '') return 'unsure';
      const { namespace, name } = claimed;
      if (has(base.cache.peek(TSMachineKind, { namespace, name }), claimed)) return 'known';
      const machines = byCluster(cluster).flatMap((key) =>
        base.cache.byIndex(TSMachineKind, CLUSTER_INDEX, key),
      );
      return machines.some((machine) => has(machine, claimed)) ? 'known' : 'unknown';
    },
  };
}

/** Tells of an orphan on the TSCluster that it belongs to. */
export function tellOfOrphan({
  events,
  ...base
}: Caches & Pick<Foundation, 'events'>): (orphan: Orphan) => void {
  return (orphan) => {
    const cluster = clusterOf(base, orphan);
    if (cluster === undefined) return;
    const { instanceID, namespace, name, region, account } = orphan;
    const what = `Instance ${instanceID} in ${region} of account ${account} was made for TSMachine ${namespace}/${name}, and no TSMachine has it`;
    const note = orphan.isRemoved
      ? `${what}; it is terminated now, as --aws-orphans asks`
      : `${what}; look at it and terminate it`;
    events.event(cluster, { type: 'Warning', reason: Reason.OrphanFound, action: 'Reconcile', note });
  };
}

function clusterOf(
  { cache }: Caches,
  { infrastructureID, namespace }: ClaimedMachine,
): TSCluster | undefined {
  return cache.list(TSClusterKind, namespace).find(({ spec }) => spec.infrastructureID === infrastructureID);
}

function has(machine: TSMachine | undefined, { token, instanceID }: ClaimedMachine): boolean {
  const { createIntent, providerID } = machine?.spec ?? {};
  return createIntent?.clientToken === token || providerID?.endsWith(`/${instanceID}`) === true;
}
