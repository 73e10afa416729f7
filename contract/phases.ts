// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../runtime/context.ts';
import { done, type Outcome, waitFor } from '../runtime/result.ts';
import { TerminalError } from '../runtime/errors.ts';

/** A phase's answer: go on, or wait. `reason` is a condition reason, `message` one line for people that says who will wake us. */
export type Step =
  | { readonly kind: 'next' }
  | { readonly kind: 'wait'; readonly ms: number; readonly reason: string; readonly message: string };

/** The following phase may run. */
export function next(): Step {
  return { kind: 'next' };
}

/** Nothing more can be done now. `ms` 0: only a watch event wakes us. */
export function hold(reason: string, message: string, ms = 0): Step {
  return { kind: 'wait', ms, reason, message };
}

/** One question, one verb, one answer. */
export interface Phase<S> {
  readonly name: string;
  /**
   * `acts` is skipped once an earlier phase waits or fails; `goesAhead` runs also while an earlier one waits, and decides itself whether
   * it can; `reports` always runs, so that a broken phase never blinds the status.
   */
  readonly role: 'acts' | 'goesAhead' | 'reports';
  readonly run: (ctx: Ctx, scope: S) => Promise<Step> | Step;
}

/** What the phases came to. Never throws: `settle` does, after the status has been written. */
export interface PhaseOutcome {
  readonly ok: boolean;
  /** The first wait, which is the one worth telling. */
  readonly waiting: Extract<Step, { kind: 'wait' }> | undefined;
  /** The first error. */
  readonly error: unknown;
  readonly failedPhase: string | undefined;
  settle(): Outcome;
}

/** Runs the phases in order over one scope of facts and collects how they ended. */
export async function runPhases<S>(ctx: Ctx, phases: readonly Phase<S>[], scope: S): Promise<PhaseOutcome> {
  let waiting: Extract<Step, { kind: 'wait' }> | undefined;
  const failures: { phase: string; error: unknown }[] = [];
  for (const phase of phases) {
    if (phase.role === 'acts' && waiting !== undefined) continue;
    if (phase.role !== 'reports' && failures.length > 0) continue;
    try {
      const step = await phase.run(ctx, scope);
      if (step.kind === 'wait') waiting ??= step;
    } catch (error) {
      failures.push({ phase: phase.name, error });
    }
  }
  return outcomeOf(waiting, failures);
}

function outcomeOf(
  waiting: PhaseOutcome['waiting'],
  failures: readonly { phase: string; error: unknown }[],
): PhaseOutcome {
  const [first, ...others] = failures;
  return {
    ok: first === undefined,
    waiting,
    error: first?.error,
    failedPhase: first?.phase,
    settle() {
      if (first !== undefined)
        throw others.length === 0 ? first.error : aggregate(failures.map((f) => f.error));
      return waiting === undefined || waiting.ms === 0 ? done() : waitFor(waiting.ms, waiting.reason);
    },
  };
}

/** One error for several: terminal only when nothing among them may heal alone. */
function aggregate(errors: readonly unknown[]): unknown {
  const mayHeal = errors.find((error) => !(error instanceof TerminalError));
  return mayHeal ?? errors[0];
}
