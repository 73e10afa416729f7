// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind } from '../../api/kinds.ts';
import { TransientError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { createSecretReader, type SecretReader } from './secret-reader.ts';

const NAME = { namespace: 'ns', name: 's' };

let api: FakeAPI;
let clock: FakeClock;
let gets: number;
let watched: boolean;
let answer: () => Promise<Secret | undefined>;
let reader: SecretReader;
beforeEach(() => {
  api = new FakeAPI();
  clock = new FakeClock();
  gets = 0;
  watched = true;
  answer = () => Promise.resolve(api.read(SecretKind, NAME));
  const client = {
    ...api.client,
    get: (() => {
      gets++;
      return answer();
    }) as typeof api.client.get,
  };
  const peek = ((kind: typeof SecretKind, name: typeof NAME) =>
    watched ? api.read(kind, name) : undefined) as ReturnType<FakeAPI['cache']>['peek'];
  reader = createSecretReader({ client, cache: { ...api.cache(), peek }, clock });
});

const put = (text: string): void =>
  void api.put<Secret>({ apiVersion: 'v1', kind: 'Secret', metadata: { ...NAME }, data: { k: text } });
const read = async () => (await reader.read(NAME))?.data?.['k'];

describe('a Secret that is watched', () => {
  it('is read once, however many ask at once and later', async () => {
    put('a');
    await Promise.all(Array.from({ length: 100 }, read));
    await clock.advance(3_600_000);
    expect(await read()).toBe('a');
    expect(gets).toBe(1);
  });

  it('is read again as soon as the watch tells of a change', async () => {
    put('a');
    await read();
    put('b');
    expect(await read()).toBe('b');
    expect(gets).toBe(2);
  });

  it('that was absent is read as soon as the watch tells of it', async () => {
    expect(await read()).toBeUndefined();
    put('a');
    expect(await read()).toBe('a');
  });
});

describe('a Secret that is not watched', () => {
  beforeEach(() => {
    watched = false;
  });

  it('counts as unchanged for 5 s', async () => {
    put('a');
    await read();
    put('b');
    await clock.advance(4_999);
    expect(await read()).toBe('a');
    await clock.advance(1);
    expect(await read()).toBe('b');
  });

  it('counts as absent for 1 s', async () => {
    await read();
    put('a');
    await clock.advance(999);
    expect(await read()).toBeUndefined();
    await clock.advance(1);
    expect(await read()).toBe('a');
  });
});

it('an error is told to all who asked, and remembered for nobody', async () => {
  put('a');
  answer = () => Promise.reject(new TransientError('no answer'));
  const results = await Promise.allSettled([read(), read()]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(gets).toBe(1);
  answer = () => Promise.resolve(api.read(SecretKind, NAME));
  expect(await read()).toBe('a');
});
