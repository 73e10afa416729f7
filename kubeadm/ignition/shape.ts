// SPDX-License-Identifier: Apache-2.0
// What a YAML document may hold, as a table. The reader (shape-reader.ts) checks a document against it and gives typed values.
import type { Check } from './checks.ts';

export type Shape =
  TextShape | BytesShape | FlagShape | IntegerShape | ListShape | ObjectShape | RefusedShape;

export interface TextShape {
  readonly kind: 'text';
  readonly check?: Check<string>;
}

/** Text, or anything at all in `!!binary`. */
export interface BytesShape {
  readonly kind: 'bytes';
}

export interface FlagShape {
  readonly kind: 'flag';
}

export interface IntegerShape {
  readonly kind: 'integer';
  readonly check?: Check<number>;
}

export interface ListShape<Item extends Shape = Shape> {
  readonly kind: 'list';
  readonly item: Item;
}

export interface ObjectShape<Keys extends Record<string, Shape> = Record<string, Shape>> {
  readonly kind: 'object';
  readonly keys: Keys;
  /** Keys without which the object makes no sense. */
  readonly required: readonly string[];
}

/** Known, and not offered here. */
export interface RefusedShape {
  readonly kind: 'refused';
  /** What to do instead. */
  readonly wayOut: string;
}

/** The value of a shape. Keys that are not there, and those that are null, are undefined. */
export type ValueOf<S extends Shape> = S extends TextShape
  ? string
  : S extends BytesShape
    ? string | Uint8Array
    : S extends FlagShape
      ? boolean
      : S extends IntegerShape
        ? number
        : S extends ListShape<infer Item>
          ? readonly ValueOf<Item>[]
          : S extends ObjectShape<infer Keys>
            ? { readonly [K in keyof Keys]: ValueOf<Keys[K]> | undefined }
            : undefined;

export const bytes: BytesShape = { kind: 'bytes' };
export const flag: FlagShape = { kind: 'flag' };

/** Any scalar, as it is written. */
export function text(check?: Check<string>): TextShape {
  return check === undefined ? { kind: 'text' } : { kind: 'text', check };
}

export function integer(check?: Check<number>): IntegerShape {
  return check === undefined ? { kind: 'integer' } : { kind: 'integer', check };
}

export function list<Item extends Shape>(item: Item): ListShape<Item> {
  return { kind: 'list', item };
}

export function object<Keys extends Record<string, Shape>>(
  keys: Keys,
  required: readonly (keyof Keys & string)[] = [],
): ObjectShape<Keys> {
  return { kind: 'object', keys, required };
}

export function refused(wayOut: string): RefusedShape {
  return { kind: 'refused', wayOut };
}
