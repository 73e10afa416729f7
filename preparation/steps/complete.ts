// SPDX-License-Identifier: Apache-2.0
import type { PreparationInput } from '../input.ts';
import { parseVersion } from '../kubernetes-version.ts';
import type { PreparationStep } from '../step.ts';

/** The last step: from here on the host is prepared, and what was fetched on the way is gone. */
export function completeSteps(input: PreparationInput): PreparationStep[] {
  const prefix = `tag=${parseVersion(input.kubernetesVersion).tag}\n`;
  return [
    {
      id: 'complete',
      impact: 'none',
      deadlineSeconds: 60,
      check: `${prefix}is_complete && [ "$(cat "$preparation/complete")" = "$plan_hash $tag" ] && [ ! -e "$downloads" ]\n`,
      apply: String.raw`${prefix}
rm -rf -- "$downloads"
say "$plan_hash $tag" | put_state "$preparation/complete" && rm -f -- "$preparation/incomplete" ||
  unwritten "$preparation/complete cannot be written"
`,
    },
  ];
}
