// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { PyDate, PyFloat, pyString, readDocument } from './yaml-document.ts';

const read = (text: string): unknown => readDocument(`a: ${text}\n`).get('a');

describe('YAML as PyYAML reads it', () => {
  it.each([
    ['0644', 420],
    ['0o644', '0o644'],
    ['0x1F', 31],
    ['0b101', 5],
    ['1:30', 90],
    ['-1:30', -90],
    ['1_000', 1000],
    ['09', '09'],
    ['12345678901234567890', 12345678901234567890n],
    ['yes', true],
    ['Off', false],
    ['y', 'y'],
    ['N', 'N'],
    ['~', null],
    ['', null],
    ['1e3', '1e3'],
    ['=', '='],
    ["'yes'", 'yes'],
    ['"\\x41"', 'A'],
  ])('%s', (text, value) => {
    expect(read(text)).toEqual(value);
  });

  it('knows floats, dates and bytes', () => {
    expect(read('1.50')).toEqual(new PyFloat(1.5));
    expect(read('1:30.5')).toEqual(new PyFloat(90.5));
    expect(read('1.0e+3')).toEqual(new PyFloat(1000));
    expect(read('2026-01-31')).toEqual(new PyDate());
    expect(read('2026-1-3 4:05:06.7 +01:00')).toEqual(new PyDate());
    expect(read('!!binary aGVsbG8=')).toEqual(Buffer.from('hello'));
  });

  it('takes the last of equal keys, and what an alias brings', () => {
    expect(readDocument('a: 1\na: 2\n').get('a')).toBe(2);
    expect(readDocument('x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n').get('y')).toEqual(
      new Map([
        ['a', 1],
        ['b', 3],
      ]),
    );
  });

  it.each([
    { text: 'a: [secret\n', what: 'is not YAML: line' },
    { text: '- secret\n', what: 'is not a mapping' },
    { text: '', what: 'is not a mapping' },
    { text: 'a: !other secret\n', what: 'is not YAML: line 1' },
    { text: 'a: 1\n---\nb: secret\n', what: 'is not YAML' },
    { text: '1: secret\n', what: 'has a key that is not a string' },
    { text: `a: &a [secret]\nb: &b [${'*a,'.repeat(20)}]\nc: [${'*b,'.repeat(20)}]\n`, what: 'aliases' },
  ])('says of $text that it $what, and not what is in it', ({ text, what }) => {
    expect(() => readDocument(text)).toThrow(what);
    expect(() => readDocument(text)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') as string }) as Error,
    );
  });
});

it.each([
  [true, 'True'],
  [null, 'None'],
  [420, '420'],
  [12345678901234567890n, '12345678901234567890'],
  [new PyFloat(1), '1.0'],
  [new PyFloat(0.1), '0.1'],
  [new PyFloat(1e16), '1e+16'],
  [new PyFloat(0.00001), '1e-05'],
  [new PyFloat(123456789012345.0), '123456789012345.0'],
  [new PyFloat(-Infinity), '-inf'],
  [new PyFloat(NaN), 'nan'],
  [['a'], undefined],
  [new PyDate(), undefined],
])('Python writes %s as %s', (value, text) => {
  expect(pyString(value)).toBe(text);
});
