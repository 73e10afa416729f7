// SPDX-License-Identifier: Apache-2.0
// The manager: flags and environment, wiring, nothing else.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import {
  ClusterKind,
  MachineKind,
  TSClusterKind,
  TSMachineKind,
  TSMachineTemplateKind,
} from './api/kinds.ts';
import { openInMemoryCloud } from './backends/inmemory/sqlite-cloud.ts';
import { createInMemoryBackend } from './backends/inmemory/machine-backend.ts';
import { createSimulator } from './backends/inmemory/simulator.ts';
import { byCluster, byOwnerCluster, CLUSTER_INDEX, OWNER_CLUSTER_INDEX } from './contract/watches.ts';
import { createWorkloadClusters } from './contract/workload-cluster.ts';
import { clusterReconciler } from './controllers/cluster/reconciler.ts';
import { clusterWatches } from './controllers/cluster/watches.ts';
import { changeFeedTick } from './controllers/machine/change-feed.ts';
import { machineReconciler } from './controllers/machine/reconciler.ts';
import { machineWatches } from './controllers/machine/watches.ts';
import {
  machineTemplateReconciler,
  machineTemplateWatches,
} from './controllers/machinetemplate/reconciler.ts';
import { createClient, kubeConfigFromString, loadKubeConfig } from './runtime/client.ts';
import { systemClock as clock } from './runtime/clock.ts';
import { createController } from './runtime/controller.ts';
import { errorMessage } from './runtime/errors.ts';
import { createEventRecorder } from './runtime/events.ts';
import { createHealthServer } from './runtime/health.ts';
import { createInformers } from './runtime/informer.ts';
import { createLeaderElector } from './runtime/leader-election.ts';
import { createLogger, LOG_LEVELS, type LogLevel } from './runtime/logger.ts';
import { createManager, type Manager } from './runtime/manager.ts';
import { createMetrics } from './runtime/metrics.ts';
import { aborted, type Runnable } from './runtime/runnable.ts';
import { createTicker } from './runtime/ticker.ts';

const COMPONENT = 'ts-provider';
/** How often the simulated machines live on. */
const SIMULATOR_TICK_MS = 200;
/** How often a backend is asked what changed: less than one call per account and second while nothing happens (invariant 12). */
const CHANGES_TICK_MS = 1_500;

const HELP = `ts-provider: the infrastructure provider's manager

  --kubeconfig FILE             management cluster; default: KUBECONFIG, the Pod's service account, ~/.kube/config
  --namespace NAME              serve one namespace only; default: all
  --watch-filter VALUE          serve only objects whose label cluster.x-k8s.io/watch-filter is VALUE
  --leader-elect[=true|false]   wait for the Lease before acting; default false
  --leader-elect-namespace NAME where the Lease is; default: POD_NAMESPACE, else ts-provider-system
  --tscluster-concurrency N     TSClusters reconciled at once; default 10
  --tsmachine-concurrency N     TSMachines reconciled at once; default 50
  --in-memory-database FILE     instances of the in-memory backend; default: gone with the process
  --health-addr HOST:PORT       /healthz and /readyz; default :9440, 0 for none
  --metrics-addr HOST:PORT      /metrics; default 127.0.0.1:8080, 0 for none
  --log-level LEVEL             ${LOG_LEVELS.join(', ')}; default info
  --version                     print the version and exit
`;

type Flags = ReturnType<typeof parseFlags>;

