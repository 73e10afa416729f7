// SPDX-License-Identifier: Apache-2.0
// One real API server per test file, with our CRDs and roles and the real Cluster API managers; one namespace per test.
import { randomBytes } from 'node:crypto';
import { SecretKind } from '../../api/kinds.ts';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { type Stack, stack as findStack } from '../../hack/stack/build.ts';
import { type Clusterctl, createClusterctl } from '../../hack/stack/clusterctl.ts';
import { clusterSecrets, kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import { startControllerManager } from '../../hack/stack/controller-manager.ts';
import { applyObjects, applyText, installComponents } from '../../hack/stack/install.ts';
import { NamespaceKind } from '../../hack/stack/kinds.ts';
import { type ManagerName, type Managers, startManagers } from '../../hack/stack/managers.ts';
import { type Provider, type ProviderOptions, startProvider } from '../../hack/stack/provider.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import type { KubeObject } from '../../runtime/object.ts';

export interface EnvironmentOptions {
  /** Managers to run; default all three. `[]` leaves the objects of Cluster API to the test. */
  readonly managers?: readonly ManagerName[];
  /** Our bootstrap provider is installed in place of the stock one, whose manager must not be among `managers`; default false. */
  readonly ourBootstrap?: boolean;
  /** Garbage collection, namespace deletion, aggregated roles; default true. */
  readonly controllerManager?: boolean;
  /** Requests of the API server are written to this file of {@link Environment.dir}, one JSON line each. */
  readonly auditLog?: string;
  /** Added to the flags of the management API server, as `startAPIServer` takes them. */
  readonly apiServerFlags?: readonly string[];
}

export interface ClusterOptions {
  readonly namespace: string;
  readonly name: string;
  readonly controlPlaneMachines?: number;
  readonly workerMachines?: number;
  /** Default: the stack's. */
  readonly version?: string;
  /** File of config/templates; default `cluster-template-in-memory.yaml`. */
  readonly template?: string;
  /** Further variables of the template. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Changes the manifest before it is applied. */
  readonly change?: (manifest: string, endpoint: APIServer) => string;
  /** Name of the API server that is the endpoint, see {@link Environment.workload}; default `workload`. */
  readonly workload?: string;
  /** Leave the kubeconfig to the control plane provider, which takes 30 s longer; default false. */
  readonly generatedKubeconfig?: boolean;
}

export interface Environment {
  readonly stack: Stack;
  readonly dir: string;
  readonly apiServer: APIServer;
  /** As cluster administrator. */
  readonly client: ApiClient;
  readonly clusterctl: Clusterctl;
  /** A fresh namespace; its name begins with `purpose`. */
  namespace(purpose?: string): Promise<string>;
  /** Server-side apply of objects or of a YAML text. */
  apply(manifest: string | readonly KubeObject[]): Promise<void>;
  /** Our manager as a process of its own, under its service account. It is stopped with the environment. */
  startProvider(options?: Omit<ProviderOptions, 'stack' | 'apiServer'>): Promise<Provider>;
  /** A real API server that serves as control plane endpoint; started when it is first asked for. Clusters may share one. */
  workload(name?: string): Promise<APIServer>;
  workloadClient(name?: string): Promise<ApiClient>;
  /** A whole cluster from our template: Secrets of its CA, Cluster, KubeadmControlPlane, MachineDeployment. Returns the manifest. */
  cluster(options: ClusterOptions): Promise<string>;
  stop(): Promise<void>;
}

/** Call in `beforeAll`, and `stop()` in `afterAll`. Takes about fifteen seconds with managers, five without. */
export async function startEnvironment(options: EnvironmentOptions = {}): Promise<Environment> {
  const stack = await findStack();
  const directory = temporaryDirectory('test');
  const owned: (() => Promise<void> | void)[] = [() => directory.remove()];
  const stop = async () => {
    for (const end of owned.splice(0).reverse()) await end();
  };
  try {
    const apiServer = await startManagement(stack, directory.path, owned, options);
    const clusterctl = createClusterctl({ stack, dir: apiServer.dir });
    return environment({ stack, dir: directory.path, apiServer, clusterctl, owned, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

type Owned = (() => Promise<void> | void)[];

async function startManagement(
  stack: Stack,
  dir: string,
  owned: Owned,
  options: EnvironmentOptions,
): Promise<APIServer> {
  const which = options.managers ?? ['core', 'bootstrap', 'control-plane'];
  const auditLog = options.auditLog === undefined ? {} : { auditLog: `${dir}/${options.auditLog}` };
  const flags = options.apiServerFlags ?? [];
  const apiServer = await startAPIServer({ stack, dir, name: 'management', flags, ...auditLog });
  owned.push(() => apiServer.stop());
  if (options.controllerManager !== false) {
    const controllerManager = await startControllerManager({ stack, apiServer });
    owned.push(() => controllerManager.stop());
  }
  const ourBootstrap = options.ourBootstrap ?? false;
  await installComponents({ stack, apiServer, managers: which, ourBootstrap });
  const managers: Managers = await startManagers({
    stack,
    apiServer,
    which,
    featureGates: 'ClusterTopology=true',
  });
  owned.push(() => managers.stop());
  return apiServer;
}

interface Facts {
  stack: Stack;
  dir: string;
  apiServer: APIServer;
  clusterctl: Clusterctl;
  owned: Owned;
  stop: () => Promise<void>;
}

function environment({ owned, ...facts }: Facts): Environment {
  const { stack, dir, apiServer } = facts;
  const client = clientOf(apiServer);
  const workloads = new Map<string, Promise<APIServer>>();

  const workload = (name = 'workload') => {
    const known = workloads.get(name) ?? startAPIServer({ stack, dir, name });
    if (!workloads.has(name)) owned.push(async () => (await known).stop());
    workloads.set(name, known);
    return known;
  };

  return {
    ...facts,
    client,
    workload,
    workloadClient: async (name) => clientOf(await workload(name)),
    async namespace(purpose = 'test') {
      const name = `${purpose}-${randomBytes(3).toString('hex')}`;
      await client.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      return name;
    },
    apply: (manifest) =>
      typeof manifest === 'string'
        ? applyText({ stack, apiServer }, manifest)
        : applyObjects({ stack, apiServer }, manifest),
    async startProvider(options = {}) {
      const provider = await startProvider({ stack, apiServer, ...options });
      owned.push(() => provider.server.stop());
      return provider;
    },
    async cluster(options) {
      const endpoint = await workload(options.workload);
      const { namespace, name: clusterName } = options;
      const identity = { namespace, clusterName, pki: endpoint.pki };
      const kubeconfig = options.generatedKubeconfig === true ? [] : [kubeconfigSecret(identity)];
      for (const secret of [...clusterSecrets(identity), ...kubeconfig])
        await client.create(SecretKind, secret);
      const generated = await manifestOf(options, endpoint, facts);
      const manifest = options.change?.(generated, endpoint) ?? generated;
      await applyText({ stack, apiServer }, manifest);
      return manifest;
    },
  };
}

function clientOf(apiServer: APIServer): ApiClient {
  return createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
}

/** By the real `clusterctl generate cluster`, from the file that a release carries. */
function manifestOf(
  options: ClusterOptions,
  endpoint: APIServer,
  { stack, clusterctl, apiServer }: Omit<Facts, 'owned'>,
): Promise<string> {
  const template = options.template ?? 'cluster-template-in-memory.yaml';
  const file = new URL(`../../config/templates/${template}`, import.meta.url).pathname;
  const flags = [
    `--from=${file}`,
    `--target-namespace=${options.namespace}`,
    `--kubernetes-version=${options.version ?? stack.versions.kubernetes}`,
    `--control-plane-machine-count=${options.controlPlaneMachines ?? 1}`,
    `--worker-machine-count=${options.workerMachines ?? 1}`,
  ];
  return clusterctl.run(['generate', 'cluster', options.name, ...flags], apiServer, {
    CONTROL_PLANE_ENDPOINT_HOST: '127.0.0.1',
    CONTROL_PLANE_ENDPOINT_PORT: String(endpoint.port),
    ETCD_ENDPOINT: endpoint.etcd.url,
    BOOT_DELAY_SECONDS: '0',
    ...options.variables,
  });
}
