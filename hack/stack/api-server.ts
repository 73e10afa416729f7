// SPDX-License-Identifier: Apache-2.0
// A real kube-apiserver with an etcd of its own, on loopback, ready about two seconds after the start.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Stack } from './build.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { ADVERTISED, createPKI, type PKI } from './pki.ts';
import { freePort } from './ports.ts';
import { type Server, startServer, waitUntil } from './process.ts';

export interface APIServerOptions {
  readonly stack: Stack;
  /** Certificates, data and logs go to `<dir>/<name>`. */
  readonly dir: string;
  /** `management` or the name of the cluster that it serves. */
  readonly name: string;
  /** Default: a free one. */
  readonly port?: number;
  /** One JSON line per request (level Metadata) is written here. */
  readonly auditLog?: string;
  /** Flags that are added to ours, or replace those of the same name: `--event-ttl=10m`. */
  readonly flags?: readonly string[];
}

export interface APIServer {
  readonly name: string;
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** File name of a kubeconfig of group system:masters. */
  readonly kubeconfig: string;
  /** PEM of the CA that signed the serving certificate and checks client certificates. */
  readonly caPem: string;
  readonly pki: PKI;
  readonly etcd: Etcd;
  /** The process, for stopping and killing it; changes with {@link restart}. */
  process(): Server;
  /** Stops kube-apiserver (or crashes it) and starts it again on the same port with the same data. */
  restart(options?: { how: 'stop' | 'kill' }): Promise<void>;
  /** Ends kube-apiserver and etcd for good. Twice is harmless. */
  stop(): Promise<void>;
}

const READY_MS = 90_000;

/** Ready when the promise settles. Stops what it started when it cannot become ready. */
export async function startAPIServer(options: APIServerOptions): Promise<APIServer> {
  const dir = join(options.dir, options.name);
  mkdirSync(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const { binaries, versions } = options.stack;
  const pki = await createPKI({ kubeadm: binaries.kubeadm, dir, port, version: versions.kubernetes });
  const etcd = await startEtcd({ etcd: binaries.etcd, dir, pki });
  const flags = mergeFlags(
    flagsOf({ dir, port, pki, etcd, auditLog: options.auditLog }),
    options.flags ?? [],
  );
  const start = () =>
    startServer({
      name: `kube-apiserver of ${options.name}`,
      binary: binaries['kube-apiserver'],
      args: flags,
      logFile: join(dir, 'kube-apiserver.log'),
    });
  let server = start();
  const stop = async () => {
    // An orderly end waits for open watches, and for nothing that is kept but the last lines of an audit log.
    await (options.auditLog === undefined ? server.kill() : server.stop());
    await etcd.server.kill();
  };
  try {
    await ready(port, pki, server);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: options.name,
    url: `https://127.0.0.1:${port}`,
    port,
    dir,
    kubeconfig: pki.adminKubeconfig,
    caPem: pki.read('ca.crt'),
    pki,
    etcd,
    process: () => server,
    async restart({ how } = { how: 'stop' }) {
      await (how === 'kill' ? server.kill() : server.stop());
      server = start();
      await ready(port, pki, server);
    },
    stop,
  };
}

interface FlagFacts {
  dir: string;
  port: number;
  pki: PKI;
  etcd: Etcd;
  auditLog: string | undefined;
}

function flagsOf({ dir, port, pki, etcd, auditLog }: FlagFacts): string[] {
  const file = (name: string) => join(pki.dir, name);
  return [
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    // The address of Endpoints default/kubernetes, which nobody uses here and which may not be loopback.
    `--advertise-address=${ADVERTISED}`,
    '--endpoint-reconciler-type=none',
    `--etcd-servers=${etcd.url}`,
    `--etcd-cafile=${file('etcd/ca.crt')}`,
    `--etcd-certfile=${file('apiserver-etcd-client.crt')}`,
    `--etcd-keyfile=${file('apiserver-etcd-client.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--cert-dir=${dir}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${file('sa.pub')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    '--enable-bootstrap-token-auth',
    '--allow-privileged',
    // Wants the default ServiceAccount of a namespace, which a controller makes that does not run here, before it admits a Pod.
    '--disable-admission-plugins=ServiceAccount',
    '--profiling=false',
    '--v=1',
    ...(auditLog === undefined ? [] : auditFlags(dir, auditLog)),
  ];
}

function auditFlags(dir: string, auditLog: string): string[] {
  const policy = join(dir, 'audit-policy.yaml');
  const rules = [{ level: 'Metadata' }];
  writeFileSync(
    policy,
    stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules }),
  );
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLog}`, '--audit-log-mode=batch'];
}

/** The later flag of a name wins. */
function mergeFlags(flags: readonly string[], more: readonly string[]): string[] {
  const nameOf = (flag: string) => flag.split('=')[0];
  const replaced = new Set(more.map(nameOf));
  return [...flags.filter((flag) => !replaced.has(nameOf(flag))), ...more];
}

async function ready(port: number, pki: PKI, server: Server): Promise<void> {
  const agent = new Agent({
    ca: pki.read('ca.crt'),
    cert: pki.read('apiserver-kubelet-client.crt'),
    key: pki.read('apiserver-kubelet-client.key'),
  });
  const what = `kube-apiserver on port ${port} to be ready`;
  try {
    const ask = async () => (await statusOf(`https://127.0.0.1:${port}/readyz`, agent)) === 200;
    await waitUntil(ask, { what, timeoutMs: READY_MS, server });
  } finally {
    agent.destroy();
  }
}

/** HTTP status of a GET. */
export function statusOf(url: string, agent?: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { ...(agent === undefined ? {} : { agent }), timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once('timeout', () => request.destroy(new Error('no answer within 5 s')));
    request.once('error', reject);
  });
}

/** Text of a kubeconfig for `server`; `token` and client certificate as given. */
export function kubeconfigText(options: { server: string; caPem: string; token: string }): string {
  const name = 'ts-provider';
  const cluster = {
    server: options.server,
    'certificate-authority-data': Buffer.from(options.caPem).toString('base64'),
  };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token: options.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}
