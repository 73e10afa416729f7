// SPDX-License-Identifier: Apache-2.0
// What a TSMachinePool asks of AWS besides what a machine asks.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { SubnetReferenceSchema } from './filters.ts';
import { AWSMachineSpecSchema } from './machine.ts';

const { instanceType, image, securityGroups, rootVolume, volumes } = AWSMachineSpecSchema.properties;
const { iamInstanceProfile, keyName, publicIP, metadataOptions, tags, spot } =
  AWSMachineSpecSchema.properties;
const { onInterruption, onRebalance } = AWSMachineSpecSchema.properties;

/** Schema of {@link AWSMachinePoolSpec}. */
export const AWSMachinePoolSpecSchema = Type.Object(
  {
    ...{ instanceType, image, securityGroups, rootVolume, volumes },
    ...{ iamInstanceProfile, keyName, publicIP, metadataOptions, tags, spot, onInterruption, onRebalance },
    subnets: Type.Optional(
      Type.Array(SubnetReferenceSchema, {
        description:
          'Subnets of the pool. Absent: the private subnets of the cluster in the failure domains of the MachinePool.',
        minItems: 1,
        maxItems: 50,
      }),
    ),
    mixedInstances: Type.Optional(
      Type.Object(
        {
          instanceTypes: Type.Array(
            Type.String({
              description: 'An instance type.',
              pattern: '^[a-z0-9-]+[.][a-z0-9-]+$',
              maxLength: 64,
            }),
            { description: 'Further instance types that will do, best first.', minItems: 1, maxItems: 40 },
          ),
          onDemandBaseCapacity: Type.Optional(
            Type.Integer({
              description: 'Instances that are never Spot. Absent: 0.',
              format: 'int32',
              minimum: 0,
            }),
          ),
          onDemandPercentageAboveBase: Type.Optional(
            Type.Integer({
              description: 'Of those above. Absent: 100, or 0 with spot.',
              format: 'int32',
              minimum: 0,
              maximum: 100,
            }),
          ),
          spotAllocationStrategy: Type.Optional(
            Type.Enum(['price-capacity-optimized', 'capacity-optimized', 'lowest-price'], {
              description: 'How Spot capacity is chosen. Absent: price-capacity-optimized.',
            }),
          ),
        },
        { description: 'Several instance types and markets in one pool.' },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          minSize: Type.Optional(
            Type.Integer({ description: 'Fewest instances. Absent: 0.', format: 'int32', minimum: 0 }),
          ),
          maxSize: Type.Integer({ description: 'Most instances.', format: 'int32', minimum: 0 }),
        },
        {
          description:
            'Limits of the group where the MachinePool carries cluster.x-k8s.io/replicas-managed-by, for whoever scales the group then. ' +
            'Absent: from 0 to the replicas that the group was made with.',
          ...rules({
            rule: '!has(self.minSize) || self.minSize <= self.maxSize',
            message: 'minSize is at most maxSize',
          }),
        },
      ),
    ),
    refresh: Type.Optional(
      Type.Object(
        {
          maxUnavailable: Type.Optional(
            Type.Integer({
              description:
                'Machines of the pool that may be replaced at once after a change of its template. Absent: 1.',
              format: 'int32',
              minimum: 1,
              maximum: 1000,
            }),
          ),
        },
        { description: 'How machines are replaced when the template has changed.', minProperties: 1 },
      ),
    ),
  },
  { description: 'An Auto Scaling group of EC2.' },
);

/** What a TSMachinePool asks of AWS. */
export type AWSMachinePoolSpec = Static<typeof AWSMachinePoolSpecSchema>;
