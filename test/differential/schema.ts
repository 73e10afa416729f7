// SPDX-License-Identifier: Apache-2.0
// The schema of the spec as a tree that can be walked: which fields there are, and which of them an input has.
import { KubeadmConfigSpecSchema } from '../../api/kubeadmconfig.ts';

/** What JSON Schema says of a value; the part that our schemas use. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly minProperties?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
}

export const SPEC_SCHEMA = KubeadmConfigSpecSchema as unknown as Schema;

/** Every field below a schema, as `files[].contentFrom.secret.name`; for an enumeration, also each of its values, as `format=ignition`. */
export function fieldsOf(schema: Schema, path = ''): string[] {
  if (schema.enum !== undefined) return schema.enum.map((value) => `${path}=${value}`);
  if (schema.items !== undefined) return fieldsOf(schema.items, `${path}[]`);
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const below = path === '' ? name : `${path}.${name}`;
    return [below, ...fieldsOf(member, below)];
  });
}

/** The fields that a value has, in the same words; also words that the schema does not know. */
export function fieldsIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsIn(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [`${path}=${String(value)}`];
  return Object.entries(value).flatMap(([name, member]) => {
    const below = path === '' ? name : `${path}.${name}`;
    return [below, ...fieldsIn(member, below)];
  });
}
