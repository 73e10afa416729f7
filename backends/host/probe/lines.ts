// SPDX-License-Identifier: Apache-2.0

/** Lines of the probe, by their first word. */
export interface ProbeLines {
  /** Values of the first line with this word; `undefined` when there is none or it is empty. */
  first(word: string): string | undefined;
  /** Values of all lines with this word, in their order. */
  all(word: string): readonly string[];
}

const LONGEST = 1024;

/** Lines of one word: more than the script prints of any. */
const MOST = 1000;

/** Takes the answer of the probe apart. Control characters, too long and too many lines are cut: a host may say anything. */
export function probeLines(text: string): ProbeLines {
  const byWord = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line
      .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
      .slice(0, LONGEST)
      .split(' ');
    const known = byWord.get(word);
    if (known === undefined) byWord.set(word, [values.join(' ').trim()]);
    else if (known.length < MOST) known.push(values.join(' ').trim());
  }
  return {
    first: (word) => byWord.get(word)?.find((value) => value !== ''),
    all: (word) => byWord.get(word) ?? [],
  };
}
