// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

describe('options', () => {
  it.each([
    [
      [],
      {
        candidates: ['stock', 'stock-lifted', 'ours'],
        sizes: [100, 500, 1000],
        clusters: 50,
        idleSeconds: 30,
      },
    ],
    [['--sizes=100', '--clusters=0'], { sizes: [100], clusters: 0 }],
    [['--sizes', '500,100,500'], { sizes: [100, 500] }],
    [['--candidates=ours,stock'], { candidates: ['stock', 'ours'] }],
    [['--manager=dist/manager.mjs', '--idle-seconds=60'], { manager: 'dist/manager.mjs', idleSeconds: 60 }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([
    [['--sizes=0'], /--sizes has "0"; use a whole number from 1/],
    [['--sizes=100,'], /--sizes has ""/],
    [['--clusters=-1'], /--clusters has "-1"; use a whole number from 0/],
    [['--clusters='], /--clusters has ""/],
    [['--idle-seconds=long'], /--idle-seconds has "long"/],
    [['--candidates=theirs'], /--candidates names "theirs"; use some of stock, stock-lifted, ours/],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });

  it('answers nothing when help is asked for', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
