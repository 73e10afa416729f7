// SPDX-License-Identifier: Apache-2.0
// The servers that one suite measures against.
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { APIServer } from '../hack/stack/api-server.ts';
import { openInMemoryCloud } from '../backends/inmemory/sqlite-cloud.ts';
import type { CloudCounts } from '../backends/inmemory/cloud.ts';
import { type ApiClient } from '../runtime/client.ts';
import { systemClock } from '../runtime/clock.ts';
import { startEnvironment } from '../test/envtest/harness.ts';
import { type ManagerProcess, startManager } from './manager-process.ts';
import type { BenchOptions } from './options.ts';

/** One management API server with our CRDs, role and service account, and Cluster API's CRDs; nothing of Cluster API runs. */
export interface World {
  readonly client: ApiClient;
  readonly apiServer: APIServer;
  /** File with the instances of the in-memory backend. */
  readonly database: string;
  namespace(): Promise<string>;
  /** An API server for workload clusters, and its kubeconfig as text. */
  workload(): Promise<{ readonly client: ApiClient; readonly kubeconfig: string }>;
  startManager(): Promise<ManagerProcess>;
  /** What the backend has counted up to now. */
  cloudCounts(): CloudCounts;
}

/** Starts the servers, runs `work`, and takes everything down again whatever happens. */
export async function withWorld<T>(options: BenchOptions, work: (world: World) => Promise<T>): Promise<T> {
  const environment = await startEnvironment({ managers: [], controllerManager: false });
  const { apiServer, stack, client } = environment;
  const database = join(environment.dir, 'instances.sqlite');
  const managers: ManagerProcess[] = [];
  try {
    return await work({
      client,
      apiServer,
      database,
      namespace: () => environment.namespace('bench'),
      async workload() {
        const server = await environment.workload();
        const kubeconfig = readFileSync(server.kubeconfig, 'utf8');
        return { client: await environment.workloadClient(), kubeconfig };
      },
      async startManager() {
        const { manager: program, profileDir } = options;
        const manager = await startManager({ stack, apiServer, database, program, profileDir });
        managers.push(manager);
        return manager;
      },
      cloudCounts: () => countsOf(database),
    });
  } finally {
    for (const manager of managers) await manager.server.stop();
    await environment.stop();
  }
}

function countsOf(database: string): CloudCounts {
  const cloud = openInMemoryCloud({ path: database, clock: systemClock });
  try {
    return cloud.counts();
  } finally {
    cloud.close();
  }
}
