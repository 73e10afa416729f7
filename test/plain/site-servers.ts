// SPDX-License-Identifier: Apache-2.0
// The only servers that hosts of these stories reach: files by our own `artifacts serve`, images by registries that our own `artifacts
// push` has filled. All listen at the hosts' router, in a network without a way out.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROUTER } from '../../hack/hosts/network.ts';
import { plainParts, type PlainParts } from '../../hack/hosts/plain-parts.ts';
import { prepareHosts } from '../../hack/hosts/prepare.ts';
import { runProgram, type Server, startServer, waitUntil } from '../../hack/stack/process.ts';
import type { Supply } from './plain-cluster.ts';
import { type Registries, startRegistries } from './registries.ts';
import { layOutUpstream } from './upstream.ts';

const CLI = join(import.meta.dirname, '../../cli/ts-provider.js');
const ARTIFACTS_PORT = 8080;
const REGISTRY_PORTS = [5001, 5002];

export interface SiteServers {
  readonly parts: PlainParts;
  readonly supply: Supply;
  /** Folder that the artifacts are served from. */
  readonly bundle: string;
  readonly artifacts: { readonly port: number; kill(): Promise<void>; start(): Promise<void> };
  readonly registries: Registries;
  /** What each client fetched until now, by its address. */
  fetched(): ReadonlyMap<string, Fetched>;
  stop(): Promise<void>;
}

/** In bytes, and how many answers. */
export interface Fetched {
  readonly files: number;
  readonly fileBytes: number;
  readonly blobs: number;
  readonly imageBytes: number;
}

/**
 * Everything is there and answers when the promise settles. `dir` is for all that they keep. With `images: 'files'` hosts get images as
 * archives with their files; else they pull all of them.
 */
export async function startSiteServers(
  dir: string,
  options: { readonly images?: 'files' | 'registries' } = {},
): Promise<SiteServers> {
  const parts = await plainParts(() => undefined);
  const { debian } = await prepareHosts(() => undefined);
  const bundle = join(dir, 'bundle');
  const wholeBundle = join(dir, 'bundle-with-images');
  const upstream = layOutUpstream(parts, join(dir, 'upstream'));
  for (const release of parts.releases) {
    const common = ['--kubernetes-version', release.version, ...bundleFlags(parts, upstream)];
    await cli('bundle', ...common, '--only', 'files,packages', '--output', bundle);
    const archives = ['--image-archives', dirname(release.images[0]!.archive)];
    await cli('bundle', ...common, ...archives, '--output', wholeBundle);
  }
  const registries = await startRegistries({
    ...{ binary: parts.registry, debian, dir: join(dir, 'registries'), ports: REGISTRY_PORTS },
  });
  const owned: (() => Promise<void>)[] = [() => registries.stop()];
  const stop = async () => {
    for (const end of owned.splice(0).reverse()) await end();
  };
  try {
    await push(registries, wholeBundle, dir);
    const served = options.images === 'files' ? wholeBundle : bundle;
    const artifacts = await serveArtifacts(served, join(dir, 'artifacts.log'));
    owned.push(() => artifacts.kill());
    const supply = {
      artifactsURL: `http://${ROUTER}:${ARTIFACTS_PORT}`,
      registries: registries.endpoints,
      caBundle: registries.caBundle,
    };
    const fetched = () => fetchedFrom(artifacts.log(), registries.logs());
    return { ...{ parts, supply, bundle: served, artifacts, registries, fetched, stop } };
  } catch (error) {
    await stop();
    throw error;
  }
}

function bundleFlags(parts: PlainParts, upstream: ReadonlyMap<string, string>): string[] {
  return [
    ...[...upstream].flatMap(([publisher, folder]) => ['--mirror', `${publisher}=file://${folder}`]),
    ...['--with', `containerd=${parts.containerd.version}`, '--with', `cni-plugins=${parts.plugins.version}`],
    // Debian's package brings runc; of kubeadm's needs crictl is none.
    ...['--without', 'runc', '--without', 'crictl'],
    ...['--packages', parts.packages, '--platform', 'debian-12-amd64'],
  ];
}

async function push(registries: Registries, bundle: string, dir: string): Promise<void> {
  const passwordFile = join(dir, 'registry-password');
  writeFileSync(passwordFile, registries.login.password, { mode: 0o600 });
  await cli(
    ...['push', '--bundle', bundle, '--registry', registries.endpoints[0]!, '--ca', registries.caFile],
    ...['--username', registries.login.username, '--password-file', passwordFile],
  );
}

async function cli(...args: string[]): Promise<string> {
  return runProgram(process.execPath, [CLI, 'artifacts', ...args]);
}

async function serveArtifacts(bundle: string, logFile: string) {
  let server: Server | undefined;
  const start = async () => {
    if (server?.running() === true) return;
    const started = startServer({
      name: 'artifacts',
      binary: process.execPath,
      args: [CLI, 'artifacts', 'serve', '--bundle', bundle, '--listen', `${ROUTER}:${ARTIFACTS_PORT}`],
      logFile,
    });
    server = started;
    const url = `http://${ROUTER}:${ARTIFACTS_PORT}/manifest`;
    const answers = async () => (await fetch(url)).ok;
    await waitUntil(answers, { what: 'the artifacts', timeoutMs: 15_000, pollMs: 100, server: started });
  };
  await start();
  const kill = async () => server?.kill();
  return { port: ARTIFACTS_PORT, start, kill, log: () => readFileSync(logFile, 'utf8') };
}

/** `<time> <client> GET "/path" 200 123` of ours, and the combined log format of registries. */
const OURS = /^\S+ (\S+) GET "[^"]*" 200 (\d+)$/gm;
const REGISTRY = /^([\d.]+) \S+ \S+ \[[^\]]*\] "GET [^"]*" 200 (\d+) /gm;

function fetchedFrom(artifacts: string, registries: readonly string[]): ReadonlyMap<string, Fetched> {
  const found = new Map<string, Fetched>();
  const add = (client: string, more: Partial<Fetched>) => {
    const { files = 0, fileBytes = 0, blobs = 0, imageBytes = 0 } = found.get(client) ?? {};
    found.set(client, {
      files: files + (more.files ?? 0),
      fileBytes: fileBytes + (more.fileBytes ?? 0),
      blobs: blobs + (more.blobs ?? 0),
      imageBytes: imageBytes + (more.imageBytes ?? 0),
    });
  };
  for (const [, client = '', bytes] of artifacts.matchAll(OURS))
    add(client, { files: 1, fileBytes: Number(bytes) });
  for (const log of registries)
    for (const [, client = '', bytes] of log.matchAll(REGISTRY))
      add(client, { blobs: 1, imageBytes: Number(bytes) });
  found.delete(ROUTER);
  return found;
}
