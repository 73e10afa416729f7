// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { InformerEvent } from './informer.ts';
import { keyOf, type KubeObject, nameOf, type ObjectName } from './object.ts';

/** Values under which an object is found; must depend on the object alone. */
export type IndexFunction = (object: KubeObject) => readonly string[];

type Emit = (event: InformerEvent<KubeObject>) => void;

interface Entry {
  readonly object: KubeObject;
  /** What handlers know; older than `object` after an absorb, `undefined` when they were told nothing yet. */
  readonly announced: KubeObject | undefined;
}

/**
 * The known objects of one kind. Our own writes come in before the watch tells them (`absorb`), so what the cache answers
 * and what handlers were told may differ for a moment; the watch closes the gap. Stored objects are frozen.
 */
export class InformerStore {
  readonly #entries = new Map<string, Entry>();
  readonly #indexes = new Map<string, Index>();
  readonly #emit: Emit;
  /** The watch has told everything up to here. */
  #seen = '0';

  constructor(emit: Emit) {
    this.#emit = emit;
    this.addIndex(NAMESPACE_INDEX, (object) => [object.metadata.namespace ?? '']);
  }

  /** Where a watch resumes. */
  get resourceVersion(): string {
    return this.#seen;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: ObjectName): KubeObject | undefined {
    return this.#entries.get(keyOf(name))?.object;
  }

