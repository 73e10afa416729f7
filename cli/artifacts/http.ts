// SPDX-License-Identifier: Apache-2.0
// Requests of this command: through the proxy that the environment names, with a CA of the site, and to files as if they were served.
import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type BodyInit, EnvHttpProxyAgent, fetch, Response } from 'undici';
import { ArtifactError, reasonOf } from './errors.ts';

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
}

export interface HttpClient {
  /** One try; redirects are followed. Throws what `fetch` throws when nobody answers. */
  ask(url: string, request?: HttpRequest): Promise<Response>;
  /** Runs `work` until it does not throw an error that may heal by itself, four times at most. */
  retry<Result>(what: string, work: () => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

export interface HttpOptions {
  /** PEM certificates to trust besides the usual ones. */
  readonly ca?: readonly string[];
  /** Before the second try; twice as long before each one after it. */
  readonly pauseMs?: number;
}

const TRIES = 4;
const SILENCE_MS = 60_000;

/** Throws nothing; `close` ends its connections. */
export function httpClient(options: HttpOptions = {}): HttpClient {
  const tls = options.ca === undefined ? {} : { ca: [...getCACertificates(), ...options.ca] };
  const timeouts = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS };
  const dispatcher = new EnvHttpProxyAgent({ ...timeouts, connect: tls, requestTls: tls });
  return {
    ask: (url, request = {}) =>
      url.startsWith('file:')
        ? Promise.resolve(fromFile(url))
        : fetch(url, { ...prepared(request), dispatcher }),
    async retry(what, work) {
      let pause = options.pauseMs ?? 1000;
      for (let tries = 1; ; tries++, pause *= 2) {
        try {
          return await work();
        } catch (error) {
          if (error instanceof ArtifactError) throw error;
          if (tries === TRIES) throw new ArtifactError(`${what}: ${reasonOf(error)}`, { cause: error });
        }
        await sleep(pause);
      }
    },
    close: () => dispatcher.close(),
  };
}

/** Compressed on the way would have another length and another sum. */
function prepared({ method = 'GET', headers, body }: HttpRequest) {
  const common = {
    method,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'ts-provider', ...headers },
  };
  return body === undefined ? common : { ...common, body, duplex: 'half' as const };
}

function fromFile(url: string): Response {
  const path = fileURLToPath(url);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) return new Response(null, { status: 404 });
  const body = Readable.toWeb(createReadStream(path));
  return new Response(body, { status: 200, headers: { 'content-length': String(found.size) } });
}

/** Whether the same question may get another answer later. */
export function mayHeal(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

/** Throws for an answer that is none of `expected`: an Error that is tried again, or an ArtifactError. The body is let go. */
export async function expectStatus(
  response: Response,
  what: string,
  expected: readonly number[],
): Promise<Response> {
  if (expected.includes(response.status)) return response;
  const said = (await response.text().catch(() => '')).trim().slice(0, 200);
  const message = `${what}: the answer is ${response.status}${said === '' ? '' : ` ${said}`}`;
  if (mayHeal(response.status)) throw new Error(message);
  throw new ArtifactError(message);
}
