// SPDX-License-Identifier: Apache-2.0
// A job that runs on a simulated host: its journal follows from the clock alone.
import type { JobRecord } from './record.ts';

/** How a job is to end: all steps done, or one that fails. */
export type Ending = { readonly stage: string; readonly exitCode: number; readonly log: string } | null;

export interface SimulatedJobOptions {
  readonly record: JobRecord;
  /** Lines as the host stores them: `<file> <id> <stage> <repeatable> <onFailure> <hash>`. */
  readonly plan: readonly string[];
  readonly secrets: readonly string[];
  readonly ending: Ending;
}

interface PlannedStep {
  readonly id: string;
  readonly stage: string;
  readonly hash: string;
}

export class SimulatedJob {
  readonly record: JobRecord;
  private readonly plan: readonly string[];
  private readonly steps: readonly PlannedStep[];
  private readonly secrets: readonly string[];
  private readonly ending: Ending;
  /** Set while nothing works on it. */
  private stoppedMs: number | undefined;
  private startedMs: number;

  constructor({ record, plan, secrets, ending }: SimulatedJobOptions) {
    this.record = record;
    this.plan = plan;
    this.steps = plan.map((line) => {
      const [, id = '', stage = '', , , hash = ''] = line.split(' ');
      return { id, stage, hash };
    });
    this.secrets = secrets;
    this.ending = ending;
    this.startedMs = record.begunMs;
  }

  isDone(nowMs: number): boolean {
    return (this.stoppedMs ?? nowMs) >= this.record.endsMs;
  }

  hasSucceeded(nowMs: number): boolean {
    return this.ending === null && this.isDone(nowMs);
  }

  /** A runner works on it. */
  runs(nowMs: number): boolean {
    return this.stoppedMs === undefined && !this.isDone(nowMs);
  }

  /** Killed, or rebooted away. */
  stop(nowMs: number): void {
    if (this.runs(nowMs)) this.stoppedMs = nowMs;
  }

  /** A runner is started where none works on it and something is left to do. */
  launch(nowMs: number): void {
    if (this.stoppedMs === undefined || this.isDone(nowMs)) return;
    const awayMs = nowMs - this.stoppedMs;
    this.startedMs += awayMs;
    this.record.endsMs += awayMs;
    this.record.launches++;
    this.stoppedMs = undefined;
  }

  /** What the host answers to whoever asks how far it is. */
  answer(nowMs: number): string {
    const lock = this.runs(nowMs) ? 'lock held' : 'lock free';
    const plan = this.plan.map((line) => `plan ${line}`);
    const journal = this.journal(nowMs).map((line) => `journal ${line}`);
    const log = this.isDone(nowMs) && this.ending !== null ? [`log ${this.hidden(this.ending.log)}`] : [];
    return [lock, ...plan, ...journal, ...log, '', 'end of answer', ''].join('\n');
  }

  private journal(nowMs: number): string[] {
    const failing = this.failingStep();
    const steps = this.steps.slice(0, failing + 1);
    const endMs = this.record.endsMs;
    const share = (endMs - this.startedMs) / steps.length;
    const at = this.stoppedMs ?? nowMs;
    const lines = steps.flatMap(({ id, hash }, index) => {
      const failed = this.ending !== null && index === failing;
      const code = failed ? this.ending?.exitCode : 0;
      const started = at >= this.startedMs + index * share ? [`start ${id} ${hash}`] : [];
      const ended = at >= this.startedMs + (index + 1) * share ? [`end ${id} ${hash} ${code}`] : [];
      return [...started, ...ended];
    });
    return ['begin', ...lines, ...(this.isDone(nowMs) ? [this.lastLine(failing)] : [])];
  }

  private lastLine(failing: number): string {
    if (this.ending === null) return 'done succeeded';
    return `done failed StepFailed ${this.steps[failing]?.id} ${this.ending.exitCode}`;
  }

  /** Place of the step that fails, else of the last one. */
  private failingStep(): number {
    const index = this.steps.findIndex(({ stage }) => stage === this.ending?.stage);
    return index < 0 ? this.steps.length - 1 : index;
  }

  /** As hosts do: secrets do not travel back. */
  private hidden(line: string): string {
    return this.secrets.reduce((text, secret) => text.replaceAll(secret, '***'), line);
  }
}
