// SPDX-License-Identifier: Apache-2.0
// Long work on a host: a list of scripts that run there by themselves, one after the other, with a journal. Whoever starts it may die at
// any moment; whoever comes next finds the journal. Nothing runs twice.
import { createHash } from 'node:crypto';
import type { HostOwner } from '../../host-driver.ts';

/** Everything of ours on a host, for root only. The clean-up removes it at the very end. */
export const STATE_FOLDER = '/var/lib/ts-provider';

/** One script of a job. */
export interface Step {
  /** Unique in its job: small letters, digits, `_` and `-`. */
  readonly id: string;
  /** What people call it, such as `write_files`: one word. */
  readonly stage: string;
  /** POSIX sh, run as root in a process of its own: folder `/`, umask 022, no input, nothing but PATH in its environment. */
  readonly script: string;
  /** It may run again after it was interrupted. */
  readonly repeatable: boolean;
  /** What its exit code does to the steps behind it. */
  readonly onFailure: 'stop' | 'continue';
  /** What of it still runs then is killed, and the job fails with TimedOut. Absent: only the time of the whole job counts. */
  readonly timeoutSeconds?: number;
}

/** A job of one host. Who starts it again must bring the same id; its content counts only the first time. */
export interface Job {
  /** A DNS label. */
  readonly id: string;
  /** Whose host it is; a host that says something else refuses the job. Without one, anybody's host will do (clean-up). */
  readonly owner?: HostOwner;
  /** Refused by a host that names another owner than this one; one that names none takes it. It is not written down (clean-up). */
  readonly onlyOf?: HostOwner;
  /**
   * Refused while another job works on the host. Jobs of the same kind (the first word of the id) that ended before are forgotten by the
   * host when it begins: many tries leave the traces of one.
   */
  readonly alone?: boolean;
  readonly steps: readonly Step[];
  /** For all steps together; what runs when it is over is killed. */
  readonly timeoutSeconds: number;
  /** Success is this file and nothing else: exit codes do not count. Without one, success is that no step with `stop` failed. */
  readonly successFile?: string;
  /** Never shown; each is redacted from what is told of the log. */
  readonly secrets: readonly string[];
}

/** Where a job lives on its host. */
export function jobFolder(id: string, stateFolder: string): string {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(id)) throw new Error('job: its id is not a DNS label');
  return `${stateFolder}/jobs/${id}`;
}

/** Hex, of a script as it is stored on the host. */
export function hashOf(script: string): string {
  return createHash('sha256').update(script).digest('hex');
}

/** What the runner reads: a line for each step with file, id, stage, repeatable, onFailure, hash, and its seconds or `-`. */
export function planOf(steps: readonly Step[]): string {
  const seen = new Set<string>();
  const lines = steps.map((step, index) => {
    if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(step.id) || seen.has(step.id))
      throw new Error('job: a step has an id that cannot be used or is there twice');
    if (!/^[\w-]{1,40}$/.test(step.stage)) throw new Error('job: the stage of a step is not a word');
    seen.add(step.id);
    const repeat = step.repeatable ? 'yes' : 'no';
    const seconds = step.timeoutSeconds === undefined ? '-' : Math.max(1, Math.floor(step.timeoutSeconds));
    return `${fileOf(index)} ${step.id} ${step.stage} ${repeat} ${step.onFailure} ${hashOf(step.script)} ${seconds}\n`;
  });
  return lines.join('');
}

/** Name of the file of a step, by its place. */
export function fileOf(index: number): string {
  return String(index + 1).padStart(3, '0');
}
