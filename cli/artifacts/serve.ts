// SPDX-License-Identifier: Apache-2.0
// `ts-provider artifacts serve`: a web server with the files of a bundle, for tests and small sites.
import { createServer, type Server } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import type { HostPreparation, RegistryMirror } from '../../api/preparation.ts';
import { UsageError } from '../manifests.ts';
import { readBundle } from './bundle-folder.ts';
import { ArtifactError, reasonOf } from './errors.ts';
import { imageName } from './image-name.ts';
import { registryPlace } from './mirrors.ts';
import { readText, required } from './options.ts';
import { type Access, staticFiles } from './static-files.ts';

export const SERVE_HELP = `ts-provider artifacts serve --bundle DIR [--listen ADDRESS:PORT]

Serves what the manifest of a bundle lists, until SIGTERM. Any other web server with that folder does as well.

  --bundle DIR                 the folder
  --listen ADDRESS:PORT        default: 127.0.0.1:8080
  --tls-cert FILE              PEM certificate, and those behind it
  --tls-key FILE               PEM key
  --print-preparation          print what to write into spec.host.preparation of a TSMachineTemplate, and end
  --url URL                    how hosts reach this server, for --print-preparation
  --ca FILE                    PEM certificate that hosts are to trust, for --print-preparation
  --registry URL               the registry with its images, with the prefix if they have one, for --print-preparation
`;

const OPTIONS = {
  bundle: { type: 'string' },
  listen: { type: 'string', default: '127.0.0.1:8080' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'print-preparation': { type: 'boolean', default: false },
  url: { type: 'string' },
  ca: { type: 'string' },
  registry: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS }).values;
}

/** The command. Answers text when it ends: `ended` aborts it. Throws UsageError and ArtifactError. */
export async function serveCommand(
  args: readonly string[],
  deps: { readonly say: (line: string) => void; readonly ended: AbortSignal },
): Promise<string> {
  const values = parse(args);
  if (values.help) return SERVE_HELP;
  const dir = required('--bundle DIR', values.bundle, 'the folder of the bundle');
  if (values['print-preparation']) return preparationYAML(dir, values);
  const at = listenAddress(values.listen);
  const tls = tlsOf(values);
  readBundle(dir);
  const server = await startFileServer({
    dir,
    ...at,
    ...(tls && { tls }),
    log: (access) => deps.say(line(access)),
  });
  deps.say(`serving ${server.files} files of ${dir} at ${server.url}`);
  await new Promise<void>((resolve) => deps.ended.addEventListener('abort', () => resolve(), { once: true }));
  await server.stop();
  return '';
}

function line({ client, method, path, status, bytes, problem }: Access): string {
  const words = [new Date().toISOString(), client, method, JSON.stringify(path), status, bytes];
  return [...words, ...(problem === undefined ? [] : [problem])].join(' ');
}

export interface FileServer {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly files: number;
  /** What is under way may end within two seconds. */
  stop(): Promise<void>;
}

export interface FileServerOptions {
  readonly dir: string;
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly log: (access: Access) => void;
}

const GRACE_MS = 2000;

/** Listens when it answers. Throws ArtifactError: the bundle cannot be read, or the address is taken. */
export async function startFileServer(options: FileServerOptions): Promise<FileServer> {
  const files = staticFiles(options.dir);
  const handle: Parameters<typeof createServer>[1] & object = (request, response) =>
    void files.handle(request, response).then(options.log);
  const server = options.tls ? createTLSServer(options.tls, handle) : createServer(handle);
  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${options.tls ? 'https' : 'http'}://${host}:${port}`,
    files: files.count(),
    stop: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
        server.close(() => resolve(clearTimeout(timer)));
        server.closeIdleConnections();
      }),
  };
}

function listen(server: Server, { host, port }: FileServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new ArtifactError(`cannot listen on ${host}:${port}: ${reasonOf(error)}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}

function listenAddress(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(?:\[?([^\]]*?)\]?):(\d{1,5})$/.exec(text) ?? [];
  if (port === '' || Number(port) > 65_535)
    throw new UsageError(`--listen ${text}: write it like 127.0.0.1:8080`);
  return { host: host === '' ? '0.0.0.0' : host, port: Number(port) };
}

function tlsOf(values: Values): { cert: string; key: string } | undefined {
  const { 'tls-cert': cert, 'tls-key': key } = values;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError('--tls-cert and --tls-key belong together');
  return { cert: readText(cert), key: readText(key) };
}

/** For the bundle as it is now: with the sum of its manifest, the server need not be trusted. */
function preparationYAML(dir: string, values: Values): string {
  const bundle = readBundle(dir);
  const baseURL = (
    values.url ?? `http${values['tls-cert'] === undefined ? '' : 's'}://${values.listen}`
  ).replace(/\/$/, '');
  const caBundle = values.ca === undefined ? {} : { caBundle: readText(values.ca) };
  const names = bundle.filter(({ kind }) => kind === 'image').map(({ name }) => imageName(name).registry);
  const mirror = values.registry === undefined ? undefined : { ...mirrorAt(values.registry), ...caBundle };
  const preparation: HostPreparation = {
    source: { artifacts: { baseURL, ...caBundle, manifestSHA256: staticFiles(dir).manifestSHA256() } },
    ...(mirror && { registries: [...new Set(names)].map((name) => ({ name, mirrors: [mirror] })) }),
  };
  return stringify({ spec: { host: { preparation } } }, { aliasDuplicateObjects: false });
}

/** The form that container runtimes take for a place below which all repositories are. */
function mirrorAt(registry: string): RegistryMirror {
  const { origin, prefix } = registryPlace(registry);
  if (prefix === '') return { endpoint: origin };
  return { endpoint: `${origin}/v2/${prefix.replace(/\/$/, '')}`, overridePath: true };
}
