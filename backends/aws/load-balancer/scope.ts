// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { AWSClusterSpec, NLBSpec } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { ClusterFacts } from '../../cluster-backend.ts';
import { ownerTag } from '../cluster-owner.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { tagsOf } from '../tags.ts';

/** One cluster's load balancer, and the session that looks after it. */
export interface Scope {
  readonly session: AWSSession;
  readonly cluster: ClusterFacts;
  readonly aws: AWSClusterSpec;
  readonly nlb: NLBSpec;
  /** Of the load balancer and of the target group that we make. */
  readonly name: string;
  /** Of the listener, and of the API servers on their machines. */
  readonly port: number;
}

/** Where kubeadm lets an API server listen. */
const API_SERVER_PORT = 6443;
/** AWS' limit for names of load balancers and target groups. */
const NAME_LENGTH = 32;
const HASH_LENGTH = 10;

/** `aws` is what the cluster has there; a cluster without it has no load balancer. */
export function scopeOf(session: AWSSession, cluster: ClusterFacts, aws: AWSClusterSpec): Scope {
  const { controlPlaneEndpoint, controlPlaneLoadBalancer } = cluster.spec;
  return {
    session,
    cluster,
    aws,
    nlb: controlPlaneLoadBalancer?.nlb ?? {},
    name: nameOf(cluster.infrastructureID),
    port: controlPlaneEndpoint?.port ?? API_SERVER_PORT,
  };
}

/**
 * The name of what we make for a cluster: ELB has no look-up by tag, so the name leads there, and the cluster's tag on what is found
 * says whether it is ours. The hash keeps clusters apart; AWS refuses names that begin with `internal-`, and two hyphens in a row.
 */
export function nameOf(infrastructureID: string): string {
  const hash = createHash('sha256').update(infrastructureID).digest('hex').slice(0, HASH_LENGTH);
  const readable = infrastructureID.replaceAll(/-+/g, '-').slice(0, NAME_LENGTH - HASH_LENGTH - 4);
  return `ts-${readable.replace(/-$/, '')}-${hash}`;
}

/** Tags of the load balancer, its listener and its target group. */
export function wantedTags({ cluster, aws }: Scope): Record<string, string> {
  const { infrastructureID, clusterName } = cluster;
  const name = `${clusterName}-api-server`;
  const own = ownerTag(cluster);
  return tagsOf({ infrastructureID, clusterName, role: 'load-balancer', name, user: [aws.tags], own });
}

/** The spec, or what it names, does not fit; the message names the field and the way out. */
export function invalid(message: string): TerminalError {
  return new TerminalError(Reason.LoadBalancerInvalid, message);
}

/** The SDK names some errors of ELB after their code with `Exception` added. */
export function refusedWith(error: unknown, ...codes: readonly string[]): boolean {
  return isRefused(error, ...codes, ...codes.map((code) => `${code}Exception`));
}
