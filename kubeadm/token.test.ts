// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Secret } from '../api/cluster-api.ts';
import { InputError } from './input-error.ts';
import { isToken, newToken, tokenNeedsRotation, tokenSecret, tokenSecretName, tokenState } from './token.ts';

const TOKEN = 'abc123.0123456789abcdef';
const MINUTE = 60_000;
/** A whole number of seconds, so that edges can be hit. */
const now = new Date('2030-01-02T15:04:00.000Z');
const life = { now, ttlMs: 15 * MINUTE };

describe('newToken (KB-21)', () => {
  it('takes the bytes in their order and throws away those that would favour a letter', () => {
    const given = [252, 255, 0, 25, 26, 35, 36, 251, ...Array<number>(40).fill(1)];
    const token = newToken((n) => Uint8Array.from(given.splice(0, n)));
    expect(token).toBe('az09a9.bbbbbbbbbbbbbbbb');
  });

  it('is always a token, and never the same one', () => {
    const tokens = new Set(Array.from({ length: 2000 }, () => newToken(randomBytes)));
    expect(tokens.size).toBe(2000);
    expect([...tokens].filter((token) => !isToken(token))).toEqual([]);
  });

  it('gives every letter for as many bytes as every other', () => {
    const counts = new Map<string, number>();
    for (let byte = 0; byte < 256; byte++) {
      let calls = 0;
      // The byte in question, then one that is always taken.
      const [letter = ''] = newToken((n) => new Uint8Array(n).fill(calls++ === 0 ? byte : 35));
      if (byte >= 252) expect(letter).toBe('9');
      else counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    expect(counts.size).toBe(36);
    expect(new Set(counts.values())).toEqual(new Set([7]));
  });
});

describe('tokens', () => {
  it.each([
    [TOKEN, true],
    ['ABC123.0123456789abcdef', false],
    ['abc123.0123456789abcde', false],
    ['abc123.0123456789abcdef\n', false],
    [' abc123.0123456789abcdef', false],
    ['abc123-0123456789abcdef', false],
    ['', false],
  ])('%j: %s', (text, expected) => {
    expect(isToken(text)).toBe(expected);
  });

  it('name their Secret by the half that is no secret', () => {
    expect(tokenSecretName(TOKEN)).toBe('bootstrap-token-abc123');
  });

  it.each([['my-secret-text'], [`${TOKEN}x`], ['']])('refuses %j without repeating it', (text) => {
    const error = caught(() => tokenSecretName(text));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain('spec.joinConfiguration.discovery.bootstrapToken.token: is not');
    if (text !== '') expect(error.message).not.toContain(text);
    expect(() => tokenSecret(text, life)).toThrow(InputError);
  });
});

describe('tokenSecret (KB-21)', () => {
  it('is what kubeadm token create makes, with our description', () => {
    const { data, ...rest } = tokenSecret(TOKEN, {
      now: new Date('2030-01-02T15:04:05.987Z'),
      ttlMs: 15 * MINUTE,
    });
    expect(rest).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'bootstrap.kubernetes.io/token',
      metadata: { namespace: 'kube-system', name: 'bootstrap-token-abc123' },
    });
    expect(decoded(data)).toEqual({
      'token-id': 'abc123',
      'token-secret': '0123456789abcdef',
      // As Go prints it: a fraction of a second is cut off.
      expiration: '2030-01-02T15:19:05Z',
      'usage-bootstrap-signing': 'true',
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
      description: 'Made by ts-provider for machines that Cluster API lets join.',
    });
  });
});

const EXTEND = { kind: 'extend', expiration: '2030-01-02T15:19:00Z' };
const FRESH = { kind: 'fresh' };

