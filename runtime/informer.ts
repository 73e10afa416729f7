// SPDX-License-Identifier: Apache-2.0
import type { ApiClient } from './client.ts';
import type { Clock } from './clock.ts';
import type { InformerStore } from './informer-store.ts';
import { createKindInformer, type KindInformer } from './kind-informer.ts';
import type { Logger } from './logger.ts';
import type { Kind, KubeObject, ObjectName } from './object.ts';
import { aborted } from './runnable.ts';

/** Read side of all informers of a manager. Reading a kind that has no informer is a programming error and throws. */
export interface Cache {
  /** The caller's own copy, safe to change; `undefined` when unknown. */
  get<T extends KubeObject>(kind: Kind<T>, name: ObjectName): T | undefined;
  /** The shared object: read, never change; much cheaper than a copy. */
  peek<T extends KubeObject>(kind: Kind<T>, name: ObjectName): T | undefined;
  /** Shared objects: read, never change. */
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[];
  /** Shared objects whose index function named `index` gave `value`. */
  byIndex<T extends KubeObject>(kind: Kind<T>, index: string, value: string): readonly T[];
  /**
   * Takes the answer of our own write in before the watch tells it, so that the next reconcile does not work from a stale
   * read. Ignored when the cache is newer or the object is known to be deleted. A kind without an informer is ignored.
   * Handlers hear of it when the watch tells it.
   */
  absorb<T extends KubeObject>(kind: Kind<T>, object: T): void;
}

/** What changed. `update` also comes from relists; `previous` is the object as it was known before. */
export type InformerEvent<T extends KubeObject> =
  | { readonly type: 'add'; readonly object: T }
  | { readonly type: 'update'; readonly object: T; readonly previous: T }
  | { readonly type: 'delete'; readonly object: T };

/** Called in order, one event at a time; must not wait. What it throws is logged. */
export type InformerHandler<T extends KubeObject = KubeObject> = (event: InformerEvent<T>) => void;

/** What is watched of a kind, and what is kept of it. */
export interface InformerOptions<T extends KubeObject = KubeObject> {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Each gives the values under which `cache.byIndex` finds the object; must depend on the object alone. */
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
  /** Only `metadata` comes over the wire and is kept. */
  readonly metadataOnly?: boolean;
  /** Drops what nobody reads; may change the object that it gets. Metadata must stay. */
  readonly transform?: (object: T) => T;
}

/** One list and watch per kind, shared by all controllers of a manager. */
export interface Informers {
  readonly cache: Cache;
  /** Asking twice for a kind adds the indexes; another selection for the same kind is a programming error and throws. */
  add<T extends KubeObject>(kind: Kind<T>, options?: InformerOptions<T>): void;
  /** Adds an informer where the kind has none. A handler that comes late is told all known objects first. */
  addHandler<T extends KubeObject>(kind: Kind<T>, handler: InformerHandler<T>): void;
  /** Kinds that are added later start at once. */
  start(signal: AbortSignal): void;
  /** Until all kinds known now have been listed, or the signal aborts: ask `synced` which. */
  waitForSync(signal: AbortSignal): Promise<void>;
  synced(): boolean;
  /** Kinds that have not been listed yet, for /readyz. */
  unsynced(): readonly string[];
  stop(): Promise<void>;
}

export interface InformersDeps {
  readonly client: ApiClient;
  readonly log: Logger;
  readonly clock: Clock;
  /** Namespaced kinds are watched in this namespace only. */
  readonly namespace?: string | undefined;
  readonly random?: () => number;
}

/** Makes the set; nothing is read before `start`. */
export function createInformers(deps: InformersDeps): Informers {
  const informers = new Map<string, KindInformer>();
  const stopping = new AbortController();
  let started = false;

  function add<T extends KubeObject>(kind: Kind<T>, options: InformerOptions<T> = {}): KindInformer {
    // The map is heterogeneous: inside, every object is a KubeObject.
    const untyped = options as unknown as InformerOptions;
    const informer = informers.get(idOf(kind)) ?? createKindInformer(deps, kind, untyped);
    informers.set(idOf(kind), informer);
    informer.extend(untyped);
    if (started) informer.run(stopping.signal);
    return informer;
  }

  const unsynced = (): string[] =>
    [...informers.values()].filter((one) => !one.synced()).map((one) => one.kind.kind);

  return {
    cache: createCache(informers),
    add: (kind, options) => void add(kind, options),
    addHandler<T extends KubeObject>(kind: Kind<T>, handler: InformerHandler<T>) {
      const informer = informers.get(idOf(kind)) ?? add(kind);
      informer.addHandler(handler as InformerHandler);
    },
    start(signal) {
      started = true;
      if (signal.aborted) stopping.abort(signal.reason);
      else signal.addEventListener('abort', () => stopping.abort(signal.reason), { once: true });
      for (const informer of informers.values()) informer.run(stopping.signal);
    },
    async waitForSync(signal) {
      const all = Promise.all(Array.from(informers.values(), (one) => one.listed));
      await Promise.race([all, aborted(signal)]);
    },
    synced: () => unsynced().length === 0,
    unsynced,
    async stop() {
      stopping.abort();
      await Promise.all(Array.from(informers.values(), (one) => one.ended()));
    },
  };
}

function createCache(informers: ReadonlyMap<string, KindInformer>): Cache {
  const storeOf = (kind: Kind): InformerStore => {
    const informer = informers.get(idOf(kind));
    if (informer === undefined) throw new Error(`${kind.kind} is not watched: add an informer for it`);
    return informer.store;
  };
  return {
    get<T extends KubeObject>(kind: Kind<T>, name: ObjectName) {
      return structuredClone(storeOf(kind).get(name)) as T | undefined;
    },
    peek<T extends KubeObject>(kind: Kind<T>, name: ObjectName) {
      return storeOf(kind).get(name) as T | undefined;
    },
    list<T extends KubeObject>(kind: Kind<T>, namespace?: string) {
      return storeOf(kind).list(namespace) as readonly T[];
    },
    byIndex<T extends KubeObject>(kind: Kind<T>, index: string, value: string) {
      const found = storeOf(kind).byIndex(index, value);
      if (found === undefined) throw new Error(`${kind.kind} has no index "${index}"`);
      return found as readonly T[];
    },
    absorb: (kind, object) => informers.get(idOf(kind))?.absorb(object),
  };
}

function idOf(kind: Kind): string {
  return `${kind.apiVersion}/${kind.kind}`;
}
