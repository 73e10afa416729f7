// SPDX-License-Identifier: Apache-2.0
// The servers of one measurement: nothing in them is left from the one before.
import { join } from 'node:path';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { stack as findStack, type Stack } from '../../hack/stack/build.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import { usageOf } from '../process-usage.ts';
import { followAuditLog, type Request } from './audit-log.ts';

/** Where requests go. */
export type Target = 'management' | 'workload';

export interface World {
  readonly stack: Stack;
  readonly management: APIServer;
  /** The control plane of every cluster. */
  readonly workload: APIServer;
  /** Of the management API server, as its administrator. */
  readonly client: ApiClient;
  /** All requests up to now, whoever made them. */
  requests(target: Target): readonly Request[];
  /** CPU seconds of both API servers and their etcds up to now. */
  serverCPU(): ServerCPU;
}

/** CPU seconds. */
export interface ServerCPU {
  readonly management: number;
  readonly workload: number;
  readonly etcd: number;
}

/** Starts two API servers, runs `work`, and takes everything down again whatever happens. */
export async function withWorld<T>(work: (world: World) => Promise<T>): Promise<T> {
  const stack = await findStack();
  const directory = temporaryDirectory('bench');
  const servers: APIServer[] = [];
  const logOf = (target: Target) => join(directory.path, `${target}-audit.log`);
  const start = async (name: Target) => {
    // Written before the answer: what is read is complete.
    const flags = ['--audit-log-mode=blocking'];
    const server = await startAPIServer({ stack, dir: directory.path, name, auditLog: logOf(name), flags });
    servers.push(server);
    return server;
  };
  try {
    const [management, workload] = [await start('management'), await start('workload')];
    const logs = {
      management: followAuditLog(logOf('management')),
      workload: followAuditLog(logOf('workload')),
    };
    return await work({
      stack,
      management,
      workload,
      client: createClient({ kubeConfig: loadKubeConfig({ path: management.kubeconfig }) }),
      requests: (target) => logs[target](),
      serverCPU: () => ({
        management: usageOf(management.process().pid).cpuSeconds,
        workload: usageOf(workload.process().pid).cpuSeconds,
        etcd: servers.reduce((sum, { etcd }) => sum + usageOf(etcd.server.pid).cpuSeconds, 0),
      }),
    });
  } finally {
    // Nobody needs an orderly end: the audit log has been read.
    for (const server of servers) await server.process().kill();
    for (const server of servers) await server.stop();
    directory.remove();
  }
}
