// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../api/cluster-api.ts';
import { PAUSED_ANNOTATION } from '../api/labels.ts';
import type { KubeObject } from '../runtime/object.ts';

/**
 * Why an object is paused, as the message of its `Paused` condition (GEN-10, GEN-11); '' when it is not.
 * The annotation counts by its presence, whatever its value.
 */
export function pausedMessage(cluster: Cluster | undefined, object: KubeObject): string {
  const reasons: string[] = [];
  if (cluster?.spec?.paused === true) reasons.push('Cluster spec.paused is set to true');
  if (object.metadata.annotations?.[PAUSED_ANNOTATION] !== undefined) {
    reasons.push(`${object.kind} has the ${PAUSED_ANNOTATION} annotation`);
  }
  return reasons.join(', ');
}
