// SPDX-License-Identifier: Apache-2.0
// Flags of a component: a list of names and values, where a value may be empty but not absent (KB-44).
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { text, unique } from './fields.ts';

const ArgSchema = Type.Object(
  {
    name: text('Name of the flag without leading dashes.', 256),
    value: Type.String({ description: 'Its value; may be empty.', minLength: 0, maxLength: 1024 }),
  },
  { description: 'One flag.' },
);

/** One flag: `name` without leading dashes. */
export type Arg = Static<typeof ArgSchema>;

/** A list of flags in the field named `field`. Each name may be there once. */
export const argsSchema = (field: string, description: string) =>
  Type.Array(ArgSchema, {
    description,
    minItems: 1,
    maxItems: 100,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name', 'value'],
    ...rules(unique('name', `each name in ${field} must be unique: keep one entry for each flag`)),
  });
