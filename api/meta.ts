// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';

/** The part of `metav1.OwnerReference` that we read. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** The part of `metav1.ObjectMeta` that we read. Times are RFC 3339 strings. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

/** Any Kubernetes object, as this folder sees it. */
export interface ApiObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** One rule of `x-kubernetes-validations`: `message` says what to do, `fieldPath` where, relative to the schema that carries it. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** The schema option that carries CEL rules. */
export function rules(...list: readonly ValidationRule[]): {
  'x-kubernetes-validations': readonly ValidationRule[];
} {
  return { 'x-kubernetes-validations': list };
}

/** A quantity must be written as a string: a bare number is refused by its type, a wrong string by this rule. */
export const quantity = (description: string) =>
  Type.String({
    description,
    minLength: 1,
    maxLength: 32,
    ...rules({
      rule: 'isQuantity(self)',
      message: 'write a Kubernetes quantity as a string, such as "4", "500m" or "8Gi"',
    }),
  });

/** Schema of `metav1.Condition` (GEN-12). */
export const ConditionSchema = Type.Object(
  {
    type: Type.String({
      description: 'What the condition is about, in CamelCase.',
      minLength: 1,
      maxLength: 316,
      pattern: '^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$',
    }),
    status: Type.Enum(['True', 'False', 'Unknown'], {
      description: 'Whether it holds: True, False or Unknown.',
    }),
    reason: Type.String({
      description: 'Why, as one word in CamelCase that programs may compare.',
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    }),
    message: Type.String({ description: 'Why, for people; may be empty.', maxLength: 32768 }),
    lastTransitionTime: Type.String({ description: 'When the status last changed.', format: 'date-time' }),
    observedGeneration: Type.Optional(
      Type.Integer({
        description: 'The metadata.generation that the condition was made from.',
        format: 'int64',
        minimum: 0,
      }),
    ),
  },
  { description: 'One aspect of the state of the object.' },
);

/** `metav1.Condition`. */
export type Condition = Static<typeof ConditionSchema>;

/** Schema of `status.conditions`: a map list on `type`, at most 32 (GEN-12). */
export const ConditionsSchema = Type.Array(ConditionSchema, {
  description: 'The state of the object, one entry for each aspect. Ready sums the others up.',
  maxItems: 32,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
});

/** Schema of `status.observedGeneration`. */
export const ObservedGenerationSchema = Type.Integer({
  description: 'The metadata.generation that this status was made from.',
  format: 'int64',
  minimum: 0,
});

/** Schema of `status.initialization`: core latches `provisioned` (IC-4, IM-5) and refuses an empty object (IC-6). */
export const InitializationSchema = Type.Object(
  {
    provisioned: Type.Optional(
      Type.Boolean({
        description: 'True once the infrastructure is there for the first time; never reverts.',
      }),
    ),
  },
  { description: 'How far the first provisioning is. Cluster API reads it.', minProperties: 1 },
);

/** Refused here rather than later, on every object that would be made. Keys cannot be checked by a schema or within the cost of a rule. */
const LABEL_VALUE = Type.String({
  maxLength: 63,
  pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$',
});

/** Schema of the `metadata` of a template: labels and annotations of what is made from it. */
export const TemplateMetadataSchema = Type.Object(
  {
    labels: Type.Optional(
      Type.Record(Type.String(), LABEL_VALUE, {
        description: 'Labels of every object made from the template.',
      }),
    ),
    annotations: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Annotations of every object made from the template.',
      }),
    ),
  },
  { description: 'Metadata of every object made from the template.', minProperties: 1 },
);
