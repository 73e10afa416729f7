// SPDX-License-Identifier: Apache-2.0
import type { SnapshotOptions } from './client.ts';
import { errorMessage } from './errors.ts';
import type { InformerEvent, InformerHandler, InformerOptions, InformersDeps } from './informer.ts';
import { type IndexFunction, InformerStore } from './informer-store.ts';
import { type Kind, type KubeObject, nameOf } from './object.ts';
import { runReflector } from './reflector.ts';

/** The informer of one kind: its store, its handlers and the loop that keeps it. */
export interface KindInformer {
  readonly kind: Kind;
  readonly store: InformerStore;
  /** Resolves with the first whole list. */
  readonly listed: Promise<void>;
  synced(): boolean;
  /** Adds the indexes of another `add`. Throws when it asks for another selection. */
  extend(options: InformerOptions): void;
  addHandler(handler: InformerHandler): void;
  /** Starts the loop once. */
  run(signal: AbortSignal): void;
  /** Until the loop has ended after its signal. */
  ended(): Promise<void>;
  absorb(object: KubeObject): void;
}

/** Makes it; nothing is read before `run`. */
export function createKindInformer(deps: InformersDeps, kind: Kind, options: InformerOptions): KindInformer {
  const selection = selectionOf(deps, kind, options);
  const handlers: InformerHandler[] = [];
  const store = new InformerStore((event) => handlers.forEach((handler) => tell(handler, event)));
  const listed = Promise.withResolvers<void>();
  let synced = false;
  let running: Promise<void> | undefined;

  /** A throwing handler or index function costs that event or value, never the informer. */
  function tell(handler: InformerHandler, event: InformerEvent<KubeObject>): void {
    try {
      handler(event);
    } catch (error) {
      const { name, namespace } = event.object.metadata;
      deps.log.error({ kind: kind.kind, namespace, name, err: error }, 'An event handler failed');
    }
  }

  function guarded(index: string, valuesOf: IndexFunction): IndexFunction {
    return (object) => {
      try {
        return valuesOf(object);
      } catch (error) {
        deps.log.error({ kind: kind.kind, index, error: errorMessage(error) }, 'An index function failed');
        return [];
      }
    };
  }

  const kept = (object: KubeObject): KubeObject => prepare(object, options);

  return {
    kind,
    store,
    listed: listed.promise,
    synced: () => synced,
    extend(more) {
      if (
        !sameSelection(selection, selectionOf(deps, kind, more)) ||
        (more.transform ?? options.transform) !== options.transform
      ) {
        throw new Error(`${kind.kind} has an informer with another selection or transform already`);
      }
      for (const [name, valuesOf] of Object.entries(more.indexes ?? {})) {
        if (!store.hasIndex(name)) store.addIndex(name, guarded(name, valuesOf));
      }
    },
    addHandler(handler) {
      handlers.push(handler);
      store.replay((event) => tell(handler, event));
    },
    run(signal) {
      const onListed = (): void => {
        synced = true;
        listed.resolve();
      };
      const random = deps.random ?? Math.random;
      running ??= runReflector({ ...deps, kind, selection, store, prepare: kept, onListed, random }, signal);
    },
    ended: async () => running,
    absorb(object) {
      if (concerns(selection, store, object)) store.absorb(kept(structuredClone(object)));
    },
  };
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** managedFields and kubectl's copy of the object are often most of it, and no controller reads them. */
function prepare(object: KubeObject, options: InformerOptions): KubeObject {
  const metadata = object.metadata as KubeObject['metadata'] & { managedFields?: unknown };
  delete metadata.managedFields;
  if (metadata.annotations !== undefined) delete metadata.annotations[LAST_APPLIED];
  if (options.metadataOnly === true) return { apiVersion: object.apiVersion, kind: object.kind, metadata };
  return options.transform?.(object) ?? object;
}

/** Only the server can tell whether a selector matches: with one, what we do not have stays unknown until the watch tells it. */
function concerns(selection: SnapshotOptions, store: InformerStore, object: KubeObject): boolean {
  const { namespace, labelSelector, fieldSelector } = selection;
  if (namespace !== undefined && namespace !== object.metadata.namespace) return false;
  const selected = labelSelector !== undefined || fieldSelector !== undefined;
  return !selected || store.get(nameOf(object)) !== undefined;
}

function selectionOf(deps: InformersDeps, kind: Kind, options: InformerOptions): SnapshotOptions {
  const { labelSelector, fieldSelector, metadataOnly } = options;
  return {
    ...(kind.namespaced && deps.namespace ? { namespace: deps.namespace } : {}),
    ...(labelSelector ? { labelSelector } : {}),
    ...(fieldSelector ? { fieldSelector } : {}),
    ...(metadataOnly ? { metadataOnly } : {}),
  };
}

function sameSelection(a: SnapshotOptions, b: SnapshotOptions): boolean {
  return (
    a.labelSelector === b.labelSelector &&
    a.fieldSelector === b.fieldSelector &&
    a.metadataOnly === b.metadataOnly
  );
}
