// SPDX-License-Identifier: Apache-2.0
import { Reason } from '../api/conditions.ts';
import type { Condition } from '../runtime/object.ts';

/** A condition before it has a type and times. */
export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/**
 * The `Ready` condition that core mirrors into InfrastructureReady (IC-7, IM-7): True when all parts are, else the first
 * part that is not, in its own words, so that one line says why.
 */
export function readySummary(parts: readonly Verdict[]): Verdict {
  const broken =
    parts.find((part) => part.status === 'False') ?? parts.find((part) => part.status !== 'True');
  const remarks = parts.map((part) => part.message).filter((message) => message !== '');
  return broken ?? { status: 'True', reason: Reason.Ready, message: remarks.join('; ') };
}
