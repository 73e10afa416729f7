// SPDX-License-Identifier: Apache-2.0
// Hosts over SSH: the inventory, the one controller that works on hosts, and the backend that claims them.
import { TSHostKind } from '../api/kinds.ts';
import { createHostDriver } from '../backends/host/driver.ts';
import { createHostBackend } from '../backends/host/machine-backend.ts';
import { createSshPool } from '../backends/host/ssh/pool.ts';
import { createHostInventory } from '../controllers/host/inventory.ts';
import { hostReconciler } from '../controllers/host/reconciler.ts';
import { HOST_INDEXES, hostWatches } from '../controllers/host/watches.ts';
import { nodeReconciler } from '../controllers/node/reconciler.ts';
import { nodeWatches } from '../controllers/node/watches.ts';
import { createController } from '../runtime/controller.ts';
import { gauge } from '../runtime/metrics.ts';
import type { Flags } from './flags.ts';
import { atStop, type Foundation } from './foundation.ts';

/** What the infrastructure manager takes from here. */
export function hosts(flags: Flags, base: Foundation) {
  const { cache, clock, metrics } = base;
  base.informers.add(TSHostKind, { indexes: HOST_INDEXES });
  const driver = createHostDriver({ pool: createSshPool({ clock }) });
  gauge(
    metrics,
    {
      name: 'ts_provider_ssh',
      help: 'SSH connections that are open or being opened, sessions over them, and calls that wait for either.',
      labelNames: ['what'],
    },
    (ssh) => {
      for (const [what, count] of Object.entries<number>({ ...driver.stats() })) ssh.set({ what }, count);
    },
  );
  const inventory = createHostInventory(base);
  return {
    inventory,
    backend: createHostBackend({ inventory }),
    background: [atStop('ssh', () => driver.close())],
    controllers: [
      createController(
        {
          name: 'tshost',
          reconcile: hostReconciler({ ...base, driver, cleaningPerPool: flags.cleaningPerPool }),
          watches: hostWatches(cache),
          concurrency: flags.hostConcurrency,
        },
        base,
      ),
      createController(
        {
          name: 'tshost-nodes',
          reconcile: nodeReconciler(base),
          watches: nodeWatches(cache),
          concurrency: flags.clusterConcurrency,
        },
        base,
      ),
    ],
  };
}

export type Hosts = ReturnType<typeof hosts>;
