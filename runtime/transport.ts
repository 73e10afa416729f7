// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { AgentOptions, RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, errors, ProxyAgent } from 'undici';
import { type Clock, hasPassed } from './clock.ts';
import { ApiError, TransientError } from './errors.ts';
import type { KubeConfigSource } from './kube-config.ts';
import { sleep } from './sleep.ts';

/** One HTTP exchange, before credentials. `path` begins with a slash and carries the query. */
export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence between two bytes of the body, default 65 s: a little more than the API server's own limit. */
  readonly silenceMs?: number;
}

/** Sends exchanges to one API server over one agent. Answers are 2xx; everything else is thrown, classified. */
export interface Transport {
  send(exchange: Exchange): Promise<Dispatcher.ResponseData>;
}

/** Told once for every HTTP request: its method and its code, `<error>` when there was no answer. */
export type OnResponse = (method: string, code: string) => void;

/** How long a call without a signal may take, Retry-After included. */
const CALL_TIMEOUT_MS = 30_000;
const SILENCE_MS = 65_000;
/** Token files and certificates are looked at again this often, as client-go does. */
const CREDENTIALS_MS = 60_000;
/** A storm of 401 or of failed handshakes asks for new credentials at most this often: an exec plugin may be a process and a login. */
const RELOAD_MS = 1_000;
const DEFAULT_RETRY_AFTER_MS = 1_000;
/** A server that says "at once" all the time must not make us spin. */
const MIN_RETRY_AFTER_MS = 100;
/** Nor may one that says "next year", or whose clock is wrong, make us sleep. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Makes the transport. Nothing is read or connected before the first exchange. */
export function createTransport(deps: {
  readonly source: KubeConfigSource;
  readonly clock: Clock;
  readonly onResponse: OnResponse;
}): Transport {
  const credentials = createCredentials(deps.source, deps.clock);

  return {
    async send(exchange) {
      const signal = exchange.signal ?? AbortSignal.timeout(CALL_TIMEOUT_MS);
      let refreshed = false;
      for (;;) {
        const used = await credentials.current();
        const response = await attempt(exchange, used, signal);
        if (response.statusCode < 300) return response;
        const error = await toApiError(exchange, response);
        if (error.code === 401 && !refreshed) {
          refreshed = true;
          credentials.refuse(used);
        } else if (error.retryAfterMs !== undefined) {
          await sleep(deps.clock, error.retryAfterMs, signal);
          if (signal.aborted) throw error;
        } else {
          throw error;
        }
      }
    },
  };

  async function attempt(
    exchange: Exchange,
    used: Credentials,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const silenceMs = exchange.silenceMs ?? SILENCE_MS;
    try {
      const answer = used.dispatcher.request({
        origin: used.origin,
        path: used.pathPrefix + exchange.path,
        method: exchange.method,
        headers: {
          accept: 'application/json',
          'user-agent': 'ts-provider',
          ...exchange.headers,
          ...used.headers,
        },
        body: exchange.body ?? null,
        signal,
        headersTimeout: SILENCE_MS,
        bodyTimeout: silenceMs,
      });
      const response = await unlessAborted(answer, signal);
      deps.onResponse(exchange.method, String(response.statusCode));
      return response;
    } catch (error) {
      deps.onResponse(exchange.method, '<error>');
      // The server's CA or our certificate may have been replaced, and a kubeconfig file with them inside is read once.
      if (isTlsFailure(error)) credentials.refuse(used);
      throw noAnswer(`No answer from the API server at ${used.origin}`, error, signal);
    }
  }
}

/** undici looks at the signal of a request only once it has a connection, and trying to get one takes it up to 10 s. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A network failure, or the caller's signal, as the one error that means "may heal alone". */
export function noAnswer(message: string, cause: unknown, signal: AbortSignal | undefined): TransientError {
  return new TransientError(message, { cause: signal?.aborted === true ? signal.reason : cause });
}

/** The body said nothing for as long as `silenceMs` allows. */
export function isSilence(error: unknown): boolean {
  return error instanceof errors.BodyTimeoutError;
}

/** Node's codes of a handshake that failed: OpenSSL's own errors, and the verdicts of the certificate check. */
const TLS_FAILURE =
  /^(EPROTO|ERR_(SSL|TLS|OSSL)_.*|(CERT|CRL|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|INVALID|HOSTNAME|ERROR_IN)_.*)$/;

function isTlsFailure(error: unknown): boolean {
  return error instanceof Error && 'code' in error && TLS_FAILURE.test(String(error.code));
}

interface Credentials {
  readonly origin: string;
  readonly pathPrefix: string;
  readonly headers: Record<string, string>;
  readonly dispatcher: Dispatcher;
  readonly fingerprint: string;
  readonly readAt: number;
}

/**
 * client-node makes a new agent, and with it a new TLS connection, for every request. Here its answer is kept for a minute,
 * and the agent for as long as the TLS material stays the same.
 */
