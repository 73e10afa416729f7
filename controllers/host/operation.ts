// SPDX-License-Identifier: Apache-2.0
// Work that goes on on a host by itself: how it is written down, followed, and told.
import type { HostOperation } from '../../api/tshost-status.ts';
import type { HostClaim } from '../../api/tshost.ts';
import type { JobProgress } from '../../backends/host-driver.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { HostScope } from './scope.ts';

/** How often a job that runs is asked how far it is: one short question over a connection that is open. */
export const JOB_POLL_MS = 1_000;

/** For what was written down first and is done in the next pass. */
export const SOON_MS = 100;

/** Name of a clean-up job on the host. A free host is cleaned under the generation of its last claim. */
export function cleanJobID(claim: HostClaim | undefined, attempt: number): string {
  return `clean-${claim?.generation ?? 0}-${attempt}`;
}

/** Name of a job that prepares the host, or repairs what was prepared: another content, and another try, is another job. */
export function preparationJobID(
  kind: 'prepare' | 'repair',
  { generation }: HostClaim,
  { attempt, hash }: { readonly attempt: number; readonly hash: string },
): string {
  return `${kind}-${generation}-${attempt}-${hash.slice(0, 8)}`;
}

/** Writes down what is about to be done. It is on the API server before the host is touched. */
export function planOperation(
  { object }: HostScope,
  operation: Pick<HostOperation, 'id' | 'kind' | 'attempt'>,
  clock: Clock,
): void {
  (object.status ??= {}).operation = { ...operation, startedAt: clock.now().toISOString() };
}

/** The stage goes into the status: it is real progress, and it changes a few times only. */
export function showStage({ object }: HostScope, stage: string): void {
  const operation = object.status?.operation;
  if (operation !== undefined) operation.step = stage;
}

/** Why a job failed, for people. The whole log is on the host. */
export function failureOf(job: string, progress: Extract<JobProgress, { state: 'failed' }>): string {
  const code = progress.exitCode === undefined ? '' : ` with exit code ${progress.exitCode}`;
  return `Stage ${progress.stage} failed${code}: ${progress.message}; the log is on the host in /var/lib/ts-provider/jobs/${job}/log`;
}

/** Which of three reasons: programs tell apart what went wrong, was interrupted, or took too long. */
export function failureReason(
  progress: Extract<JobProgress, { state: 'failed' }>,
  reasons: { readonly failed: string; readonly interrupted: string; readonly timedOut: string },
): string {
  if (progress.message.startsWith('TimedOut')) return reasons.timedOut;
  return progress.message.startsWith('Interrupted') ? reasons.interrupted : reasons.failed;
}
