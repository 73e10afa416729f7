// SPDX-License-Identifier: Apache-2.0
// Servers on loopback in the place of those of the internet: publishers' files, which may be cut or damaged, and real registries.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { freePort } from '../../hack/stack/ports.ts';
import { runProgram, type Server, startServer, waitUntil } from '../../hack/stack/process.ts';

/** Files of publishers. */
export interface FileHost {
  readonly url: string;
  /** Each answer: path, and bytes of content that went out. */
  readonly answers: { readonly path: string; bytes: number }[];
  /** Answers for a path end after so many bytes, as often as `times` says. */
  cut(path: string, after: number, times: number): void;
  stop(): Promise<void>;
}

export async function startFileHost(dir: string): Promise<FileHost> {
  const answers: FileHost['answers'] = [];
  const cuts = new Map<string, { after: number; times: number }>();
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const answer = { path, bytes: 0 };
    answers.push(answer);
    const cut = cuts.get(path);
    const isCut = cut !== undefined && cut.times-- > 0;
    sendFile(join(dir, path), { request, response, answer, limit: isCut ? cut.after : Infinity });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    cut: (path, after, times) => void cuts.set(path, { after, times }),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}

interface Sending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly answer: { bytes: number };
  readonly limit: number;
}

function sendFile(file: string, { request, response, answer, limit }: Sending): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() !== true) return void response.writeHead(404).end();
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start >= found.size && start > 0) return void response.writeHead(416).end();
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': found.size - start });
  const content = createReadStream(file, { start, end: Math.min(found.size, start + limit) - 1 });
  content.on('data', (chunk) => {
    answer.bytes += chunk.length;
    response.write(chunk);
  });
  // The connection breaks in the middle of an answer, once what was written is out.
  content.on('end', () => (limit === Infinity ? response.end() : setTimeout(() => response.destroy(), 50)));
}

/** Puts a file where a publisher has it, with its sum in a file beside it. */
export function publish(file: string, source: string, checksum: '.sha256' | '.sha256sum'): void {
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(source, file);
  const sum = createHash('sha256').update(readFileSync(source)).digest('hex');
  const name = file.split('/').at(-1)!;
  writeFileSync(`${file}${checksum}`, checksum === '.sha256' ? sum : `${sum}  ${name}\n`);
}

/** A real registry. */
export interface RegistryHost {
  readonly url: string;
  readonly server: Server;
  /** Folder of its blobs, `sha256/ab/ab.../data`. */
  readonly blobs: string;
  /** Requests that it answered: `GET /v2/pause/manifests/3.10.2 200`. */
  requests(): string[];
}

export interface RegistryOptions {
  readonly binary: string;
  readonly dir: string;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly auth?: object;
}

