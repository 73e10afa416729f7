// SPDX-License-Identifier: Apache-2.0
import type { Condition } from './object.ts';

/** What a controller says; the rest of the condition follows from what was said before. */
export type ConditionVerdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Ready is what people look for first; the last two are about the object's life, not about what it stands for. */
const FIRST = ['Ready'];
const LAST = ['Deleting', 'Paused'];

/** The condition of this type, if there is one. */
export function getCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Whether the condition exists and has the status True. */
export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return getCondition(conditions, type)?.status === 'True';
}

/**
 * A new list with this condition in it: Ready first, Deleting and Paused last, the others in the order in which they came.
 * `lastTransitionTime` (RFC 3339, whole seconds as metav1.Time) moves only when the status flips; `observedGeneration` is
 * carried over, the patch helper stamps it.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  verdict: ConditionVerdict,
  now: Date,
): Condition[] {
  const old = getCondition(conditions, verdict.type);
  const condition: Condition = {
    type: verdict.type,
    status: verdict.status,
    reason: verdict.reason,
    message: verdict.message,
    lastTransitionTime: old?.status === verdict.status ? old.lastTransitionTime : toMetaTime(now),
    ...(old?.observedGeneration === undefined ? {} : { observedGeneration: old.observedGeneration }),
  };
  const known = conditions ?? [];
  const list =
    old === undefined ? [...known, condition] : known.map((other) => (other === old ? condition : other));
  return list.toSorted((a, b) => rank(a.type) - rank(b.type));
}

/** RFC 3339 in UTC without fractions of a second, as the API server stores `metav1.Time`. */
export function toMetaTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

function rank(type: string): number {
  const first = FIRST.indexOf(type);
  if (first >= 0) return first - FIRST.length;
  return LAST.indexOf(type) + 1;
}
