// SPDX-License-Identifier: Apache-2.0
// Which hosts of a control plane share an address.
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { isDeleting } from '../../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Cache } from '../../runtime/informer.ts';
import { claimOf } from './claim.ts';
import { agreementOf } from './machine.ts';

/** Whether the hosts of the cluster's control plane share an address. */
export function hasVirtualIP({ spec }: TSCluster): boolean {
  return spec.controlPlaneLoadBalancer?.type === 'VirtualIP';
}

/**
 * The hosts of the cluster's control plane machines, claimed by them and agreed by both, of a cluster whose hosts share an address. One that
 * is being given back stays until it is clean: left out before its keepalived has ended it would hear nobody any more, and take the address.
 */
export function sharersOf(cache: Cache, tsCluster: TSCluster): readonly TSHost[] {
  if (!hasVirtualIP(tsCluster)) return [];
  return byCluster(tsCluster)
    .flatMap((cluster) => cache.byIndex<TSMachine>(TSMachineKind, CLUSTER_INDEX, cluster))
    .filter((machine) => isControlPlane(machine, ownerMachine(cache, machine)))
    .flatMap((machine) => hostOf(cache, machine) ?? []);
}

function hostOf(cache: Cache, machine: TSMachine): TSHost | undefined {
  const id = parseProviderID(machine.spec.providerID ?? '');
  if (id?.backend !== 'host') return undefined;
  const host = cache.peek(TSHostKind, { namespace: id.namespace, name: id.host });
  return host !== undefined && hasPart(host, machine) ? host : undefined;
}

function hasPart(host: TSHost, machine: TSMachine): boolean {
  const claim = claimOf(host);
  if (claim === undefined || agreementOf(host, claim, machine) !== 'agreed') return false;
  const isLeaving = claim.releasing === true || isDeleting(machine);
  return !isLeaving || host.status?.virtualIP !== undefined;
}
