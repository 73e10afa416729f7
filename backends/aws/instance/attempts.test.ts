// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createAttempts } from './attempts.ts';
import { machineNamed } from './instance.fixtures.ts';

const machine = machineNamed('m');

function start() {
  const clock = new FakeClock();
  return { clock, attempts: createAttempts({ clock, windowMs: 60_000 }) };
}

describe('attempts', () => {
  it('knows of a token that it has seen begin that nothing was made with it', () => {
    const { attempts } = start();
    attempts.planned(machine);
    expect(attempts.hasMadeNothing(machine, 'new')).toBe(true);
    attempts.sending(machine, 'new');
    expect(attempts.hasMadeNothing(machine, 'new')).toBe(false);
    expect(attempts.refused(machine, 'new')).toBe(true);
    expect(attempts.hasMadeNothing(machine, 'new')).toBe(true);
  });

  it('knows nothing of a token that it has not seen begin', () => {
    const { attempts } = start();
    expect(attempts.hasMadeNothing(machine, 'old')).toBe(false);
  });

  it('takes one token for new after a plan, and soon after it only', async () => {
    const { attempts, clock } = start();
    attempts.planned(machine);
    expect(attempts.hasMadeNothing(machine, 'first')).toBe(true);
    expect(attempts.hasMadeNothing(machine, 'second')).toBe(false);
    attempts.planned(machine);
    await clock.advance(15_000);
    expect(attempts.hasMadeNothing(machine, 'third')).toBe(false);
  });

  it('does not believe a refusal while a request without an answer may be under way', async () => {
    const { attempts, clock } = start();
    attempts.planned(machine);
    attempts.sending(machine, 'a');
    attempts.unanswered(machine, 'a');
    expect(attempts.refused(machine, 'a')).toBe(false);
    expect(attempts.isRefused(machine, 'a')).toBe(false);
    await clock.advance(60_000);
    expect(attempts.refused(machine, 'a')).toBe(true);
    expect(attempts.isRefused(machine, 'a')).toBe(true);
  });

  it('does not believe the first refusal of a token that another process may just have sent', async () => {
    const { attempts, clock } = start();
    expect(attempts.refused(machine, 'a')).toBe(false);
    await clock.advance(60_000);
    expect(attempts.refused(machine, 'a')).toBe(true);
  });

  it('takes a refusal back when the token is sent again', () => {
    const { attempts } = start();
    attempts.planned(machine);
    attempts.sending(machine, 'a');
    attempts.refused(machine, 'a');
    attempts.sending(machine, 'a');
    expect(attempts.isRefused(machine, 'a')).toBe(false);
    expect(attempts.hasMadeNothing(machine, 'a')).toBe(false);
  });

  it('counts from when EC2 first said that the token was used', async () => {
    const { attempts, clock } = start();
    expect(attempts.takenForMs(machine, 'a')).toBeUndefined();
    attempts.taken(machine, 'a');
    await clock.advance(7_000);
    attempts.taken(machine, 'a');
    expect(attempts.takenForMs(machine, 'a')).toBe(7_000);
  });

  it('knows for how long a token that was sent again is not to be sent once more', async () => {
    const { attempts, clock } = start();
    expect(attempts.vainForMs(machine, 'a')).toBe(0);
    await clock.advance(10_000);
    expect(attempts.sentInVain(machine, 'a')).toBe(50_000);
    await clock.advance(49_999);
    expect(attempts.vainForMs(machine, 'a')).toBe(1);
    await clock.advance(1);
    expect(attempts.vainForMs(machine, 'a')).toBe(0);
    attempts.planned(machine);
    expect(attempts.sentInVain(machine, 'new')).toBe(0);
  });

  it('is to be sent once more when an answer got lost since', () => {
    const { attempts } = start();
    attempts.sentInVain(machine, 'a');
    attempts.sending(machine, 'a');
    attempts.unanswered(machine, 'a');
    expect(attempts.vainForMs(machine, 'a')).toBe(0);
  });
});
