// SPDX-License-Identifier: Apache-2.0
// What an Auto Scaling group shall be, and what differs of one that is there: pure.
import type {
  AutoScalingGroup,
  CreateAutoScalingGroupType,
  Instance,
  MixedInstancesPolicy,
  Tag,
  UpdateAutoScalingGroupType,
} from '@aws-sdk/client-auto-scaling';
import type { AWSMachinePoolSpec } from '../../../api/aws/machine-pool.ts';
import type { PoolFacts } from '../../machine-pool-backend.ts';
import type { CurrentTemplate } from './launch-templates.ts';

/** Names of groups begin with it: the IAM policy binds what the manager may do to groups by it, since tags can be given to any group. */
const PREFIX = 'ts-provider-';

/** Name of the group of a pool, and of its launch template. */
export function groupName({ infrastructureID }: Pick<PoolFacts, 'infrastructureID'>): string {
  return `${PREFIX}${infrastructureID}`;
}

/** What a group is made from. */
export interface WantedGroup {
  readonly pool: PoolFacts;
  readonly spec: AWSMachinePoolSpec;
  readonly template: CurrentTemplate;
  /** Sorted. */
  readonly subnetIDs: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

/** Fewest, most, and how many it is to have. */
interface Size {
  readonly MinSize: number;
  readonly MaxSize: number;
  readonly DesiredCapacity: number;
}

/**
 * While we decide the size the group is to have what the MachinePool says, not more: what it has besides is protected, so that it stays
 * until its Machine was deleted, and is not replaced then. Somebody else decides between the limits.
 */
export function sizeOf({ pool, spec }: WantedGroup, group?: AutoScalingGroup): Size {
  const { replicas } = pool;
  if (!pool.isSizedElsewhere) return { MinSize: 0, MaxSize: replicas, DesiredCapacity: replicas };
  const MinSize = spec.limits?.minSize ?? 0;
  const MaxSize = spec.limits?.maxSize ?? group?.MaxSize ?? Math.max(replicas, MinSize);
  const desired = group?.DesiredCapacity ?? replicas;
  return { MinSize, MaxSize, DesiredCapacity: Math.min(MaxSize, Math.max(MinSize, desired)) };
}

/** The request that makes the group. */
export function creation(wanted: WantedGroup): CreateAutoScalingGroupType {
  return {
    AutoScalingGroupName: groupName(wanted.pool),
    ...templateOf(wanted),
    ...sizeOf(wanted),
    VPCZoneIdentifier: wanted.subnetIDs.join(','),
    NewInstancesProtectedFromScaleIn: !wanted.pool.isSizedElsewhere,
    Tags: groupTags(wanted),
  };
}

/** The request that changes what differs; `undefined` when nothing does. Of the size only what changes is said: others may write the rest. */
export function update(wanted: WantedGroup, group: AutoScalingGroup): UpdateAutoScalingGroupType | undefined {
  const size = Object.entries(sizeOf(wanted, group)) as [keyof Size, number][];
  const isProtected = !wanted.pool.isSizedElsewhere;
  const subnets = wanted.subnetIDs.join(',');
  const change: Partial<UpdateAutoScalingGroupType> = {
    ...Object.fromEntries(size.filter(([key, value]) => group[key] !== value)),
    ...(!isSameTemplate(wanted, group) && templateOf(wanted)),
    ...(subnets !== subnetsOf(group) && { VPCZoneIdentifier: subnets }),
    ...(isProtected !== group.NewInstancesProtectedFromScaleIn && {
      NewInstancesProtectedFromScaleIn: isProtected,
    }),
  };
  if (Object.keys(change).length === 0) return undefined;
  // A policy that is not repeated would be no policy any more for some who play AWS; AWS takes it again.
  const policy = wanted.spec.mixedInstances === undefined ? {} : templateOf(wanted);
  return { AutoScalingGroupName: groupName(wanted.pool), ...policy, ...change };
}

function templateOf(
  wanted: WantedGroup,
): Pick<CreateAutoScalingGroupType, 'LaunchTemplate' | 'MixedInstancesPolicy'> {
  const { template } = wanted;
  const specification = { LaunchTemplateId: template.id, Version: template.version };
  const policy = policyOf(wanted.spec);
  if (policy === undefined) return { LaunchTemplate: specification };
  const LaunchTemplate = { ...policy.LaunchTemplate, LaunchTemplateSpecification: specification };
  return { MixedInstancesPolicy: { ...policy, LaunchTemplate } };
}

function policyOf(spec: AWSMachinePoolSpec): MixedInstancesPolicy | undefined {
  const { mixedInstances: mixed, spot, instanceType } = spec;
  if (mixed === undefined) return undefined;
  const types = [...new Set([instanceType, ...mixed.instanceTypes])];
  return {
    LaunchTemplate: { Overrides: types.map((InstanceType) => ({ InstanceType })) },
    InstancesDistribution: {
      // The types are listed best first.
      OnDemandAllocationStrategy: 'prioritized',
      OnDemandBaseCapacity: mixed.onDemandBaseCapacity ?? 0,
      OnDemandPercentageAboveBaseCapacity:
        mixed.onDemandPercentageAboveBase ?? (spot === undefined ? 100 : 0),
      SpotAllocationStrategy: mixed.spotAllocationStrategy ?? 'price-capacity-optimized',
      ...(spot?.maxPrice !== undefined && { SpotMaxPrice: spot.maxPrice }),
    },
  };
}

function isSameTemplate(wanted: WantedGroup, group: AutoScalingGroup): boolean {
  const { template } = wanted;
  const policy = policyOf(wanted.spec);
  const present = group.MixedInstancesPolicy;
  const specification = group.LaunchTemplate ?? present?.LaunchTemplate?.LaunchTemplateSpecification;
  if (specification?.LaunchTemplateId !== template.id || specification.Version !== template.version)
    return false;
  if (policy === undefined || present === undefined) return policy === present;
  return isSamePolicy(policy, present);
}

/** AWS adds what was left out, and gives some numbers as text. */
function isSamePolicy(wanted: MixedInstancesPolicy, present: MixedInstancesPolicy): boolean {
  const types = ({ LaunchTemplate }: MixedInstancesPolicy) =>
    (LaunchTemplate?.Overrides ?? []).map(({ InstanceType }) => InstanceType).join();
  const rules: Record<string, unknown> = { ...present.InstancesDistribution };
  return (
    types(wanted) === types(present) &&
    (rules['SpotMaxPrice'] ?? '') === (wanted.InstancesDistribution?.SpotMaxPrice ?? '') &&
    Object.entries(wanted.InstancesDistribution ?? {}).every(
      ([key, value]) => String(rules[key]) === String(value),
    )
  );
}

function subnetsOf(group: AutoScalingGroup): string {
  return (group.VPCZoneIdentifier ?? '').split(',').sort().join(',');
}

/** Instances have theirs from the launch template, which tags their volumes as well. */
function groupTags({ pool, tags }: WantedGroup): Tag[] {
  return Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({
      ResourceId: groupName(pool),
      ResourceType: 'auto-scaling-group',
      PropagateAtLaunch: false,
      ...{ Key, Value },
    }));
}

