// SPDX-License-Identifier: Apache-2.0
// The control plane endpoint on a TSHost. This controller claims the host and asks for its release; the TSHost controller alone works on
// it and says in its status what it serves.
import { Reason } from '../../api/conditions.ts';
import type { Endpoint, TSCluster } from '../../api/tscluster.ts';
import type { InventoryHost } from '../../backends/host-inventory.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import type { Ctx } from '../../runtime/context.ts';
import { chooseHost, heldBy } from './choose-host.ts';
import type { ClusterScope } from './scope.ts';

/** Where the endpoint listens unless another port is given. */
export const DEFAULT_PORT = 6443;
/** How often one pass chooses anew when others are faster. */
const ROUNDS = 3;
/** Somebody else wrote to the host at the same moment. */
const SOON_MS = 1_000;

/** Host and port are both there: the same test that core applies. */
export function isValid(endpoint: Endpoint | undefined): boolean {
  return (endpoint?.host ?? '') !== '' && (endpoint?.port ?? 0) !== 0;
}

/** Claims a host, writes its address down as the endpoint, and waits until it listens. Without HAProxy no host is kept. */
export async function claimLoadBalancer(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  if (!hasBalancer(scope.object)) {
    await giveBack(ctx, scope, heldBy(scope.object, scope.inventory.list(scope.object.metadata.namespace)));
    return next();
  }
  if (copiesEndpoint(scope)) {
    const message = 'The endpoint of the Cluster becomes that of this TSCluster; a host is claimed next';
    return hold(Reason.WaitingForLoadBalancer, message);
  }
  const found = await ownHost(ctx, scope);
  if ('none' in found)
    return hold(Reason.NoHostAvailable, `No host for the load balancer: ${found.none}`, found.pollMs);
  return serving(ctx, scope, found.host);
}

/** Gives the host back, and lets the cluster go only when a list of this moment shows that it has none (invariant 5). */
export async function releaseLoadBalancer(ctx: Ctx, scope: ClusterScope): Promise<Step> {
  const { object, inventory } = scope;
  const namespace = object.metadata.namespace ?? '';
  if (!hasBalancer(object) && inventory.list(namespace).length === 0) return next();
  const held = heldBy(object, await inventory.listNow(ctx, namespace));
  if (held.length === 0) return next();
  const isAsked = await giveBack(ctx, scope, held);
  const hosts = held.map(
    ({ name, status }) => `${name} (${status.error?.message ?? status.state ?? 'not registered'})`,
  );
  const message = `Waiting for the host of the load balancer to be clean and free: ${hosts.join(', ')}`;
  return hold(Reason.WaitingForLoadBalancer, message, isAsked ? 0 : SOON_MS);
}

function hasBalancer({ spec }: TSCluster): boolean {
  return spec.controlPlaneLoadBalancer?.type === 'HAProxy';
}

/** The load balancer listens where the TSCluster says, so this is written before any host is claimed. */
function copiesEndpoint({ object, cluster }: ClusterScope): boolean {
  const given = cluster?.spec?.controlPlaneEndpoint;
  if (object.spec.controlPlaneEndpoint !== undefined || !isValid(given)) return false;
  object.spec.controlPlaneEndpoint = { ...given };
  return true;
}

type Found = { readonly host: InventoryHost } | { readonly none: string; readonly pollMs: number };

/** The cluster's host, claimed now where it has none. */
async function ownHost(ctx: Ctx, scope: ClusterScope): Promise<Found> {
  const { object, inventory } = scope;
  const cached = inventory.list(object.metadata.namespace);
  const [host, ...others] = heldBy(object, cached);
  // The endpoint, once written, never changes: with it an old copy is good enough.
  if (host !== undefined && others.length === 0 && isValid(object.spec.controlPlaneEndpoint)) return { host };
  const choice = chooseHost(object, cached);
  // Whoever waits for a host waits for long, and a watch tells of each.
  if (host === undefined && 'none' in choice) return { none: choice.none, pollMs: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const found = await claimOne(ctx, scope);
    if (found !== undefined) return found;
  }
  return { none: 'others were faster to claim each host that was chosen; choosing again', pollMs: SOON_MS };
}

