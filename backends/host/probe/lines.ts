// SPDX-License-Identifier: Apache-2.0

/** Lines of the probe, by their first word. */
export interface ProbeLines {
  /** Values of the first line with this word; `undefined` when there is none or it is empty. */
  first(word: string): string | undefined;
  /** Values of all lines with this word, in their order. */
  all(word: string): readonly string[];
}

const LONGEST = 1024;

/** Takes the answer of the probe apart. Control characters and what is too long for one line are cut: a host may say anything. */
export function probeLines(text: string): ProbeLines {
  const byWord = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line
      .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
      .slice(0, LONGEST)
      .split(' ');
    byWord.set(word, [...(byWord.get(word) ?? []), values.join(' ').trim()]);
  }
  return {
    first: (word) => byWord.get(word)?.find((value) => value !== ''),
    all: (word) => byWord.get(word) ?? [],
  };
}
