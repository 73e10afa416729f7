// SPDX-License-Identifier: Apache-2.0
import { Reason } from '../../api/conditions.ts';

/** Where docs/runbook.md says what to do about a host that nobody gets before a person has acted. */
const ENTRIES: Readonly<Record<string, string>> = {
  [Reason.HostDirty]: 'hostdirty',
  [Reason.ForceReleased]: 'forcereleased',
  [Reason.CleanFailed]: 'cleanfailed-cleantimedout',
  [Reason.CleanTimedOut]: 'cleanfailed-cleantimedout',
};

/** The message with a link to its entry in the runbook, once. */
export function withRunbook(reason: string, message: string): string {
  const entry = ENTRIES[reason];
  const link = ` (docs/runbook.md#${entry})`;
  return entry === undefined || message.endsWith(link) ? message : message + link;
}
