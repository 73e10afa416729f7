// SPDX-License-Identifier: Apache-2.0
import { WATCH_FILTER_LABEL } from '../api/labels.ts';
import { hasFinalizer } from '../runtime/finalizers.ts';
import type { KubeObject } from '../runtime/object.ts';

/** Whether this manager serves the object (GEN-15): without a filter all, with one those whose label equals it. */
export function servedBy(filter: string | undefined, object: KubeObject): boolean {
  return filter === undefined || filter === '' || object.metadata.labels?.[WATCH_FILTER_LABEL] === filter;
}

/**
 * The object if there is anything to do for it. Not when it is gone or another manager's, and not when it is being deleted
 * without our finalizer: then nothing was ever made, and who deletes it needs nothing of us (also clusterctl's delete-for-move).
 */
export function toServe<T extends KubeObject>(
  object: T | undefined,
  by: { readonly watchFilter?: string | undefined; readonly finalizer: string },
): T | undefined {
  if (object === undefined || !servedBy(by.watchFilter, object)) return undefined;
  return isDeleting(object) && !hasFinalizer(object, by.finalizer) ? undefined : object;
}

/** Somebody has asked for the object to be deleted. */
export function isDeleting(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}
