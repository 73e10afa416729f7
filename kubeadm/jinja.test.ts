// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { readJinja } from './jinja.ts';

function read(text: string): { tags: string[]; hidden: readonly number[] } {
  const { tags, hidden } = readJinja(text);
  return { tags: tags.map(({ start, end }) => text.slice(start, end)), hidden };
}

describe('readJinja', () => {
  it.each([
    ['text without tags', 'echo "{ a }" ${b} %}', []],
    [
      'a variable of the instance',
      'a {{ ds.meta_data.local_hostname }} b',
      ['{{ ds.meta_data.local_hostname }}'],
    ],
    ['two of them', '{{ v1.region }}-{{v1["instance-id"]}}', ['{{ v1.region }}', '{{v1["instance-id"]}}']],
    [
      'filters, calls and tests',
      '{{ a.b(1, c=d)[0] | default("x") | lower if e is not none else "" }}',
      undefined,
    ],
    ['trim marks', '{{- a -}} {%- if a +%}', ['{{- a -}}', '{%- if a +%}']],
    ['a dictionary, whose braces do not end the tag', "{{ {'a': {'b': 1}} }}", ["{{ {'a': {'b': 1}} }}"]],
    ['braces in a string', "{{ 'a}}' }}", ["{{ 'a}}' }}"]],
    ['slices and unpacking', '{{ f(*a, **b)[1:2][::3] }}', ['{{ f(*a, **b)[1:2][::3] }}']],
    ['statements', '{% for i in a %}{% do b.append(i) %}{% endfor %}', undefined],
    [
      'what is between raw marks',
      '{% raw %}{{ .x }} ${#a}{% endraw %}b',
      ['{% raw %}{{ .x }} ${#a}{% endraw %}'],
    ],
    ['a comment', 'a {# .x #} b', ['{# .x #}']],
    ['letters of other scripts', "{{ größe ~ 'ü' }}", ["{{ größe ~ 'ü' }}"]],
    ['the function range', '{{ range(3) | list }}', ['{{ range(3) | list }}']],
  ])('%s is for Jinja', (_name, text, tags) => {
    expect(read(text)).toEqual({ tags: tags ?? text.match(/\{\{.*?\}\}|\{%.*?%\}/g), hidden: [] });
  });

  it.each([
    ['the length of an array', 'echo ${#array[@]}'],
    ['two lengths, which Jinja would read as the ends of a comment', 'echo ${#a[@]} ${b#} '],
    ['a template of Go', '{{ .Values.x }}'],
    ['a variable of Go', '{{ $x := 1 }}'],
    ['a function of Go', '{{ include "x" . }}'],
    ['a format of docker', "docker ps --format '{{json .}}'"],
    ['an if of Go', '{{ if .a }}x{{ end }}'],
    ['an end of Go with trim marks', 'x {{- end }}'],
    ['a with of Go', '{{ with x }}'],
    ['nothing between braces', 'find -exec {{}} ;'],
    ['three braces of mustache', 'a {{{ b }}}'],
    ['braces that nobody closes', 'a {{ b'],
    ['a string that nobody closes', '{{ "a }}'],
    ['a bracket that nobody closes', '{{ f(a }}'],
    ['two values side by side', '{{ a b }}'],
    ['an operator without a value', '{{ a + }}'],
    ['a percent sign behind a brace', 'date +{%Y}'],
    ['an unknown statement', '{% frob %}'],
    ['raw marks that nobody closes', '{% raw %} {{ x }}'],
    ['a comment that nobody closes', 'a{color:{#fff}'],
  ])('%s is not', (_name, text) => {
    const markers = [...text.matchAll(/\{(?=[{%#])/g)].map(({ index }) => index);
    expect(read(text)).toEqual({ tags: [], hidden: markers });
  });

  it.each([
    ['${#a[@]} {{ ds.meta_data.x }}', ['{{ ds.meta_data.x }}'], [1]],
    ['{{ .a }}{{ v1["b"] }}{{ c }}', ['{{ v1["b"] }}'], [0, 21]],
    ['{{ .a }}{% if ds.b %}{{- ds.b -}}{% endif %}', ['{{- ds.b -}}'], [0, 8, 33]],
    ['{{{ ds.a }}}', ['{{ ds.a }}'], [0]],
    ['{{ ds }} {{ ds . }} {{ .', [], [0, 9, 20]],
  ])('in %j only what the machine knows about itself is for Jinja', (text, tags, hidden) => {
    expect(read(text)).toEqual({ tags, hidden });
  });

  it.each([
    ['tests in a row', `{{ ${'a is b - c '.repeat(5000)}! }}`],
    ['signs in a row', `{{ ${'-'.repeat(50_000)} }}`],
    ['brackets in a row', `{{ ${'('.repeat(20_000)}${')'.repeat(20_000)} }}`],
    ['filters in a row', `{{ a${'|b.c.d'.repeat(80)} ! }}`],
    ['tests that are nearly right', `{{ a ${'is b c '.repeat(60)}= }}`],
    ['quotes in a row', `{{ ${"'\\'".repeat(50_000)}`],
    ['expressions that nobody closes', '{{ ds.a[b '.repeat(50_000)],
    ['expressions after one that is not', `{{ . }} ${'{{ ds.a }}'.repeat(50_000)}`],
    ['comments that nobody closes', '{#'.repeat(50_000)],
    ['raw marks that nobody closes', '{% raw %}'.repeat(50_000)],
    ['braces in a row', '{{'.repeat(50_000)],
  ])('%s do not take forever', (_name, text) => {
    const start = performance.now();
    readJinja(text);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
