// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { CursorLostError } from '../../backend.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import { contextOf, recordNamed, sessionOf } from './instance.fixtures.ts';
import { createObservation } from './observation.ts';

const DENIED = new AWSRefusal({
  ...{ reason: 'CloudAccessDenied', action: 'DescribeInstances', code: 'UnauthorizedOperation' },
  message: 'TSClusterIdentity "denied" may not do this',
});

function start(all: readonly AWSSession[] = []) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const sessions = { all: (action: string) => (asked.push(action), all) };
  return { clock, asked, observation: createObservation({ sessions, clock }) };
}

/** Who may not look, and is told so after a while. */
function deniedSession(error: Error = DENIED) {
  let tell: () => void = () => undefined;
  const refused = new Promise((_resolve, reject) => (tell = () => reject(error)));
  return { session: sessionOf(() => refused), tell: () => tell() };
}

describe('an identity that may not look at instances', () => {
  it('does not keep those of the same account from it that wait for its list', async () => {
    const { clock, observation } = start();
    let looks = 0;
    const others = Array.from({ length: 3 }, () => sessionOf(() => (looks++, { Reservations: [] })));
    const denied = deniedSession();
    const own = observation.warmUp(contextOf(clock), denied.session);
    const waiting = others.map((session) => observation.warmUp(contextOf(clock), session));
    denied.tell();
    await expect(own).rejects.toBe(DENIED);
    await Promise.all(waiting);
    expect(looks).toBe(1);
  });

  it('is not who looks for all', async () => {
    const { clock, asked, observation } = start([sessionOf(() => ({ Reservations: [] }))]);
    await observation.tick(contextOf(clock));
    expect(asked).toEqual(['DescribeInstances']);
  });
});

it('a list that could not be had is one for all who wait for it', async () => {
  const { clock, observation } = start();
  const lost = deniedSession(new TransientError('no answer'));
  const other = sessionOf(() => Promise.reject(new Error('asked as well')));
  const waiting = [lost.session, other].map((session) => observation.warmUp(contextOf(clock), session));
  lost.tell();
  for (const one of waiting) await expect(one).rejects.toThrow('no answer');
});

it('the same trouble is told once until it is over', async () => {
  let message = 'no answer';
  const session = sessionOf(() => {
    if (message !== '') throw new TransientError(message);
    return { Reservations: [] };
  });
  const { clock, observation } = start([session]);
  const told: unknown[] = [];
  const plain = contextOf(clock);
  const warn = (fields: unknown) => void told.push((fields as { message: string }).message);
  const tick = async (next: string) => {
    message = next;
    await clock.advance(30_000);
    await observation.tick({ ...plain, log: { ...plain.log, warn } });
  };
  for (const next of ['no answer', 'no answer', 'denied', '', 'denied']) await tick(next);
  expect(told).toEqual(['no answer', 'denied', 'denied']);
});

it('changes that were forgotten before they were read are a lost cursor, which heals by beginning anew', async () => {
  const { clock, observation } = start();
  const ctx = contextOf(clock);
  const { cursor } = await observation.changes(ctx, '');
  observation.wake(recordNamed('i-1'));
  // The clock is set forward with one change unread; the next one sweeps it out.
  clock.setTime(new Date(clock.now().getTime() + 11 * 60_000));
  const tags = { ...recordNamed('i-2').tags, 'ts-provider/machine': 'default/other' };
  observation.wake(recordNamed('i-2', { tags }));
  await expect(observation.changes(ctx, cursor)).rejects.toBeInstanceOf(CursorLostError);
  const next = await observation.changes(ctx, '');
  observation.wake(recordNamed('i-1'));
  expect((await observation.changes(ctx, next.cursor)).machines).toEqual([
    { namespace: 'default', name: 'm' },
  ]);
});
