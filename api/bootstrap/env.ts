// SPDX-License-Identifier: Apache-2.0
// Environment variables of a static Pod, in the shape that containers have (`v1.EnvVar`).
import Type, { type Static } from 'typebox';
import { atomicList, flag, unlimitedText } from './fields.ts';

/** A reference is applied as a whole: half of one and half of another would name nothing. */
const reference = { 'x-kubernetes-map-type': 'atomic' } as const;

/** The pattern of `resource.Quantity`. */
const QUANTITY =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$';

const keyOf = (what: string) =>
  Type.Object(
    {
      // The API server fills in what containers have had since before names were required.
      name: Type.Optional(Type.String({ description: `Name of the ${what}.`, default: '' })),
      key: unlimitedText(`Key in the ${what}.`),
      optional: Type.Optional(flag(`Whether the ${what} or its key may be missing.`)),
    },
    { description: `A key of a ${what}.`, ...reference },
  );

const EnvVarSchema = Type.Object(
  {
    name: unlimitedText('Name of the variable.'),
    value: Type.Optional(unlimitedText('Its value. Refers to other variables as $(NAME).')),
    valueFrom: Type.Optional(
      Type.Object(
        {
          fieldRef: Type.Optional(
            Type.Object(
              {
                apiVersion: Type.Optional(
                  unlimitedText('Version in which fieldPath is meant; v1 when absent.'),
                ),
                fieldPath: unlimitedText('Path of the field, such as status.hostIP.'),
              },
              { description: 'A field of the Pod.', ...reference },
            ),
          ),
          resourceFieldRef: Type.Optional(
            Type.Object(
              {
                containerName: Type.Optional(unlimitedText('Name of the container.')),
                resource: unlimitedText('The resource, such as limits.cpu.'),
                divisor: Type.Optional(
                  Type.Unsafe<string | number>({
                    description: 'Quantity to divide by; 1 when absent.',
                    anyOf: [{ type: 'integer' }, { type: 'string' }],
                    pattern: QUANTITY,
                    'x-kubernetes-int-or-string': true,
                  }),
                ),
              },
              { description: 'A resource of the container.', ...reference },
            ),
          ),
          configMapKeyRef: Type.Optional(keyOf('ConfigMap')),
          secretKeyRef: Type.Optional(keyOf('Secret')),
          fileKeyRef: Type.Optional(
            Type.Object(
              {
                volumeName: unlimitedText('Name of the volume with the file.'),
                path: unlimitedText('Path of the file in the volume, relative and without "..".'),
                key: unlimitedText('Name of the variable in the file.'),
                optional: Type.Optional(
                  Type.Boolean({
                    description: 'Whether the file or its key may be missing.',
                    default: false,
                  }),
                ),
              },
              { description: 'A variable in a file of a volume.', ...reference },
            ),
          ),
        },
        { description: 'Where the value comes from, in place of value.' },
      ),
    ),
  },
  { description: 'One variable.' },
);

/** An environment variable of a static Pod. */
export type EnvVar = Static<typeof EnvVarSchema>;

/** A list of environment variables. */
export const envsSchema = (description: string) =>
  atomicList(EnvVarSchema, description, { minItems: 1, maxItems: 100 });
