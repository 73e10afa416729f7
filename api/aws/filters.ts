// SPDX-License-Identifier: Apache-2.0
// Words that several AWS settings share.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';

/**
 * Tags: values are Unicode at AWS, keys up to 128 characters; `aws:` is AWS' own. By `ts-provider/` we know what to change and delete, by
 * `kubernetes.io/cluster/` controllers in clusters do.
 */
export const TagsSchema = Type.Record(
  Type.String(),
  Type.String({ description: 'Value of the tag.', maxLength: 256 }),
  {
    description: 'Tags of AWS, by key.',
    maxProperties: 40,
    ...rules({
      rule: "self.all(key, key.size() <= 128 && !key.startsWith('aws:') && !key.startsWith('ts-provider/') && !key.startsWith('kubernetes.io/cluster/'))",
      message:
        'tag keys have at most 128 characters and do not begin with "aws:", "ts-provider/" or "kubernetes.io/cluster/"',
    }),
  },
);

/** Schema of one filter of a Describe call. */
const FilterSchema = Type.Object(
  {
    name: Type.String({
      description: 'Name of a filter of the Describe call, such as "tag:team" or "availability-zone".',
      minLength: 1,
      maxLength: 256,
    }),
    values: Type.Array(Type.String({ description: 'A value; * and ? are wildcards.', maxLength: 256 }), {
      description: 'Any of these.',
      minItems: 1,
      maxItems: 50,
    }),
  },
  { description: 'One filter of a Describe call of EC2.' },
);

/** One filter of a Describe call of EC2; all filters of a list must hold. */
export type Filter = Static<typeof FilterSchema>;

/** Schema of a resource that exists already, by id or by filters. */
export function existing(what: string, idPrefix: string) {
  return Type.Object(
    {
      id: Type.Optional(
        Type.String({ description: `Id of the ${what}.`, pattern: `^${idPrefix}-[0-9a-f]+$`, maxLength: 64 }),
      ),
      filters: Type.Optional(
        Type.Array(FilterSchema, {
          description: `Filters that find the ${what}; all of them must hold.`,
          minItems: 1,
          maxItems: 10,
        }),
      ),
    },
    {
      description: `A ${what} that exists: by id, or by filters.`,
      ...rules({ rule: 'has(self.id) != has(self.filters)', message: 'set either id or filters' }),
    },
  );
}

/** Schema of a subnet that exists. */
export const SubnetReferenceSchema = existing('subnet', 'subnet');

/** Schema of a security group that exists. */
export const SecurityGroupReferenceSchema = existing('security group', 'sg');

/** A resource that exists: exactly one of the two is set. */
export type ResourceReference = Static<typeof SubnetReferenceSchema>;
