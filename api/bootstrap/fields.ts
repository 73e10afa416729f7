// SPDX-License-Identifier: Apache-2.0
// Schemas of fields that recur in a KubeadmConfig. The limits are those of Cluster API's own schema (KB 6.12).
import Type, { type TObject, type TProperties, type TSchema } from 'typebox';
import { rules, type ValidationRule } from '../meta.ts';

/** Longest path, address or image reference. */
export const MAX_TEXT = 512;

/** A string that is left out rather than empty. */
export const text = (description: string, maxLength = MAX_TEXT) =>
  Type.String({ description, minLength: 1, maxLength });

/** A string without limits, where Cluster API has none. */
export const unlimitedText = (description: string) => Type.String({ description });

/** True, false or absent; absent and false may differ in what is rendered. */
export const flag = (description: string) => Type.Boolean({ description });

/** A 32-bit integer between the given limits, which are inclusive. */
export const integer = (description: string, limits: { minimum?: number; maximum?: number } = {}) =>
  Type.Integer({ description, format: 'int32', ...limits });

/** RFC 3339. */
export const time = (description: string) => Type.String({ description, format: 'date-time' });

/** How long a list may be; `minItems` 1 asks to leave an empty list out. */
interface ListOptions {
  readonly maxItems: number;
  readonly minItems?: number;
}

/** A list that is replaced as a whole when it is applied. */
export const atomicList = <T extends TSchema>(items: T, description: string, limits: ListOptions) =>
  Type.Array(items, { description, ...limits, 'x-kubernetes-list-type': 'atomic' });

/** An object that is left out rather than empty. */
export const filled = <T extends TProperties>(
  properties: T,
  description: string,
  ...validations: readonly ValidationRule[]
): TObject<T> =>
  Type.Object(properties, {
    description,
    minProperties: 1,
    ...(validations.length === 0 ? {} : rules(...validations)),
  });

/**
 * No two items may have the same `key`. The map cannot be made with one key twice, so the rule fails and names it. Comparing each item
 * with each other one would exceed the cost of a rule for a long list of long keys, which is valid. Needs Kubernetes 1.33.
 */
export const unique = (key: string, message: string): ValidationRule => ({
  rule: `self.transformMapEntry(i, x, {x.${key}: true}).size() == self.size()`,
  message,
});
