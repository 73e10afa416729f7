// SPDX-License-Identifier: Apache-2.0
// What the managers of both providers are built on.
import { hostname } from 'node:os';
import { createWorkloadClusters } from '../contract/workload-cluster.ts';
import { createClient, kubeConfigFromString, loadKubeConfig } from '../runtime/client.ts';
import { systemClock as clock } from '../runtime/clock.ts';
import { createEventRecorder } from '../runtime/events.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createInformers } from '../runtime/informer.ts';
import { createLeaderElector } from '../runtime/leader-election.ts';
import { createLogger } from '../runtime/logger.ts';
import { createManager, type Manager, type ManagerOptions } from '../runtime/manager.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { aborted, type Runnable } from '../runtime/runnable.ts';
import type { Flags } from './flags.ts';

/** Client, informers, log, metrics and events; `component` is who events come from. */
export function foundation(flags: Flags, component: string) {
  const log = createLogger({ level: flags.logLevel });
  const metrics = createMetrics({ process: true });
  const client = createClient({ kubeConfig: loadKubeConfig({ path: flags.kubeconfig }), metrics });
  const informers = createInformers({ client, log, clock, namespace: flags.namespace || undefined });
  const instance = process.env['POD_NAME'] ?? hostname();
  const events = createEventRecorder({ client, clock, log, metrics, component, instance });
  const workloads = createWorkloadClusters({
    client,
    clock,
    clientFrom: (text) =>
      createClient({ kubeConfig: kubeConfigFromString(text), metrics, target: 'workload' }),
  });
  return {
    ...{ log, clock, metrics, client, informers, events, workloads },
    cache: informers.cache,
    watchFilter: flags['watch-filter'],
  };
}

export type Foundation = ReturnType<typeof foundation>;

/** The manager around the controllers and the background work of one provider; `lease` names its Lease. */
export function managerOf(
  flags: Flags,
  base: Foundation,
  parts: Pick<ManagerOptions, 'background' | 'controllers'> & { readonly lease: string },
): Manager {
  const { log, informers, events } = base;
  const lease = { namespace: flags.leaseNamespace, name: parts.lease };
  return createManager({
    log,
    exit: (code) => process.exit(code),
    listeners: listeners(flags, base),
    informers,
    ...(flags.leaderElect && { elector: createLeaderElector({ ...base, lease }) }),
    background: [...(parts.background ?? []), atStop('events', () => events.flush())],
    controllers: parts.controllers,
  });
}

/** Something that runs by itself and wants a last word. */
export function atStop(name: string, finish: () => Promise<void>): Runnable {
  return {
    name,
    async run(signal) {
      await aborted(signal);
      await finish();
    },
  };
}

function listeners(flags: Flags, { informers, metrics }: Foundation) {
  const ready = { caches: () => informers.synced() };
  const [health, scrape] = [flags['health-addr'], flags['metrics-addr']];
  if (health === scrape) return [createHealthServer({ address: health, ready, metrics })];
  return [createHealthServer({ address: health, ready }), createHealthServer({ address: scrape, metrics })];
}
