// SPDX-License-Identifier: Apache-2.0
import type { Client, PatchOptions } from '../runtime/client.ts';
import { ApiError } from '../runtime/errors.ts';
import type { Cache } from '../runtime/informer.ts';
import { keyOf, type Kind, type KubeObject, nameOf, type ObjectName } from '../runtime/object.ts';

type Stored<T> = T & { spec?: unknown; status?: unknown };

/** One write that the fake has seen. */
export interface Write {
  readonly verb: 'create' | 'patch' | 'patch_status' | 'delete';
  readonly kind: string;
  readonly key: string;
  readonly body?: unknown;
}

/**
 * A few rules of an API server, for reconciler tables that need thousands of passes in a second: resourceVersion guards,
 * generation, the status subresource, finalizers. Cache and client are one, so nothing is ever stale here; stale reads,
 * validation and watches are the business of the stories on a real kube-apiserver.
 */
export class FakeAPI {
  readonly writes: Write[] = [];
  /** Called before each write is applied; throw to lose the answer or the write. */
  beforeWrite: (write: Write) => void = () => {};
  /** Called after each write was applied; throw to crash after the side effect. */
  afterWrite: (write: Write) => void = () => {};
  readonly #objects = new Map<string, KubeObject>();
  #version = 0;

  put<T extends KubeObject>(object: T): T {
    const stored = structuredClone(object);
    stored.metadata = { uid: `uid-${++this.#version}`, generation: 1, ...stored.metadata };
    stored.metadata.resourceVersion = String(++this.#version);
    this.#objects.set(this.#key(object.kind, nameOf(object)), stored);
    return structuredClone(stored);
  }

  read<T extends KubeObject>(kind: Kind<T>, name: ObjectName): T | undefined {
    return structuredClone(this.#objects.get(this.#key(kind.kind, name))) as T | undefined;
  }

  /** As `kubectl delete`: gone, or marked while finalizers hold it. */
  remove(kind: Kind, name: ObjectName): void {
    const object = this.#objects.get(this.#key(kind.kind, name));
    if (object === undefined) return;
    if ((object.metadata.finalizers ?? []).length === 0) {
      this.#objects.delete(this.#key(kind.kind, name));
      return;
    }
    object.metadata.deletionTimestamp ??= '2026-01-01T00:00:00Z';
    object.metadata.resourceVersion = String(++this.#version);
  }

  get client(): Client {
    return {
      get: async (kind, name) => this.read(kind, name),
      list: async (kind) => this.#all(kind),
      create: async (kind, object) =>
        this.#write({ verb: 'create', kind: kind.kind, key: keyOf(nameOf(object)) }, () => this.put(object)),
      patch: async (kind, name, body, options) => this.#patch(kind, name, body, options),
      delete: async (kind, name) =>
        this.#write({ verb: 'delete', kind: kind.kind, key: keyOf(name) }, () => this.remove(kind, name)),
    };
  }

  /** `indexes` gives the index functions by name. */
  cache(indexes: Record<string, (object: KubeObject) => readonly string[]> = {}): Cache {
    return {
      get: (kind, name) => this.read(kind, name),
      peek: (kind, name) => this.read(kind, name),
      list: (kind, namespace) =>
        this.#all(kind).filter((one) => namespace === undefined || one.metadata.namespace === namespace),
      byIndex: (kind, index, value) => this.#all(kind).filter((one) => indexes[index]?.(one).includes(value)),
      absorb: () => {},
    };
  }

  #patch<T extends KubeObject>(
    kind: Kind<T>,
    name: ObjectName,
    body: unknown,
    options: PatchOptions = {},
  ): T {
    const verb = options.subresource === 'status' ? 'patch_status' : 'patch';
    return this.#write({ verb, kind: kind.kind, key: keyOf(name), body }, () => {
      const key = this.#key(kind.kind, name);
      const before = this.#objects.get(key) as Stored<T> | undefined;
      if (before === undefined)
        throw new ApiError(404, 'NotFound', `${kind.plural} "${keyOf(name)}" not found`);
      const after = this.#merged(before, body, options.subresource !== undefined);
      const released = after.metadata.deletionTimestamp !== undefined && !after.metadata.finalizers?.length;
      if (released) this.#objects.delete(key);
      else this.#objects.set(key, after);
      return structuredClone(after);
    });
  }

  /** The subresource changes status only, the object itself everything else. */
  #merged<T extends KubeObject>(before: Stored<T>, body: unknown, statusOnly: boolean): Stored<T> {
    const wanted = (body as Partial<KubeObject>).metadata?.resourceVersion;
    if (wanted !== undefined && wanted !== before.metadata.resourceVersion) {
      throw new ApiError(409, 'Conflict', 'the object has been modified');
    }
    const after = mergePatch(before, body) as Stored<T>;
    if (statusOnly) Object.assign(after, { spec: before.spec, metadata: before.metadata });
    else Object.assign(after, { status: before.status });
    const specChanged = JSON.stringify(before.spec) !== JSON.stringify(after.spec);
    const generation = (before.metadata.generation ?? 1) + (specChanged ? 1 : 0);
    after.metadata = { ...after.metadata, generation, resourceVersion: String(++this.#version) };
    return after;
  }

  #write<R>(write: Write, apply: () => R): R {
    this.beforeWrite(write);
    const result = apply();
    this.writes.push(write);
    this.afterWrite(write);
    return result;
  }

  #all<T extends KubeObject>(kind: Kind<T>): T[] {
    return [...this.#objects.values()]
      .filter((one) => one.kind === kind.kind)
      .map((one) => structuredClone(one) as T);
  }

  #key(kind: string, name: ObjectName): string {
    return `${kind} ${keyOf(name)}`;
  }
}

/** RFC 7386, as the server applies it. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return structuredClone(patch);
  const result: Record<string, unknown> =
    target !== null && typeof target === 'object' && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
