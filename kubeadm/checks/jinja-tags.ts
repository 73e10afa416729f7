// SPDX-License-Identifier: Apache-2.0
// Tags of Jinja that cloud-init could not render. It renders the whole document at once (6.9) and drops all of it when that fails, so
// one tag in one file keeps the machine from joining.
import { readJinja } from '../jinja.ts';

/** A text of the document. */
export interface JinjaText {
  readonly field: string;
  /** Such as ` (file /etc/motd)`, to find it by; may be empty. */
  readonly hint: string;
  readonly text: string;
}

/** What is wrong with a tag, and in which text. */
export interface JinjaProblem {
  readonly at: JinjaText;
  readonly message: string;
}

/** Filters that Jinja has, in any version up to 3.1; cloud-init adds none. */
const FILTERS = new Set(
  (
    'abs attr batch capitalize center count d default dictsort e escape filesizeformat first float forceescape format groupby ' +
    'indent int items join last length list lower map max min pprint random reject rejectattr replace reverse round safe select ' +
    'selectattr slice sort string striptags sum title tojson trim truncate unique upper urlencode urlize wordcount wordwrap xmlattr'
  ).split(' '),
);

/** What a statement opens, and which others may stand in it before its end. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  if: ['elif', 'else'],
  for: ['else'],
  block: [],
  call: [],
  filter: [],
  macro: [],
  autoescape: [],
  with: [],
  set: [],
};

/** What cannot stand alone. */
const NEEDS_MORE = new Set(['if', 'for']);

/** There are no other templates. */
const NEEDS_TEMPLATES = new Set(['include', 'import', 'from', 'extends']);

/** Statements of the form `set a = b`, which open nothing. */
const ASSIGNMENT = /^set\s+[\w\s,.()]+=(?!=)/;

/** The first problem of the texts, in the order in which they stand in the document. Blocks may reach from one text into another. */
export function checkJinja(texts: readonly JinjaText[]): JinjaProblem | undefined {
  const open: Open[] = [];
  for (const at of texts) {
    for (const tag of tagsOf(at.text)) {
      const message = tag.startsWith('{%') ? readStatement(tag, at, open) : readExpression(tag, open);
      if (message !== undefined) return { at, message };
    }
  }
  const unclosed = open.at(-1);
  return unclosed && { at: unclosed.at, message: `{% ${unclosed.word} %} without {% end${unclosed.word} %}` };
}

interface Open {
  readonly word: string;
  readonly at: JinjaText;
  /** Jinja knows of one `else`. */
  hasElse: boolean;
}

/** Comments and raw sections are no concern of anybody. */
function tagsOf(text: string): string[] {
  if (!/\{[{%]/.test(text)) return [];
  return readJinja(text)
    .tags.map(({ start, end }) => text.slice(start, end))
    .filter((tag) => !/^\{(?:#|%[-+]?\s*raw\b)/.test(tag));
}

/** Changes what is open. */
function readStatement(tag: string, at: JinjaText, open: Open[]): string | undefined {
  const { word, rest } = wordsOf(tag);
  if (word.startsWith('end')) return readEnd(word.slice('end'.length), open);
  if (word === 'else' || word === 'elif') return readElse(word, rest, open);
  if (NEEDS_TEMPLATES.has(word)) return readReference(word, open);
  if (Object.hasOwn(INSIDE, word) && !ASSIGNMENT.test(`${word} ${rest}`))
    open.push({ word, at, hasElse: false });
  return NEEDS_MORE.has(word) && rest === '' ? `{% ${word} %} without anything behind it` : undefined;
}

function wordsOf(tag: string): { word: string; rest: string } {
  const inside = tag
    .slice(2, -2)
    .replace(/^[-+]|[-+]$/g, '')
    .trim();
  const [word = ''] = /^\w+/.exec(inside) ?? [];
  return { word, rest: inside.slice(word.length).trim() };
}

/** In a branch that is not taken, it does no harm. */
function readReference(word: string, open: readonly Open[]): string | undefined {
  return open.length === 0 ? `{% ${word} %}, but there are no other templates` : undefined;
}

function readEnd(word: string, open: Open[]): string | undefined {
  if (open.at(-1)?.word !== word) return `{% end${word} %} without {% ${word} %}`;
  open.pop();
  return undefined;
}

function readElse(word: 'else' | 'elif', rest: string, open: Open[]): string | undefined {
  const block = open.at(-1);
  if (block === undefined || !INSIDE[block.word]?.includes(word)) return `{% ${word} %} without {% if %}`;
  if (block.hasElse) return `{% ${word} %} behind {% else %}`;
  if ((word === 'elif') !== (rest !== ''))
    return `{% ${word} %} with ${rest === '' ? 'nothing' : 'something'} behind it`;
  block.hasElse = word === 'else';
  return undefined;
}

/** In a branch that is not taken, a filter may be unknown. */
function readExpression(tag: string, open: readonly Open[]): string | undefined {
  const code = tag.replace(/'(?:\\[^]|[^'\\])*'|"(?:\\[^]|[^"\\])*"/g, "''");
  if (open.length > 0 || /\bif\b/.test(code)) return undefined;
  const filters = [...code.matchAll(/\|\s*(\w+)/g)].map(([, name = '']) => name);
  const unknown = filters.find((name) => !FILTERS.has(name));
  return unknown === undefined ? undefined : 'a filter behind "|" that Jinja does not have';
}
