// SPDX-License-Identifier: Apache-2.0
// What machines and load balancers need to know of the network of their cluster.
import type { AWSClusterSpec } from '../../../api/aws/cluster.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { AWSSession } from '../session/session.ts';

/** A subnet that may be used. */
export interface Subnet {
  readonly id: string;
  readonly availabilityZone: string;
  /** Its routes lead to an internet gateway. */
  readonly isPublic: boolean;
  readonly vpcID: string;
}

export interface NetworkFacts {
  readonly vpcID: string;
  readonly cidrBlocks: readonly string[];
  readonly subnets: readonly Subnet[];
  /** Ids, given or made. `loadBalancer` is empty where the load balancer is somebody else's. */
  readonly securityGroups: {
    readonly controlPlane: readonly string[];
    readonly nodes: readonly string[];
    readonly loadBalancer: readonly string[];
  };
}

/** A cluster, as far as its network is concerned. */
export interface ClusterAWS {
  readonly infrastructureID: string;
  readonly spec: AWSClusterSpec;
}

/** Reads only. */
export interface NetworkReader {
  /**
   * Facts that are at most `maxAgeMs` old, by default a minute.
   *
   * TerminalError(SubnetInvalid | SecurityGroupInvalid | NetworkInvalid) names the field of the spec; TransientError while the network is
   * not there yet.
   */
  networkFacts(ctx: Ctx, session: AWSSession, cluster: ClusterAWS, maxAgeMs?: number): Promise<NetworkFacts>;
  forget(infrastructureID: string): void;
}
