// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../../api/cluster-api.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { WorkloadClusters } from '../../contract/workload-cluster.ts';
import type { Client } from '../../runtime/client.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';

export interface NodeDeps {
  readonly cache: Cache;
  readonly workloads: WorkloadClusters;
  readonly events: EventRecorder;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** What one pass over a cluster works on. */
export interface NodeScope {
  readonly object: TSCluster;
  readonly cluster: Cluster;
  readonly cache: Cache;
  /** Machines on hosts that have a providerID, are not paused and are not being deleted. */
  readonly machines: readonly TSMachine[];
  readonly workload: Client;
  readonly told: Told;
  /** Certificate requests that were refused, by UID: what their machines were known as then. */
  readonly refused: Map<string, string>;
}

/** What people were told of, so that they are told once: a pass that is made every two seconds must not fill the Events. */
export interface Told {
  /** Says it unless it was said in the pass before, too. */
  warn(
    machine: TSMachine,
    content: { readonly reason: string; readonly action: string; readonly note: string },
  ): void;
  /** Begins a pass: what is not said again in it may be said anew later. */
  begin(): void;
}

/** Most Events of one pass: a workload cluster that somebody else rules must not fill the management cluster. */
const MAX_EVENTS = 10;

/** Remembers in memory: after a restart all is said once more, which the recorder of Events forgives. */
export function createTold(events: EventRecorder): Told {
  let before = new Set<string>();
  let now = new Set<string>();
  let said = 0;
  return {
    begin() {
      [before, now, said] = [now, new Set(), 0];
    },
    warn(machine, content) {
      const key = [machine.metadata.uid, content.reason, content.note].join('\0');
      const isNew = !before.has(key) && !now.has(key);
      if (isNew && ++said > MAX_EVENTS) return;
      now.add(key);
      if (isNew) events.event(machine, { type: 'Warning', ...content });
    },
  };
}
