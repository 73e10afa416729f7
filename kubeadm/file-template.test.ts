// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { renderFileTemplate } from './file-template.ts';
import { InputError } from './input-error.ts';

const VERSION = 'v1.35.0';
const FIELD = 'spec.files[0].content';

function render(text: string, version: string | undefined = VERSION): string {
  return renderFileTemplate(text, version === undefined ? {} : { controlPlane: { version } }, FIELD);
}

function refusal(text: string, variables = { controlPlane: { version: VERSION } }): string {
  try {
    return `rendered: ${renderFileTemplate(text, variables, FIELD)}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.field).toBe(FIELD);
    return error.message;
  }
}

// What Go's text/template gives, asked of it. The second answer is without a control plane.
describe('renders as Go does', () => {
  it.each([
    ['text { } }} alone', 'text { } }} alone', undefined],
    ['{{ .controlPlane.version }}', 'v1.35.0', '<no value>'],
    ['{{.controlPlane.version}}{{$.controlPlane.version}}', 'v1.35.0v1.35.0', '<no value><no value>'],
    ['{{ .controlPlane.version }}}', 'v1.35.0}', '<no value>}'],
    ['{{ if .controlPlane }}v={{ .controlPlane.version }}{{ end }}done', 'v=v1.35.0done', 'done'],
    ['{{ if .controlPlane.version }}a{{ else }}b{{ end }}', 'a', 'b'],
    ['{{ if not .controlPlane }}a{{ else if eq 1 1 }}b{{ else }}c{{ end }}', 'b', 'a'],
    ['{{ with .controlPlane }}{{ .version }}{{ else }}none{{ end }}', 'v1.35.0', 'none'],
    ['{{ with .controlPlane }}{{ $.controlPlane.version }}{{ .version }}{{ end }}', 'v1.35.0v1.35.0', ''],
    ['{{ with 0 }}a{{ else with "x" }}b{{.}}{{ else }}c{{ end }}', 'bx', undefined],
    ['{{ slice .controlPlane.version 1 }}', '1.35.0', null],
    ['{{ slice .controlPlane.version 1 3 }}', '1.', null],
    ['{{ len (slice .controlPlane.version 1 2) }}', '1', null],
    ['{{ .controlPlane.version | len }}', '7', null],
    ['{{ eq .controlPlane.version "v1" "v1.35.0" }}', 'true', 'false'],
    ['{{ ne .controlPlane.version "a" }}', 'true', 'true'],
    ['{{ eq .controlPlane.version .version }}', 'false', 'true'],
    ['{{ lt .controlPlane.version "v1.36" }}', 'true', null],
    ['{{ if and (ge .controlPlane.version "v1.3") (not (eq 1 2)) }}y{{ end }}', 'y', null],
    ['{{ if and .controlPlane (ge .controlPlane.version "v1.3") }}y{{ else }}n{{ end }}', 'y', 'n'],
    ['{{ or .controlPlane.version "x" }}', 'v1.35.0', 'x'],
    ['{{ or 0 "" false }}{{ and 1 "" 2 }}{{ or 1 (len 3) }}', 'false1', undefined],
    ['{{ 1 | and 0 }}{{ "a" | eq "a" }}{{ eq "a" "b" "a" | not }}', '0truefalse', undefined],
    [
      '{{ lt 9 10 }}{{ lt "9" "10" }}{{ le 1 1 }}{{ gt "" "" }}{{ ge -1 +1 }}',
      'truefalsetruefalsefalse',
      undefined,
    ],
    ['{{ lt "\\uffff" "\\U00010000" }}{{ lt "é" "z" }}{{ eq (len "é") 2 }}', 'truefalsetrue', undefined],
    ['{{ $v := .controlPlane.version }}{{ $v }}', 'v1.35.0', '<no value>'],
    ['{{ $v := "a" }}{{ $v = "b" }}{{ $v }}', 'b', undefined],
    ['{{ $a := 1}}{{if true}}{{$a = 2}}{{end}}{{$a}}', '2', undefined],
    ['{{ $a := 1}}{{if true}}{{$a := 2}}{{end}}{{$a}}', '1', undefined],
    ['{{ with $x := 0 }}{{else}}{{$x}}{{end}}', '0', undefined],
    ['{{ $a := "x" }}{{ with $a }}{{ $a = "y" }}{{ . }}{{ $a }}{{ end }}', 'xy', undefined],
    ['a {{- "b" -}} c', 'abc', undefined],
    ['a{{ "b" }}\n  {{- "c" }}', 'abc', undefined],
    ['{{ .controlPlane.version}}\t{{- 1 -}}\r\n z', 'v1.35.01z', '<no value>1z'],
    ['x {{-1}}', 'x -1', undefined],
    ['a{{/* {{ b }} */}}c {{- /* d */ -}} e', 'ace', undefined],
    ['{{\n"a\\tb"\n}}{{`r\\n\r\n`}}', 'a\tbr\\n\n', undefined],
    ['{{ "}}" }}', '}}', undefined],
    ['{{ true }}{{ -0 }}{{ (("a")|len) }}', 'true01', undefined],
  ])('%j', (text, withControlPlane, without) => {
    expect(render(text)).toBe(withControlPlane);
    const answer = refusal(text, {} as { controlPlane: { version: string } });
    const rendered = `rendered: ${without ?? withControlPlane}`;
    expect(answer).toEqual(without === null ? expect.stringContaining('there is no value') : rendered);
  });
});

describe('refuses', () => {
  it.each([
    ['{{ printf "%s" 1 }}', 'line 1: printf is not supported. Allowed are '],
    ['a\nb\n{{ if false }}{{ range . }}{{ end }}{{ end }}', 'line 3: range is not supported'],
    ['{{ template "x" }}', 'template is not supported'],
    ['{{ define "x" }}{{ end }}', 'define is not supported'],
    ['{{ block "x" . }}{{ end }}', 'block is not supported'],
    ['{{ break }}', 'break is not supported'],
    ['{{ .controlPlane.version | trimPrefix "v" }}', 'trimPrefix is not supported'],
    ['{{ eq . nil }}', 'nil is not supported'],
    ['{{ eq not 1 }}', 'not as an argument stands in parentheses'],
    ['{{ .cluster.name }}', 'a variable that is not known: there is .controlPlane.version'],
    ['{{ .controlPlane }}', 'a group of variables cannot be printed'],
    ['{{ . }}', 'a group of variables cannot be printed'],
    ['{{ $v }}', 'a variable that is not defined'],
    ['{{ if true }}{{ $v := 1 }}{{ end }}{{ $v }}', 'a variable that is not defined'],
    ['{{ $ = 1 }}', '$ cannot be changed'],
    ['{{ .controlPlane.version.version }}', 'a value has no fields'],
    ['{{ eq .controlPlane.version 1 }}', 'eq: the arguments are of different types'],
    ['{{ eq .controlPlane . }}', 'eq: .controlPlane cannot be compared'],
    ['{{ lt true false }}', 'lt: the arguments must be two strings or two numbers'],
    ['{{ lt 1 }}', 'lt takes 2 arguments, not 1'],
    ['{{ eq 1 }}', 'eq takes at least 2 arguments, not 1'],
    ['{{ not }}', 'not takes 1 argument, not 0'],
    ['{{ and }}', 'and takes at least 1 argument, not 0'],
    ['{{ slice "abc" 1 2 3 }}', 'slice takes 1 to 3 arguments, not 4'],
    ['{{ slice .controlPlane.version 9 }}', 'slice: an index is out of range'],
    ['{{ slice "é" 1 }}', 'slice: an index is inside a character'],
    ['{{ slice "abc" "a" }}', 'slice: the indices must be numbers'],
    ['{{ len 3 }}', 'len: the first argument is not a string'],
    ['{{ 1.5 }}', 'numbers are supported as whole decimal ones'],
    ['{{ 0x10 }}', 'numbers are supported as whole decimal ones'],
    ['{{ 010 }}', 'numbers are supported as whole decimal ones'],
    ["{{ 'a' }}", 'characters in single quotes are not supported'],
    ['{{ "\\x41" }}', 'an escape in a string is not supported'],
    ['{{ "\\ud800" }}', 'an escape in a string is not supported'],
    ['{{ "a }}', 'a string is never closed'],
    ['{{ .controlPlane.version ', 'the braces are never closed'],
    ['{{ /* a */ }}', 'a comment must begin right behind the opening braces'],
    ['{{/* a */ }}', 'a comment must end with */ right before the closing braces'],
    ['{{/* a', 'a comment must end with */ right before the closing braces'],
    ['{{}}', 'a value is missing'],
    ['{{ "a" "b" }}', 'a value does not take arguments'],
    ['{{ "a" | "b" }}', 'only a function can stand behind |'],
    ['{{ "a" | }}', 'a value is missing'],
    ['{{ eq 1(2) }}', 'arguments are separated by spaces'],
    ['{{ (1 }}', 'a parenthesis is not closed'],
    ['{{ 1) }}', 'something that does not belong here'],
    ['{{ if true }}a', 'line 1: {{ if }} without an {{ end }}'],
    ['{{ with 1 }}{{ else }}', '{{ with }} without an {{ end }}'],
    ['a\n{{ end }}', 'line 2: {{ end }} without an {{ if }} or {{ with }}'],
    ['{{ else }}', '{{ else }} without'],
    ['{{ if 1 }}{{ else }}{{ else }}{{ end }}', 'a second {{ else }}'],
    ['{{ if 1 }}{{ else with 1 }}{{ end }}', 'something that does not belong here'],
    ['{{{ 1 }}', 'the character "{" means nothing here'],
    ['{{ $a, $b := 1 }}', 'a comma is only for range'],
  ])('%j', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  it('what is nested too deep for any good reason', () => {
    expect(refusal(`{{ ${'('.repeat(50_000)} }}`)).toContain('nested more than 100 deep');
    expect(refusal('{{ if true }}'.repeat(50_000))).toContain('nested more than 100 deep');
  });

  it('more than 1 MiB', () => {
    const most = 'x'.repeat((1 << 20) - VERSION.length);
    expect(render(`${most}{{ .controlPlane.version }}`)).toHaveLength(1 << 20);
    expect(refusal(`${most}x{{ .controlPlane.version }}`)).toContain('more than 1048576 bytes');
    expect(refusal(`${'é'.repeat(1 << 19)}x`)).toContain('more than 1048576 bytes');
  });

  it.each([
    '{{ canary }}',
    '{{ .canary }}',
    '{{ $canary }}',
    '{{ "canary',
    '{{ canary-1 }}',
    'canary{{',
    '{{ 1canary }}',
  ])('without quoting %j, which may come from a Secret', (text) => {
    expect(refusal(text)).not.toContain('canary');
    expect(refusal(text)).toContain('template, line 1: ');
  });
});

it('takes no longer than the text is long', () => {
  const start = performance.now();
  render(`${' '.repeat(500_000)}x{{ 1 }}${'\n'.repeat(300_000)}`);
  refusal(`{{ ${' '.repeat(900_000)}`);
  refusal('{{/*'.repeat(200_000));
  expect(performance.now() - start).toBeLessThan(5000);
});