/** Tags that are missing or say something else. A tag that nobody asks for any more stays: it may be somebody else's. */
export function tagsToSet(wanted: WantedGroup, group: AutoScalingGroup): Tag[] {
  const present = new Map((group.Tags ?? []).map(({ Key, Value }) => [Key, Value]));
  return groupTags(wanted).filter(({ Key, Value }) => present.get(Key) !== Value);
}

/** AWS moves instances between zones by ending some: that is a choice of victims as well. */
export const REBALANCE = 'AZRebalance';

/** Whether the group still moves instances though it shall not. */
export function mayRebalance({ pool }: WantedGroup, { SuspendedProcesses = [] }: AutoScalingGroup): boolean {
  return !pool.isSizedElsewhere && !SuspendedProcesses.some(({ ProcessName }) => ProcessName === REBALANCE);
}

/** Ids of instances whose protection has to change. Only an instance in service can be protected. */
export function protectionToSet(isProtected: boolean, { Instances = [] }: AutoScalingGroup): string[] {
  return Instances.filter(({ LifecycleState }) => LifecycleState === 'InService')
    .filter((one) => (one.ProtectedFromScaleIn ?? false) !== isProtected)
    .map(({ InstanceId }) => InstanceId ?? '');
}

/** What the life cycle of an instance in its group means for us; `undefined` when it is no part of it any more. */
export function stateOf(instance: Instance): 'starting' | 'running' | 'leaving' | undefined {
  const state: string = instance.LifecycleState ?? '';
  if (/^(Terminating|Detaching)/.test(state)) return 'leaving';
  // What waits in a warm pool is no machine yet.
  if (/^(Terminated|Detached|Warmed)/.test(state)) return undefined;
  return state.startsWith('Pending') ? 'starting' : 'running';
}
