// SPDX-License-Identifier: Apache-2.0
// How the cloud behaves: knobs that a test turns at any time.

/** A lack of capacity: what is not said matches anything. */
export interface NoCapacity {
  readonly instanceType?: string;
  readonly availabilityZone?: string;
  readonly subnet?: string;
  readonly market?: 'spot' | 'on-demand';
  /** Default InsufficientInstanceCapacity; for spot also these. */
  readonly code?: 'InsufficientInstanceCapacity' | 'MaxSpotInstanceCountExceeded' | 'SpotMaxPriceTooLow';
}

export interface Behaviour {
  /** Describe calls show instances, their tags and their end as they were so long ago. Default 0. */
  staleMs: number;
  /** How long an instance is pending. Default 0. */
  pendingMs: number;
  /** How long an instance is shutting down. Default 0. */
  shuttingDownMs: number;
  /** How long a NAT gateway is pending, and deleting. Default 0. */
  natGatewayPendingMs: number;
  natGatewayDeletingMs: number;
  /** How long a load balancer is provisioning. Default 0. */
  loadBalancerProvisioningMs: number;
  /** How long a load balancer's network interfaces stay after it is deleted: its subnets and groups are in use. Default 0. */
  loadBalancerReleaseMs: number;
  /** How long a target is `initial`. Default 0. */
  targetInitialMs: number;
  /** How long a target is `draining` after it was deregistered. Default 0. */
  targetDrainingMs: number;
  /** DeleteSecurityGroup and its like fail while something is in use. Default true. */
  enforceDependencies: boolean;
  /** What a token replays once its instance is terminated: the old answer, or IdempotentInstanceTerminated. Default `answer`. */
  replayOfTerminated: 'answer' | 'error';
  /** Instances that may exist at once in an account; default no limit. */
  maxInstances: number;
  /** The code when that is exceeded. Default VcpuLimitExceeded. */
  quotaCode: 'VcpuLimitExceeded' | 'InstanceLimitExceeded';
  noCapacity: readonly NoCapacity[];
  /** The cloud's clock is so far ahead of ours, or behind. Default 0. */
  clockSkewMs: number;
}

/** A cloud without delays. */
export function defaultBehaviour(): Behaviour {
  return {
    staleMs: 0,
    pendingMs: 0,
    shuttingDownMs: 0,
    natGatewayPendingMs: 0,
    natGatewayDeletingMs: 0,
    loadBalancerProvisioningMs: 0,
    loadBalancerReleaseMs: 0,
    targetInitialMs: 0,
    targetDrainingMs: 0,
    enforceDependencies: true,
    replayOfTerminated: 'answer',
    maxInstances: Infinity,
    quotaCode: 'VcpuLimitExceeded',
    noCapacity: [],
    clockSkewMs: 0,
  };
}
