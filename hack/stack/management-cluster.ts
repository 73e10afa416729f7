// SPDX-License-Identifier: Apache-2.0
// A whole management cluster without a node: API server, the real `clusterctl init`, Cluster API's managers and ours as processes.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type APIServer, startAPIServer } from './api-server.ts';
import type { Stack } from './build.ts';
import { type Clusterctl, createClusterctl } from './clusterctl.ts';
import { startControllerManager } from './controller-manager.ts';
import { type ManagerName, type Managers, startManagers } from './managers.ts';
import { runProgram } from './process.ts';
import { type Provider, startProvider } from './provider.ts';

export interface ManagementClusterOptions {
  readonly stack: Stack;
  readonly dir: string;
  /** Default `management`; tells two of them apart. */
  readonly name?: string;
  /** Gets one line per step that is done. */
  readonly say?: (line: string) => void;
  /** File of the in-memory backend's instances; two management clusters that share it share one cloud. */
  readonly database?: string;
  /** Who serves KubeadmConfig: our bootstrap provider (default), or the stock one. */
  readonly bootstrap?: 'ts-provider' | 'kubeadm';
}

export interface ManagementCluster {
  readonly apiServer: APIServer;
  readonly clusterctl: Clusterctl;
  readonly managers: Managers;
  /** Our infrastructure provider's manager. */
  readonly provider: Provider;
  /** Our bootstrap provider's manager; `undefined` when the stock one runs. */
  readonly bootstrapProvider: Provider | undefined;
  stop(): Promise<void>;
}

/** The version under which the demo and the tests install what this checkout contains. */
export const PROVIDER_VERSION = 'v0.1.0';

const FEATURE_GATES = 'ClusterTopology=true';
const ROOT = join(import.meta.dirname, '../..');

/** Everything answers when the promise settles; what was started is stopped when something does not. */
export async function startManagementCluster(options: ManagementClusterOptions): Promise<ManagementCluster> {
  const { stack, dir, name = 'management', bootstrap = 'ts-provider', say = () => undefined } = options;
  const owned: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of owned.splice(0).reverse()) await end();
  };
  try {
    const apiServer = await startAPIServer({ stack, dir, name });
    owned.push(() => apiServer.stop());
    say(`API server ${apiServer.url}, Kubernetes ${stack.versions.kubernetes}`);
    const controllerManager = await startControllerManager({ stack, apiServer });
    owned.push(() => controllerManager.stop());

    const clusterctl = await clusterctlWithOurs(stack, apiServer.dir);
    await clusterctl.init(apiServer, { infrastructure: 'ts-provider', bootstrap });
    say(
      `clusterctl init: Cluster API ${stack.versions.clusterAPI}, ts-provider ${PROVIDER_VERSION}, bootstrap by ${bootstrap}`,
    );
    const which: ManagerName[] =
      bootstrap === 'kubeadm' ? ['core', 'bootstrap', 'control-plane'] : ['core', 'control-plane'];
    const managers = await startManagers({ stack, apiServer, which, featureGates: FEATURE_GATES });
    owned.push(() => managers.stop());
    say(`managers run: ${which.join(', ')}`);
    const provider = await startInfrastructure(options, apiServer);
    owned.push(() => provider.server.stop());
    const bootstrapProvider =
      bootstrap === 'kubeadm' ? undefined : await startProvider({ stack, apiServer, provider: 'bootstrap' });
    if (bootstrapProvider !== undefined) owned.push(() => bootstrapProvider.server.stop());
    say('managers of ts-provider run, each under its own service account');
    return { apiServer, clusterctl, managers, provider, bootstrapProvider, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startInfrastructure(
  { stack, database }: ManagementClusterOptions,
  apiServer: APIServer,
): Promise<Provider> {
  return startProvider({ stack, apiServer, ...(database === undefined ? {} : { database }) });
}

/** clusterctl that knows this checkout as a released version, made by the very script that makes releases. */
export async function clusterctlWithOurs(stack: Stack, dir: string): Promise<Clusterctl> {
  const out = join(dir, 'repository');
  mkdirSync(out, { recursive: true });
  const script = join(ROOT, 'hack/release-manifests.ts');
  const flags = ['--version', PROVIDER_VERSION, '--out', out, '--kubectl', stack.binaries.kubectl];
  await runProgram(process.execPath, [script, ...flags], { cwd: ROOT });
  const fileOf = (type: 'infrastructure' | 'bootstrap') =>
    join(out, `${type}-ts-provider`, PROVIDER_VERSION, `${type}-components.yaml`);
  return createClusterctl({
    stack,
    dir,
    providers: [
      { name: 'ts-provider', type: 'InfrastructureProvider', file: fileOf('infrastructure') },
      { name: 'ts-provider', type: 'BootstrapProvider', file: fileOf('bootstrap') },
    ],
  });
}
