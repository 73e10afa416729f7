// SPDX-License-Identifier: Apache-2.0
// A preparation as a job: each step is looked at first and made only where it is missing, so that any of them may run again.
import type { PreparationInput } from '../../../preparation/input.ts';
import { prepare, type Preparation } from '../../../preparation/plan.ts';
import { PreparationError } from '../../../preparation/preparation-error.ts';
import { stepScript } from '../../../preparation/script.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { PrepareJob } from '../../host-driver.ts';
import type { Job } from '../job/job.ts';

/** Writes down that all of it is there: the end of a repair as well as of a whole preparation. */
const LAST_STEP = 'complete';

/** Hash of what would be done, 16 hex digits. TerminalError(PreparationInvalid). */
export function preparationHash(input: PreparationInput): string {
  return planOf(input).hash;
}

/** The job that takes the steps of a preparation, or only those that are named. TerminalError(PreparationInvalid). */
export function prepareJob({ id, owner, preparation, only }: PrepareJob): Job {
  const { steps, secrets, hash } = planOf(preparation);
  const chosen = steps.filter(
    (step) => only === undefined || step.id === LAST_STEP || only.includes(step.id),
  );
  return {
    id,
    owner,
    alone: true,
    steps: chosen.map((step) => ({
      id: step.id,
      stage: step.id,
      script: stepScript(step, hash),
      repeatable: true,
      onFailure: 'stop',
      timeoutSeconds: step.deadlineSeconds,
    })),
    timeoutSeconds: chosen.reduce((sum, { deadlineSeconds }) => sum + deadlineSeconds, 0),
    secrets,
  };
}

function planOf(input: PreparationInput): Preparation {
  try {
    return prepare(input);
  } catch (error) {
    if (!(error instanceof PreparationError)) throw error;
    throw new TerminalError('PreparationInvalid', `The host cannot be prepared like this: ${error.message}`);
  }
}
