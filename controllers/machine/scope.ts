// SPDX-License-Identifier: Apache-2.0
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { BootstrapData, CreateIntent, MachineBackend, MachineFacts, Observed } from '../../backends/backend.ts';

/** What one reconcile works on, and what its phases found out. */
export interface MachineScope {
  /** Our own copy: phases change it, one patch at the end writes it. */
  readonly object: TSMachine;
  /** The owner; may be gone while deleting. */
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  readonly tsCluster: TSCluster | undefined;
  readonly backend: MachineBackend;
  readonly facts: Facts;
}

/** Filled by phases, read by conditions.ts. */
export interface Facts {
  /** Set by observeInstance; `undefined` until the backend has answered. */
  instance?: Observed;
  /** Set by readBootstrapData, when an instance is still to be made. */
  bootstrapData?: BootstrapData;
  /** Set by recordIntent: the promise as the API server holds it. */
  intent?: CreateIntent;
  /** Set by destroyInstance: how far the end of the instance is. */
  destroying?: string;
}

/** The plain data that a backend may see (decision 3). */
export function machineFacts(scope: Omit<MachineScope, 'backend' | 'facts'>): MachineFacts {
  const { object, machine, cluster, tsCluster } = scope;
  return {
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    clusterName: cluster?.metadata.name ?? machine?.spec.clusterName ?? '',
    // The label counts by its presence, its value is empty (PIT-31).
    controlPlane: machine?.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined,
    version: machine?.spec.version,
    failureDomain: machine?.spec.failureDomain,
    providerID: object.spec.providerID,
    intent: object.spec.createIntent,
    spec: object.spec,
    cluster: tsCluster?.spec,
  };
}
