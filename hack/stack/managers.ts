// SPDX-License-Identifier: Apache-2.0
// Runs Cluster API's own managers as local processes against one API server, with their webhooks on loopback.
import { copyFileSync, mkdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { createClient, loadKubeConfig } from '../../runtime/client.ts';
import type { APIServer } from './api-server.ts';
import type { Stack } from './build.ts';
import { freePort } from './ports.ts';
import { type Server, startServer, waitUntil } from './process.ts';
import { serviceAccountKubeconfig } from './service-account.ts';
import type { BinaryName } from './versions.ts';
import { redirectWebhooks } from './webhooks.ts';

export type ManagerName = 'core' | 'bootstrap' | 'control-plane';

interface Manager {
  readonly binary: BinaryName;
  readonly label: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** As the component files install them. */
export const MANAGERS: Readonly<Record<ManagerName, Manager>> = {
  core: {
    binary: 'capi-core',
    label: 'cluster-api',
    namespace: 'capi-system',
    serviceAccount: 'capi-manager',
  },
  bootstrap: {
    binary: 'capi-kubeadm-bootstrap',
    label: 'bootstrap-kubeadm',
    namespace: 'capi-kubeadm-bootstrap-system',
    serviceAccount: 'capi-kubeadm-bootstrap-manager',
  },
  'control-plane': {
    binary: 'capi-kubeadm-control-plane',
    label: 'control-plane-kubeadm',
    namespace: 'capi-kubeadm-control-plane-system',
    serviceAccount: 'capi-kubeadm-control-plane-manager',
  },
};

export interface ManagersOptions {
  readonly stack: Stack;
  readonly apiServer: APIServer;
  /** Default: all three. Their components must be installed: clusterctl.ts or install.ts. */
  readonly which?: readonly ManagerName[];
  /** `ClusterTopology=true`, as `--feature-gates` takes them. */
  readonly featureGates?: string;
  /** Added to every manager. */
  readonly flags?: readonly string[];
}

export interface Managers {
  readonly servers: Readonly<Partial<Record<ManagerName, Server>>>;
  /** Ports of the plain HTTP metrics. */
  readonly diagnosticsPorts: Readonly<Partial<Record<ManagerName, number>>>;
  stop(): Promise<void>;
}

/**
 * Ready when the promise settles: caches are synced and webhooks answer. Each runs under the service account of its own component
 * file, so a role that is missing shows here as it would in a cluster.
 */
export async function startManagers(options: ManagersOptions): Promise<Managers> {
  const which = options.which ?? ['core', 'bootstrap', 'control-plane'];
  const started = new Map<ManagerName, Server>();
  const ports = new Map<ManagerName, number>();
  const stop = async () => void (await Promise.all([...started.values()].map((server) => server.stop())));
  try {
    const certificates = servingCertificates(options.apiServer);
    const healthPorts = new Map<ManagerName, number>();
    for (const name of which) {
      const facts = { ...(await portsOf()), certificates };
      started.set(name, await startManager(name, facts, options));
      ports.set(name, facts.diagnostics);
      healthPorts.set(name, facts.health);
    }
    await Promise.all(which.map((name) => ready(started.get(name)!, healthPorts.get(name)!)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers: Object.fromEntries(started), diagnosticsPorts: Object.fromEntries(ports), stop };
}

interface ManagerFacts {
  readonly webhook: number;
  readonly health: number;
  readonly diagnostics: number;
  readonly certificates: string;
}

async function portsOf(): Promise<Omit<ManagerFacts, 'certificates'>> {
  return { webhook: await freePort(), health: await freePort(), diagnostics: await freePort() };
}

async function startManager(
  name: ManagerName,
  facts: ManagerFacts,
  options: ManagersOptions,
): Promise<Server> {
  const { stack, apiServer } = options;
  const { binary, label, namespace, serviceAccount } = MANAGERS[name];
  const client = createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
  await redirectWebhooks(client, { label, port: facts.webhook, caPem: apiServer.caPem });
  const account = { namespace, name: serviceAccount };
  const kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...account });
  return startServer({
    name: binary,
    binary: stack.binaries[binary],
    logFile: join(apiServer.dir, `${binary}.log`),
    args: [
      `--kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      `--webhook-port=${facts.webhook}`,
      `--webhook-cert-dir=${facts.certificates}`,
      `--health-addr=127.0.0.1:${facts.health}`,
      `--diagnostics-address=127.0.0.1:${facts.diagnostics}`,
      '--insecure-diagnostics',
      ...(options.featureGates === undefined ? [] : [`--feature-gates=${options.featureGates}`]),
      ...(options.flags ?? []),
    ],
  });
}

/** The API server's own certificate is for 127.0.0.1 and its CA is at hand: the webhooks serve with it. */
export function servingCertificates({ dir, pki }: APIServer): string {
  const folder = join(dir, 'webhook-certificates');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(pki.dir, 'apiserver.crt'), join(folder, 'tls.crt'));
  copyFileSync(join(pki.dir, 'apiserver.key'), join(folder, 'tls.key'));
  return folder;
}

/** Waits until it is ready, as a manager of controller-runtime tells on its health port. */
export async function ready(server: Server, healthPort: number): Promise<void> {
  const ask = async () => (await httpStatus(`http://127.0.0.1:${healthPort}/readyz`)) === 200;
  await waitUntil(ask, { what: `${server.name} to be ready`, timeoutMs: 60_000, server });
}

/** HTTP status of a GET without TLS. */
export function httpStatus(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once('timeout', () => request.destroy(new Error('no answer within 5 s')));
    request.once('error', reject);
  });
}
