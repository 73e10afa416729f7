// SPDX-License-Identifier: Apache-2.0
import { ConditionType, Reason } from '../api/conditions.ts';
import { setCondition } from '../runtime/conditions.ts';
import type { Condition } from '../runtime/object.ts';
import type { PatchHelper } from '../runtime/patch-helper.ts';
import { done, type Outcome } from '../runtime/result.ts';

/** Says that the object is paused and does nothing else (GEN-10, GEN-11). A watch on the Cluster and the object wakes us. */
export async function reportPaused(input: {
  readonly object: { status?: { conditions?: Condition[] } };
  readonly patch: PatchHelper;
  readonly message: string;
  readonly now: Date;
}): Promise<Outcome> {
  const status = (input.object.status ??= {});
  status.conditions = setCondition(
    status.conditions ?? [],
    { type: ConditionType.Paused, status: 'True', reason: Reason.Paused, message: input.message },
    input.now,
  );
  // Nothing else looked at the spec.
  await input.patch.apply({ observedGeneration: [ConditionType.Paused] });
  return done();
}
