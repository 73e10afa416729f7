// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, it } from 'vitest';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createLogger } from '../../../runtime/logger.ts';
import { type CredentialsSource, RenewedCredentials } from './credentials.ts';

let clock: FakeClock;
let obtained: boolean[];
let lifeMs: number | undefined;
let source: CredentialsSource;
let credentials: RenewedCredentials;

beforeEach(() => {
  clock = new FakeClock();
  obtained = [];
  lifeMs = 3_600_000;
  source = async (_ctx, refresh) => {
    obtained.push(refresh);
    const identity = { accessKeyId: `key ${obtained.length}`, secretAccessKey: 's' };
    return { identity, ...(lifeMs !== undefined && { lifeMs }) };
  };
  credentials = new RenewedCredentials(clock, (ctx, refresh) => source(ctx, refresh));
});

it('are obtained once for all who wait, and renewed five minutes before they end', async () => {
  await Promise.all(Array.from({ length: 20 }, () => credentials.get(ctx())));
  expect(obtained).toEqual([false]);
  await clock.advance(54 * 60_000);
  await credentials.get(ctx());
  expect(obtained).toHaveLength(1);
  await clock.advance(60_000);
  await Promise.all([credentials.get(ctx()), credentials.get(ctx())]);
  expect(obtained).toEqual([false, false]);
  expect(credentials.current().accessKeyId).toBe('key 2');
});

it('that do not say when they end are kept', async () => {
  lifeMs = undefined;
  await credentials.get(ctx());
  await clock.advance(30 * 86_400_000);
  await credentials.get(ctx());
  expect(obtained).toHaveLength(1);
});

it('of a life shorter than ten minutes are used for half of it', async () => {
  lifeMs = 240_000;
  await credentials.get(ctx());
  await clock.advance(119_000);
  await credentials.get(ctx());
  expect(obtained).toHaveLength(1);
  await clock.advance(2_000);
  await credentials.get(ctx());
  expect(obtained).toHaveLength(2);
});

it('are used to their end when they cannot be renewed, which is tried once a minute', async () => {
  await credentials.get(ctx());
  await clock.advance(56 * 60_000);
  let tries = 0;
  source = async () => {
    tries += 1;
    throw new TransientError('STS is down');
  };
  for (let i = 0; i < 10; i++) await credentials.get(ctx());
  expect(tries).toBe(1);
  expect(credentials.current().accessKeyId).toBe('key 1');
  await clock.advance(60_000);
  await credentials.get(ctx());
  expect(tries).toBe(2);
  await clock.advance(4 * 60_000);
  await expect(credentials.get(ctx())).rejects.toThrow('STS is down');
});

it('that are refused are renewed once; when fresh ones are refused too, that is final', async () => {
  const first = await credentials.get(ctx());
  expect(credentials.refused(first.generation)).toBe('renewed');
  expect(() => credentials.current()).toThrow(TransientError);
  const second = await credentials.get(ctx());
  expect(obtained).toEqual([false, true]);
  // Sent with the old ones: no news.
  expect(credentials.refused(first.generation)).toBe('renewed');
  expect(credentials.refused(second.generation)).toBe('final');
  expect(credentials.refused(second.generation)).toBe('final');
  await credentials.get(ctx());
  expect(obtained).toHaveLength(2);
  // Others are obtained once a minute, in case that what was wrong is right now.
  await clock.advance(60_000);
  expect(credentials.refused(second.generation)).toBe('final');
  const third = await credentials.get(ctx());
  expect(obtained).toHaveLength(3);
  credentials.accepted(third.generation);
  expect(credentials.refused(third.generation)).toBe('renewed');
});

it('that were accepted meanwhile are renewed again when they are refused', async () => {
  const first = await credentials.get(ctx());
  credentials.refused(first.generation);
  const second = await credentials.get(ctx());
  credentials.accepted(second.generation);
  expect(credentials.refused(second.generation)).toBe('renewed');
});

it('the end of the first caller is not that of the others, nor do they wait for ever', async () => {
  source = () => new Promise(() => {});
  const abort = new AbortController();
  const first = credentials.get(ctx(abort.signal));
  const second = credentials.get(ctx());
  let ended = false;
  second.catch(() => (ended = true));
  abort.abort(new Error('the manager stops'));
  await expect(first).rejects.toThrow('the manager stops');
  await clock.settle();
  expect(ended).toBe(false);
  await clock.advance(30_000);
  await expect(second).rejects.toThrow(/credentials for AWS: no answer within 30 s/);
  expect(clock.armed).toBe(0);
});

function ctx(signal: AbortSignal = new AbortController().signal): Ctx {
  return { signal, clock, log: createLogger({ level: 'silent' }) };
}
