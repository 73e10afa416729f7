// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { parseOptions } from './options.ts';

it.each([
  [[], { hosts: 200, machines: 100, prepared: 50, idleSeconds: 120, jobSeconds: 5, whole: true }],
  [['--short'], { hosts: 200, machines: 20, prepared: 10, idleSeconds: 20, jobSeconds: 1, whole: false }],
  [['--short', '--machines=30'], { machines: 30, idleSeconds: 20 }],
])('%j', (args, expected) => {
  expect(parseOptions(args)).toMatchObject(expected);
});

it.each([
  [['--machines=201'], 'there are 200 hosts'],
  [['--hosts=0'], '--hosts is "0"'],
  [['--idle-seconds=x'], '--idle-seconds is "x"'],
])('%j is refused', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message);
});

it('asks for the help text', () => {
  expect(parseOptions(['--help'])).toBeUndefined();
});
