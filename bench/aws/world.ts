// SPDX-License-Identifier: Apache-2.0
// The servers of one measurement: nothing in them is left from the one before.
import { join } from 'node:path';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { stack as findStack, type Stack } from '../../hack/stack/build.ts';
import { startControllerManager } from '../../hack/stack/controller-manager.ts';
import { installComponents } from '../../hack/stack/install.ts';
import { NamespaceKind } from '../../hack/stack/kinds.ts';
import { startManagers } from '../../hack/stack/managers.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import { followAuditLog, type Request } from '../bootstrap/audit-log.ts';
import { usageOf } from '../process-usage.ts';
import type { Cloud } from './cloud.ts';

export interface World {
  readonly stack: Stack;
  /** With Cluster API's core and our own CRDs and roles installed, and core running. */
  readonly management: APIServer;
  /** As its administrator. */
  readonly client: ApiClient;
  /** An empty one, for the cluster and its machines. */
  readonly namespace: string;
  readonly cloud: Cloud;
  /** All requests at the API server up to now, whoever made them. */
  requests(): readonly Request[];
  /** CPU seconds up to now of the servers that a candidate waits for. */
  serverCPU(): ServerCPU;
}

/** CPU seconds. */
export interface ServerCPU {
  readonly apiServer: number;
  readonly etcd: number;
  readonly core: number;
  readonly moto: number;
  /** Only counts: nobody pays it at a real cloud. */
  readonly proxy: number;
}

const NAMESPACE = 'bench';

/** Core's own limit of requests is not what is measured. */
const LIFTED = ['--kube-api-qps=500', '--kube-api-burst=1000'];

/** Starts all servers but the cloud, runs `work`, and takes them down again whatever happens. */
export async function withWorld<T>(cloud: Cloud, work: (world: World) => Promise<T>): Promise<T> {
  const stack = await findStack();
  const directory = temporaryDirectory('bench-aws');
  const owned: (() => Promise<void>)[] = [];
  try {
    return await work(await startWorld({ stack, cloud, dir: directory.path, owned }));
  } finally {
    for (const stop of owned.reverse()) await stop();
    directory.remove();
  }
}

interface Start {
  readonly stack: Stack;
  readonly cloud: Cloud;
  readonly dir: string;
  /** Gets what takes each server down. */
  readonly owned: (() => Promise<void>)[];
}

async function startWorld({ stack, cloud, dir, owned }: Start): Promise<World> {
  const auditLog = join(dir, 'audit.log');
  // Written before the answer: what is read is complete.
  const flags = ['--audit-log-mode=blocking'];
  const apiServer = await startAPIServer({ stack, dir, name: 'management', auditLog, flags });
  owned.push(async () => {
    await apiServer.process().kill(); // Nobody needs an orderly end: the audit log has been read.
    await apiServer.stop();
  });
  const controllerManager = await startControllerManager({ stack, apiServer });
  owned.push(() => controllerManager.stop());
  await installComponents({ stack, apiServer, managers: ['core'] });
  const managers = await startManagers({ stack, apiServer, which: ['core'], flags: LIFTED });
  owned.push(() => managers.stop());
  const client = createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
  const { apiVersion, kind } = NamespaceKind;
  await client.create(NamespaceKind, { apiVersion, kind, metadata: { name: NAMESPACE } });
  const cpuOf = (pid: number) => usageOf(pid).cpuSeconds;
  return {
    stack,
    management: apiServer,
    client,
    namespace: NAMESPACE,
    cloud,
    requests: followAuditLog(auditLog),
    serverCPU: () => ({
      apiServer: cpuOf(apiServer.process().pid),
      etcd: cpuOf(apiServer.etcd.server.pid),
      core: cpuOf(managers.servers.core!.pid),
      ...cloud.cpuSeconds(),
    }),
  };
}
