// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

describe('options', () => {
  it.each([
    [[], { candidates: ['peer'], sizes: [20, 100, 300] }],
    [['--sizes', '100,20,100'], { sizes: [20, 100] }],
    [['--candidates=peer-secrets-manager,peer'], { candidates: ['peer', 'peer-secrets-manager'] }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([
    [['--sizes=0'], /--sizes has "0"; use whole numbers from 1/],
    [['--sizes=100,'], /--sizes has ""/],
    [['--candidates=theirs'], /--candidates names "theirs"; use some of peer, peer-secrets-manager/],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });

  it('answers nothing when help is asked for', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
