// SPDX-License-Identifier: Apache-2.0
import { arch, cpus, loadavg, release, totalmem } from 'node:os';

/** One line of a table. */
export interface Row {
  readonly what: string;
  readonly value: string;
  /** The number to hold, where the design has one. */
  readonly hold?: Hold;
}

/** A number to hold, and whether it was. */
export interface Hold {
  readonly text: string;
  readonly held: boolean;
  /** It holds on any machine, however slow: a broken one is a bug, and the exit code says so. */
  readonly promise: boolean;
}

/** What one suite found. */
export interface Report {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** A number to hold that depends on the machine. */
export function target(text: string, held: boolean): Hold {
  return { text, held, promise: false };
}

/** A number to hold on any machine. */
export function promise(text: string, held: boolean): Hold {
  return { text, held, promise: true };
}

/** Broken promises, one line each. */
export function brokenPromises(reports: readonly Report[]): readonly string[] {
  return reports.flatMap(({ title, rows }) =>
    rows
      .filter(({ hold }) => hold?.promise === true && !hold.held)
      .map(({ what, value, hold }) => `${title}: ${what} is ${value}, promised ${hold?.text ?? ''}`),
  );
}

/** A markdown table under its title. */
export function markdown({ title, rows }: Report): string {
  const cells = rows.map(({ what, value, hold }) => [what, value, hold?.text ?? '', verdict(hold)]);
  return `### ${title}\n\n${table(['', 'measured', 'to hold', ''], cells)}\n`;
}

function verdict(hold: Hold | undefined): string {
  if (hold === undefined) return '';
  return hold.held ? 'held' : '**missed**';
}

/** A markdown table with aligned columns. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** The machine, in one line. */
export function machineLine(): string {
  const processors = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return (
    `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ` +
    `Linux ${release()} ${arch()}, Node ${process.version}, load average before ${loadavg()[0]?.toFixed(1) ?? '?'}`
  );
}

/** `12.3`, `4.56`, `1,234`: three digits that say something. */
export function digits(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** `patch tsmachines 12, get secrets 3`, the largest first; `none` for nothing. */
export function listed(counts: ReadonlyMap<string, number>, divideBy = 1): string {
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([key, n]) => `${key} ${digits(n / divideBy)}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
