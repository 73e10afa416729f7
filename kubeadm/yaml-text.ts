// SPDX-License-Identifier: Apache-2.0
// How one string is written in YAML so that every parser, of YAML 1.1 or 1.2, reads the same string (PIT-16).

/** What YAML 1.1 reads as true, false, null, a merge or a default value. */
const WORDS = new Set(
  ['y', 'yes', 'true', 'on', 'n', 'no', 'false', 'off', 'null']
    .flatMap((word) => [word, word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1)])
    .concat('', '~', '<<', '='),
);
/** Numbers of YAML 1.1 and 1.2, once underscores are gone; also what only some parsers take for one, such as `.` and `e1`. */
const NUMBERS = [
  /^(?=.*[.\d])[-+]?\d*(?:\.\d*)?(?:[eE][-+]?\d+)?$/,
  /^[-+]?0(?:[xX][\da-fA-F]*|[oO][0-7]*|[bB][01]*)$/,
  /^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/,
];
/** Minutes and hours are numbers to base 60 in YAML 1.1; then dates and times. */
const SEXAGESIMAL = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;
const DATE = /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ].*)?$/;

/** Characters that have a meaning where they stand, and blanks that would be lost. */
const SYNTAX = /^[#,[\]{}&*!|>'"%@`]|^(?:---|\.\.\.)|^[-?](?:\s|$)|:(?:\s|$)|\s#|^\s|\s$/;
/**
 * Everything that is not a line feed or printable: tabs, other line breaks, halves of a surrogate pair. So is what lies beyond 16 bits,
 * which the YAML of kubeadm's own output escapes as well.
 */
const UNPRINTABLE = /[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/gu;

/** Begin of a tag of Jinja, which cloud-init evaluates in all of the machine's data before anybody reads it as YAML (6.9). */
const JINJA = /\{[{%]/;

/** One string on one line: plain, single-quoted or double-quoted. */
export function inlineText(text: string): string {
  if (text.search(UNPRINTABLE) >= 0 || text.includes('\n') || readsAsOther(text)) return doubleQuoted(text);
  if (JINJA.test(text)) return text.includes("'") ? doubleQuoted(text) : `'${text}'`;
  return SYNTAX.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}

/**
 * A string of several lines, or one whose tag of Jinja would be broken by either kind of quotes, as a literal block: its header, and
 * its lines without indentation. Undefined for any other, and for one that a literal block cannot hold.
 */
export function literalBlock(text: string): { header: string; lines: string[] } | undefined {
  if (!text.includes('\n') && !isHurtByQuotes(text)) return undefined;
  if (text.search(UNPRINTABLE) >= 0 || / (?:\n|$)/.test(text)) return undefined;
  const lines = text.split('\n');
  if (text.endsWith('\n')) lines.pop();
  // A first line that is blank would hide the indentation, so the header names it.
  const indentation = /^[ \n]/.test(text) ? '2' : '';
  return { header: `|${indentation}${chomping(text)}`, lines };
}

function isHurtByQuotes(text: string): boolean {
  return JINJA.test(text) && text.includes("'") && /["\\]/.test(text);
}

/** How many of the last line feeds count: none, one, or all. */
function chomping(text: string): '-' | '' | '+' {
  if (!text.endsWith('\n')) return '-';
  return text === '\n' || text.endsWith('\n\n') ? '+' : '';
}

function readsAsOther(text: string): boolean {
  const digits = text.replaceAll('_', '');
  return (
    WORDS.has(text) ||
    SEXAGESIMAL.test(text) ||
    DATE.test(text) ||
    NUMBERS.some((pattern) => pattern.test(digits))
  );
}

/** The escapes of JSON are escapes of YAML; what JSON leaves as it is and YAML may not hold follows. */
function doubleQuoted(text: string): string {
  return JSON.stringify(text).replaceAll(UNPRINTABLE, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase();
  return code > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`;
}
