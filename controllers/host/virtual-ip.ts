// SPDX-License-Identifier: Apache-2.0
// The address that the hosts of a control plane share: in which order they come in, and what each of them is told. keepalived on the hosts
// moves it without us.
import { createHmac } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Reason } from '../../api/conditions.ts';
import { TSHostKind } from '../../api/kinds.ts';
import { PAUSED_ANNOTATION } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { VirtualIPConfig } from '../../backends/host-driver.ts';
import { byCluster } from '../../contract/watches.ts';
import type { Ctx } from '../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { API_SERVER_PORT } from './balancer-members.ts';
import { confirmClaim, ownerOf } from './claim.ts';
import type { ClaimingMachine } from './machine.ts';
import { nodeAddress } from './node-address.ts';
import { SOON_MS } from './operation.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';
import { textOf } from './secrets.ts';
import { hasVirtualIP, sharersOf } from './virtual-ip-members.ts';

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

/** What a host waits for, or what is wrong with its part in the address. */
export type Waiting = Omit<Transition, 'state'>;

type Owner = Pick<ClaimingMachine, 'isControlPlane' | 'tsCluster' | 'paused'> & { readonly claim: HostClaim };

/**
 * Before a control plane host is bootstrapped: it is configured, then the others take it in, then its keepalived starts. So it never holds
 * the address beside somebody who cannot hear it. `undefined` when it has its part, or need not have one.
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
    return wrong ?? { ...wait('The other hosts of the control plane are asked'), pollMs: SOON_MS };
  }
  const late = awaited(share.others, share);
  if (late.length > 0) return waitForOthers(late);
  const others = await Promise.all(
    share.others.map((one) => deps.client.get(TSHostKind, nameOf(one), ctx.signal)),
  );
  const lateNow = awaited(
    others.filter((one) => one !== undefined),
    share,
  );
  return lateNow.length > 0 ? waitForOthers(lateNow) : tell(ctx, scope, deps, { ...share, start: true });
}

/**
 * For a host that is in already: it is told when the others have changed, and when `again` says so, since somebody may have changed it by
 * hand. `undefined` when all is well. Only the cache is asked while nothing changes.
 */
export async function keepVirtualIP(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { again, ...owner }: Owner & { readonly again: boolean },
): Promise<Waiting | undefined> {
  const { object } = scope;
  const share = isLeftAlone(object, owner) ? undefined : shareOf(deps.cache, object, owner);
  if (share === undefined || 'waiting' in share) return share?.waiting;
  if (!again && !isNews(object, share)) return undefined;
  // One that was adopted has never waited for the others. After a move nobody says whom he knows, and nobody is waited for.
  const late = object.status?.virtualIP === undefined ? awaited(share.others, share) : [];
  return late.length > 0 ? waitForOthers(late) : tell(ctx, scope, deps, { ...share, start: true });
}

function isLeftAlone({ spec }: TSHost, { paused }: Owner): boolean {
  return spec.maintenance === true || paused !== '';
}

/** What failed is tried again. */
function isNews(host: TSHost, share: Share): boolean {
  return !isApplied(host, share) || host.status?.error?.reason === Reason.VirtualIPFailed;
}

function shareOf(cache: Cache, host: TSHost, owner: Owner): Share | { waiting: Waiting } | undefined {
  const { isControlPlane: isMember, tsCluster, claim } = owner;
  if (!isMember || tsCluster === undefined || !hasVirtualIP(tsCluster)) return undefined;
  const [own, address] = [nodeAddress(host), tsCluster.spec.controlPlaneEndpoint?.host];
  if (own === undefined || address === undefined)
    return { waiting: wait(`Waiting for ${own === undefined ? 'the address of the host' : 'an endpoint'}`) };
  const others = sharersOf(cache, tsCluster).filter(({ metadata }) => metadata.name !== host.metadata.name);
  // After a move the addresses are measured anew; without one a host that runs would not be heard.
  const unknown = others.filter((one) => nodeAddress(one) === undefined);
  if (unknown.length > 0) return { waiting: wait(`Waiting for the addresses of ${namesOf(unknown)}`) };
  const peers = others.flatMap((one) => nodeAddress(one) ?? []).toSorted();
  return { tsCluster, claim, address, own, others, peers };
}

