// SPDX-License-Identifier: Apache-2.0

/** Types of the conditions that this provider writes. */
export const ConditionType = {
  /** Sums the others up; core mirrors it (IC-7, IM-7). */
  Ready: 'Ready',
  /** TSMachine: the instance runs. */
  InstanceReady: 'InstanceReady',
  /** TSMachine: nobody is about to take the instance away. Absent where the infrastructure never does, or never says so. */
  InterruptionFree: 'InterruptionFree',
  /** TSMachine: what can be changed on a living instance is as the spec says. Absent where nothing is looked after. */
  SettingsApplied: 'SettingsApplied',
  /** TSCluster: the network is there. Absent where the cluster has none of its own. */
  NetworkReady: 'NetworkReady',
  /** TSMachinePool: the group is as the spec says, and has as many machines. */
  PoolReady: 'PoolReady',
  /** TSCluster: the control plane endpoint is known. */
  ControlPlaneEndpointReady: 'ControlPlaneEndpointReady',
  /** TSHost: the last contacts succeeded. */
  Reachable: 'Reachable',
  /** TSHost: its host key was given, not merely seen (invariant 11). */
  HostKeyVerified: 'HostKeyVerified',
  /** TSHost: what a preparation laid down is there as it was left. Absent where nothing was prepared. */
  Prepared: 'Prepared',
  /** TSRemediation: what was done for the Node has helped. */
  Remediated: 'Remediated',
  Deleting: 'Deleting',
  Paused: 'Paused',
} as const;

/** A condition type of this provider. */
export type ConditionType = (typeof ConditionType)[keyof typeof ConditionType];

