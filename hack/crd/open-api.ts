// SPDX-License-Identifier: Apache-2.0
// Turns TypeBox schemas into the OpenAPI v3 subset that a CustomResourceDefinition accepts.

/** A schema as plain JSON. */
export type JSONSchema = { readonly [key: string]: unknown };

/** The one union there is, an integer or a string: this mark gives `anyOf` and a missing type a meaning. */
const INT_OR_STRING = 'x-kubernetes-int-or-string';

/** Keys that are copied as they are. Anything else is refused, so that no keyword is lost in silence. */
const COPIED = new Set([
  ...['type', 'description', 'format', 'default', 'enum', 'required', 'pattern', 'minimum', 'maximum'],
  ...['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'],
  ...[
    'x-kubernetes-validations',
    'x-kubernetes-list-type',
    'x-kubernetes-list-map-keys',
    'x-kubernetes-map-type',
  ],
  INT_OR_STRING,
]);

/**
 * A structural schema. `path` names the place in error messages. Throws for a keyword that apiextensions does not know and
 * for a field without a description.
 */
export function toOpenAPI(schema: JSONSchema, path: string): JSONSchema {
  const out = headOf(schema);
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties') out[key] = propertiesOf(value as Record<string, JSONSchema>, path);
    else if (key === 'items') out[key] = toOpenAPI(value as JSONSchema, `${path}[]`);
    else if (key === 'patternProperties')
      out['additionalProperties'] = valuesOf(value as Record<string, JSONSchema>);
    else if (isCopied(key, schema)) out[key] = value;
    else throw new Error(`${path}: a CustomResourceDefinition has no keyword "${key}"`);
  }
  if (typeof schema['description'] !== 'string') throw new Error(`${path}: give it a description`);
  return out;
}

/** What it is and what it means come first: people read these files too. */
function headOf(schema: JSONSchema): Record<string, unknown> {
  const type = schema[INT_OR_STRING] === true ? {} : { type: schema['type'] ?? 'string' };
  return { ...type, description: schema['description'] };
}

function isCopied(key: string, schema: JSONSchema): boolean {
  return COPIED.has(key) || (key === 'anyOf' && schema[INT_OR_STRING] === true);
}

function propertiesOf(properties: Record<string, JSONSchema>, path: string): JSONSchema {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, toOpenAPI(schema, `${path}.${name}`)]),
  );
}

/** TypeBox writes a record as one pattern for all keys; the API server wants the schema of the values. */
function valuesOf(patterns: Record<string, JSONSchema>): JSONSchema {
  const [values, ...others] = Object.values(patterns);
  if (values === undefined || others.length > 0)
    throw new Error('a record has exactly one schema for its values');
  return { ...values };
}
