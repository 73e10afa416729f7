// SPDX-License-Identifier: Apache-2.0
// A host that a TSCluster has claimed for its control plane load balancer.
import { isDeepStrictEqual } from 'node:util';
import { Reason } from '../../../api/conditions.ts';
import { TSClusterKind } from '../../../api/kinds.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../../api/labels.ts';
import type { TSCluster } from '../../../api/tscluster.ts';
import type { HostClaim, TSHost } from '../../../api/tshost.ts';
import { clusterOfMachine } from '../../../contract/owners.ts';
import { pausedMessage } from '../../../contract/paused.ts';
import { isDeleting } from '../../../contract/served.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { API_SERVER_PORT, memberNames, type Members, membersOf } from '../balancer-members.ts';
import { claimantOf, claimOf, confirmClaim, ownerOf, providerIDOf } from '../claim.ts';
import { saysOwner } from '../claimed-host.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import type { HostDeps, HostScope, Transition } from '../scope.ts';

/** Only the cache is asked; watches are quicker. */
const MEMBERS_POLL_MS = 5_000;
/** Somebody has to mend the host by hand. */
const MENDING_POLL_MS = 60_000;

const DIRTY_ADVICE = 'clean it by hand, or delete the Cluster';

/** In Claimed: the first configuration, on a host that was clean. */
export async function claimedForBalancer(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const owner = await ownerNow(ctx, scope, deps);
  if ('waiting' in owner) return { state: 'Claimed', ...owner.waiting };
  const report = await probeHost(ctx, scope, deps);
  if (!saysOwner(report, ownerOf(owner.claim)) && report.occupants.length > 0) {
    recordOccupants(scope.object, report.occupants);
    return { state: 'Claimed', pollMs: MENDING_POLL_MS, error: dirtyError(report.occupants, DIRTY_ADVICE) };
  }
  recordOccupants(scope.object, []);
  const waiting = await apply(ctx, scope, deps, owner);
  return waiting === ''
    ? { state: 'Provisioned' }
    : { state: 'Claimed', pollMs: MEMBERS_POLL_MS, message: waiting };
}

/** In Provisioned: applied again when the members have changed, and on schedule, since somebody may have changed it by hand. */
export async function serveBalancer(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<Transition> {
  const claim = claimOf(scope.object);
  const tsCluster = claim?.cluster && deps.cache.peek(TSClusterKind, nameIn(claim.cluster));
  const isApplied = tsCluster !== undefined && hasMembers(scope, membersOf(deps.cache, tsCluster));
  if (isApplied && !scope.probeDue) return { state: 'Provisioned', pollMs: MEMBERS_POLL_MS };
  const owner = await ownerNow(ctx, scope, deps);
  if ('waiting' in owner) return { state: 'Provisioned', pollMs: MEMBERS_POLL_MS, ...owner.waiting };
  if (scope.probeDue) await probeHost(ctx, scope, deps);
  const waiting = await apply(ctx, scope, deps, owner);
  return { state: 'Provisioned', pollMs: MEMBERS_POLL_MS, ...(waiting !== '' && { message: waiting }) };
}

interface Owner {
  readonly claim: HostClaim;
  readonly tsCluster: TSCluster;
}

/** The TSCluster past the cache, or why nothing is done to the host. */
async function ownerNow(
  ctx: Ctx,
  { object }: HostScope,
  deps: HostDeps,
): Promise<Owner | { waiting: Omit<Transition, 'state'> }> {
  const claim = claimOf(object);
  const tsCluster =
    claim?.cluster && (await deps.client.get(TSClusterKind, nameIn(claim.cluster), ctx.signal));
  if (claim === undefined || tsCluster === undefined) {
    const who = claim === undefined ? 'The owner' : claimantOf(claim);
    const hint =
      claim === undefined
        ? ''
        : `, or give the host up with the annotation ${FORCE_RELEASE_ANNOTATION}: "${providerIDOf(object, claim)}"`;
    const message = `${who}, which claimed the host, does not exist; nothing is done with the host. Restore it${hint}`;
    return { waiting: { error: { reason: Reason.ClusterMissing, message } } };
  }
  const message = leftAlone(object, tsCluster, deps);
  return message === '' ? { claim, tsCluster } : { waiting: { message } };
}

function leftAlone({ spec }: TSHost, tsCluster: TSCluster, { cache }: HostDeps): string {
  if (isDeleting(tsCluster)) return 'The cluster is being deleted; waiting for it to give the host back';
  const paused = pausedMessage(clusterOfMachine(cache, tsCluster, undefined), tsCluster);
  if (paused !== '') return `Left alone: ${paused}`;
  return spec.maintenance === true ? 'In maintenance: nothing is started on the host' : '';
}

/** '' when the host serves exactly the members, else what it waits for. */
async function apply(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { claim, tsCluster }: Owner,
): Promise<string> {
  const wanted = membersOf(deps.cache, tsCluster);
  // After a move the addresses are measured anew; a list without them would cut off a cluster that runs.
  if (wanted.unknown.length > 0) return `Waiting for the addresses of ${wanted.unknown.join(', ')}`;
  await confirmClaim(ctx, scope, deps);
  const configHash = await deps.driver.balance(ctx, scope.access, {
    port: tsCluster.spec.controlPlaneEndpoint?.port ?? API_SERVER_PORT,
    members: wanted.members,
    owner: ownerOf(claim),
  });
  (scope.object.status ??= {}).loadBalancer = { members: memberNames(wanted.members), configHash };
  return '';
}

function hasMembers({ object }: HostScope, { members, unknown }: Members): boolean {
  const applied = object.status?.loadBalancer?.members;
  return unknown.length === 0 && isDeepStrictEqual(applied, memberNames(members));
}

function nameIn({ namespace, name }: { readonly namespace: string; readonly name: string }) {
  return { namespace, name };
}
