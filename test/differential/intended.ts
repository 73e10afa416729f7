// SPDX-License-Identifier: Apache-2.0
// Where we differ from the stock provider on purpose. docs/bootstrap.md shows this table; what is not in it is a defect.
import type { Difference } from './compare.ts';
import type { Scenario } from './scenario.ts';

export interface IntendedDifference {
  readonly id: string;
  readonly stock: string;
  readonly ours: string;
  readonly why: string;
  applies(difference: Difference, scenario: Scenario): boolean;
  /** Comes only now and then: a defect of the stock provider that needs bad luck. Default false. */
  readonly sometimes?: boolean;
}

export const INTENDED: readonly IntendedDifference[] = [];
