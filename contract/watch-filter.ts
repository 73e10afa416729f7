// SPDX-License-Identifier: Apache-2.0
import { WATCH_FILTER_LABEL } from '../api/labels.ts';
import type { KubeObject } from '../runtime/object.ts';

/** Whether this manager serves the object (GEN-15): without a filter all, with one those whose label equals it. */
export function servedBy(filter: string | undefined, object: KubeObject): boolean {
  return filter === undefined || filter === '' || object.metadata.labels?.[WATCH_FILTER_LABEL] === filter;
}
