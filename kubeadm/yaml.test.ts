// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { yamlDocument, type YamlMap, type YamlValue } from './yaml.ts';

const BOTH = ['1.1', '1.2'] as const;

describe('layout', () => {
  it.each<[string, YamlMap, string]>([
    ['an empty document', {}, '{}\n'],
    ['sorted keys by code unit', { b: 1, a: 2, B: 3, 'a-b': 4, é: 5 }, 'B: 3\na: 2\na-b: 4\nb: 1\né: 5\n'],
    ['absent members', { a: undefined, b: null }, 'b: null\n'],
    ['empty collections', { a: {}, b: [], c: { d: undefined } }, 'a: {}\nb: []\nc: {}\n'],
    ['nested maps', { a: { b: { c: true } } }, 'a:\n  b:\n    c: true\n'],
    ['sequences level with their key', { a: { b: ['x', 'y'] } }, 'a:\n  b:\n  - x\n  - "y"\n'],
    ['maps in sequences', { a: [{ c: 1, b: { d: [2] } }, {}] }, 'a:\n- b:\n    d:\n    - 2\n  c: 1\n- {}\n'],
    ['sequences in sequences', { a: [[1, [2]], []] }, 'a:\n- - 1\n  - - 2\n- []\n'],
    ['a block below a key', { a: { b: 'x\ny\n' } }, 'a:\n  b: |\n    x\n    y\n'],
    ['a block in a sequence', { a: ['x\n\ny'] }, 'a:\n- |-\n  x\n\n  y\n'],
    ['a block with blank lines at the end', { a: 'x\n\n\n', b: 1 }, 'a: |+\n  x\n\n\nb: 1\n'],
    ['a block with indentation', { a: ' x\ny' }, 'a: |2-\n   x\n  y\n'],
    ['keys that read as something else', { on: 1, '1': 2, 'a: b': 3 }, '"1": 2\n\'a: b\': 3\n"on": 1\n'],
  ])('%s', (_, value, text) => {
    expect(yamlDocument(value)).toBe(text);
  });

  it('does not fold long text', () => {
    expect(yamlDocument({ a: 'word '.repeat(100) + 'end' }).split('\n')).toHaveLength(2);
  });
});

describe('text', () => {
  it.each([
    ['', '""'],
    ...['yes', 'Yes', 'YES', 'y', 'N', 'on', 'OFF', 'true', 'False', 'null', 'NULL', '~', '<<', '='].map(
      double,
    ),
    ...[
      '1',
      '+1',
      '-1',
      '1.30',
      '5.',
      '.5',
      '.',
      'e1',
      '1e3',
      '0640',
      '0x1F',
      '0b1',
      '0x',
      '0o17',
      '1_000',
      '.inf',
      '-.Inf',
      '.nan',
    ].map(double),
    ...['12:30', '190:20:30.15', '2026-01-31', '2026-01-31T12:00:00Z', '2026-1-1 12:00:00'].map(double),
    ...['yEs', 'NaN', '1.2.3', 'v1.36', '10.0.0.0/16', 'a:b', 'a#b', '-a', '?a', ':a', 'fd00::1'].map(plain),
    ...["it's", 'a"b', 'a\\b', 'a, b', 'a{b', 'é', 'unix:///run/x.sock', 'a\u00a0b', '<a>&'].map(plain),
    ...[
      'a: b',
      'a:',
      '::',
      'a #b',
      '#a',
      '-',
      '- a',
      '?',
      '[::1]:80',
      '{a}',
      '*a',
      '&a',
      '!a',
      '|',
      '>',
      '%a',
      '@a',
      '`a',
    ].map(single),
    ...['---', '...', '--- a', ' a', 'a ', '"a"', ', a'].map(single),
    ["'a'", "'''a'''"],
    ['a\tb', String.raw`"a\tb"`],
    ['a\r\nb', String.raw`"a\r\nb"`],
    ['a \nb', String.raw`"a \nb"`],
    ['a\u0000\u001b', String.raw`"a\u0000\u001b"`],
    ['\u007f\u0085\u2028\ufeff', String.raw`"\u007F\u0085\u2028\uFEFF"`],
    ['😀', String.raw`"\U0001F600"`],
  ])('%j is written as %s', (text, written) => {
    expect(yamlDocument({ a: text })).toBe(`a: ${written}\n`);
    for (const version of BOTH) expect(parse(yamlDocument({ a: text }), { version })).toEqual({ a: text });
  });

  // Jinja reads the document before YAML does (6.9), so what is between its braces must stand there as it was given.
  it.each([
    ['{{ ds.meta_data.local_hostname }}', "'{{ ds.meta_data.local_hostname }}'"],
    ['aws:///{{ v1.instance_id }}', "'aws:///{{ v1.instance_id }}'"],
    ["{{ ds.meta_data['name'] }}", `"{{ ds.meta_data['name'] }}"`],
    ['{{ ds.meta_data["name"] }}', `'{{ ds.meta_data["name"] }}'`],
    [`{{ a['b'] | default("c") }}`, `|-\n  {{ a['b'] | default("c") }}`],
    [String.raw`{% if a == '\d' %}b{% endif %}`, `|-\n  ${String.raw`{% if a == '\d' %}b{% endif %}`}`],
  ])('%j keeps its jinja as it is', (text, written) => {
    expect(yamlDocument({ a: text })).toBe(`a: ${written}\n`);
    expect(parse(yamlDocument({ a: text }))).toEqual({ a: text });
  });
});

describe('any value', { timeout: 30_000 }, () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.string({
      unit: fc.constantFrom(...' \t\n\r-?:,[]{}#&*!|>\'"%@`.0179xe_~=<ay\u0000\u0085\u2028\ufeff'),
      maxLength: 8,
    }),
  );
  const { value } = fc.letrec<{ value: YamlValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.constantFrom(null, true, false),
      fc.integer(),
      fc.array(tie('value'), { maxLength: 3 }),
      // A parser makes an own member of no object of this name.
      fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  }));

  it.each(BOTH)('comes back from a parser of YAML %s', (version) => {
    fc.assert(
      fc.property(value, (a) => {
        expect(parse(yamlDocument({ a }), { version })).toEqual({ a: withoutPrototypes(a) });
      }),
      { seed: 42, numRuns: 1000 },
    );
  });
});

/** fast-check makes some objects without a prototype. */
function withoutPrototypes(value: YamlValue): unknown {
  return structuredClone(value);
}

function double(text: string): [string, string] {
  return [text, `"${text}"`];
}

function single(text: string): [string, string] {
  return [text, `'${text}'`];
}

function plain(text: string): [string, string] {
  return [text, text];
}
