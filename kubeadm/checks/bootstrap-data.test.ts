// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  FILE_FAULTS,
  JINJA_FAULTS,
  KUBEADM_FAULTS,
  LATE_FAULTS,
  problemsOf,
  RIGHT,
  TAINT_FAULTS,
} from '../../test/check-cases.ts';

describe('checkBootstrapData', () => {
  it.each([...KUBEADM_FAULTS, ...TAINT_FAULTS, ...LATE_FAULTS, ...FILE_FAULTS, ...JINJA_FAULTS])(
    'finds $name',
    ({ field, ...one }) => {
      expect(problemsOf(one).map((problem) => problem.field)).toEqual([field]);
    },
  );

  it.each(RIGHT)('has nothing to say of $name', (one) => {
    expect(problemsOf(one)).toEqual([]);
  });
});
