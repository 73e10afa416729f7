// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from './clock.ts';
import { ApiError, isGone, isNotFound, TransientError } from './errors.ts';
import { counter, type Metrics } from './metrics.ts';
import { groupOf, type Kind, keyOf, type KubeObject, nameOf, type ObjectName } from './object.ts';
import type { KubeConfigSource } from './kube-config.ts';
import { createTransport, type Exchange, isSilence, KIND_NOT_SERVED, noAnswer } from './transport.ts';
import { readWatchEvents, type WatchEvent } from './watch-stream.ts';

export { kubeConfigFromString, type KubeConfigSource, loadKubeConfig } from './kube-config.ts';
export type { WatchEvent } from './watch-stream.ts';

/** Field manager of every write. */
export const FIELD_MANAGER = 'ts-provider';

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface PatchOptions {
  readonly subresource?: 'status' | 'scale' | 'approval';
  /** `merge` (default) is RFC 7386, `json` RFC 6902, `apply` is server-side apply with force. */
  readonly type?: 'merge' | 'json' | 'apply';
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  /** Precondition: delete this very object, not a namesake. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

/**
 * Uncached calls to one API server. Errors are ApiError (the server's word) or TransientError (no answer). 429 and 503 with
 * Retry-After are waited for and retried inside the call, bounded by `signal` where given and 30 s otherwise. A 404 that
 * means "no such kind" (its CRD is not installed) is always thrown, never taken for an object that is gone.
 */
export interface Client {
  /** `undefined` when the object does not exist. */
  get<T extends KubeObject>(kind: Kind<T>, name: ObjectName, signal?: AbortSignal): Promise<T | undefined>;
  /** All objects, fetched in chunks. */
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions, signal?: AbortSignal): Promise<T[]>;
  create<T extends KubeObject>(kind: Kind<T>, object: T, signal?: AbortSignal): Promise<T>;
  /** A body with `metadata.resourceVersion` is refused with a conflict when the object has moved on. */
  patch<T extends KubeObject>(
    kind: Kind<T>,
    name: ObjectName,
    body: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  /** An object that is already gone is a success. */
  delete(kind: Kind, name: ObjectName, options?: DeleteOptions): Promise<void>;
}

export interface SnapshotOptions extends ListOptions {
  /** Only `metadata` of each object. */
  readonly metadataOnly?: boolean;
}

export interface WatchOptions extends SnapshotOptions {
  readonly resourceVersion: string;
  /** The server ends the watch after this time. */
  readonly timeoutSeconds: number;
}

/** All objects of one moment. */
export interface Snapshot<T extends KubeObject = KubeObject> {
  readonly items: T[];
  /** A watch from here misses nothing. */
  readonly resourceVersion: string;
}

/** What informers and the manager need besides. */
export interface ApiClient extends Client {
  /** A consistent read of all objects, in chunks. Begins again when the server forgets its place (410). */
  snapshot<T extends KubeObject>(
    kind: Kind<T>,
    options: SnapshotOptions,
    signal?: AbortSignal,
  ): Promise<Snapshot<T>>;
  /** The resourceVersion that a snapshot would have now, for the price of one object's metadata. */
  newestVersion(kind: Kind, options: ListOptions, signal?: AbortSignal): Promise<string>;
  /**
   * Events after `resourceVersion`, with bookmarks, until the server ends the watch or says nothing for 150 s, which is what a
   * connection that is dead on the way looks like. Throws as {@link readWatchEvents} says.
   */
  watch<T extends KubeObject>(
    kind: Kind<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>>;
  /** The answer to a GET of any path, as text. */
  getRaw(path: string, signal?: AbortSignal): Promise<string>;
}

export interface ClientOptions {
  readonly kubeConfig: KubeConfigSource;
  readonly clock?: Clock;
  readonly metrics?: Metrics | undefined;
  /** Value of the metric label `target`, default `management`. Never a cluster's name: one series per cluster is too many. */
  readonly target?: 'management' | 'workload';
}

const CHUNK = 500;
/** The API server sends a bookmark about once a minute, however little happens: two that are missing are no accident. */
const WATCH_SILENCE_MS = 150_000;
const METADATA_FORM = 'as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST_FORM = 'as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** A client of the API server that `kubeConfig` names. Connects with the first call. */
export function createClient(options: ClientOptions): ApiClient {
  const wire = createWire(options);
  return {
    async get<T extends KubeObject>(kind: Kind<T>, name: ObjectName, signal?: AbortSignal) {
      return wire
        .call<T>('get', kind, { method: 'GET', path: pathOf(kind, name), signal })
        .catch(ifObjectIsGone);
    },
    list: async (kind, options = {}, signal) => (await snapshot(wire, kind, options, signal)).items,
    snapshot: (kind, options, signal) => snapshot(wire, kind, options, signal),
    newestVersion: (kind, options, signal) => newestVersion(wire, kind, options, signal),
    async create(kind, object, signal) {
      const path = pathOf(kind, { namespace: nameOf(object).namespace, name: '' }, { creating: true });
      const query = queryOf({ fieldManager: FIELD_MANAGER });
      return wire.call('create', kind, { method: 'POST', path: path + query, ...json(object), signal });
    },
    patch: async (kind, name, body, options = {}) => patch(wire, kind, name, { ...options, body }),
    async delete(kind, name, { signal, ...preconditions } = {}) {
      const body = json({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions });
      const exchange = { method: 'DELETE', path: pathOf(kind, name), ...body, signal } as const;
      await wire.call('delete', kind, exchange).catch(ifObjectIsGone);
    },
    watch: (kind, options, signal) => watch(wire, kind, options, signal),
    getRaw: async (path, signal) => wire.text({ method: 'GET', path, headers: { accept: '*/*' }, signal }),
  };
}

/** One call: counted, sent, and its answer read. */
interface Wire {
  call<T>(verb: string, kind: Kind, exchange: Exchange): Promise<T>;
  text(exchange: Exchange): Promise<string>;
  open(verb: string, kind: Kind, exchange: Exchange): Promise<AsyncIterable<Buffer>>;
}

function createWire(options: ClientOptions): Wire {
  const count = countersOf(options.metrics, options.target ?? 'management');
  const transport = createTransport({
    source: options.kubeConfig,
    clock: options.clock ?? systemClock,
    onResponse: count.response,
  });
  async function text(exchange: Exchange): Promise<string> {
    const response = await transport.send(exchange);
    try {
      return await response.body.text();
    } catch (error) {
      throw noAnswer(
        'The API server dropped the connection in the middle of an answer',
        error,
        exchange.signal,
      );
    }
  }
  return {
    text,
    async call<T>(verb: string, kind: Kind, exchange: Exchange) {
      count.request(verb, kind.plural);
      return parseAnswer<T>(await text(exchange));
    },
    async open(verb, kind, exchange) {
      count.request(verb, kind.plural);
      return (await transport.send(exchange)).body;
    },
  };
}

function parseAnswer<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    // The message of a JSON error quotes the text, and the text may be a Secret.
    throw new TransientError(
      `The API server answered with something that is not JSON (${text.length} characters)`,
    );
  }
}

