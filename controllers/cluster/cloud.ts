// SPDX-License-Identifier: Apache-2.0
// Network and load balancer that are made at a cloud, by its backend. Everything there carries the infrastructureID of the cluster, which
// is on the API server before anything is made (invariant 1), so that it is found again whatever was lost.
import { randomBytes } from 'node:crypto';
import { Reason } from '../../api/conditions.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { ClusterFacts, Ensured } from '../../backends/cluster-backend.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import type { Ctx } from '../../runtime/context.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import { nameOf } from '../../runtime/object.ts';
import { isValid } from './load-balancer.ts';
import type { ClusterScope } from './scope.ts';

/** How often to look at what changes by itself, where the backend does not say. */
const POLL_MS = 5_000;
/** A tag value, a part of names: short enough for a load balancer's, whatever the cluster is called. */
const NAME_LENGTH = 40;

/** Whether this cluster has things of its own at a cloud. */
export function isAtCloud({ object, cloud }: ClusterScope): boolean {
  return object.spec.aws !== undefined && cloud !== undefined;
}

/**
 * Gives the cluster the name that its resources carry, and says in which account they are, together with the finalizer, in a write of its
 * own. An older version has recorded the name alone.
 */
export async function recordInfrastructureID(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  const { object, cloud } = scope;
  if (cloud === undefined || !isAtCloud(scope)) return next();
  if (!isRecorded(object)) {
    // First: an identity that cannot be used leaves nothing behind, and may be of any account.
    const accountID = await cloud.accountOf(ctx, { ...nameOf(object), spec: object.spec });
    const name = object.metadata.name.replaceAll('.', '-').slice(0, NAME_LENGTH);
    object.spec.infrastructureID ??= `${name}-${randomBytes(4).toString('hex')}`;
    object.spec.aws = { ...object.spec.aws!, accountID };
  }
  // No request where the API server has all of it.
  await scope.persist();
  if (isRecorded(object) && hasFinalizer(object, TSCLUSTER_FINALIZER)) return next();
  throw new Error(
    'The API server did not keep spec.infrastructureID, spec.aws.accountID and the finalizer; check that the installed CRD is current',
  );
}

function isRecorded({ spec }: TSCluster): boolean {
  return spec.infrastructureID !== undefined && spec.aws?.accountID !== undefined;
}

export async function ensureNetwork(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  if (scope.cloud === undefined || !isAtCloud(scope)) return next();
  const answer = await scope.cloud.ensureNetwork(ctx, clusterFacts(scope));
  if (answer.state === 'ready') scope.facts.failureDomains = answer.failureDomains;
  scope.facts.network = answer;
  return settled(scope, answer);
}

/**
 * Begins as soon as the network takes a load balancer: both take minutes, and need not take them one after the other. The endpoint is
 * written as soon as it is known, and never changed: certificates carry it (IC-2).
 */
export async function ensureLoadBalancer(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  const { object, cloud, facts } = scope;
  if (cloud === undefined || !hasNLB(scope) || !takesLoadBalancer(facts.network)) return next();
  const { failureDomains } = facts;
  // Without an answer it is not known which of them are covered: what was reported before stays.
  delete facts.failureDomains;
  const answer = await cloud.ensureLoadBalancer(ctx, clusterFacts(scope));
  if (answer.state === 'ready') {
    const given = object.spec.controlPlaneEndpoint;
    if (!isValid(given)) object.spec.controlPlaneEndpoint = { ...answer.endpoint, ...given };
    // Control plane machines elsewhere would get no traffic.
    facts.failureDomains = failureDomains?.map((domain) => ({
      ...domain,
      controlPlane: domain.controlPlane && answer.covers.includes(domain.name),
    }));
  }
  return settled(scope, answer);
}

export async function removeCloudLoadBalancer(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  const { cloud, object } = scope;
  // Also without the type: it may have been changed, and what was made is found by its tag.
  if (cloud === undefined || !isAtCloud(scope) || object.spec.infrastructureID === undefined) return next();
  const answer = await cloud.removeLoadBalancer(ctx, clusterFacts(scope));
  if (answer.state === 'gone') return next();
  return hold(Reason.LoadBalancerDeleting, answer.message, answer.pollMs ?? POLL_MS);
}

export async function removeNetwork(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  const { cloud, object } = scope;
  if (cloud === undefined || !isAtCloud(scope) || object.spec.infrastructureID === undefined) return next();
  const answer = await cloud.removeNetwork(ctx, clusterFacts(scope));
  if (answer.state === 'gone') return next();
  return hold(Reason.NetworkDeleting, answer.message, answer.pollMs ?? POLL_MS);
}

/** Not while it is unknown: an earlier phase waits. */
function takesLoadBalancer(network: Ensured<object> | undefined): boolean {
  return network?.state === 'ready' || network?.takesLoadBalancer === true;
}

function hasNLB(scope: ClusterScope): boolean {
  return isAtCloud(scope) && scope.object.spec.controlPlaneLoadBalancer?.type === 'NLB';
}

function clusterFacts({ object, cluster }: ClusterScope): ClusterFacts {
  const { namespace = '', name } = object.metadata;
  const { infrastructureID = '' } = object.spec;
  return {
    namespace,
    name,
    clusterName: cluster?.metadata.name ?? name,
    infrastructureID,
    spec: object.spec,
  };
}

function settled({ facts }: ClusterScope, answer: Ensured<object>): Step {
  if (answer.state === 'pending') return hold(answer.reason, answer.message, answer.pollMs ?? POLL_MS);
  if (answer.pollMs !== undefined) facts.pollMs = Math.min(facts.pollMs ?? Infinity, answer.pollMs);
  return next();
}