function createCredentials(source: KubeConfigSource, clock: Clock) {
  let kubeConfig: KubeConfig | undefined;
  let current: Credentials | undefined;
  let reading: Promise<Credentials> | undefined;
  let loadedAt = -Infinity;
  let stale = false;

  return {
    async current(): Promise<Credentials> {
      if (current !== undefined && !stale && !hasPassed(clock, current.readAt, CREDENTIALS_MS))
        return current;
      reading ??= read().finally(() => (reading = undefined));
      return reading;
    },
    /** The server did not accept these, or we not the server: read the source again, unless somebody did so meanwhile. */
    refuse(used: Credentials): void {
      if (used === current && hasPassed(clock, loadedAt, RELOAD_MS)) stale = true;
    },
  };

  async function read(): Promise<Credentials> {
    if (stale) loadedAt = clock.now().getTime();
    if (kubeConfig === undefined || stale) kubeConfig = source.load();
    const fresh = await readCredentials(kubeConfig, current, clock.now().getTime());
    // In-flight requests end on the old agent; it then closes by itself.
    if (current !== undefined && current.dispatcher !== fresh.dispatcher) void current.dispatcher.close();
    current = fresh;
    stale = false;
    return fresh;
  }
}

async function readCredentials(
  kubeConfig: KubeConfig,
  old: Credentials | undefined,
  readAt: number,
): Promise<Credentials> {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('The kubeconfig has no current cluster');
  const options: RequestOptions = {};
  try {
    await kubeConfig.applyToHTTPSOptions(options);
  } catch (error) {
    throw new TransientError('Cannot read the credentials that the kubeconfig names', { cause: error });
  }
  const url = new URL(cluster.server);
  const wanted = kubeConfig.createDispatcherOptions(cluster, options as AgentOptions);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([url.origin, wanted]))
    .digest('hex');
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(options.headers ?? {}))
    headers[key.toLowerCase()] = String(value).trim();
  if (typeof options.auth === 'string')
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return {
    origin: url.origin,
    pathPrefix: url.pathname === '/' ? '' : url.pathname,
    headers,
    dispatcher: old?.fingerprint === fingerprint ? old.dispatcher : createDispatcher(wanted),
    fingerprint,
    readAt,
  };
}

/**
 * HTTP/1.1 with kept connections: a long watch then never shares a connection, and its flow control, with short calls. The
 * limit keeps a burst of thousands of calls from being thousands of TLS handshakes; watches are a few per process.
 */
const POOL = { keepAliveTimeout: 60_000, connections: 128, allowH2: false } as const;

/** The same thing to both libraries; only their type declarations differ in what may be `undefined`. */
type ConnectorOptions = NonNullable<ProxyAgent.Options['requestTls']>;

function createDispatcher(wanted: ReturnType<KubeConfig['createDispatcherOptions']>): Dispatcher {
  switch (wanted.type) {
    case 'proxy':
    case 'socks':
      return new ProxyAgent({ ...POOL, uri: wanted.uri, requestTls: wanted.requestTls as ConnectorOptions });
    case 'agent':
      return new Agent({ ...POOL, connect: wanted.connect as ConnectorOptions });
    case 'none':
      return new Agent({ ...POOL, connect: { keepAlive: true, keepAliveInitialDelay: 30_000 } });
  }
}

/** The server's own words where it used the `Status` form or plain text, else the code. */
async function toApiError(exchange: Exchange, response: Dispatcher.ResponseData): Promise<ApiError> {
  const code = response.statusCode;
  const text = await response.body.text().catch(() => '');
  const retryAfterMs =
    code === 429 || code === 503 ? parseRetryAfter(response.headers['retry-after']) : undefined;
  const status = parseStatus(text);
  if (status !== undefined)
    return new ApiError(code, reasonOf(code, status), status.message ?? `HTTP ${code}`, retryAfterMs);
  const where = `${exchange.method} ${exchange.path.split('?')[0]}`;
  // The API server says this in plain text, and only this, for a group, version or resource that it does not have.
  if (code === 404)
    return new ApiError(code, KIND_NOT_SERVED, `${where}: the API server does not serve this kind`);
  const words = /^text\/plain/.test(String(response.headers['content-type']))
    ? `: ${text.trim().slice(0, 200)}`
    : '';
  return new ApiError(
    code,
    code === 429 ? 'TooManyRequests' : '',
    `${where}: HTTP ${code}${words}`,
    retryAfterMs,
  );
}

/** Reason of the ApiError 404 that means "no such kind" rather than "no such object". */
export const KIND_NOT_SERVED = 'KindNotServed';

interface Status {
  readonly kind: 'Status';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly name?: string };
}

/** A 404 about an object names it. Without a name it is about a kind or a path. */
function reasonOf(code: number, status: Status): string {
  return code === 404 && !status.details?.name ? KIND_NOT_SERVED : (status.reason ?? '');
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as { kind?: string } | null;
    return value?.kind === 'Status' ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds or an HTTP date, in milliseconds between 0.1 s and 60 s. */
function parseRetryAfter(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const text = String(header);
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  if (Number.isNaN(ms)) return DEFAULT_RETRY_AFTER_MS;
  return Math.min(Math.max(ms, MIN_RETRY_AFTER_MS), MAX_RETRY_AFTER_MS);
}
