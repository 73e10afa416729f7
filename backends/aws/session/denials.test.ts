// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, it } from 'vitest';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { Denials } from './denials.ts';
import { AWSRefusal } from './session.ts';

const [LOOK, OTHER] = ['DescribeInstances', 'RunInstances'];

let clock: FakeClock;
let denials: Denials;

beforeEach(() => {
  clock = new FakeClock();
  denials = new Denials(clock);
});

async function note(action: string, error?: Error): Promise<void> {
  const call = error === undefined ? Promise.resolve('answer') : Promise.reject(error);
  await denials.note(action, call).catch((thrown: unknown) => expect(thrown).toBe(error));
}

function refusal(reason: string, action: string): AWSRefusal {
  return new AWSRefusal({ reason, action, code: 'No', message: 'No.' });
}

const nowMs = () => clock.now().getTime();

it('of one action stays, whatever becomes of the others', async () => {
  await note(LOOK, refusal('CloudAccessDenied', LOOK));
  const deniedMs = nowMs();
  await clock.advance(1_000);
  await note(OTHER);
  await note(OTHER, refusal('QuotaExceeded', OTHER));
  expect(denials.sinceMs(LOOK)).toBe(deniedMs);
  expect(denials.sinceMs(OTHER)).toBeUndefined();
});

it('goes with an answer to the same action, also with one that refuses for another reason', async () => {
  for (const heals of [undefined, refusal('QuotaExceeded', LOOK)]) {
    await note(LOOK, refusal('CloudAccessDenied', LOOK));
    await note(LOOK, new TransientError('no answer'));
    expect(denials.sinceMs(LOOK)).toBe(nowMs());
    await note(LOOK, heals);
    expect(denials.sinceMs(LOOK)).toBeUndefined();
  }
});

it('of credentials that AWS does not take is one of everything, until it takes them', async () => {
  const notTaken = new TerminalError('CloudAccessDenied', 'AWS does not take the credentials');
  for (const heals of [undefined, refusal('QuotaExceeded', OTHER)]) {
    await note(OTHER, notTaken);
    expect(denials.sinceMs(LOOK)).toBe(nowMs());
    await note(OTHER, heals);
    expect(denials.sinceMs(LOOK)).toBeUndefined();
  }
});
