// SPDX-License-Identifier: Apache-2.0
// Which control plane machines a load balancer on a host shall serve, and whether it does: a member is in before `kubeadm init` needs
// the endpoint, and out before its machine goes.
import { TSClusterKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { LoadBalancerConfig } from '../../backends/host-driver.ts';
import { clusterOfMachine, isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { isDeleting } from '../../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { claimOf } from './claim.ts';
import { agreementOf, type ClaimingMachine } from './machine.ts';
import { hostPort, nodeAddress } from './node-address.ts';
import { BALANCER_INDEX } from './watches.ts';

/** API servers on hosts listen here; the balancer's own port is the endpoint's. */
export const API_SERVER_PORT = 6443;

type Member = LoadBalancerConfig['members'][number];

/** Members, and the hosts whose address nobody has measured yet: with them the list is not complete, and not to be applied. */
export interface Members {
  readonly members: readonly Member[];
  readonly unknown: readonly string[];
}

/**
 * The hosts of the cluster's control plane machines, sorted by name: claimed by them, agreed by both, not being given back. Their state
 * does not count, since a move loses it and the members must stay; who does not answer is dropped by the balancer's health check.
 */
export function membersOf(cache: Cache, tsCluster: TSCluster): Members {
  const hosts = byCluster(tsCluster)
    .flatMap((cluster) => cache.byIndex<TSMachine>(TSMachineKind, CLUSTER_INDEX, cluster))
    .filter((machine) => !isDeleting(machine) && isControlPlane(machine, ownerMachine(cache, machine)))
    .flatMap((machine) => hostOf(cache, machine) ?? [])
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const members = hosts.flatMap((host): Member[] => {
    const address = nodeAddress(host);
    return address === undefined ? [] : [{ name: host.metadata.name, address, port: API_SERVER_PORT }];
  });
  const unknown = hosts.filter((host) => nodeAddress(host) === undefined).map((host) => host.metadata.name);
  return { members, unknown };
}

/** As status.loadBalancer.members has them. */
export function memberNames(members: readonly Member[]): string[] {
  return members.map(({ address, port }) => hostPort(address, port)).toSorted();
}

/** The host that the machine has and means to keep. */
function hostOf(cache: Cache, machine: TSMachine): TSHost | undefined {
  const id = parseProviderID(machine.spec.providerID ?? '');
  if (id?.backend !== 'host') return undefined;
  const host = cache.peek(TSHostKind, { namespace: id.namespace, name: id.host });
  const claim = host && claimOf(host);
  if (host === undefined || claim?.for !== 'Machine' || claim.releasing === true) return undefined;
  return agreementOf(host, claim, machine) === 'agreed' ? host : undefined;
}

/** '' when the host is a member of its cluster's load balancer, or need not be, else one line that says what it waits for. */
export async function memberIsIn(
  ctx: Ctx,
  host: TSHost,
  { isControlPlane: isMember, tsCluster }: ClaimingMachine,
  deps: { readonly client: Client; readonly cache: Cache },
): Promise<string> {
  if (!isMember || tsCluster?.spec.controlPlaneLoadBalancer?.type !== 'HAProxy') return '';
  const balancer = balancerOf(deps.cache, tsCluster);
  if (balancer === undefined)
    return `Waiting for TSCluster ${tsCluster.metadata.name} to have a host as its load balancer`;
  const waiting = `Waiting for load balancer ${balancer.metadata.name} to take the host in`;
  if (!serves(balancer, host)) return waiting;
  const now = await deps.client.get(TSHostKind, nameOf(balancer), ctx.signal);
  return now !== undefined && serves(now, host) ? '' : waiting;
}

/**
 * '' when no load balancer that can be asked sends anything to the host, else one line that says what it waits for. One that cannot be
 * worked with holds up no release: its health check drops a member that is gone.
 */
export async function memberIsOut(
  ctx: Ctx,
  host: TSHost,
  { tsCluster }: Pick<ClaimingMachine, 'tsCluster'>,
  deps: { readonly client: Client; readonly cache: Cache },
): Promise<string> {
  const holds = (one: TSHost): boolean => serves(one, host) && canBeAsked(deps.cache, one);
  const all = deps.cache.list<TSHost>(TSHostKind, host.metadata.namespace).filter(isBalancer);
  const holder = all.find(holds);
  if (holder !== undefined) return outOf(holder);
  const balancer = tsCluster && balancerOf(deps.cache, tsCluster);
  const now = balancer && (await deps.client.get(TSHostKind, nameOf(balancer), ctx.signal));
  return now !== undefined && holds(now) ? outOf(now) : '';
}

function outOf(balancer: TSHost): string {
  return `Waiting for load balancer ${balancer.metadata.name} to take the host out`;
}

/** The host that balances for a cluster. */
function balancerOf(cache: Cache, tsCluster: TSCluster): TSHost | undefined {
  return cache.byIndex(TSHostKind, BALANCER_INDEX, keyOf(nameOf(tsCluster))).find(isBalancer);
}

function isBalancer(host: TSHost): boolean {
  return claimOf(host)?.for === 'LoadBalancer';
}

function serves(balancer: TSHost, host: TSHost): boolean {
  const address = nodeAddress(host);
  if (address === undefined) return false;
  return balancer.status?.loadBalancer?.members.includes(hostPort(address, API_SERVER_PORT)) === true;
}

/** Whether the balancer will follow a change of its members, and anybody needs it to. */
function canBeAsked(cache: Cache, balancer: TSHost): boolean {
  const claim = claimOf(balancer);
  const { operationalStatus = 'OK', error } = balancer.status ?? {};
  const isWell = operationalStatus === 'OK' && error === undefined && balancer.spec.maintenance !== true;
  return isWell && claim?.cluster !== undefined && claim.releasing !== true && lives(cache, claim.cluster);
}

/** The TSCluster and its Cluster are there, and nobody deletes them. */
function lives(cache: Cache, { namespace, name }: ObjectName): boolean {
  const tsCluster = cache.peek(TSClusterKind, { namespace, name });
  if (tsCluster === undefined || isDeleting(tsCluster)) return false;
  const cluster = clusterOfMachine(cache, tsCluster, undefined);
  return cluster === undefined || !isDeleting(cluster);
}
