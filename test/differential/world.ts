// SPDX-License-Identifier: Apache-2.0
// A real API server on which one bootstrap provider runs and nothing else: no core, no control plane provider, no garbage collector.
// The same server is the workload cluster of every Cluster in it. The stock provider keeps its webhooks.
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import type { Stack } from '../../hack/stack/build.ts';
import { installComponents } from '../../hack/stack/install.ts';
import { NamespaceKind } from '../../hack/stack/kinds.ts';
import { startManagers } from '../../hack/stack/managers.ts';
import { startProvider } from '../../hack/stack/provider.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';

export type Candidate = 'stock' | 'ours';

/** The one namespace of all scenarios. */
export const NAMESPACE = 'differential';

export interface World {
  readonly candidate: Candidate;
  readonly apiServer: APIServer;
  readonly client: ApiClient;
  /** The last lines of the provider's log. */
  tail(): string;
  stop(): Promise<void>;
}

/** The stock provider's own limits would be most of the time that it takes. */
const LIFTED = [
  '--kube-api-qps=5000',
  '--kube-api-burst=5000',
  '--clustercache-client-qps=5000',
  '--clustercache-client-burst=5000',
  '--kubeadmconfig-concurrency=100',
];

/** Both get the same, and much longer than a run on a slow machine: what a token's end is compared with must not come by itself. */
const TOKEN_TTL = '--bootstrap-token-ttl=6h';

const FEATURE_GATES = 'MachinePool=true,KubeadmBootstrapFormatIgnition=true';

/** The provider is ready, and has nothing to do, when the promise settles. */
export async function startWorld(options: {
  candidate: Candidate;
  stack: Stack;
  dir: string;
}): Promise<World> {
  const { candidate, stack, dir } = options;
  const apiServer = await startAPIServer({ stack, dir, name: candidate });
  const owned: (() => Promise<void>)[] = [() => apiServer.stop()];
  const stop = async () => {
    for (const end of owned.splice(0).reverse()) await end();
  };
  try {
    const stock = candidate === 'stock';
    await installComponents({ stack, apiServer, managers: stock ? ['bootstrap'] : [], ourBootstrap: !stock });
    const provider = await (stock ? startStock(stack, apiServer) : startOurs(stack, apiServer));
    owned.push(() => provider.stop());
    const client = createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
    await client.create(NamespaceKind, namespace);
    return { candidate, apiServer, client, tail: () => provider.tail(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Running {
  tail(): string;
  stop(): Promise<void>;
}

async function startStock(stack: Stack, apiServer: APIServer): Promise<Running> {
  const managers = await startManagers({
    stack,
    apiServer,
    which: ['bootstrap'],
    featureGates: FEATURE_GATES,
    flags: [...LIFTED, TOKEN_TTL],
  });
  return { tail: () => managers.servers.bootstrap?.tail() ?? '', stop: () => managers.stop() };
}

async function startOurs(stack: Stack, apiServer: APIServer): Promise<Running> {
  const { server } = await startProvider({ stack, apiServer, provider: 'bootstrap', flags: [TOKEN_TTL] });
  return { tail: () => server.tail(), stop: () => server.stop() };
}
