// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Ctx } from '../runtime/context.ts';
import { TerminalError, TransientError } from '../runtime/errors.ts';
import { hold, next, type Phase, runPhases, type Step } from './phases.ts';

const ctx = {} as Ctx;

function phase(name: string, role: Phase<string[]>['role'], answer: () => Step): Phase<string[]> {
  return {
    name,
    role,
    run(_ctx, seen) {
      seen.push(name);
      return answer();
    },
  };
}

const wait = () => hold('Waiting', 'for the test', 500);
const fail = (error: unknown) => () => {
  throw error;
};

describe('runPhases', () => {
  it('runs every phase in order and is done', async () => {
    const seen: string[] = [];
    const outcome = await runPhases(ctx, [phase('a', 'acts', next), phase('b', 'reports', next)], seen);
    expect(seen).toEqual(['a', 'b']);
    expect(outcome.ok).toBe(true);
    expect(outcome.settle()).toEqual({ kind: 'done' });
  });

  it.each([
    ['a wait', wait],
    ['an error', fail(new Error('boom'))],
  ])('skips what acts after %s, still runs what reports', async (_name, answer) => {
    const seen: string[] = [];
    const phases = [phase('a', 'acts', answer), phase('b', 'acts', next), phase('c', 'reports', next)];
    await runPhases(ctx, phases, seen);
    expect(seen).toEqual(['a', 'c']);
  });

  it.each([
    ['a wait', wait, ['a', 'b']],
    ['an error', fail(new Error('boom')), ['a']],
  ])('after %s, of what goes ahead', async (_name, answer, ran) => {
    const seen: string[] = [];
    const phases = [phase('a', 'acts', answer), phase('b', 'goesAhead', next), phase('c', 'acts', next)];
    const outcome = await runPhases(ctx, phases, seen);
    expect(seen).toEqual(ran);
    expect(outcome.waiting !== undefined || outcome.error !== undefined).toBe(true);
  });

  it('tells the first wait and asks for its interval', async () => {
    const outcome = await runPhases(
      ctx,
      [phase('a', 'acts', wait), phase('b', 'reports', () => hold('Later', '', 1))],
      [],
    );
    expect(outcome.waiting?.reason).toBe('Waiting');
    expect(outcome.settle()).toEqual({ kind: 'wait', ms: 500, reason: 'Waiting' });
  });

  it('a wait without an interval leaves waking to the watches', async () => {
    const outcome = await runPhases(ctx, [phase('a', 'acts', () => hold('Waiting', 'for an owner'))], []);
    expect(outcome.ok).toBe(true);
    expect(outcome.settle()).toEqual({ kind: 'done' });
  });

  it('throws the error only when settled, so that the status is written first', async () => {
    const error = new Error('boom');
    const outcome = await runPhases(ctx, [phase('a', 'acts', fail(error))], []);
    expect(outcome).toMatchObject({ ok: false, failedPhase: 'a', error });
    expect(() => outcome.settle()).toThrow(error);
  });

  it('prefers the error that may heal alone, so that a terminal one does not delay the retry', async () => {
    const transient = new TransientError('throttled');
    const phases = [
      phase('a', 'acts', fail(new TerminalError('Quota', 'no'))),
      phase('b', 'reports', fail(transient)),
    ];
    const outcome = await runPhases(ctx, phases, []);
    expect(() => outcome.settle()).toThrow(transient);
  });
});
