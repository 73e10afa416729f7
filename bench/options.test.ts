// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

describe('options', () => {
  it.each([
    [[], { suites: ['converged', 'create'], converged: 10_000, created: 1_000, idleSeconds: 60 }],
    [['--short'], { suites: ['converged', 'create'], converged: 500, created: 200, idleSeconds: 20 }],
    [['create', '--machines', '50'], { suites: ['create'], created: 50 }],
    [['--short', '--idle-seconds', '600'], { idleSeconds: 600, converged: 500 }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([
    [['delete'], /"delete" is no suite/],
    [['create', 'converged'], /one suite at a time/],
    [['--machines', '0'], /--machines is "0"/],
    [['--idle-seconds', 'long'], /--idle-seconds is "long"/],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });

  it('answers nothing when help is asked for', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
