// SPDX-License-Identifier: Apache-2.0
// A real kube-controller-manager that runs only the controllers which a cluster without nodes needs.
import { join } from 'node:path';
import type { APIServer } from './api-server.ts';
import { statusOf } from './api-server.ts';
import type { Stack } from './build.ts';
import { Agent } from 'node:https';
import { freePort } from './ports.ts';
import { type Server, startServer, waitUntil } from './process.ts';

/**
 * Deleting an owner deletes its dependents, a namespace goes away with what is in it, ClusterRoles aggregate (core's role for
 * infrastructure kinds is such a one), and service accounts exist.
 */
const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'clusterrole-aggregation-controller',
  'serviceaccount-controller',
];

/** Healthy when the promise settles. */
export async function startControllerManager(options: {
  stack: Stack;
  apiServer: APIServer;
}): Promise<Server> {
  const { stack, apiServer } = options;
  const port = await freePort();
  const server = startServer({
    name: 'kube-controller-manager',
    binary: stack.binaries['kube-controller-manager'],
    logFile: join(apiServer.dir, 'kube-controller-manager.log'),
    args: [
      `--kubeconfig=${apiServer.kubeconfig}`,
      `--controllers=${CONTROLLERS.join(',')}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${apiServer.dir}`,
      // As the API server's: the default of 20 requests/s is too slow to remove a hundred machines.
      '--kube-api-qps=200',
      '--kube-api-burst=400',
      '--concurrent-gc-syncs=10',
    ],
  });
  // Its certificate is made by itself at the start; only liveness is asked.
  const agent = new Agent({ rejectUnauthorized: false });
  try {
    const ask = async () => (await statusOf(`https://127.0.0.1:${port}/healthz`, agent)) === 200;
    await waitUntil(ask, { what: 'kube-controller-manager to be healthy', timeoutMs: 60_000, server });
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    agent.destroy();
  }
  return server;
}
