// SPDX-License-Identifier: Apache-2.0

/** What applying a step does to pods that run on the machine: nothing, a restart of a service, or worse. */
export type Impact = 'none' | 'restart' | 'disruptive';

/** One part of making a plain machine ready. Its scripts are bodies of shell functions, in POSIX sh, behind the library. */
export interface PreparationStep {
  /** Small letters, digits and `_`; unique in its plan. */
  readonly id: string;
  readonly impact: Impact;
  /** What still runs after that is killed. */
  readonly deadlineSeconds: number;
  /** Returns 0 when all of it is in place. Changes nothing. */
  readonly check: string;
  /** Makes it so. May be interrupted at any line and run again. */
  readonly apply: string;
}
