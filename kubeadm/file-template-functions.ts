// SPDX-License-Identifier: Apache-2.0
// What the functions of our subset of Go templates do, and what counts as true: as in Go.
import { isUtf8 } from 'node:buffer';
import { TemplateError } from './file-template-error.ts';
import type { FunctionName } from './file-template-parser.ts';

/** The variables: maps with fixed keys. A key that has no value is absent. */
export interface Fields {
  readonly controlPlane?: Fields;
  readonly version?: string;
}

/** undefined: a variable that has no value, which Go prints as `<no value>`. */
export type Value = undefined | string | number | boolean | Fields;

/** Empty, zero and absent are false. */
export function isTrue(value: Value): boolean {
  return typeof value === 'object' ? Object.keys(value).length > 0 : Boolean(value);
}

/** Functions whose arguments have all been evaluated; `and` and `or` stop early and live in file-template.ts. */
type Strict = Exclude<FunctionName, 'and' | 'or'>;

/** Calls a function. Throws TemplateError. */
export function callFunction(name: Strict, args: readonly Value[], line: number): Value {
  const [fewest, most] = COUNTS[name];
  if (args.length < fewest || args.length > most) {
    const wanted =
      most === Infinity ? `at least ${fewest}` : fewest === most ? fewest : `${fewest} to ${most}`;
    throw new TemplateError(
      line,
      `${name} takes ${wanted} argument${most === 1 ? '' : 's'}, not ${args.length}`,
    );
  }
  return BODIES[name](args, (problem) => {
    throw new TemplateError(line, `${name}: ${problem}`);
  });
}

const COUNTS: Readonly<Record<Strict, readonly [fewest: number, most: number]>> = {
  not: [1, 1],
  eq: [2, Infinity],
  ne: [2, 2],
  lt: [2, 2],
  le: [2, 2],
  gt: [2, 2],
  ge: [2, 2],
  len: [1, 1],
  slice: [1, 3],
};

type Fail = (problem: string) => never;

const BODIES: Readonly<Record<Strict, (args: readonly Value[], fail: Fail) => Value>> = {
  not: ([value]) => !isTrue(value),
  eq: ([first, ...others], fail) => equalsAny(first, others, fail),
  ne: ([a, b], fail) => !equals(a, b, fail),
  lt: ([a, b], fail) => compare(a, b, fail) < 0,
  le: ([a, b], fail) => compare(a, b, fail) <= 0,
  gt: ([a, b], fail) => compare(a, b, fail) > 0,
  ge: ([a, b], fail) => compare(a, b, fail) >= 0,
  len: ([value], fail) => Buffer.byteLength(requireText(value, fail)),
  slice: ([text, from, to], fail) => slice(text, { from, to }, fail),
};

/** Stops at the first that is equal, as Go does: what stands behind it is not looked at. */
function equalsAny(first: Value, others: readonly Value[], fail: Fail): boolean {
  return others.some((other) => equals(first, other, fail));
}

/** An absent value equals another absent one, and nothing else. */
function equals(a: Value, b: Value, fail: Fail): boolean {
  if (typeof a === 'object' || typeof b === 'object')
    return fail('.controlPlane cannot be compared: compare .controlPlane.version');
  if (typeof a !== typeof b && a !== undefined && b !== undefined)
    return fail('the arguments are of different types');
  return a === b;
}

function compare(a: Value, b: Value, fail: Fail): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  // In the order of bytes, not of UTF-16.
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return fail(
    a === undefined || b === undefined
      ? 'there is no value to compare: ask {{ if .controlPlane }} first'
      : 'the arguments must be two strings or two numbers',
  );
}

function requireText(value: Value, fail: Fail): string {
  if (value === undefined) return fail('there is no value: ask {{ if .controlPlane }} first');
  return typeof value === 'string' ? value : fail('the first argument is not a string');
}

/** Counts in bytes. */
function slice(text: Value, { from, to }: { from: Value; to: Value }, fail: Fail): string {
  const bytes = Buffer.from(requireText(text, fail));
  const range = { start: from ?? 0, end: to ?? bytes.length };
  if (!isRange(range)) return fail('the indices must be numbers');
  const { start, end } = range;
  if (start < 0 || start > end || end > bytes.length) return fail('an index is out of range');
  const part = bytes.subarray(start, end);
  return isUtf8(part) ? part.toString() : fail('an index is inside a character');
}

function isRange(range: { start: Value; end: Value }): range is { start: number; end: number } {
  return typeof range.start === 'number' && typeof range.end === 'number';
}
