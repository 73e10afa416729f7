// SPDX-License-Identifier: Apache-2.0
// Instances of a group as the pool's controller sees them, and the TSMachines that stand for them.
import type { AutoScalingGroup, Instance } from '@aws-sdk/client-auto-scaling';
import type { AWSMachinePoolSpec } from '../../../api/aws/machine-pool.ts';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { awsProviderID } from '../../../api/provider-id.ts';
import { type PoolFacts, type PoolInstance, poolMachineName } from '../../machine-pool-backend.ts';
import { stateOf } from './group.ts';

/** Says of a machine that nobody knows what it was made from. */
const UNKNOWN = 'unknown';

/** What a machine of the pool asks of EC2, as far as a TSMachine can say it. */
export function machineSpec(spec: AWSMachinePoolSpec, instanceType = spec.instanceType): AWSMachineSpec {
  const { image, securityGroups, rootVolume, volumes, iamInstanceProfile, keyName, publicIP } = spec;
  const { metadataOptions, tags, spot, onInterruption, onRebalance } = spec;
  const all = {
    ...{ image, securityGroups, rootVolume, volumes, iamInstanceProfile, keyName, publicIP },
    ...{ metadataOptions, tags, spot, onInterruption, onRebalance },
  };
  const asked = Object.entries(all).filter(([, value]) => value !== undefined);
  return { instanceType, ...Object.fromEntries(asked) } as AWSMachineSpec;
}

/** Sorted by name. `materials`: what versions of the launch template were made from. */
export function poolInstances(
  pool: PoolFacts,
  group: AutoScalingGroup,
  materials: ReadonlyMap<string, string>,
): PoolInstance[] {
  return (group.Instances ?? [])
    .flatMap((instance) => poolInstance(pool, instance, materials) ?? [])
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function poolInstance(
  pool: PoolFacts,
  instance: Instance,
  materials: ReadonlyMap<string, string>,
): PoolInstance | undefined {
  const state = stateOf(instance);
  const { InstanceId: id, AvailabilityZone: zone, InstanceType } = instance;
  if (state === undefined || id === undefined || zone === undefined) return undefined;
  const providerID = awsProviderID(zone, id);
  return {
    name: poolMachineName(pool.name, id),
    providerID,
    state,
    machine: {
      providerID,
      ...(pool.spec.aws !== undefined && { aws: machineSpec(pool.spec.aws, InstanceType) }),
      createIntent: {
        attempt: 1,
        clientToken: `${pool.infrastructureID}/${id}`,
        // Without a choice: nobody has asked for this very instance, so nobody can ask again.
        requestHash: materials.get(versionOf(instance)) || UNKNOWN,
      },
    },
  };
}

/** The version of the launch template that an instance was made from; '' where AWS does not say. */
export function versionOf({ LaunchTemplate }: Instance): string {
  return LaunchTemplate?.Version ?? '';
}
