// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from './object.ts';

/** Whether `finalizer` keeps the object from going away. */
export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) === true;
}

/**
 * Adds `finalizer` to our copy; the patch helper writes it. True when the copy changed. An object that is being deleted is left
 * alone: the API server refuses new finalizers there.
 */
export function addFinalizer(object: KubeObject, finalizer: string): boolean {
  if (object.metadata.deletionTimestamp !== undefined || hasFinalizer(object, finalizer)) return false;
  object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  return true;
}

/** Takes `finalizer` off our copy; the patch helper writes it. True when the copy changed. */
export function removeFinalizer(object: KubeObject, finalizer: string): boolean {
  if (!hasFinalizer(object, finalizer)) return false;
  const left = (object.metadata.finalizers ?? []).filter((other) => other !== finalizer);
  if (left.length > 0) object.metadata.finalizers = left;
  else delete object.metadata.finalizers;
  return true;
}
