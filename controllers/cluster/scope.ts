// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../../api/cluster-api.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type {
  ClusterLoadBalancer,
  ClusterNetwork,
  Ensured,
  FailureDomain,
} from '../../backends/cluster-backend.ts';
import type { HostInventory } from '../../backends/host-inventory.ts';

/** What one reconcile works on, and what its phases found out. */
export interface ClusterScope {
  /** Our own copy: phases change it, one patch at the end writes it. */
  readonly object: TSCluster;
  /** The owner; may be gone while deleting. */
  readonly cluster: Cluster | undefined;
  /** Names of the TSMachines and TSMachinePools of this cluster, sorted; read while deleting. */
  readonly machineNames: () => readonly string[];
  /** Where a load balancer may be claimed. */
  readonly inventory: HostInventory;
  /** Who makes networks and load balancers for this cluster; `undefined` where nobody has to. */
  readonly cloud: CloudCluster | undefined;
  /** Writes metadata and spec of the object now and reads the answer back into it. */
  readonly persist: () => Promise<void>;
  readonly facts: ClusterFindings;
}

/** What a cloud's backend does for a cluster. */
export type CloudCluster = ClusterNetwork & ClusterLoadBalancer;

/** Filled by phases. */
export interface ClusterFindings {
  /** Set by ensureNetwork: what it has answered. */
  network?: Ensured<object>;
  /** Set by ensureNetwork and ensureLoadBalancer; `undefined` while the network is not ready. */
  failureDomains?: readonly FailureDomain[] | undefined;
  /** When what was made is compared with the spec again. */
  pollMs?: number;
}