function isApplied({ status }: TSHost, { address, peers }: Share): boolean {
  const { virtualIP } = status ?? {};
  return virtualIP?.address === address && isDeepStrictEqual(virtualIP.peers, peers);
}

/** Those who may hold the address, can be told, and do not know this host yet. Who is being given back drops the address first of all. */
function awaited(others: readonly TSHost[], { own, address }: Share): readonly TSHost[] {
  return others.filter(({ spec, status }) => {
    const { virtualIP, operationalStatus } = status ?? {};
    const isIn = virtualIP?.address === address && operationalStatus !== 'Unreachable';
    return isIn && spec.claim?.releasing !== true && !virtualIP.peers.includes(own);
  });
}

async function tell(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  share: Share & { readonly start: boolean },
): Promise<Waiting | undefined> {
  const { tsCluster, address, peers } = share;
  const secretName = { ...nameOf(tsCluster), name: `${clusterNameOf(tsCluster)}-ca` };
  const key = await keyOfCA(ctx, deps, secretName);
  if (key === '')
    return { ...wait(`Waiting for Secret ${keyOf(secretName)} with tls.key`), pollMs: SECRET_POLL_MS };
  await confirmClaim(ctx, scope, deps);
  try {
    const configHash = await deps.driver.virtualIP(ctx, scope.access, configOf(share, key));
    (scope.object.status ??= {}).virtualIP = { address, peers: [...peers], configHash };
    return undefined;
  } catch (error) {
    // Whatever else there is to do with the host goes on.
    if (!(error instanceof TerminalError) || error.reason !== Reason.VirtualIPFailed) throw error;
    return { pollMs: MENDING_POLL_MS, error: { reason: error.reason, message: errorMessage(error) } };
  }
}

async function keyOfCA(ctx: Ctx, { secrets }: HostDeps, name: ObjectName): Promise<string> {
  const secret = await secrets.get(ctx, name);
  return secret === undefined ? '' : textOf(secret, 'tls.key');
}

/** The password is as long as VRRP takes: the same for everybody who has the key of the cluster's CA, and after a move. */
function configOf(share: Share & { readonly start: boolean }, key: string): VirtualIPConfig {
  const { tsCluster, claim, address, own, peers, start } = share;
  const { controlPlaneEndpoint, controlPlaneLoadBalancer } = tsCluster.spec;
  return {
    ...{ address, own, peers, start },
    port: controlPlaneEndpoint?.port ?? API_SERVER_PORT,
    routerID: controlPlaneLoadBalancer?.virtualIP?.routerID ?? routerIDOf(address),
    password: createHmac('sha256', key).update(`keepalived ${address}`).digest('base64url').slice(0, 8),
    owner: ownerOf(claim),
  };
}

function clusterNameOf(tsCluster: TSCluster): string {
  return byCluster(tsCluster)[0]?.split('/').at(-1) ?? tsCluster.metadata.name;
}

/** The last number of the address: two addresses of a network differ in it. VRRP knows no 0. */
function routerIDOf(address: string): number {
  return Number(address.split('.').at(-1)) || 255;
}

function waitForOthers(late: readonly TSHost[]): Waiting {
  const hosts = late.map((host) => `${host.metadata.name}${hindrance(host)}`).toSorted();
  return wait(`Waiting for ${hosts.join(', ')} to take the host in as one that shares the address`);
}

/** Why somebody who is waited for may never do it by himself. To go on without him could make two holders. */
function hindrance({ metadata, spec, status }: TSHost): string {
  if (status?.error !== undefined) return ` (${status.error.reason})`;
  if (spec.maintenance === true) return ' (in maintenance)';
  return metadata.annotations?.[PAUSED_ANNOTATION] === undefined ? '' : ' (paused)';
}

function namesOf(hosts: readonly TSHost[]): string {
  return hosts
    .map(({ metadata }) => metadata.name)
    .toSorted()
    .join(', ');
}

function wait(message: string): Waiting {
  return { pollMs: OTHERS_POLL_MS, reason: Reason.WaitingForVirtualIP, message };
}