/** Reasons of conditions and events: programs compare them, so they never change their meaning. */
export const Reason = {
  // Summary and lifecycle.
  Ready: 'Ready',
  Paused: 'Paused',
  NotPaused: 'NotPaused',
  Deleting: 'Deleting',
  NotDeleting: 'NotDeleting',
  DeletionFailed: 'DeletionFailed',
  /** Something failed that may heal alone; it is tried again, the message says what. */
  Retrying: 'Retrying',

  // Waiting for others: a watch wakes us.
  WaitingForClusterInfrastructure: 'WaitingForClusterInfrastructure',
  WaitingForBootstrapData: 'WaitingForBootstrapData',
  WaitingForControlPlaneEndpoint: 'WaitingForControlPlaneEndpoint',
  WaitingForMachines: 'WaitingForMachines',

  // Input that a person has to mend.
  BootstrapDataMissing: 'BootstrapDataMissing',
  BootstrapDataInvalid: 'BootstrapDataInvalid',
  KubeconfigInvalid: 'KubeconfigInvalid',

  // The endpoint.
  EndpointReady: 'EndpointReady',

  // The instance.
  InstanceUnknown: 'InstanceUnknown',
  InstanceCreating: 'InstanceCreating',
  InstancePending: 'InstancePending',
  InstanceRunning: 'InstanceRunning',
  InstanceStopped: 'InstanceStopped',
  InstanceFailed: 'InstanceFailed',
  InstanceMissing: 'InstanceMissing',
  InstanceDeleting: 'InstanceDeleting',
  InstanceDeleted: 'InstanceDeleted',
  DuplicateInstances: 'DuplicateInstances',
  InstanceTerminated: 'InstanceTerminated',

  // Hosts: free, in use, and on the way between.
  NoHostAvailable: 'NoHostAvailable',
  HostClaimed: 'HostClaimed',
  HostAvailable: 'HostAvailable',
  HostInUse: 'HostInUse',
  Registering: 'Registering',
  Bootstrapping: 'Bootstrapping',
  Releasing: 'Releasing',
  Cleaning: 'Cleaning',
  WaitingForTurn: 'WaitingForTurn',
  WaitingForLoadBalancer: 'WaitingForLoadBalancer',
  LoadBalancerInvalid: 'LoadBalancerInvalid',
  LoadBalancerFailed: 'LoadBalancerFailed',
  ForceReleased: 'ForceReleased',
  ForceReleaseRefused: 'ForceReleaseRefused',

  // Hosts: their preparation, the version that they are asked for, the address that they share.
  Prepared: 'Prepared',
  Preparing: 'Preparing',
  Drifted: 'Drifted',
  Repairing: 'Repairing',
  PreparationInvalid: 'PreparationInvalid',
  PreparationCredentialsMissing: 'PreparationCredentialsMissing',
  PreparationFailed: 'PreparationFailed',
  PreparationTimedOut: 'PreparationTimedOut',
  PreflightFailed: 'PreflightFailed',
  ArtifactsUnreachable: 'ArtifactsUnreachable',
  ChecksumMismatch: 'ChecksumMismatch',
  DiskFull: 'DiskFull',
  ProxyFailed: 'ProxyFailed',
  RepositoryUntrusted: 'RepositoryUntrusted',
  PackageUnavailable: 'PackageUnavailable',
  ImageUnavailable: 'ImageUnavailable',
  VersionSkew: 'VersionSkew',
  WaitingForVirtualIP: 'WaitingForVirtualIP',
  VirtualIPFailed: 'VirtualIPFailed',

  // Remediation.
  WaitingForGuard: 'WaitingForGuard',
  Rebooting: 'Rebooting',
  Rebooted: 'Rebooted',
  RebootFailed: 'RebootFailed',
  Evacuating: 'Evacuating',
  Recovering: 'Recovering',
  HandedOver: 'HandedOver',

  // Hosts: what a person, or a MachineHealthCheck, has to act on.
  BootstrapFailed: 'BootstrapFailed',
  BootstrapInterrupted: 'BootstrapInterrupted',
  BootstrapTimedOut: 'BootstrapTimedOut',
  BootstrapDataUnsupported: 'BootstrapDataUnsupported',
  HostNotPrepared: 'HostNotPrepared',
  HostUnsuitable: 'HostUnsuitable',
  PatchVersionDiffers: 'PatchVersionDiffers',
  HostDirty: 'HostDirty',
  HostMissing: 'HostMissing',
  MachineMissing: 'MachineMissing',
  ClusterMissing: 'ClusterMissing',
  CleanFailed: 'CleanFailed',
  CleanTimedOut: 'CleanTimedOut',
  HostClaimedElsewhere: 'HostClaimedElsewhere',
  HostInMaintenance: 'HostInMaintenance',

  // Hosts: the way to them.
  HostReachable: 'HostReachable',
  HostUnreachable: 'HostUnreachable',
  HostKeyPinned: 'HostKeyPinned',
  TrustedOnFirstUse: 'TrustedOnFirstUse',
  HostKeyUnknown: 'HostKeyUnknown',
  HostKeyMismatch: 'HostKeyMismatch',
  CredentialsMissing: 'CredentialsMissing',
  CredentialsInvalid: 'CredentialsInvalid',
  CredentialsRefused: 'CredentialsRefused',
  SudoRefused: 'SudoRefused',

  // Clouds: who we are, what was asked for, what the cloud says.
  IdentityMissing: 'IdentityMissing',
  IdentityInvalid: 'IdentityInvalid',
  IdentityNotAllowed: 'IdentityNotAllowed',
  CloudRequestRefused: 'CloudRequestRefused',
  CloudAccessDenied: 'CloudAccessDenied',
  RegionInvalid: 'RegionInvalid',
  ImageNotFound: 'ImageNotFound',
  ImageAmbiguous: 'ImageAmbiguous',
  SubnetInvalid: 'SubnetInvalid',
  SecurityGroupInvalid: 'SecurityGroupInvalid',
  UserDataTooLarge: 'UserDataTooLarge',
  CapacityUnavailable: 'CapacityUnavailable',
  QuotaExceeded: 'QuotaExceeded',
  InvalidMachine: 'InvalidMachine',

  // Clouds: the network and the load balancer of a cluster.
  NetworkReady: 'NetworkReady',
  NetworkCreating: 'NetworkCreating',
  NetworkDeleting: 'NetworkDeleting',
  NetworkInvalid: 'NetworkInvalid',
  LoadBalancerCreating: 'LoadBalancerCreating',
  LoadBalancerDeleting: 'LoadBalancerDeleting',
  ClusterIDTaken: 'ClusterIDTaken',

  // Clouds: what happens to instances.
  NoInterruption: 'NoInterruption',
  SpotInterruption: 'SpotInterruption',
  MaintenanceScheduled: 'MaintenanceScheduled',
  RebalanceRecommended: 'RebalanceRecommended',
  SettingsApplied: 'SettingsApplied',
  SettingsDiffer: 'SettingsDiffer',
  OrphanFound: 'OrphanFound',

  // Machine pools.
  PoolReady: 'PoolReady',
  PoolScaling: 'PoolScaling',
  PoolRefreshing: 'PoolRefreshing',
  PoolDeleting: 'PoolDeleting',
  GroupMissing: 'GroupMissing',
  WaitingForPoolMachines: 'WaitingForPoolMachines',

  // Nodes of hosts.
  NodeIdentityConflict: 'NodeIdentityConflict',
  ServingCertificateRefused: 'ServingCertificateRefused',
} as const;

/** A reason of this provider. */
export type Reason = (typeof Reason)[keyof typeof Reason];
