// SPDX-License-Identifier: Apache-2.0
import { MANAGED_BY_ANNOTATION } from '../api/labels.ts';
import type { KubeObject } from '../runtime/object.ts';

/** Somebody else fulfils the contract for this object (IC-10; DIV-2: the annotation counts, with any value, not a label). */
export function isExternallyManaged(object: KubeObject): boolean {
  return object.metadata.annotations?.[MANAGED_BY_ANNOTATION] !== undefined;
}
