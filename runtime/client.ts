// SPDX-License-Identifier: Apache-2.0
import type { Kind, KubeObject, ObjectName } from './object.ts';

/** Field manager of every write. */
export const FIELD_MANAGER = 'ts-provider';

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface PatchOptions {
  readonly subresource?: 'status' | 'scale';
  /** `merge` (default) is RFC 7386, `json` RFC 6902, `apply` is server-side apply with force. */
  readonly type?: 'merge' | 'json' | 'apply';
}

export interface DeleteOptions {
  /** Precondition: delete this very object, not a namesake. */
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/**
 * Uncached calls to one API server. Errors are ApiError (the server's word) or TransientError (no answer). 429 and 503 with
 * Retry-After are waited for and retried inside the call, bounded by `signal` where given and 30 s otherwise.
 */
export interface Client {
  /** `undefined` when the object does not exist. */
  get<T extends KubeObject>(kind: Kind<T>, name: ObjectName, signal?: AbortSignal): Promise<T | undefined>;
  /** All objects, fetched in chunks. */
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions, signal?: AbortSignal): Promise<T[]>;
  create<T extends KubeObject>(kind: Kind<T>, object: T, signal?: AbortSignal): Promise<T>;
  /** A body with `metadata.resourceVersion` is refused with a conflict when the object has moved on. */
  patch<T extends KubeObject>(kind: Kind<T>, name: ObjectName, body: unknown, options?: PatchOptions): Promise<T>;
  /** An object that is already gone is a success. */
  delete(kind: Kind, name: ObjectName, options?: DeleteOptions): Promise<void>;
}
