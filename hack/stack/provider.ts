// SPDX-License-Identifier: Apache-2.0
// Runs our own manager as a local process under the service account that the installed manifests give it.
import { join } from 'node:path';
import type { APIServer } from './api-server.ts';
import type { Stack } from './build.ts';
import { httpStatus } from './managers.ts';
import { freePort } from './ports.ts';
import { type Server, startServer, waitUntil } from './process.ts';
import { serviceAccountKubeconfig } from './service-account.ts';

/** As config/ installs them. */
export const PROVIDER_ACCOUNT = { namespace: 'ts-provider-system', name: 'ts-provider-manager' } as const;
export const BOOTSTRAP_ACCOUNT = {
  namespace: 'ts-provider-bootstrap-system',
  name: 'ts-provider-bootstrap-manager',
} as const;

export interface ProviderOptions {
  readonly stack: Stack;
  readonly apiServer: APIServer;
  /** Which of our two; default `infrastructure`. */
  readonly provider?: 'infrastructure' | 'bootstrap';
  /** Tells instances of one test apart in file names; default `ts-provider` or `ts-provider-bootstrap`. */
  readonly name?: string;
  /** The in-memory backend's instances; a file outlives the process. Default: a file per name. */
  readonly database?: string;
  /** File name. Default: one that is made now, with a fresh token of the service account. */
  readonly kubeconfig?: string;
  /** What Node runs. Default: main.ts of this checkout; a bundle of it starts in a fifth of the time. */
  readonly main?: string;
  /** Added to ours: `--namespace=x`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Wait for /readyz; default true. One that waits for the leader's lease is alive and not yet at work. */
  readonly waitReady?: boolean;
}

export interface Provider {
  readonly server: Server;
  readonly database: string;
  /** `http://127.0.0.1:PORT` of the metrics. */
  readonly metricsURL: string;
  readonly healthURL: string;
}

const MAIN = join(import.meta.dirname, '../../main.ts');

/** Starts `node main.ts`. The manifests (RBAC, CRDs) must be installed. */
export async function startProvider(options: ProviderOptions): Promise<Provider> {
  const { apiServer } = options;
  const bootstrap = options.provider === 'bootstrap';
  const name = options.name ?? (bootstrap ? 'ts-provider-bootstrap' : 'ts-provider');
  const database = options.database ?? join(apiServer.dir, `${name}.sqlite`);
  const kubeconfig = options.kubeconfig ?? (await ownKubeconfig(options));
  const [health, metrics] = [await freePort(), await freePort()];
  const server = startServer({
    name,
    binary: process.execPath,
    logFile: join(apiServer.dir, `${name}.log`),
    ...(options.env === undefined ? {} : { env: options.env }),
    args: [
      '--disable-warning=ExperimentalWarning',
      options.main ?? MAIN,
      `--kubeconfig=${kubeconfig}`,
      ...(bootstrap ? ['--provider=bootstrap'] : [`--in-memory-database=${database}`]),
      `--health-addr=127.0.0.1:${health}`,
      `--metrics-addr=127.0.0.1:${metrics}`,
      ...(options.flags ?? []),
    ],
  });
  const healthURL = `http://127.0.0.1:${health}`;
  if (options.waitReady !== false) await ready(server, healthURL);
  return { server, database, healthURL, metricsURL: `http://127.0.0.1:${metrics}` };
}

function ownKubeconfig({ stack, apiServer, provider }: ProviderOptions): Promise<string> {
  const account = provider === 'bootstrap' ? BOOTSTRAP_ACCOUNT : PROVIDER_ACCOUNT;
  return serviceAccountKubeconfig({ stack, apiServer, ...account });
}

async function ready(server: Server, healthURL: string): Promise<void> {
  try {
    const ask = async () => (await httpStatus(`${healthURL}/readyz`)) === 200;
    await waitUntil(ask, { what: `${server.name} to be ready`, timeoutMs: 60_000, server });
  } catch (error) {
    await server.stop();
    throw error;
  }
}
