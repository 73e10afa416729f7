// SPDX-License-Identifier: Apache-2.0
// Reads values of a document with their path, so that whoever wrote it finds what is refused.
import { InterpretError } from './interpret-error.ts';
import { type Mapping, pyString, type Value } from './yaml-document.ts';

/** A value and where it stands. */
export interface Field {
  readonly path: string;
  readonly value: Value;
}

/** A mapping whose keys are all known; `undefined` for none. */
export function fieldsOf({ path, value }: Field, known: readonly string[]): Map<string, Field> {
  if (!(value instanceof Map)) throw new InterpretError(path, 'is not a mapping');
  const fields = new Map<string, Field>();
  for (const [key, item] of value) {
    const inner = path === '' ? shortened(key) : `${path}.${shortened(key)}`;
    if (!known.includes(key))
      throw new InterpretError(
        inner,
        `is not supported on hosts: leave it out, known are ${known.join(', ')}`,
      );
    fields.set(key, { path: inner, value: item });
  }
  return fields;
}

function shortened(key: string): string {
  return key.replace(/[^\w -]/g, '?').slice(0, 60);
}

/** Items of a list; none for null and for an absent one. */
export function itemsOf(field: Field | undefined): Field[] {
  if (field === undefined || field.value === null) return [];
  const items: unknown = field.value;
  if (!Array.isArray(items)) throw new InterpretError(field.path, 'is not a list');
  return (items as Value[]).map((value, index) => ({ path: `${field.path}[${index}]`, value }));
}

/** A string; absent for null and ''. */
export function textOfField(field: Field | undefined): string | undefined {
  if (field === undefined || field.value === null || field.value === '') return undefined;
  if (typeof field.value !== 'string')
    throw new InterpretError(field.path, 'is not a string: write it in quotes');
  return requireText(field.path, field.value);
}

/** A string or a number, as a string of one line. */
export function wordOf(field: Field): string {
  const text = Array.isArray(field.value) || field.value === null ? undefined : pyString(field.value);
  if (text === undefined || text === '') throw new InterpretError(field.path, 'is not a string');
  return requireText(field.path, text);
}

/** No line ends and no NUL: what is written into files of the system with lines. */
export function requireText(path: string, text: string): string {
  if ([...text].some((char) => char === '\0' || char === '\n' || char === '\r'))
    throw new InterpretError(path, 'has more than one line');
  return text;
}

const YES: readonly string[] = ['true', '1', 'on', 'yes'];
const NO: readonly string[] = ['false', '0', 'off', 'no'];

/** Yes or no in any way that cloud-init reads; what it would silently take for a no is refused. */
export function flagOf(field: Field | undefined, absent: boolean): boolean {
  if (field === undefined || field.value === null) return absent;
  if (typeof field.value === 'boolean') return field.value;
  const word = (pyString(field.value) ?? '').trim().toLowerCase();
  if (YES.includes(word)) return true;
  if (NO.includes(word)) return false;
  throw new InterpretError(field.path, 'is neither true nor false');
}

/** The names in a list or in a string with commas. */
export function namesOf(field: Field | undefined): string[] {
  if (field === undefined || field.value === null) return [];
  const names =
    typeof field.value === 'string'
      ? field.value.split(',').map((name) => name.trim())
      : itemsOf(field).map((item) => wordOf(item).trim());
  for (const name of names.filter((one) => one !== '')) requireName(field.path, name);
  return names.filter((name) => name !== '');
}

/** Of a user or a group: nothing that a program could take for an option, or a file for two fields. */
export function requireName(path: string, name: string): string {
  if (/^[A-Za-z_][\w.-]{0,63}\$?$/.test(name)) return name;
  throw new InterpretError(path, 'is not a name of a user or group');
}

/** The document's own keys. */
export function topLevel(config: Mapping, key: string): Field | undefined {
  const value = config.get(key);
  return value === undefined ? undefined : { path: key, value };
}
