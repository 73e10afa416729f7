// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

describe('options', () => {
  it.each([
    [[], { candidates: ['peer', 'ours'], sizes: [300], manager: undefined, profileDir: undefined }],
    [['--short'], { candidates: ['peer', 'ours'], sizes: [20] }],
    [['--sizes', '100,20,100'], { sizes: [20, 100] }],
    [
      ['--candidates=ours,peer-secrets-manager,peer'],
      { candidates: ['peer', 'peer-secrets-manager', 'ours'] },
    ],
    [['--manager', 'dist/manager.mjs', '--profile=out'], { manager: 'dist/manager.mjs', profileDir: 'out' }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([
    [['--sizes=0'], /--sizes has "0"; use whole numbers from 1/],
    [['--sizes=100,'], /--sizes has ""/],
    [['--short', '--sizes=100'], /--short and --sizes/],
    [['--candidates=theirs'], /--candidates names "theirs"; use some of peer, peer-secrets-manager, ours/],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });

  it('answers nothing when help is asked for', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
