// SPDX-License-Identifier: Apache-2.0
// The address that the hosts of a control plane share: who is in it, in which order they come in, and what each of them is told. keepalived
// on the hosts moves it without us.
import { createHmac } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Reason } from '../../api/conditions.ts';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { isDeleting } from '../../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Ctx } from '../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { API_SERVER_PORT } from './balancer-members.ts';
import { claimOf, confirmClaim, ownerOf } from './claim.ts';
import { agreementOf, type ClaimingMachine } from './machine.ts';
import { nodeAddress } from './node-address.ts';
import { SOON_MS } from './operation.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';
import { textOf } from './secrets.ts';

/** The others take a host in within a second or two; only the cache is asked. */
const OTHERS_POLL_MS = 1_000;
/** Secrets by name are not watched. */
const SECRET_POLL_MS = 5_000;
/** Somebody has to mend the host, or choose another address. */
const MENDING_POLL_MS = 60_000;

/** What one host of a control plane is to be told. */
interface Share {
  readonly tsCluster: TSCluster;
  readonly claim: HostClaim;
  readonly address: string;
  readonly own: string;
  /** The other hosts that have a part in it. */
  readonly others: readonly TSHost[];
  /** Their addresses, sorted. */
  readonly peers: readonly string[];
}

type Waiting = Omit<Transition, 'state'>;
type Owner = Pick<ClaimingMachine, 'isControlPlane' | 'tsCluster' | 'paused'> & { readonly claim: HostClaim };

/**
 * Before a control plane host is bootstrapped: it is configured, then the others take it in, then its keepalived starts. So it never holds
 * the address beside somebody who cannot hear it. What it waits for; `undefined` when it has its part, or need not have one.
 */
export async function joinVirtualIP(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  owner: Owner,
): Promise<Waiting | undefined> {
  const share = shareOf(deps.cache, scope.object, owner);
  if (share === undefined || 'waiting' in share) return share?.waiting;
  // It is on the API server before the others are asked: of two that come at once, one sees the other.
  if (!isApplied(scope.object, share)) {
    const wrong = await tell(ctx, scope, deps, { ...share, start: false });
    return wrong ?? { ...wait('The other hosts of the control plane are told'), pollMs: SOON_MS };
  }
  const late = share.others.filter((one) => isAwaited(one, share));
  if (late.length > 0) return waitForOthers(late);
  const now = await Promise.all(
    share.others.map(async (one) => (await deps.client.get(TSHostKind, nameOf(one), ctx.signal)) ?? one),
  );
  const lateNow = now.filter((one) => isAwaited(one, share));
  return lateNow.length > 0 ? waitForOthers(lateNow) : tell(ctx, scope, deps, { ...share, start: true });
}

/**
 * For a host that is in already: it is told when the others have changed, and when `again` says so, since somebody may have changed it by
 * hand. What is wrong; `undefined` when all is well. Only the cache is asked while nothing changes.
 */
export async function keepVirtualIP(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { again, ...owner }: Owner & { readonly again: boolean },
): Promise<Waiting | undefined> {
  const { object } = scope;
  const share = shareOf(deps.cache, object, owner);
  if (share === undefined || object.spec.maintenance === true || owner.paused !== '') return undefined;
  if ('waiting' in share) return share.waiting;
  const wasWrong = object.status?.error?.reason === Reason.VirtualIPFailed;
  if (isApplied(object, share) && !again && !wasWrong) return undefined;
  // One that was adopted has never waited for the others. After a move nobody says whom he knows, and nobody is waited for.
  const late = share.others.filter((one) => isAwaited(one, share));
  if (object.status?.virtualIP === undefined && late.length > 0) return waitForOthers(late);
  return tell(ctx, scope, deps, { ...share, start: true });
}

/** The hosts that share an address with this one, or wait to: for whom a change of it is news. */
export function sharersOf(cache: Cache, tsCluster: TSCluster): readonly TSHost[] {
  return isShared(tsCluster) ? controlPlaneHosts(cache, tsCluster) : [];
}

function isShared({ spec }: TSCluster): boolean {
  return spec.controlPlaneLoadBalancer?.type === 'VirtualIP';
}

function shareOf(cache: Cache, host: TSHost, owner: Owner): Share | { waiting: Waiting } | undefined {
  const { isControlPlane: isMember, tsCluster, claim } = owner;
  if (!isMember || tsCluster === undefined || !isShared(tsCluster)) return undefined;
  const [own, address] = [nodeAddress(host), tsCluster.spec.controlPlaneEndpoint?.host];
  if (own === undefined || address === undefined)
    return { waiting: wait(`Waiting for ${own === undefined ? 'the address of the host' : 'an endpoint'}`) };
  const others = controlPlaneHosts(cache, tsCluster).filter(
    ({ metadata }) => metadata.name !== host.metadata.name,
  );
  // After a move the addresses are measured anew; without one a host that runs would not be heard.
  const unknown = others.filter((one) => nodeAddress(one) === undefined).map(({ metadata }) => metadata.name);
  if (unknown.length > 0)
    return { waiting: wait(`Waiting for the addresses of ${unknown.join(', ')}`, OTHERS_POLL_MS) };
  const peers = others.flatMap((one) => nodeAddress(one) ?? []).toSorted();
  return { tsCluster, claim, address, own, others, peers };
}