/**
 * One try on a list of this moment; `undefined` when it has to be looked at again, also after a claim: two managers at once may have
 * claimed one each. The one that the endpoint names stays, else the first by name; the others go back only once the endpoint is written
 * and cannot change any more. A host is given back, not freed: the TSHost controller may have begun.
 */
async function claimOne(ctx: Ctx, scope: ClusterScope): Promise<Found | undefined> {
  const { object, inventory } = scope;
  const { namespace = '', name, uid = '' } = object.metadata;
  const hosts = await inventory.listNow(ctx, namespace);
  const [host, ...others] = heldBy(object, hosts);
  if (host !== undefined) {
    if (isValid(object.spec.controlPlaneEndpoint)) await giveBack(ctx, scope, others);
    return { host };
  }
  const choice = chooseHost(object, hosts);
  if ('none' in choice) return { none: choice.none, pollMs: 0 };
  const { claim } = choice.host;
  ctx.log.info({ TSHost: choice.host.name }, 'Claiming host for the load balancer');
  await inventory.setClaim(ctx, choice.host, {
    generation: (claim?.generation ?? 0) + 1,
    for: 'LoadBalancer',
    cluster: { namespace, name, uid },
    ...(claim?.previous !== undefined && { previous: claim.previous }),
  });
  return undefined;
}

/** Asks for the release of hosts. False: somebody else wrote to one of them at the same moment. */
async function giveBack(
  ctx: Ctx,
  { inventory }: ClusterScope,
  hosts: readonly InventoryHost[],
): Promise<boolean> {
  let isAsked = true;
  for (const host of hosts) {
    if (host.claim === undefined || host.claim.releasing === true) continue;
    ctx.log.info({ TSHost: host.name }, 'Giving the host of the load balancer back');
    isAsked =
      (await inventory.setClaim(ctx, host, { ...host.claim, releasing: true })) !== undefined && isAsked;
  }
  return isAsked;
}

/** What the claimed host is still missing. */
async function serving(ctx: Ctx, scope: ClusterScope, host: InventoryHost): Promise<Step> {
  if (host.claim?.releasing === true) {
    const message = `Host ${host.name} of the load balancer is being given back; waiting for it to be free`;
    return hold(Reason.WaitingForLoadBalancer, message);
  }
  const isRenewed = await renewUID(ctx, scope, host);
  const { object } = scope;
  const given = object.spec.controlPlaneEndpoint;
  if (!isValid(given))
    object.spec.controlPlaneEndpoint = {
      host: given?.host ?? host.address,
      port: given?.port ?? DEFAULT_PORT,
    };
  if (!isRenewed) return hold(Reason.WaitingForLoadBalancer, `Taking over host ${host.name}`, SOON_MS);
  return listening(host);
}

/** After a move: the names are the same, the UID is a new one. */
async function renewUID(
  ctx: Ctx,
  { object, inventory }: ClusterScope,
  host: InventoryHost,
): Promise<boolean> {
  const { uid = '' } = object.metadata;
  const { claim } = host;
  if (claim?.cluster === undefined || claim.cluster.uid === uid) return true;
  return (
    (await inventory.setClaim(ctx, host, { ...claim, cluster: { ...claim.cluster, uid } })) !== undefined
  );
}

function listening({ name, status }: InventoryHost): Step {
  if (status.error !== undefined)
    return hold(status.error.reason, `Host ${name} of the load balancer: ${status.error.message}`);
  if (status.operationalStatus === 'Unreachable') {
    const message = `Host ${name} of the load balancer cannot be reached; what it serves stays as it is until then`;
    return hold(Reason.HostUnreachable, message);
  }
  if (status.state === 'Provisioned' && status.loadBalancer !== undefined) return next();
  return hold(Reason.WaitingForLoadBalancer, `Waiting for host ${name} to become the load balancer`);
}
