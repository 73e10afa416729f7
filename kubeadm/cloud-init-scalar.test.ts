// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { content, quoted, scalar } from './cloud-init-scalar.ts';

const HARD = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ' ',
      '\t',
      '\n',
      '\r',
      '#',
      ':',
      '-',
      '"',
      "'",
      '\\',
      '|',
      '>',
      '%',
      '&',
      '*',
      '!',
      '{',
      '}',
      '[',
      ']',
      'a',
    ),
    fc.constantFrom(
      '\u0085',
      '\u2028',
      '\u2029',
      '\ufeff',
      '\u00a0',
      '\u007f',
      '\0',
      '\u{1f600}',
      'é',
      '---',
      '{{',
      '{%',
      '${#',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 40,
});
const RUNS = { seed: 20_261_121, numRuns: 3000 };

/** As an item of a list and as a value, with something behind it that must still be there. */
function read(yaml: string, value: string): unknown {
  const document = `a:\n  - ${yaml}\n  - k: ${value}\n    l: 2\nz: 1\n`;
  return parse(document, { version: '1.1' });
}

describe('a string as YAML', () => {
  it('comes back exactly, quoted', () => {
    fc.assert(
      fc.property(HARD, (text) => {
        expect(read(quoted(text), quoted(text))).toEqual({ a: [text, { k: text, l: 2 }], z: 1 });
      }),
      RUNS,
    );
  });

  it('comes back exactly, as a command or a value', () => {
    fc.assert(
      fc.property(HARD, (text) => {
        const got = read(scalar(text, '    '), scalar(text, '      '));
        expect(got).toEqual({ a: [text, { k: text, l: 2 }], z: 1 });
      }),
      RUNS,
    );
  });

  it('comes back exactly, as the content of a file, with a line end at its end', () => {
    fc.assert(
      fc.property(HARD, (text) => {
        const file = text === '' || text.endsWith('\n') ? text : `${text}\n`;
        const got = read(content(text, '    '), content(text, '      '));
        expect(got).toEqual({ a: [file, { k: file, l: 2 }], z: 1 });
      }),
      RUNS,
    );
  });

  it('is on one line when quoted, and holds nothing that a reader refuses', () => {
    fc.assert(
      fc.property(HARD, (text) => {
        expect(quoted(text)).toMatch(
          /^[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u,
        );
      }),
      RUNS,
    );
  });

  it('does not keep half a character, which no file can hold', () => {
    expect(parse(quoted('a\ud800b'))).toBe('a\ufffdb');
  });
});

describe('content', () => {
  it.each([
    ['several lines', 'a\nb\n', '|\n  a\n  b'],
    ['no line end', 'a', '|\n  a'],
    ['more than one line end', 'a\n\n', '|+\n  a\n'],
    ['empty lines, which get no blanks', 'a\n\nb\n', '|\n  a\n\n  b'],
    ['a first line that is indented', '  a\nb\n', '|2\n    a\n  b'],
    ['a first line that is empty', '\na\n', '|2\n\n  a'],
    ['a tab', '\ta\n', '|2\n  \ta'],
    ['carriage returns', 'a\r\nb\r\n', '"a\\r\\nb\\r\\n"'],
    ['nothing', '', '""'],
    ['only line ends', '\n\n', '"\\n\\n"'],
    ['blanks in the last line', 'a\n  ', '"a\\n  \\n"'],
    ['a shell array', 'echo ${#a[@]}\n', '"echo $\\x7b#a[@]}\\n"'],
    ['a template of Go', '{{ .a }} {{ ds.b }}\n', '"\\x7b{ .a }} {{ ds.b }}\\n"'],
    ['the same with double quotes for Jinja', '${#a} {{ ds["b"] }}\n', `"$\\x7b#a} {{ ds['b'] }}\\n"`],
    ['a variable of the instance', 'a={{ ds.b["c"] }}\n', '|\n  a={{ ds.b["c"] }}'],
    ['a statement in a line', '{% if a %}b{% endif %}c\n', '|\n  {% if a %}b{% endif %}c'],
    ['a statement at the end of a line', "{% if a == 'b' %}\nc\n", `"{% if a == 'b' %}\\nc\\n"`],
    ['the same with double quotes', '{% if a == "b" %}\nc "d"\n', `"{% if a == 'b' %}\\nc \\"d\\"\\n"`],
    [
      'raw marks on lines of their own',
      '{% raw %}\n"{{ .x }}"\n{% endraw %}\n',
      '"{% raw %}\\n\\"{{ .x }}\\"\\n{% endraw %}\\n"',
    ],
  ])('%s', (_name, text, yaml) => {
    expect(content(text, '  ')).toBe(yaml);
  });
});

describe('scalar', () => {
  it.each([
    ['a command', 'echo "$(date)"', '"echo \\"$(date)\\""'],
    ['what YAML would read as something else', '0640', '"0640"'],
    ['a tag without double quotes', 'echo "{{ ds.a }}"', '"echo \\"{{ ds.a }}\\""'],
    ['a tag with double quotes', 'echo {{ ds["a"] }}', '|-\n  echo {{ ds["a"] }}'],
    ['a statement at its end', 'a {% if b == "c" %}d{% endif %}', '|-\n  a {% if b == "c" %}d{% endif %}\n'],
    ['a template of Go', "docker ps --format '{{.ID}}'", '"docker ps --format \'\\x7b{.ID}}\'"'],
  ])('%s', (_name, text, yaml) => {
    expect(scalar(text, '  ')).toBe(yaml);
  });
});
