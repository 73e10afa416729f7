// SPDX-License-Identifier: Apache-2.0
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type {
  Backends,
  BootstrapData,
  CreateIntent,
  MachineFacts,
  Observed,
  UpkeepReport,
} from '../../backends/backend.ts';
import { clusterOfMachine, infraCluster, isControlPlane, ownerMachine } from '../../contract/owners.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';

/** Who an InfraMachine belongs to. Complete in normal life; any of them may be gone while deleting. */
export interface Owners {
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  readonly tsCluster: TSCluster | undefined;
}

/** What one reconcile works on, and what its phases found out. */
export interface MachineScope extends Owners {
  /** Our own copy: phases change it, one patch at the end writes it. */
  readonly object: TSMachine;
  readonly backend: ReturnType<Backends['for']>;
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
  /** Set by lookAfterInstance: what the backend has seen around the instance; `undefined` where it does not look. */
  upkeep?: UpkeepReport;
  /** Set by destroyInstance: how far the end of the instance is. */
  destroying?: string;
}

/** The owners of a machine, as far as the cache knows them. */
export function findOwners(cache: Cache, object: TSMachine): Owners {
  const machine = ownerMachine(cache, object);
  const cluster = clusterOfMachine(cache, object, machine);
  return { machine, cluster, tsCluster: infraCluster(cache, cluster) };
}

/** The plain data that a backend may see (decision 3). */
export function machineFacts({ object, machine, cluster, tsCluster }: MachineScope): MachineFacts {
  return {
    ...nameOf(object),
    uid: object.metadata.uid ?? '',
    clusterName: cluster?.metadata.name ?? machine?.spec.clusterName ?? '',
    // The Machine may be gone while deleting.
    controlPlane: isControlPlane(machine, object),
    ...askedOf(machine),
    providerID: object.spec.providerID,
    intent: object.spec.createIntent,
    spec: object.spec,
    cluster: tsCluster?.spec,
    infrastructureID: tsCluster?.spec.infrastructureID,
  };
}

/** What the owner asks for, and how far the machine is in its eyes. */
function askedOf(machine: Machine | undefined): Pick<MachineFacts, 'version' | 'failureDomain' | 'hasNode'> {
  return {
    version: machine?.spec.version,
    failureDomain: machine?.spec.failureDomain,
    hasNode: machine?.status?.nodeRef !== undefined,
  };
}
