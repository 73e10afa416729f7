// SPDX-License-Identifier: Apache-2.0
// The manager of the infrastructure provider.
import {
  ClusterKind,
  MachineKind,
  MachinePoolKind,
  TSClusterKind,
  TSMachineKind,
  TSMachinePoolKind,
  TSMachineTemplateKind,
} from '../api/kinds.ts';
import { POOL_NAME_LABEL } from '../api/labels.ts';
import type { Backends } from '../backends/backend.ts';
import { createInMemoryBackend } from '../backends/inmemory/machine-backend.ts';
import { createSimulator } from '../backends/inmemory/simulator.ts';
import { openInMemoryCloud } from '../backends/inmemory/sqlite-cloud.ts';
import { byCluster, byOwnerCluster, CLUSTER_INDEX, OWNER_CLUSTER_INDEX } from '../contract/watches.ts';
import { clusterReconciler } from '../controllers/cluster/reconciler.ts';
import { clusterWatches } from '../controllers/cluster/watches.ts';
import { changeFeedTick, machinesWith } from '../controllers/machine/change-feed.ts';
import { createLostInstances, type LostInstances } from '../controllers/machine/lost.ts';
import { machineReconciler } from '../controllers/machine/reconciler.ts';
import { machineWatches } from '../controllers/machine/watches.ts';
import { machinePoolReconciler } from '../controllers/machinepool/reconciler.ts';
import { machinePoolWatches } from '../controllers/machinepool/watches.ts';
import {
  machineTemplateReconciler,
  machineTemplateWatches,
} from '../controllers/machinetemplate/reconciler.ts';
import { createController } from '../runtime/controller.ts';
import type { Manager } from '../runtime/manager.ts';
import { createTicker } from '../runtime/ticker.ts';
import { type AWS, aws as awsOver } from './aws.ts';
import type { Flags } from './flags.ts';
import { atStop, foundation, type Foundation, managerOf } from './foundation.ts';
import { type Hosts, hosts as hostsOver } from './hosts.ts';
import { remediation } from './remediation.ts';

/** How often the simulated machines live on. */
const SIMULATOR_TICK_MS = 200;
/** How often a backend is asked what changed: less than one call per account and second while nothing happens (invariant 12). */
const CHANGES_TICK_MS = 1_500;
/** How often instances whose TSMachines are gone are asked whether they have ended. */
const LOST_TICK_MS = 3_000;

/** Serves TSCluster, TSMachine, TSMachineTemplate, TSHost and TSRemediation. */
export function infrastructureManager(flags: Flags): Manager {
  const base = foundation(flags, 'ts-provider');
  watchKinds(base);
  const { backend, simulator, stop } = inMemory(base, flags['in-memory-database']);
  const hosts = hostsOver(flags, base);
  const aws = awsOver(flags, base);
  const lost = createLostInstances(base);
  const backends = { inMemory: backend, hosts, aws };
  const { clusters, machines, templates, pools } = controllers(flags, { ...base, lost }, backends);
  return managerOf(flags, base, {
    lease: 'ts-provider-leader',
    background: [
      createTicker({
        ...base,
        name: 'in-memory-simulator',
        everyMs: SIMULATOR_TICK_MS,
        tick: (ctx) => simulator.tick(ctx),
      }),
      createTicker({
        ...base,
        name: 'in-memory-changes',
        everyMs: CHANGES_TICK_MS,
        tick: changeFeedTick(backend, {
          wake: (name) => machines.wake(name),
          all: () => machinesWith(base.cache, (spec) => spec.aws === undefined && spec.host === undefined),
        }),
      }),
      createTicker({
        ...base,
        name: 'lost-instances',
        everyMs: LOST_TICK_MS,
        tick: (ctx) => lost.tick(ctx),
      }),
      atStop('in-memory-cloud', stop),
      ...hosts.background,
      ...aws.background((name) => machines.wake(name)),
    ],
    controllers: [clusters, machines, templates, pools, ...hosts.controllers, remediation(base)],
  });
}

function watchKinds({ informers }: Foundation): void {
  informers.add(ClusterKind);
  // Of a Machine's status, which is most of the object, only its Node is asked for, and of those of pools whether they are ready.
  informers.add(MachineKind, {
    indexes: { [CLUSTER_INDEX]: byCluster },
    transform: (machine) => {
      const { nodeRef, conditions } = machine.status ?? {};
      const ofPool = machine.metadata.labels?.[POOL_NAME_LABEL] !== undefined;
      const ready = ofPool ? conditions?.filter(({ type }) => type === 'Ready') : undefined;
      if (nodeRef === undefined) delete machine.status;
      else machine.status = { nodeRef, ...(ready !== undefined && { conditions: ready }) };
      return machine;
    },
  });
  informers.add(TSClusterKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  informers.add(TSMachineTemplateKind, { indexes: { [OWNER_CLUSTER_INDEX]: byOwnerCluster } });
  informers.add(TSMachinePoolKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  informers.add(MachinePoolKind);
  informers.add(TSMachineKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
}

/** The in-memory backend and the life of its machines, which only the leader lets go on. */
function inMemory({ workloads, clock }: Foundation, database: string) {
  const cloud = openInMemoryCloud({ path: database, clock });
  const simulator = createSimulator({ cloud, workloads, clock });
  const stop = async () => {
    await simulator.stop();
    cloud.close();
  };
  return { simulator, backend: createInMemoryBackend(cloud), stop };
}

interface AllBackends {
  readonly inMemory: ReturnType<typeof inMemory>['backend'];
  readonly hosts: Hosts;
  readonly aws: AWS;
}

type MachineFoundation = Foundation & { readonly lost: LostInstances };

function controllers(flags: Flags, base: MachineFoundation, { inMemory, hosts, aws }: AllBackends) {
  const { cache } = base;
  const backends: Backends = {
    for(spec) {
      if (spec.aws !== undefined) return aws.machines;
      return spec.host === undefined ? inMemory : hosts.backend;
    },
  };
  return {
    machines: createController(
      {
        name: 'tsmachine',
        reconcile: machineReconciler({ ...base, backends }),
        watches: machineWatches(cache),
        concurrency: flags.machineConcurrency,
      },
      base,
    ),
    clusters: createController(
      {
        name: 'tscluster',
        reconcile: clusterReconciler({
          ...base,
          inventory: hosts.inventory,
          cloudOf: (spec) => (spec.aws === undefined ? undefined : aws.clusters),
        }),
        watches: clusterWatches(cache),
        concurrency: flags.clusterConcurrency,
      },
      base,
    ),
    pools: createController(
      {
        name: 'tsmachinepool',
        reconcile: machinePoolReconciler({ ...base, backends: { for: () => aws.pools } }),
        watches: machinePoolWatches(cache),
        concurrency: flags.clusterConcurrency,
      },
      base,
    ),
    templates: createController(
      {
        name: 'tsmachinetemplate',
        reconcile: machineTemplateReconciler({
          ...base,
          backends,
        }),
        watches: machineTemplateWatches(cache),
        concurrency: 1,
      },
      base,
    ),
  };
}
