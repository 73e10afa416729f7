// SPDX-License-Identifier: Apache-2.0
// Cuts a Go template into text and actions, and actions into tokens, as Go's text/template does, for the subset of it that we speak.
import { TemplateError } from './file-template-error.ts';

/** A piece of an action. `spaced`: there is space before it, which separates arguments. */
export interface Token {
  readonly kind: 'literal' | 'name' | 'field' | 'variable' | 'dot' | 'symbol' | 'end';
  /** Without its mark: `version` for `.version`. */
  readonly text: string;
  /** Of a literal. */
  readonly value: string | number | boolean;
  readonly spaced: boolean;
  readonly line: number;
}

/** Text as it is, or the tokens of what stands between braces; they end with one of the kind `end`. */
export type Piece = { readonly text: string } | { readonly tokens: readonly Token[] };

const OPEN = /\{\{(?:-[ \t\r\n])?/g;
const COMMENT = /\/\*[^]*?\*\/(?<close>[ \t\r\n]-\}\}|\}\}|)/y;
const SPACES = /[ \t\r\n]*/y;

const TOKEN =
  /(?<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)|(?<number>[-+]?\d[\w.+-]*)|(?<field>\.[\p{L}_][\p{L}\p{N}_]*)|(?<dot>\.)|(?<variable>\$[\p{L}\p{N}_]*)|(?<name>[\p{L}_][\p{L}\p{N}_]*)|(?<symbol>:=|=|[|()])/uy;

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

/** The pieces in order. Throws TemplateError. */
export function piecesOf(template: string): Piece[] {
  const pieces: Piece[] = [];
  const lines = lineCounter(template);
  let at = 0;
  const opening = new RegExp(OPEN);
  for (let open = opening.exec(template); open !== null; open = opening.exec(template)) {
    pieces.push({ text: textBetween(template, at, open) });
    const inside = opening.lastIndex;
    const action = template.startsWith('/*', inside)
      ? { ...commentAt(template, inside, lines), tokens: undefined }
      : actionAt(template, inside, lines);
    if (action.tokens !== undefined) pieces.push({ tokens: action.tokens });
    at = action.trims ? action.end + spacesAt(template, action.end) : action.end;
    opening.lastIndex = at;
  }
  pieces.push({ text: template.slice(at) });
  return pieces;
}

/** Without the spaces at its end when the braces come with a mark for that. */
function textBetween(template: string, start: number, open: RegExpExecArray): string {
  let end = open.index;
  if (open[0].length > 2) while (end > start && ' \t\r\n'.includes(template[end - 1] ?? '.')) end -= 1;
  return template.slice(start, end);
}

function spacesAt(template: string, at: number): number {
  SPACES.lastIndex = at;
  return SPACES.exec(template)?.[0].length ?? 0;
}

type Lines = (index: number) => number;

/** Lines from 1. Asked in ascending order, it reads the text once. */
function lineCounter(text: string): Lines {
  let line = 1;
  let next = text.indexOf('\n');
  return (index) => {
    for (; next >= 0 && next < index; next = text.indexOf('\n', next + 1)) line += 1;
    return line;
  };
}

/** What stands behind the opening braces. `trims`: the closing ones take the spaces behind them along. */
interface Action {
  /** Behind the closing braces. */
  readonly end: number;
  readonly trims: boolean;
  readonly tokens: Token[];
}

function commentAt(template: string, start: number, lines: Lines): Omit<Action, 'tokens'> {
  COMMENT.lastIndex = start;
  const close = COMMENT.exec(template)?.groups?.['close'] ?? '';
  if (close !== '') return { end: COMMENT.lastIndex, trims: close.length > 2 };
  throw new TemplateError(lines(start), 'a comment must end with */ right before the closing braces');
}

function actionAt(template: string, start: number, lines: Lines): Action {
  const tokens: Token[] = [];
  let at = start;
  for (;;) {
    const spaced = spacesAt(template, at) > 0;
    at += spacesAt(template, at);
    const trims = spaced && template.startsWith('-}}', at);
    const line = lines(at);
    if (trims || template.startsWith('}}', at)) {
      tokens.push({ kind: 'end', text: '', value: '', spaced: true, line });
      return { tokens, trims, end: at + (trims ? 3 : 2) };
    }
    const { token, end } = tokenAt(template, at, { spaced, line });
    tokens.push(token);
    at = end;
  }
}

function tokenAt(
  template: string,
  at: number,
  place: { spaced: boolean; line: number },
): { token: Token; end: number } {
  TOKEN.lastIndex = at;
  const groups = Object.entries(TOKEN.exec(template)?.groups ?? {});
  const [group, text] = groups.find((entry) => (entry[1] as string | undefined) !== undefined) ?? [];
  const make = group === undefined ? undefined : MAKERS[group];
  if (make === undefined || text === undefined)
    throw new TemplateError(
      place.line,
      at < template.length ? unreadable(template, at) : 'the braces are never closed',
    );
  return { token: { value: '', ...make(text, place.line), ...place }, end: at + text.length };
}

type Made = Pick<Token, 'kind' | 'text'> & Partial<Pick<Token, 'value'>>;

/** What each group of {@link TOKEN} becomes. */
const MAKERS: Readonly<Record<string, (text: string, line: number) => Made>> = {
  string: (text, line) => ({ kind: 'literal', text: '', value: stringValue(text, line) }),
  number: (text, line) => ({ kind: 'literal', text: '', value: numberValue(text, line) }),
  field: (text) => ({ kind: 'field', text: text.slice(1) }),
  dot: (text) => ({ kind: 'dot', text }),
  variable: (text) => ({ kind: 'variable', text }),
  name: (text) =>
    text === 'true' || text === 'false'
      ? { kind: 'literal', text, value: text === 'true' }
      : { kind: 'name', text },
  symbol: (text) => ({ kind: 'symbol', text }),
};

/** Says what it is without quoting more than one character: the template may come from a Secret. */
function unreadable(template: string, at: number): string {
  const char = String.fromCodePoint(template.codePointAt(at) ?? 0);
  const known: Readonly<Record<string, string>> = {
    '"': 'a string is never closed',
    '`': 'a string is never closed',
    "'": 'characters in single quotes are not supported: write a string',
    ',': 'a comma is only for range, which is not supported',
    '/': 'a comment must begin right behind the opening braces',
  };
  return known[char] ?? `the character ${JSON.stringify(char)} means nothing here`;
}

function numberValue(text: string, line: number): number {
  if (/^[-+]?(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  throw new TemplateError(line, 'numbers are supported as whole decimal ones of up to 15 digits');
}

function stringValue(text: string, line: number): string {
  // Go drops carriage returns from what stands between backquotes.
  if (text.startsWith('`')) return text.slice(1, -1).replaceAll('\r', '');
  return text
    .slice(1, -1)
    .replace(/\\(?:u([\da-fA-F]{4})|U([\da-fA-F]{8})|([^]))/g, (_whole, ...parts: string[]) => {
      const [short, long, char = ''] = parts;
      const code = parseInt(short ?? long ?? '', 16);
      const value = Number.isNaN(code) ? ESCAPES[char] : fromCode(code);
      if (value === undefined) throw new TemplateError(line, 'an escape in a string is not supported');
      return value;
    });
}

function fromCode(code: number): string | undefined {
  const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : undefined;
}