  list(namespace?: string): readonly KubeObject[] {
    if (namespace !== undefined) return this.byIndex(NAMESPACE_INDEX, namespace) ?? [];
    return Array.from(this.#entries.values(), (entry) => entry.object);
  }

  /** `undefined` when there is no such index. */
  byIndex(index: string, value: string): readonly KubeObject[] | undefined {
    const found = this.#indexes.get(index);
    return found && Array.from(found.keys.get(value) ?? [], (key) => this.#known(key).object);
  }

  hasIndex(index: string): boolean {
    return this.#indexes.has(index);
  }

  addIndex(name: string, valuesOf: IndexFunction): void {
    const index: Index = { valuesOf, keys: new Map() };
    this.#indexes.set(name, index);
    for (const [key, entry] of this.#entries) addTo(index, key, entry.object);
  }

  /** An ADDED or MODIFIED event. */
  upsert(object: KubeObject): void {
    this.#see(object.metadata.resourceVersion);
    this.#upsert(object);
  }

  /** A DELETED event: `object` is the last state, its resourceVersion the deletion's. */
  remove(object: KubeObject): void {
    this.#see(object.metadata.resourceVersion);
    const key = keyOf(nameOf(object));
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (compareVersions(entry.object, object) > 0) {
      // A namesake that we made ourselves is here already; handlers still learn that the old one is gone.
      this.#put(key, { object: entry.object, announced: undefined });
    } else {
      this.#drop(key, entry.object);
    }
    this.#emit({ type: 'delete', object: freeze(object) });
  }

  /** A bookmark. */
  bookmark(resourceVersion: string | undefined): void {
    this.#see(resourceVersion);
  }

  /**
   * A whole list. Handlers hear real differences only. Our own writes that are younger than the list stay; what is not
   * younger than it gives way, whatever its version: the server may have been restored from a backup and written on since.
   * A list that is older than what the watch told means that it was: then even what looks like our younger write is gone.
   */
  replace(items: readonly KubeObject[], resourceVersion: string): void {
    const restored = compareResourceVersions(resourceVersion, this.#seen) < 0;
    const mayBeOurs = (entry: Entry | undefined): boolean =>
      !restored && compareResourceVersions(entry?.object.metadata.resourceVersion, resourceVersion) > 0;
    const listed = new Set(items.map((item) => keyOf(nameOf(item))));
    for (const [key, entry] of [...this.#entries]) {
      if (listed.has(key)) continue;
      if (mayBeOurs(entry)) continue;
      this.#drop(key, entry.object);
      if (entry.announced !== undefined) this.#emit({ type: 'delete', object: entry.object });
    }
    this.#seen = resourceVersion;
    for (const item of items) {
      const key = keyOf(nameOf(item));
      const known = this.#entries.get(key);
      if (mayBeOurs(known)) continue;
      // After a restore the same version may have been given to something else.
      const same = known !== undefined && isDeepStrictEqual(known.object, item);
      this.#set(key, same ? known.object : item);
    }
  }

  /**
   * The answer to our own write. It counts only when it is younger than what we have. For an object that we do not have: when
   * it is younger than all that the watch told; else the watch told its deletion already, and it must not come back.
   */
  absorb(object: KubeObject): void {
    const { deletionTimestamp, finalizers, resourceVersion } = object.metadata;
    // Gone with this very write. The watch says so; until then the cache has an object that is being deleted.
    if (deletionTimestamp !== undefined && (finalizers ?? []).length === 0) return;
    const key = keyOf(nameOf(object));
    const entry = this.#entries.get(key);
    const known = entry?.object.metadata.resourceVersion ?? this.#seen;
    if (compareResourceVersions(resourceVersion, known) <= 0) return;
    this.#put(key, { object: freeze(object), announced: entry?.announced });
  }

  /** Tells `emit` every object as if it were new; for a handler that comes late. */
  replay(emit: Emit): void {
    for (const { announced } of [...this.#entries.values()]) {
      if (announced !== undefined) emit({ type: 'add', object: announced });
    }
  }

  #upsert(incoming: KubeObject): void {
    const key = keyOf(nameOf(incoming));
    const known = this.#entries.get(key)?.object;
    const order = known === undefined ? -1 : compareVersions(known, incoming);
    // Our own younger write is here already, and the watch will come to it: the step in between is of no use to anybody.
    if (order > 0) return;
    this.#set(key, order === 0 && known !== undefined ? known : incoming);
  }

  /** What the server says, whatever was known before. */
  #set(key: string, object: KubeObject): void {
    const previous = this.#entries.get(key)?.announced;
    this.#put(key, { object: freeze(object), announced: object });
    this.#announce(object, previous);
  }

  #announce(object: KubeObject, previous: KubeObject | undefined): void {
    if (previous === undefined) {
      this.#emit({ type: 'add', object });
    } else if (previous.metadata.uid !== object.metadata.uid) {
      this.#emit({ type: 'delete', object: previous });
      this.#emit({ type: 'add', object });
    } else if (previous !== object) {
      this.#emit({ type: 'update', object, previous });
    }
  }

  #put(key: string, entry: Entry): void {
    const old = this.#entries.get(key)?.object;
    this.#entries.set(key, entry);
    if (old === entry.object) return;
    for (const index of this.#indexes.values()) {
      if (old !== undefined) removeFrom(index, key, old);
      addTo(index, key, entry.object);
    }
  }

  #drop(key: string, object: KubeObject): void {
    this.#entries.delete(key);
    for (const index of this.#indexes.values()) removeFrom(index, key, object);
  }

  #known(key: string): Entry {
    const entry = this.#entries.get(key);
    if (entry === undefined) throw new Error(`The index names ${key}, which is not stored`);
    return entry;
  }

  #see(resourceVersion: string | undefined): void {
    if (resourceVersion !== undefined && compareResourceVersions(resourceVersion, this.#seen) > 0)
      this.#seen = resourceVersion;
  }
}

const NAMESPACE_INDEX = 'metadata.namespace';

interface Index {
  readonly valuesOf: IndexFunction;
  readonly keys: Map<string, Set<string>>;
}

function addTo(index: Index, key: string, object: KubeObject): void {
  for (const value of index.valuesOf(object)) {
    const keys = index.keys.get(value);
    if (keys === undefined) index.keys.set(value, new Set([key]));
    else keys.add(key);
  }
}

function removeFrom(index: Index, key: string, object: KubeObject): void {
  for (const value of index.valuesOf(object)) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}

/**
 * Negative, zero or positive. Versions of one kind on one server are decimal numbers without leading zeros that may exceed
 * 2^53, so the longer one is the greater one; a missing one is older than all.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number {
  const [left, right] = [a ?? '', b ?? ''];
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : Number(left > right);
}

function compareVersions(a: KubeObject, b: KubeObject): number {
  return compareResourceVersions(a.metadata.resourceVersion, b.metadata.resourceVersion);
}

/** Everybody reads the same objects: a change by one reader fails at once instead of confusing the others. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