describe('tokenState (KB-22) and tokenNeedsRotation (KB-24)', () => {
  it.each([
    ['just made', '2030-01-02T15:19:00Z', FRESH, false],
    ['a second more than 5/6 left', '2030-01-02T15:16:31Z', FRESH, false],
    ['exactly 5/6 left', '2030-01-02T15:16:30Z', EXTEND, false],
    ['a fraction more than 5/6 left', '2030-01-02T15:16:30.001Z', FRESH, false],
    ['exactly half left', '2030-01-02T15:11:30Z', EXTEND, false],
    ['a second less than half left', '2030-01-02T15:11:29Z', EXTEND, true],
    ['expired this second', '2030-01-02T15:04:00Z', EXTEND, true],
    ['expired years ago', '2020-01-01T00:00:00Z', EXTEND, true],
    ['our clock was set back a year', '2031-01-02T15:04:00Z', FRESH, false],
    ['an offset: the same moment as 15:16:31Z', '2030-01-02T17:16:31+02:00', FRESH, false],
    ['an offset: the same moment as 15:16:30Z', '2030-01-02T10:16:30-05:00', EXTEND, false],
    ['an offset into the day before', '2030-01-01T23:30:00-16:00', FRESH, false],
    ['never expires', '', EXTEND, true],
    ['has no expiration', undefined, EXTEND, true],
  ])('%s', (_, expiration, state, rotate) => {
    expect(tokenState(secretWith(expiration), life)).toEqual(state);
    expect(tokenNeedsRotation(secretWith(expiration), life)).toBe(rotate);
  });

  it.each([
    ['tomorrow'],
    ['1893596640'],
    ['2031-01-02'],
    ['2030-01-02 15:16:31Z'],
    ['2030-01-02T15:16:31'],
    ['2030-02-30T00:00:00Z'],
    ['2030-01-02T24:00:00Z'],
    ['2030-13-02T00:00:00Z'],
    ['2030-01-02T15:16:31Z trailing'],
  ])('says which Secret to mend when it cannot read the expiration %j', (expiration) => {
    for (const ask of [tokenState, tokenNeedsRotation]) {
      const error = caught(() => ask(secretWith(expiration), life));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toContain(
        'Secret kube-system/bootstrap-token-abc123 data["expiration"]: is not a time',
      );
      expect(error.message).not.toContain(expiration);
    }
  });

  it.each([[undefined], [{}], [{ expiration: 'MjAzMC0wMS0wMlQxNToxOTowMFo=' }]])(
    'does not keep a Secret alive in which there is no token: %j',
    (data) => {
      const secret = { ...secretWith(''), data } as Secret;
      expect(() => tokenState(secret, life)).toThrow('data["token-secret"]: is missing');
      expect(() => tokenNeedsRotation(secret, life)).toThrow(InputError);
    },
  );

  it('what it extends is fresh, whenever that is and however long tokens live', () => {
    const moment = fc.date({ min: new Date(0), max: new Date('2200-01-01T00:00:00Z'), noInvalidDate: true });
    const ttl = fc.integer({ min: 10_000, max: 30 * 24 * 60 * MINUTE });
    fc.assert(
      fc.property(moment, ttl, (at, ttlMs) => {
        const state = tokenState(secretWith(undefined), { now: at, ttlMs });
        if (state.kind === 'fresh') throw new Error('it had no expiration');
        const extended = secretWith(state.expiration);
        expect(tokenState(extended, { now: at, ttlMs })).toEqual(FRESH);
        expect(tokenNeedsRotation(extended, { now: at, ttlMs })).toBe(false);
        const later = { now: new Date(at.getTime() + ttlMs / 3), ttlMs };
        expect(tokenState(extended, later).kind).toBe('extend');
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});

function secretWith(expiration: string | undefined): Secret {
  const secret = tokenSecret(TOKEN, life);
  const { expiration: _, ...others } = secret.data ?? {};
  const data = expiration === undefined ? others : { ...others, expiration: encode(expiration) };
  return { ...secret, data };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded(data: Record<string, string> | undefined): Record<string, string> {
  const entries = Object.entries(data ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

function caught(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