/**
 * The hosts of the cluster's control plane machines, claimed by them and agreed by both. One that is being given back stays until it is
 * clean: left out before its keepalived has ended it would hear nobody any more, and take the address.
 */
function controlPlaneHosts(cache: Cache, tsCluster: TSCluster): readonly TSHost[] {
  return byCluster(tsCluster)
    .flatMap((cluster) => cache.byIndex<TSMachine>(TSMachineKind, CLUSTER_INDEX, cluster))
    .filter((machine) => isControlPlane(machine, ownerMachine(cache, machine)))
    .flatMap((machine) => hostOf(cache, machine) ?? []);
}

function hostOf(cache: Cache, machine: TSMachine): TSHost | undefined {
  const id = parseProviderID(machine.spec.providerID ?? '');
  if (id?.backend !== 'host') return undefined;
  const host = cache.peek(TSHostKind, { namespace: id.namespace, name: id.host });
  const claim = host && claimOf(host);
  if (host === undefined || claim === undefined || agreementOf(host, claim, machine) !== 'agreed')
    return undefined;
  const isLeaving = claim.releasing === true || isDeleting(machine);
  return isLeaving && host.status?.virtualIP === undefined ? undefined : host;
}

function isApplied({ status }: TSHost, { address, peers }: Share): boolean {
  const { virtualIP } = status ?? {};
  return virtualIP?.address === address && isDeepStrictEqual(virtualIP.peers, peers);
}

/** Another host may hold the address, can be told, and does not know this one yet. */
function isAwaited({ status }: TSHost, { own, address }: Share): boolean {
  const { virtualIP, operationalStatus } = status ?? {};
  const isIn = virtualIP?.address === address && operationalStatus !== 'Unreachable';
  return isIn && !virtualIP.peers.includes(own);
}

async function tell(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  share: Share & { readonly start: boolean },
): Promise<Waiting | undefined> {
  const { tsCluster, claim, address, own, peers, start } = share;
  const secretName = { ...nameOf(tsCluster), name: `${clusterNameOf(tsCluster)}-ca` };
  const secret = await deps.secrets.get(ctx, secretName);
  const key = secret === undefined ? '' : textOf(secret, 'tls.key');
  if (key === '') return wait(`Waiting for Secret ${keyOf(secretName)} with the key tls.key`, SECRET_POLL_MS);
  await confirmClaim(ctx, scope, deps);
  try {
    const configHash = await deps.driver.virtualIP(ctx, scope.access, {
      ...{ address, own, peers, start },
      port: tsCluster.spec.controlPlaneEndpoint?.port ?? API_SERVER_PORT,
      routerID: tsCluster.spec.controlPlaneLoadBalancer?.virtualIP?.routerID ?? routerIDOf(address),
      password: passwordOf(key, address),
      owner: ownerOf(claim),
    });
    (scope.object.status ??= {}).virtualIP = { address, peers: [...peers], configHash };
    return undefined;
  } catch (error) {
    // Whatever else there is to do with the host goes on.
    if (!(error instanceof TerminalError) || error.reason !== Reason.VirtualIPFailed) throw error;
    return { pollMs: MENDING_POLL_MS, error: { reason: error.reason, message: errorMessage(error) } };
  }
}

/** The Cluster has the name of what owns it, and the Secret has that one's. */
function clusterNameOf(tsCluster: TSCluster): string {
  return byCluster(tsCluster)[0]?.split('/').at(-1) ?? tsCluster.metadata.name;
}

/** The last number of the address: two addresses of a network differ in it. VRRP knows no 0. */
function routerIDOf(address: string): number {
  return Number(address.split('.').at(-1)) || 255;
}

/** As long as VRRP takes; the same for everybody who has the key of the cluster's CA, and after a move. */
function passwordOf(key: string, address: string): string {
  return createHmac('sha256', key).update(`keepalived ${address}`).digest('base64url').slice(0, 8);
}

function waitForOthers(late: readonly TSHost[]): Waiting {
  const names = late.map(({ metadata }) => metadata.name).toSorted();
  return wait(
    `Waiting for ${names.join(', ')} to know the host as one that shares the address`,
    OTHERS_POLL_MS,
  );
}

function wait(message: string, pollMs: number = OTHERS_POLL_MS): Waiting {
  return { pollMs, reason: Reason.WaitingForVirtualIP, message };
}
