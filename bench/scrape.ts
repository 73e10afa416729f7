// SPDX-License-Identifier: Apache-2.0
// Reads the text that Prometheus reads.

/** Some labels of a series. */
export type Labels = Readonly<Record<string, string>>;

/** All series of one moment. */
export interface Scrape {
  /** Sum over the series of this name that have these labels; 0 when there are none. */
  sum(name: string, labels?: Labels): number;
  /** Sums by the values of some labels, joined by a space: `patch_status tsmachines`. */
  by(name: string, labelNames: readonly string[], labels?: Labels): ReadonlyMap<string, number>;
}

interface Series {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** Lines that are no series are left out. */
export function parseScrape(text: string): Scrape {
  const all = text.split('\n').flatMap(parseLine);
  const chosen = (name: string, labels: Labels): Series[] =>
    all.filter((one) => one.name === name && Object.entries(labels).every(([k, v]) => one.labels[k] === v));
  return {
    sum: (name, labels = {}) => chosen(name, labels).reduce((total, { value }) => total + value, 0),
    by(name, labelNames, labels = {}) {
      const sums = new Map<string, number>();
      for (const series of chosen(name, labels)) {
        const key = labelNames.map((label) => series.labels[label] ?? '').join(' ');
        sums.set(key, (sums.get(key) ?? 0) + series.value);
      }
      return sums;
    },
  };
}

/** What was counted between two scrapes; keys that did not grow are left out. */
export function growth(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const grown = [...after].map(([key, value]): [string, number] => [key, value - (before.get(key) ?? 0)]);
  return new Map(grown.filter(([, value]) => value !== 0));
}

function parseLine(line: string): Series[] {
  const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
  if (match === null) return [];
  const [, name = '', labels = '', value = ''] = match;
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return [
    { name, labels: Object.fromEntries(pairs.map(([, k = '', v = '']) => [k, v])), value: Number(value) },
  ];
}
