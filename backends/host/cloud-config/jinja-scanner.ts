// SPDX-License-Identifier: Apache-2.0
// Cuts a template into text and tags, by the rules of Jinja as cloud-init sets it up (trim_blocks): raw sections, comments, and the
// whitespace that tags take with them.
import { InterpretError } from './interpret-error.ts';

/** A piece of a template. `code` is the inside of a tag without its delimiters and marks. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'expression' | 'statement'; readonly code: string; readonly line: number };

const RAW = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y;
const END_RAW = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g;

/** Throws InterpretError for a tag that is not closed. */
export function scanTemplate(template: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (let open = nextTag(template, at); open >= 0; open = nextTag(template, at)) {
    const tag = tagAt(template, open);
    const before = template.slice(at, open);
    pieces.push({ kind: 'text', text: tag.eatsBefore ? before.trimEnd() : before });
    if (tag.piece !== undefined) pieces.push(tag.piece);
    at = tag.end;
  }
  pieces.push({ kind: 'text', text: template.slice(at) });
  return pieces.filter((piece) => piece.kind !== 'text' || piece.text !== '');
}

function nextTag(template: string, from: number): number {
  const opening = /\{[{%#]/g;
  opening.lastIndex = from;
  return opening.exec(template)?.index ?? -1;
}

interface Tag {
  /** Absent for a comment. */
  readonly piece: Piece | undefined;
  readonly eatsBefore: boolean;
  readonly end: number;
}

function tagAt(template: string, start: number): Tag {
  RAW.lastIndex = start;
  const raw = RAW.exec(template);
  if (raw !== null) return rawAt(template, start, raw[0]);
  const kind = template[start + 1];
  return kind === '#'
    ? commentAt(template, start)
    : codeAt(template, start, kind === '{' ? 'expression' : 'statement');
}

function rawAt(template: string, start: number, opening: string): Tag {
  const from = start + opening.length;
  END_RAW.lastIndex = from;
  const closing = END_RAW.exec(template);
  if (closing === null) throw unclosed(template, start);
  const inside = template.slice(from, closing.index);
  return {
    piece: { kind: 'text', text: closing[1] === '-' ? inside.trimEnd() : inside },
    eatsBefore: opening[2] === '-',
    end: closing.index + closing[0].length,
  };
}

function commentAt(template: string, start: number): Tag {
  const close = template.indexOf('#}', start + 2);
  if (close < 0) throw unclosed(template, start);
  const mark = close > start + 2 ? (template[close - 1] ?? '') : '';
  return {
    piece: undefined,
    eatsBefore: template[start + 2] === '-',
    end: eat(template, close + 2, mark, true),
  };
}

function codeAt(template: string, start: number, kind: 'expression' | 'statement'): Tag {
  const first = template[start + 2] ?? '';
  const from = start + 2 + (/[-+]/.test(first) ? 1 : 0);
  const close = closeOf(template, from, kind === 'expression' ? '}}' : '%}');
  if (close === undefined) throw unclosed(template, start);
  const mark = close > from ? markBefore(template, close, kind) : '';
  return {
    piece: { kind, code: template.slice(from, close - mark.length).trim(), line: lineOf(template, start) },
    eatsBefore: first === '-',
    end: eat(template, close + 2, mark, kind === 'statement'),
  };
}

/** A plus in front of "}}" belongs to the expression. */
function markBefore(template: string, close: number, kind: 'expression' | 'statement'): string {
  const char = template[close - 1] ?? '';
  return char === '-' || (char === '+' && kind === 'statement') ? char : '';
}

/** Behind a tag: all whitespace with a minus, else one line end where the kind of the tag takes it. */
function eat(template: string, end: number, mark: string, takesLineEnd: boolean): number {
  if (mark === '-') return end + (/^\s*/.exec(template.slice(end))?.[0].length ?? 0);
  return takesLineEnd && mark !== '+' && template[end] === '\n' ? end + 1 : end;
}

/** Where the delimiter stands that closes a tag: not in a string, not in brackets. */
function closeOf(template: string, from: number, closing: string): number | undefined {
  let depth = 0;
  let at = from;
  while (at < template.length) {
    if (depth === 0 && template.startsWith(closing, at)) return at;
    const char = template[at] ?? '';
    if (char === '"' || char === "'") at = endOfString(template, at, char);
    else {
      if ('([{'.includes(char)) depth += 1;
      if (')]}'.includes(char)) depth -= 1;
      at += 1;
    }
  }
  return undefined;
}

function endOfString(template: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < template.length && template[at] !== quote) at += template[at] === '\\' ? 2 : 1;
  return at + 1;
}

function lineOf(template: string, at: number): number {
  return template.slice(0, at).split('\n').length;
}

function unclosed(template: string, at: number): InterpretError {
  return new InterpretError(
    '',
    `Jinja, line ${lineOf(template, at) + 1}: a tag is not closed; hide braces that are meant to stay in {% raw %}`,
  );
}
