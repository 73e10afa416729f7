// SPDX-License-Identifier: Apache-2.0
// One string as YAML, so that what cloud-init reads is the string: after Jinja has rendered the document (6.9), by the rules of
// YAML 1.1 as PyYAML has them.
import { type JinjaReading, readJinja } from './jinja.ts';

/** Neither PyYAML nor a reader of another kind takes these for anything but themselves. */
const UNSAFE = /[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u;
const ESCAPED = /["\\]|[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/gu;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A tag at whose end Jinja, as cloud-init sets it up, takes whitespace with it: a line, and the indentation of the next. */
const EATS_LINES = /[%#]\}\n|-[%#}]\}\s|(?:^|\s)\{[{%#]-/;

/**
 * On one line, double-quoted. What only looks like a tag of Jinja is hidden from it, by writing the brace as `\x7b`: what YAML reads is
 * the same. An unpaired surrogate, which no file can hold, becomes U+FFFD.
 */
export function quoted(text: string): string {
  const whole = text.toWellFormed();
  const { tags, hidden } = readJinja(whole);
  const marks = [
    ...tags.map(({ start, end }) => ({ start, end, yaml: escape(singleQuoted(whole.slice(start, end))) })),
    ...hidden.map((start) => ({ start, end: start + 1, yaml: '\\x7b' })),
  ].sort((a, b) => a.start - b.start);
  let yaml = '';
  let at = 0;
  for (const mark of marks) {
    yaml += escape(whole.slice(at, mark.start)) + mark.yaml;
    at = mark.end;
  }
  return `"${yaml}${escape(whole.slice(at))}"`;
}

/**
 * An item of a list or the value of a key. On one line where that can be; as a block where the quotes of a tag of Jinja would have to
 * be escaped, which Jinja cannot read.
 */
export function scalar(text: string, indent: string): string {
  const jinja = readJinja(text);
  return hasTag(text, jinja, isChangedByQuoting) && isFitForBlock(text, jinja)
    ? block(text, indent)
    : quoted(text);
}

/**
 * The content of a file, with the line end of its last line: as a block where it can be. `indent` is that of the block's lines.
 */
export function content(text: string, indent: string): string {
  const lines = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  const jinja = readJinja(lines);
  const isBlock =
    isFitForBlock(lines, jinja) &&
    (!isBrokenInBlock(lines, jinja) || hasTag(lines, jinja, isBrokenByQuoting));
  return isBlock ? block(lines, indent) : quoted(lines);
}

function hasTag(text: string, { tags }: JinjaReading, is: (tag: string) => boolean): boolean {
  return tags.some(({ start, end }) => is(text.slice(start, end)));
}

function isBrokenInBlock(text: string, { tags }: JinjaReading): boolean {
  return tags.length > 0 && EATS_LINES.test(text);
}

function escape(text: string): string {
  return text.replace(ESCAPED, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return ESCAPES[char] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

/** What is in a comment goes away, and what is in a raw section comes out as it went in. */
const VERBATIM = /^\{(?:#|%[-+]?\s*raw\b)/;

function isChangedByQuoting(tag: string): boolean {
  return !VERBATIM.test(tag) && escape(tag) !== tag;
}

/** The same to Jinja: its strings in single quotes in place of double ones. */
function singleQuoted(tag: string): string {
  return VERBATIM.test(tag) || /['\\]/.test(tag) ? tag : tag.replaceAll('"', "'");
}

function isBrokenByQuoting(tag: string): boolean {
  return isChangedByQuoting(singleQuoted(tag));
}

/** A block cannot escape or hide anything, and has no place for lines that only hold blanks at its ends. */
function isFitForBlock(text: string, { hidden }: JinjaReading): boolean {
  return hidden.length === 0 && !UNSAFE.test(text) && !/^\s*$/.test(text) && !/\n[ \t]+\n*$/.test(text);
}

/**
 * A literal block. Its indentation is told where a first line would mislead a reader. Empty lines are left empty. Jinja eats the line
 * end after a statement: then one more line follows, which is not part of the text.
 */
function block(text: string, indent: string): string {
  const trailing = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomping = ['-', ''][trailing] ?? '+';
  const lines = text.slice(0, text.length - trailing).replace(/^(?=[^\n])/gm, indent);
  const width = /^[\s#]/.test(text) ? '2' : '';
  const after = trailing > 1 ? '\n'.repeat(trailing - 1) : /[%#]\}\n?$/.test(text) ? '\n' : '';
  return `|${width}${chomping}\n${lines}${after}`;
}
