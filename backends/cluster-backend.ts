// SPDX-License-Identifier: Apache-2.0
// Ports for what the machines of a cluster share on an infrastructure: its network, and the load balancer of its API servers.
import type { Endpoint, TSClusterSpec } from '../api/tscluster.ts';
import type { Ctx } from '../runtime/context.ts';
import type { Destroyed } from './backend.ts';

/** What a backend may know of a cluster: plain data, no Kubernetes object. */
export interface ClusterFacts {
  readonly namespace: string;
  /** Of the TSCluster. */
  readonly name: string;
  /** Of the Cluster; names resources for people, never finds them. */
  readonly clusterName: string;
  /** Tag of everything that is made for the cluster; it was read back from the API server before anything was made. */
  readonly infrastructureID: string;
  readonly spec: TSClusterSpec;
}

/** A place where machines can be. */
export interface FailureDomain {
  readonly name: string;
  readonly controlPlane: boolean;
}

/** One step nearer to what shall be; `ready` is looked at again after `pollMs`, so that what was changed outside is repaired. */
export type Ensured<T> =
  | ({ readonly state: 'ready'; readonly pollMs?: number } & T)
  | {
      readonly state: 'pending';
      readonly reason: string;
      readonly message: string;
      readonly pollMs?: number;
      /** Of a network: a load balancer can be made in it already. */
      readonly takesLoadBalancer?: boolean;
    };

/**
 * The network of a cluster. Calls are idempotent, bounded by `ctx.signal`, none waits. Only what carries the tag of the cluster is ever
 * changed or deleted. `removeNetwork` says `gone` only when a look has shown that nothing is left.
 */
export interface ClusterNetwork {
  /**
   * The account that the identity of the cluster is of now, to be recorded before anything is made: without it a look in another account
   * would take everything for gone. Read only. Throws where the identity cannot be used, or is of another account than the spec says.
   */
  accountOf(ctx: Ctx, cluster: Pick<ClusterFacts, 'namespace' | 'name' | 'spec'>): Promise<string>;
  ensureNetwork(
    ctx: Ctx,
    cluster: ClusterFacts,
  ): Promise<Ensured<{ readonly failureDomains: readonly FailureDomain[] }>>;
  removeNetwork(ctx: Ctx, cluster: ClusterFacts): Promise<Destroyed>;
}

/** The load balancer of the API servers of a cluster; the same promises as {@link ClusterNetwork}. */
export interface ClusterLoadBalancer {
  /** Failure domains that the load balancer covers; control plane machines elsewhere would get no traffic. */
  ensureLoadBalancer(
    ctx: Ctx,
    cluster: ClusterFacts,
  ): Promise<Ensured<{ readonly endpoint: Required<Endpoint>; readonly covers: readonly string[] }>>;
  removeLoadBalancer(ctx: Ctx, cluster: ClusterFacts): Promise<Destroyed>;
}