function parseFlags(args: readonly string[]) {
  const { values } = parseArgs({
    // As in Kubernetes' own programs, a switch may stand alone or carry its value.
    args: args.map((arg) => (arg === '--leader-elect' ? '--leader-elect=true' : arg)),
    options: {
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', default: '' },
      'watch-filter': { type: 'string', default: '' },
      'leader-elect': { type: 'string', default: 'false' },
      'leader-elect-namespace': {
        type: 'string',
        default: process.env['POD_NAMESPACE'] ?? 'ts-provider-system',
      },
      'tscluster-concurrency': { type: 'string', default: '10' },
      'tsmachine-concurrency': { type: 'string', default: '50' },
      'in-memory-database': { type: 'string', default: ':memory:' },
      'health-addr': { type: 'string', default: ':9440' },
      'metrics-addr': { type: 'string', default: '127.0.0.1:8080' },
      'log-level': { type: 'string', default: 'info' },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    ...values,
    leaderElect: oneOf('leader-elect', values['leader-elect'], ['true', 'false']) === 'true',
    logLevel: oneOf<LogLevel>('log-level', values['log-level'], LOG_LEVELS),
    clusterConcurrency: positive('tscluster-concurrency', values['tscluster-concurrency']),
    machineConcurrency: positive('tsmachine-concurrency', values['tsmachine-concurrency']),
  };
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new Error(`--${flag} is "${value}"; use one of ${allowed.join(', ')}`);
  return found;
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${flag} is "${value}"; use a whole number from 1`);
  return number;
}

/** What all parts share. */
function foundation(flags: Flags) {
  const log = createLogger({ level: flags.logLevel });
  const metrics = createMetrics({ process: true });
  const client = createClient({ kubeConfig: loadKubeConfig({ path: flags.kubeconfig }), metrics });
  const informers = createInformers({ client, log, clock, namespace: flags.namespace || undefined });
  const instance = process.env['POD_NAME'] ?? hostname();
  const events = createEventRecorder({ client, clock, log, metrics, component: COMPONENT, instance });
  return { log, clock, metrics, client, informers, events, watchFilter: flags['watch-filter'] };
}

type Foundation = ReturnType<typeof foundation>;

function watchKinds({ informers }: Foundation): void {
  informers.add(ClusterKind);
  // Nobody reads a Machine's status, and it is most of the object.
  informers.add(MachineKind, {
    transform: (machine) => {
      delete machine.status;
      return machine;
    },
  });
  informers.add(TSClusterKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  informers.add(TSMachineTemplateKind, { indexes: { [OWNER_CLUSTER_INDEX]: byOwnerCluster } });
  informers.add(TSMachineKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
}

/** The in-memory backend and the life of its machines, which only the leader lets go on. */
function inMemory(base: Foundation, database: string) {
  const { client, metrics } = base;
  const cloud = openInMemoryCloud({ path: database, clock });
  const workloads = createWorkloadClusters({
    client,
    clock,
    clientFrom: (text) =>
      createClient({ kubeConfig: kubeConfigFromString(text), metrics, target: 'workload' }),
  });
  const simulator = createSimulator({ cloud, workloads, clock });
  const stop = async () => {
    await simulator.stop();
    cloud.close();
  };
  return { simulator, backend: createInMemoryBackend(cloud), stop };
}

function build(flags: Flags): Manager {
  const base = foundation(flags);
  const { log, metrics, informers, client, events } = base;
  const { cache } = informers;
  watchKinds(base);

  const { backend, simulator, stop: stopInMemory } = inMemory(base, flags['in-memory-database']);
  const machines = createController(
    {
      name: 'tsmachine',
      reconcile: machineReconciler({ ...base, cache, backends: { for: () => backend } }),
      watches: machineWatches(cache),
      concurrency: flags.machineConcurrency,
    },
    base,
  );
  const clusters = createController(
    {
      name: 'tscluster',
      reconcile: clusterReconciler({ ...base, cache }),
      watches: clusterWatches(cache),
      concurrency: flags.clusterConcurrency,
    },
    base,
  );
  const templates = createController(
    {
      name: 'tsmachinetemplate',
      reconcile: machineTemplateReconciler({ ...base, cache, sizeOf: (spec) => backend.size(spec) }),
      watches: machineTemplateWatches(cache),
      concurrency: 1,
    },
    base,
  );
  const lease = { namespace: flags['leader-elect-namespace'], name: 'ts-provider-leader' };
  return createManager({
    log,
    exit: (code) => process.exit(code),
    listeners: listeners(flags, base),
    informers,
    ...(flags.leaderElect && { elector: createLeaderElector({ client, clock, log, metrics, lease }) }),
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
        tick: changeFeedTick(backend, (name) => machines.wake(name)),
      }),
      atStop('in-memory-cloud', stopInMemory),
      atStop('events', () => events.flush()),
    ],
    controllers: [clusters, machines, templates],
  });
}

/** Something that runs by itself and wants a last word. */
function atStop(name: string, finish: () => Promise<void>): Runnable {
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

function version(): string {
  // The bundle carries its version; a checkout reads it.
  if (process.env['TS_PROVIDER_VERSION'] !== undefined) return process.env['TS_PROVIDER_VERSION'];
  return (JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { version: string })
    .version;
}

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.help) return void process.stdout.write(HELP);
  if (flags.version) return void process.stdout.write(`${version()}\n`);
  const manager = build(flags);
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(1);
      asked = true;
      manager.stop();
    });
  }
  await manager.run();
}

// All is stopped: a connection that somebody does not close must not keep the process.
main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`ts-provider: ${errorMessage(error)}\n`);
    process.exit(1);
  },
);
