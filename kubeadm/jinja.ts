// SPDX-License-Identifier: Apache-2.0
// Tells text that is meant for Jinja from text that merely looks like it. cloud-init renders the whole document as a Jinja template
// (6.9), so `{{ ds.meta_data.local_hostname }}` works everywhere, and a shell's `${#array[@]}` stops the machine from booting (PIT-17).

/** Words with which a statement of Jinja begins, as cloud-init sets Jinja up: its own, and `do`. */
const STATEMENTS = new Set(
  (
    'autoescape endautoescape block endblock call endcall do extends filter endfilter for endfor from if elif else endif ' +
    'import include macro endmacro print set endset with endwith'
  ).split(' '),
);

/** Each kind of token, with the letter that stands for it in {@link EXPRESSION}. The order is Jinja's. */
const TOKENS: readonly (readonly [pattern: RegExp, letter: string | undefined])[] = [
  [/\s+/y, ''],
  [/0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d+(?:_\d+)*(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+)?/y, 'd'],
  [/[\p{L}_][\p{L}\p{M}\p{N}_]*/uy, undefined],
  [/'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y, 's'],
  [/\/\/|==|!=|>=|<=|[/%~><]/y, 'b'],
  [/\*\*?/y, '*'],
  [/[-+]/y, '-'],
  [/[.|,:=()[\]{}]/y, undefined],
];

const WORDS: Readonly<Record<string, string>> = {
  and: 'b',
  or: 'b',
  in: 'i',
  not: 'x',
  is: 't',
  if: 'b',
  else: 'b',
};

// No two ways to read the same letters: a person may write any number of them.
const ATOM = '(?:[nd]|s+|g)';
const POSTFIX = '(?:\\.[ndxbit]|g)*';
const OPERAND = `[x-]*${ATOM}(?:\\.[ndxbit]|\\|n|g)*`;
const TEST = `tx?[ni](?:\\.n)*(?:${ATOM}${POSTFIX})?(?:\\|n(?:\\.n)*g?)*`;
const TERM = `${OPERAND}(?:${TEST})*`;
const EXPRESSION = `${TERM}(?:(?:[bi*-]|xi)${TERM})*`;
/** Arguments and indices, and the pairs of a dictionary; `g` takes the place of a bracket that has been read. */
const ARGUMENTS = `[([](?:[*]*${EXPRESSION}|)(?:[,:=](?:[*]*${EXPRESSION}|))*[)\\]]`;
const PAIR = `${EXPRESSION}:${EXPRESSION}`;
const BRACKET = new RegExp(`${ARGUMENTS}|\\{(?:${PAIR}(?:,${PAIR})*,?)?\\}`, 'g');
const WHOLE = new RegExp(`^${EXPRESSION}(?:,(?:${EXPRESSION})?)*$`);

/** How Go's templates begin what Jinja would read as a variable of that name. Nobody asks cloud-init for a variable called `end`. */
const OF_GO = /^\{\{-?\s*(?:if|else|end|with|nil|define|template|range(?!\s*\())\b/;

/** In tokens. What is longer is taken for an expression. */
const MAX_CHECKED = 500;

/** A tag with its delimiters, as `[start, end)`. */
export interface JinjaTag {
  readonly start: number;
  readonly end: number;
}

/** What Jinja is to make of a text. */
export interface JinjaReading {
  /** The tags that are meant for it. */
  readonly tags: readonly JinjaTag[];
  /** Where the brace stands that Jinja must not see, because it would take what follows for a tag. */
  readonly hidden: readonly number[];
}

/** What a machine knows about itself; behind it stands something of that. */
const INSTANCE_DATA = /^\{\{-?\s*(?:ds|v1)\s*[.[]/;

/** What is looked at of an expression in a text that is not all for Jinja. */
const MAX_EXPRESSION = 300;

/**
 * Reads a text as cloud-init's Jinja would. Where that works, all of its tags are for Jinja. Where Jinja would fail, or eat part of the
 * text, only expressions that begin with `ds` or `v1` are, and the rest is hidden.
 */
export function readJinja(text: string): JinjaReading {
  const tags = allTags(text);
  return tags === undefined ? readMixed(text) : { tags, hidden: [] };
}

function allTags(text: string): JinjaTag[] | undefined {
  const tags: JinjaTag[] = [];
  const marker = /\{[{%#]/g;
  for (let found = marker.exec(text); found !== null; found = marker.exec(text)) {
    const end = endOfTag(text, found.index);
    if (end === undefined) return undefined;
    tags.push({ start: found.index, end });
    marker.lastIndex = end;
  }
  return tags;
}

function readMixed(text: string): JinjaReading {
  const tags: JinjaTag[] = [];
  const hidden: number[] = [];
  const marker = /\{(?=[{%#])/g;
  for (let found = marker.exec(text); found !== null; found = marker.exec(text)) {
    const start = found.index;
    const length = INSTANCE_DATA.test(text.slice(start, start + 40))
      ? lengthOfExpression(text, start)
      : undefined;
    if (length === undefined) hidden.push(start);
    else {
      tags.push({ start, end: start + length });
      marker.lastIndex = start + length;
    }
  }
  return { tags, hidden };
}

/** Looks no further than to the next marker, so that many of them do not take long. */
function lengthOfExpression(text: string, start: number): number | undefined {
  const near = text.slice(start, start + MAX_EXPRESSION);
  const next = near.indexOf('{{', 2);
  return endOfExpression(next < 0 ? near : near.slice(0, next), 0);
}

/** The index after the tag that begins at `start`; undefined when it is not one. */
function endOfTag(text: string, start: number): number | undefined {
  if (text[start + 1] === '#') return endOfComment(text, start);
  if (text[start + 1] === '{') return endOfExpression(text, start);
  return endOfRaw(text, start) ?? endOfStatement(text, start);
}

/** `${#` is the shell's: the length of a variable. */
function endOfComment(text: string, start: number): number | undefined {
  const end = text.indexOf('#}', start + 2);
  return end < 0 || text[start - 1] === '$' ? undefined : end + 2;
}

function endOfRaw(text: string, start: number): number | undefined {
  const opening = /\{%[-+]?\s*raw\s*-?%\}/y;
  const closing = /\{%[-+]?\s*endraw\s*[-+]?%\}/g;
  opening.lastIndex = start;
  if (!opening.test(text)) return undefined;
  closing.lastIndex = opening.lastIndex;
  return closing.test(text) ? closing.lastIndex : undefined;
}

function endOfStatement(text: string, start: number): number | undefined {
  const read = readTokens(text, start, '%}');
  return read !== undefined && STATEMENTS.has(read.firstWord ?? '') ? read.end : undefined;
}

function endOfExpression(text: string, start: number): number | undefined {
  const read = readTokens(text, start, '}}');
  if (read === undefined || OF_GO.test(text.slice(start, start + 40))) return undefined;
  return isExpression(read.letters) ? read.end : undefined;
}

interface Tokens {
  /** One for each token. */
  readonly letters: string;
  readonly firstWord: string | undefined;
  /** Index after the closing delimiter. */
  readonly end: number;
}

/** Reads the inside of a tag. A closing delimiter inside brackets closes a bracket instead, as Jinja has it. */
function readTokens(text: string, start: number, closing: string): Tokens | undefined {
  let at = start + 2;
  if (text[at] === '-' || text[at] === '+') at += 1;
  let letters = '';
  let open = 0;
  let firstWord: string | undefined;
  while (at < text.length) {
    const width = open === 0 ? closingWidth(text, at, closing) : 0;
    if (width > 0) return { letters, firstWord, end: at + width };
    const token = tokenAt(text, at);
    if (token === undefined) return undefined;
    if (letters === '' && token.letter !== '') firstWord = text.slice(at, token.end);
    letters += token.letter;
    open += depthOf(token.letter);
    at = token.end;
  }
  return undefined;
}

/** How many characters close the tag here; 0 when none do. */
function closingWidth(text: string, at: number, closing: string): number {
  if (text.startsWith(closing, at)) return 2;
  return /[-+]/.test(text[at] ?? '') && text.startsWith(closing, at + 1) ? 3 : 0;
}

function depthOf(letter: string): number {
  if (/^[([{]$/.test(letter)) return 1;
  return /^[)\]}]$/.test(letter) ? -1 : 0;
}

function tokenAt(text: string, at: number): { letter: string; end: number } | undefined {
  for (const [pattern, letter] of TOKENS) {
    pattern.lastIndex = at;
    const [token] = pattern.exec(text) ?? [];
    if (token !== undefined) return { letter: letter ?? letterOf(token), end: at + token.length };
  }
  return undefined;
}

function letterOf(token: string): string {
  if (/^[.|,:=()[\]{}]$/.test(token)) return token;
  return Object.hasOwn(WORDS, token) ? (WORDS[token] ?? 'n') : 'n';
}

/** Brackets are read from the inside out. */
function isExpression(letters: string): boolean {
  if (letters.length > MAX_CHECKED) return true;
  let rest = letters;
  for (let shorter = rest.replace(BRACKET, 'g'); shorter !== rest; shorter = rest.replace(BRACKET, 'g'))
    rest = shorter;
  return WHOLE.test(rest);
}