export async function startRegistry(options: RegistryOptions): Promise<RegistryHost> {
  const { dir, tls, auth } = options;
  const port = await freePort();
  mkdirSync(dir, { recursive: true });
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(dir, 'store') }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(tls && { tls: { certificate: tls.cert, key: tls.key } }),
    },
    ...(auth && { auth }),
  };
  writeFileSync(join(dir, 'config.yaml'), stringify(config));
  const logFile = join(dir, 'log');
  const args = ['serve', join(dir, 'config.yaml')];
  const server = startServer({ name: 'registry', binary: options.binary, args, logFile });
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  await waitUntil(() => accepts(port), { what: 'the registry', timeoutMs: 15_000, server });
  return {
    url,
    server,
    blobs: join(dir, 'store/docker/registry/v2/blobs'),
    requests: () =>
      [...readFileSync(logFile, 'utf8').matchAll(/"([A-Z]+ \S+) HTTP[^"]*" (\d+) /g)].map(
        ([, what, status]) => `${what} ${status}`,
      ),
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** User and password of {@link HTPASSWD}: registries take no other hash than bcrypt, which Node has not got. */
export const USER = 'robot';
export const PASSWORD = 'not a secret';
export const HTPASSWD = `${USER}:$2b$05$abcdefghijklmnopqrstuuiitcSTbmWtinjxTMhPy6Z4ocreVFuRu\n`;

/** A server that gives tokens to {@link USER}, as registries of the internet have one; to others for reading only. */
export async function startTokenHost(dir: string): Promise<{ auth: object; stop(): void; scopes: string[] }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = join(dir, 'jwks.json');
  const jwk = publicKey.export({ format: 'jwk' });
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...jwk, kid: 'key', alg: 'ES256', use: 'sig' }] }));
  const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  const scopes: string[] = [];
  const server = createServer((request, response) => {
    const scope = new URL(request.url ?? '', 'http://x').searchParams.get('scope') ?? '';
    scopes.push(scope);
    const [type = '', name = '', wanted = ''] = scope.split(':');
    const isKnown = request.headers.authorization === basic;
    if (request.headers.authorization !== undefined && !isKnown) return void response.writeHead(401).end();
    const actions = wanted.split(',').filter((action) => isKnown || action === 'pull');
    const seconds = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: 'issuer', sub: USER, aud: 'registry', jti: String(scopes.length) },
      ...{ iat: seconds, nbf: seconds - 10, exp: seconds + 300, access: [{ type, name, actions }] },
    };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ typ: 'JWT', alg: 'ES256', kid: 'key' })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    response.end(JSON.stringify({ token: `${text}.${signature.toString('base64url')}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const token = { realm, service: 'registry', issuer: 'issuer', jwks, signingalgorithms: ['ES256'] };
  return { auth: { token }, scopes, stop: () => void server.close() };
}

/** A CA of our own, and a certificate of 127.0.0.1. */
export async function makeCertificates(dir: string): Promise<{ ca: string; cert: string; key: string }> {
  const file = (name: string) => join(dir, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const request = (name: string, ...more: string[]) =>
    runProgram('openssl', [
      ...['req', '-x509', ...key, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), ...more],
    ]);
  await request('ca', '-subj', '/CN=a site');
  await request(
    ...(['server', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'] as const),
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
  );
  return { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') };
}

const OCI = 'application/vnd.oci.image';

/** Puts an image for two architectures into a registry that asks nobody for a name; answers the digest of the one for amd64. */
export async function seedImage(registry: string, name: string, layer: Buffer): Promise<string> {
  const [, repository = '', tag = ''] = /^[^/]+\/(.*):(.*)$/.exec(name) ?? [];
  const base = `${registry}/v2/${repository}`;
  const blob = async (data: Buffer, mediaType: string) => {
    const digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
    const begun = await must(fetch(`${base}/blobs/uploads/`, { method: 'POST' }));
    const upload = `${begun.headers.get('location')}&digest=${digest}`;
    await must(fetch(upload, { method: 'PUT', body: new Uint8Array(data) }));
    return { mediaType, digest, size: data.length };
  };
  const put = async (value: object, mediaType: string, reference?: string) => {
    const data = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
    const headers = { 'content-type': mediaType };
    const url = `${base}/manifests/${reference ?? digest}`;
    await must(fetch(url, { method: 'PUT', headers, body: new Uint8Array(data) }));
    return { mediaType, digest, size: data.length };
  };
  const compressed = gzipSync(layer, { level: 1 });
  const manifests = [];
  for (const architecture of ['amd64', 'arm64']) {
    const diffID = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const config = { architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffID] } };
    const mediaType = `${OCI}.manifest.v1+json`;
    const parts = {
      config: await blob(Buffer.from(JSON.stringify(config)), `${OCI}.config.v1+json`),
      layers: [await blob(compressed, `${OCI}.layer.v1.tar+gzip`)],
    };
    const manifest = await put({ schemaVersion: 2, mediaType, ...parts }, mediaType);
    manifests.push({ ...manifest, platform: { os: 'linux', architecture } });
  }
  const mediaType = `${OCI}.index.v1+json`;
  await put({ schemaVersion: 2, mediaType, manifests }, mediaType, tag);
  return manifests[0]!.digest;
}

async function must(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}