function patch<T extends KubeObject>(
  wire: Wire,
  kind: Kind<T>,
  name: ObjectName,
  options: PatchOptions & { body: unknown },
): Promise<T> {
  const type = options.type ?? 'merge';
  const subresource = options.subresource === undefined ? '' : `/${options.subresource}`;
  const query = queryOf({ fieldManager: FIELD_MANAGER, force: type === 'apply' ? 'true' : '' });
  return wire.call(options.subresource === 'status' ? 'patch_status' : 'patch', kind, {
    method: 'PATCH',
    path: pathOf(kind, name) + subresource + query,
    ...json(options.body, PATCH_TYPES[type]),
    signal: options.signal,
  });
}

async function snapshot<T extends KubeObject>(
  wire: Wire,
  kind: Kind<T>,
  options: SnapshotOptions,
  signal: AbortSignal | undefined,
): Promise<Snapshot<T>> {
  try {
    return await readPages(wire, kind, options, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
    return readPages(wire, kind, options, signal);
  }
}

async function readPages<T extends KubeObject>(
  wire: Wire,
  kind: Kind<T>,
  options: SnapshotOptions,
  signal: AbortSignal | undefined,
): Promise<Snapshot<T>> {
  const path = pathOf(kind, { namespace: options.namespace ?? '', name: '' });
  const headers = accept(options.metadataOnly === true ? METADATA_LIST_FORM : undefined);
  const items: T[] = [];
  let next = '';
  for (;;) {
    const query = queryOf({ ...selectors(options), limit: CHUNK, continue: next });
    const page = await wire.call<ListPage<T>>('list', kind, {
      method: 'GET',
      path: path + query,
      headers,
      signal,
    });
    for (const item of page.items ?? []) items.push(Object.assign(item, typeOf(kind)));
    next = page.metadata.continue ?? '';
    if (next === '') return { items, resourceVersion: page.metadata.resourceVersion };
  }
}

/** Without a resourceVersion in the query: any other would let a cache answer that is behind. */
async function newestVersion(
  wire: Wire,
  kind: Kind,
  options: ListOptions,
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = pathOf(kind, { namespace: options.namespace ?? '', name: '' });
  const page = await wire.call<ListPage<KubeObject>>('list', kind, {
    method: 'GET',
    path: path + queryOf({ ...selectors(options), limit: 1 }),
    headers: accept(METADATA_LIST_FORM),
    signal,
  });
  return page.metadata.resourceVersion;
}

async function* watch<T extends KubeObject>(
  wire: Wire,
  kind: Kind<T>,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const { resourceVersion, timeoutSeconds } = options;
  const query = {
    ...selectors(options),
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds,
  };
  const chunks = await wire.open('watch', kind, {
    method: 'GET',
    path: pathOf(kind, { namespace: options.namespace ?? '', name: '' }) + queryOf(query),
    headers: accept(options.metadataOnly === true ? METADATA_FORM : undefined),
    signal,
    silenceMs: WATCH_SILENCE_MS,
  });
  try {
    for await (const event of readWatchEvents<T>(chunks)) {
      Object.assign(event.object, typeOf(kind));
      yield event;
    }
  } catch (error) {
    if (error instanceof ApiError || error instanceof TransientError) throw error;
    // No failure: a server may send no bookmarks. Where the connection is dead, the next request goes over a new one.
    if (isSilence(error)) return;
    throw noAnswer('The watch was dropped', error, signal);
  }
}

interface ListPage<T> {
  /** `null` in a list of metadata only that is empty. */
  readonly items: readonly T[] | null;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
}

function ifObjectIsGone(error: unknown): undefined {
  if (isNotFound(error) && !isKindNotServed(error)) return undefined;
  throw error;
}

/** 404 because the API server has no such kind: its CRD is not installed, or not yet. */
export function isKindNotServed(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404 && error.reason === KIND_NOT_SERVED;
}

/** Items of a list come without their type, and metadata-only answers with another one. */
function typeOf(kind: Kind): { apiVersion: string; kind: string } {
  return { apiVersion: kind.apiVersion, kind: kind.kind };
}

function pathOf(kind: Kind, name: ObjectName, options: { creating?: boolean } = {}): string {
  if (kind.namespaced && name.namespace === '' && (name.name !== '' || options.creating === true)) {
    throw new Error(`${kind.kind} ${keyOf(name)} needs a namespace`);
  }
  const root = groupOf(kind.apiVersion) === '' ? '/api' : '/apis';
  const namespace =
    kind.namespaced && name.namespace !== '' ? `/namespaces/${encodeURIComponent(name.namespace)}` : '';
  const object = name.name === '' ? '' : `/${encodeURIComponent(name.name)}`;
  return `${root}/${kind.apiVersion}${namespace}/${kind.plural}${object}`;
}

function selectors(options: ListOptions): Record<string, string> {
  return { labelSelector: options.labelSelector ?? '', fieldSelector: options.fieldSelector ?? '' };
}

/** Empty values are left out. */
function queryOf(values: Record<string, string | number>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== '') query.set(key, String(value));
  return `?${query.toString()}`;
}

function json(body: unknown, contentType = 'application/json') {
  return { body: JSON.stringify(body), headers: { 'content-type': contentType } };
}

/** Falls back to whole objects where a server does not know the form. */
function accept(form: string | undefined): Record<string, string> {
  return form === undefined ? {} : { accept: `application/json;${form}, application/json` };
}

/** Counters named as in client-go, and one per verb and resource; made once per registry. */
function countersOf(metrics: Metrics | undefined, target: string) {
  if (metrics === undefined) return { response: () => {}, request: () => {} };
  const responses = counter(metrics, {
    name: 'rest_client_requests_total',
    help: 'HTTP requests to API servers by code and method.',
    labelNames: ['code', 'method', 'target'],
  });
  const requests = counter(metrics, {
    name: 'ts_provider_api_requests_total',
    help: 'Calls to API servers by verb and resource.',
    labelNames: ['verb', 'resource', 'target'],
  });
  return {
    response: (method: string, code: string) => responses.inc({ code, method, target }),
    request: (verb: string, resource: string) => requests.inc({ verb, resource, target }),
  };
}
