// SPDX-License-Identifier: Apache-2.0
// A client of container registries (OCI distribution protocol): asks as itself or as nobody, reads and writes one image.
import type { Response } from 'undici';
import { ArtifactError } from './errors.ts';
import { expectStatus, type HttpClient, type HttpRequest } from './http.ts';
import type { RegistryPlace } from './mirrors.ts';
import { digestOfBytes, INDEX_TYPES, MANIFEST_TYPES } from './oci-archive.ts';

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** A manifest as the registry has it. */
export interface FetchedManifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly data: Buffer;
}

export interface Registry {
  /** For messages. */
  readonly origin: string;
  /** `https://registry.example.org/v2/<prefix><repository>/<rest>` */
  url(repository: string, rest: string): string;
  /** One try, with credentials where the registry wants some. Throws ArtifactError when it does not take them. */
  ask(url: string, request?: HttpRequest): Promise<Response>;
  /** By tag or digest; a digest is checked. `undefined`: there is none. Throws ArtifactError. */
  manifest(repository: string, reference: string): Promise<FetchedManifest | undefined>;
}

const ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ');

/** Tokens are kept as long as this object is. */
export function registryClient(
  http: HttpClient,
  place: RegistryPlace,
  options: { readonly login?: RegistryLogin | undefined; readonly actions: 'pull' | 'pull,push' },
): Registry {
  const headers = new Map<string, string>();
  const url = (repository: string, rest: string) => `${place.origin}/v2/${place.prefix}${repository}/${rest}`;

  const ask: Registry['ask'] = async (address, request = {}) => {
    // An upload or a blob may be somewhere else: nobody there is told who we are.
    if (!address.startsWith(`${place.origin}/`)) return http.ask(address, request);
    const scope = scopeOf(place, address, options.actions);
    const known = headers.get(scope);
    const response = await http.ask(address, authorized(request, known));
    if (response.status !== 401) return response;
    await response.body?.cancel();
    if (isStream(request.body)) throw new Error(`${address}: the registry has forgotten who we are`);
    const answer = await answerTo(http, response, { scope, ...options });
    headers.set(scope, answer);
    const second = await http.ask(address, authorized(request, answer));
    if (second.status !== 401) return second;
    await second.body?.cancel();
    headers.delete(scope);
    throw new ArtifactError(`${address}: ${refusal(options.login)}`);
  };

  const manifest: Registry['manifest'] = (repository, reference) => {
    const address = url(repository, `manifests/${reference}`);
    return http.retry(address, async () => {
      const response = await ask(address, { headers: { accept: ACCEPT } });
      await expectStatus(response, address, [200, 404]);
      if (response.status === 404) return void (await response.body?.cancel());
      const data = Buffer.from(await response.arrayBuffer());
      const digest = digestOfBytes(data);
      if (reference.includes(':') && digest !== reference) {
        throw new ArtifactError(`${address}: its digest is ${digest}. The registry gave another manifest`);
      }
      return { mediaType: mediaTypeOf(response, data), digest, data };
    });
  };
  return { origin: place.origin, url, ask, manifest };
}

function refusal(login: RegistryLogin | undefined): string {
  return login === undefined
    ? 'the registry wants a login: give a user name and a password file'
    : `the registry does not take the login of ${login.username}`;
}

function mediaTypeOf(response: Response, data: Buffer): string {
  const { mediaType } = JSON.parse(data.toString()) as { mediaType?: string };
  return mediaType ?? response.headers.get('content-type')?.split(';')[0] ?? MANIFEST_TYPES[0]!;
}

/** `repository:kube-proxy:pull`; the same for all requests of one repository. */
function scopeOf({ origin }: RegistryPlace, address: string, actions: string): string {
  const repository = address.slice(`${origin}/v2/`.length).replace(/\/(manifests|blobs)\/.*$/, '');
  return `repository:${repository}:${actions}`;
}

function isStream(body: HttpRequest['body']): boolean {
  return body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
}

function authorized(request: HttpRequest, authorization: string | undefined): HttpRequest {
  if (authorization === undefined) return request;
  return { ...request, headers: { ...request.headers, authorization } };
}

interface Asker {
  readonly scope: string;
  readonly login?: RegistryLogin | undefined;
}

/** The header that the challenge of a 401 asks for. */
async function answerTo(http: HttpClient, response: Response, asker: Asker): Promise<string> {
  const challenge = response.headers.get('www-authenticate') ?? '';
  const basic = asker.login && basicHeader(asker.login);
  if (/^basic\b/i.test(challenge)) {
    if (basic === undefined) throw new ArtifactError(`${response.url}: ${refusal(undefined)}`);
    return basic;
  }
  const words = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key.toLowerCase(), value]),
  );
  if (!/^bearer\b/i.test(challenge) || !words['realm'] || !URL.canParse(words['realm'])) {
    throw new ArtifactError(`${response.url}: the registry asks for "${challenge}", which is not understood`);
  }
  const isSafe = response.url.startsWith('https:');
  return tokenFrom(http, words['realm'], { ...asker, basic, isSafe, service: words['service'] });
}

async function tokenFrom(
  http: HttpClient,
  realm: string,
  asker: Asker & {
    readonly basic: string | undefined;
    readonly service: string | undefined;
    /** The registry itself is behind https. */
    readonly isSafe: boolean;
  },
): Promise<string> {
  const url = loginPlace(realm, asker.isSafe);
  if (asker.service !== undefined) url.searchParams.set('service', asker.service);
  url.searchParams.set('scope', asker.scope);
  const headers: Record<string, string> = asker.basic === undefined ? {} : { authorization: asker.basic };
  const response = await http.ask(url.href, { headers });
  if (response.status === 401 || response.status === 403) {
    await response.body?.cancel();
    throw new ArtifactError(`${realm}: ${refusal(asker.login)}`);
  }
  const answer = (await (await expectStatus(response, realm, [200])).json()) as Token;
  const token = answer.token ?? answer.access_token;
  if (token === undefined) throw new ArtifactError(`${realm}: no token in the answer`);
  return `Bearer ${token}`;
}

/** A registry may not have us read our own files, nor tell our password to whoever listens on the way. */
function loginPlace(realm: string, isSafe: boolean): URL {
  const url = new URL(realm);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && !isSafe)) return url;
  throw new ArtifactError(`${realm}: the registry asks us to log in there, which is not https`);
}

interface Token {
  readonly token?: string;
  readonly access_token?: string;
}

function basicHeader({ username, password }: RegistryLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
