// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../../api/cluster-api.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { HostInventory } from '../../backends/host-inventory.ts';

/** What one reconcile works on, and what its phases found out. */
export interface ClusterScope {
  /** Our own copy: phases change it, one patch at the end writes it. */
  readonly object: TSCluster;
  /** The owner; may be gone while deleting. */
  readonly cluster: Cluster | undefined;
  /** Names of the TSMachines of this cluster, sorted; read while deleting. */
  readonly machineNames: () => readonly string[];
  /** Where a load balancer may be claimed. */
  readonly inventory: HostInventory;
}
