// SPDX-License-Identifier: Apache-2.0
// Where a value came from, as a table for people.

/** One value of what was rendered. */
export interface Source {
  readonly value: string;
  readonly text: string;
  readonly from: string;
}

/** Remembers a source. */
export type Note = (value: string, text: string, from: string) => void;

/** A value and where it was found. */
export interface Found<T> {
  readonly value: T;
  readonly from: string;
}

/** Lines of a table: value, what it is, where it came from. */
export function sourceTable(sources: readonly Source[]): string[] {
  const rows = [['VALUE', 'IS', 'FROM'], ...sources.map(({ value, text, from }) => [value, text, from])];
  const width = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
  const widths = [width(0), width(1)];
  return rows.map(([value = '', text = '', from = '']) =>
    `${value.padEnd(widths[0]!)}  ${text.padEnd(widths[1]!)}  ${from}`.trimEnd(),
  );
}
