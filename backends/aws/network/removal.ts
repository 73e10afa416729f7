// SPDX-License-Identifier: Apache-2.0
// The end of a network: everything with the tag of its cluster, in the order in which AWS lets it go, and nothing else.
import {
  DeleteInternetGatewayCommand,
  DeleteRouteTableCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DetachInternetGatewayCommand,
  DisassociateRouteTableCommand,
} from '@aws-sdk/client-ec2';
import type { Destroyed } from '../../backend.ts';
import { isRefused } from '../session/session.ts';
import { CLUSTER_TAG } from '../tags.ts';
import { deleteGateway, releaseAddress } from './nat.ts';
import { obstacles } from './obstacles.ts';
import { together } from './observation.ts';
import {
  type Address,
  type InternetGateway,
  type Kind,
  KINDS,
  type Part,
  type RouteTable,
  type SecurityGroup,
} from './parts.ts';
import { isUnknown, type Run } from './run.ts';
import { revokeIngress } from './security-groups.ts';

/** After something was deleted the next look shows how far it is. */
const SOON_MS = 1_000;
/** NAT gateways take a minute or more. */
const NAT_POLL_MS = 5_000;
/** While AWS may not show yet what was made last. */
const UNSETTLED_POLL_MS = 15_000;
/** Its pauses. */
const REMOVAL = 'removal';

/**
 * One pass of deletion, as far as it goes; `gone` only where the look that it began with shows nothing, at a time when it would show
 * everything. Resumable at any point, since it follows what is there.
 */
export async function removeParts(run: Run): Promise<Destroyed> {
  const { seen, memory } = run;
  seen.natGateways = seen.natGateways.filter(({ state }) => state !== 'deleted');
  if (Object.values(seen).every((parts) => parts.length === 0)) {
    if (memory.isSettled()) return { state: 'gone' };
    const message = 'Nothing of the network is seen; looking again when AWS would show what was made last';
    return { state: 'inProgress', message, pollMs: UNSETTLED_POLL_MS };
  }
  const before = listed(run);
  const blocked = await removeInOrder(run);
  const elsewhere = addressesElsewhere(run);
  if (blocked.length > 0 || elsewhere.length > 0) return waitForOthers(run, { blocked, elsewhere });
  memory.pauses.end(REMOVAL);
  const waitsForNAT = seen.natGateways.length > 0;
  return { state: 'inProgress', message: `Deleting ${before}`, pollMs: waitsForNAT ? NAT_POLL_MS : SOON_MS };
}

/** Everything that can go; ids of what AWS did not let go. */
async function removeInOrder(run: Run): Promise<string[]> {
  const { seen, ctx, session } = run;
  const blocked: string[] = [];
  const removeAll = <P extends Part>(parts: readonly P[], remove: (part: P) => Promise<unknown>) =>
    together(parts.map((part) => removeOne(run, part, { remove, blocked })));
  await together([
    removeAll(
      seen.natGateways.filter(({ state }) => state !== 'deleting'),
      (gateway) => deleteGateway(run, gateway),
    ),
    removeGroups(run, removeAll),
  ]);
  const held = heldByGateways(run);
  const free = seen.addresses.filter(({ id, isAssociated }) => !isAssociated && !held.has(id));
  await removeAll(free, (address) => releaseAddress(run, address));
  if (seen.natGateways.length > 0) return blocked;
  await removeAll(seen.internetGateways, (gateway) => removeInternetGateway(run, gateway));
  await removeAll(seen.routeTables, (table) => removeRouteTable(run, table));
  await removeAll(seen.subnets, ({ id }) => session.ec2(ctx, new DeleteSubnetCommand({ SubnetId: id })));
  await removeAll(seen.vpcs, ({ id }) => session.ec2(ctx, new DeleteVpcCommand({ VpcId: id })));
  return blocked;
}

/** A gateway holds its address until it is gone, and one that is held cannot be released. */
function heldByGateways({ seen }: Run): ReadonlySet<string> {
  return new Set(seen.natGateways.flatMap(({ allocationIDs }) => allocationIDs));
}

/** Addresses of ours that somebody has given to something else. */
function addressesElsewhere(run: Run): Address[] {
  const held = heldByGateways(run);
  return run.seen.addresses.filter(({ id, isAssociated }) => isAssociated && !held.has(id));
}

type RemoveAll = <P extends Part>(
  parts: readonly P[],
  remove: (part: P) => Promise<unknown>,
) => Promise<unknown>;

/** Groups that name each other hold each other: their rules go first. */
async function removeGroups(run: Run, removeAll: RemoveAll): Promise<void> {
  const { seen, ctx, session } = run;
  await removeAll(seen.securityGroups, (group) => forgetPeers(run, group));
  await removeAll(seen.securityGroups, ({ id }) =>
    session.ec2(ctx, new DeleteSecurityGroupCommand({ GroupId: id })),
  );
}

async function forgetPeers(run: Run, group: SecurityGroup): Promise<void> {
  const naming = group.ingress.filter(({ peer }) => 'group' in peer);
  if (naming.length > 0) await revokeIngress(run, group, naming);
}

async function removeInternetGateway({ ctx, session }: Run, gateway: InternetGateway): Promise<void> {
  const InternetGatewayId = gateway.id;
  for (const VpcId of gateway.vpcIDs) {
    try {
      await session.ec2(ctx, new DetachInternetGatewayCommand({ InternetGatewayId, VpcId }));
    } catch (error) {
      if (!isRefused(error, 'Gateway.NotAttached')) throw error;
    }
  }
  await session.ec2(ctx, new DeleteInternetGatewayCommand({ InternetGatewayId }));
}

async function removeRouteTable({ ctx, session }: Run, { id, associations }: RouteTable): Promise<void> {
  for (const { id: AssociationId } of associations) {
    try {
      await session.ec2(ctx, new DisassociateRouteTableCommand({ AssociationId }));
    } catch (error) {
      if (!isUnknown(error)) throw error;
    }
  }
  await session.ec2(ctx, new DeleteRouteTableCommand({ RouteTableId: id }));
}

async function removeOne<P extends Part>(
  { memory }: Run,
  part: P,
  { remove, blocked }: { readonly remove: (part: P) => Promise<unknown>; readonly blocked: string[] },
): Promise<void> {
  try {
    await remove(part);
    memory.forget(part.id);
  } catch (error) {
    if (isRefused(error, 'DependencyViolation', 'InvalidIPAddress.InUse', 'ResourceInUse')) {
      blocked.push(part.id);
      return;
    }
    if (!isUnknown(error)) throw error; // Deleted before, or not yet known there; a later look tells.
  }
}

/** Somebody else has to act, or AWS to let go of what it made for others. The longer nothing moves, the longer are the pauses. */
async function waitForOthers(
  run: Run,
  { blocked, elsewhere }: { readonly blocked: readonly string[]; readonly elsewhere: readonly Address[] },
): Promise<Destroyed> {
  const messages = elsewhere.map(
    ({ id, publicIP, usedBy }) =>
      `The Elastic IP address ${publicIP} (${id}) is used by ${usedBy === '' ? 'something else' : usedBy}: disassociate it, ` +
      `or take the tag ${CLUSTER_TAG} off to keep it`,
  );
  if (blocked.length > 0) messages.push(await heldMessage(run, blocked));
  const message = messages.join('; ');
  const { pauses } = run.memory;
  const sight = `${sightOf(run)}; ${message}`;
  if (pauses.last(REMOVAL)?.why !== sight) pauses.end(REMOVAL);
  return { state: 'inProgress', message, pollMs: pauses.lengthen(REMOVAL, sight) };
}

async function heldMessage(run: Run, blocked: readonly string[]): Promise<string> {
  const ids = [...new Set(blocked)].sort().join(', ');
  const inTheWay = await obstacles(run);
  if (inTheWay === '') return `AWS does not delete ${ids} yet: something still uses it`;
  return (
    `AWS does not delete ${ids} while it is used by ${inTheWay}; what the cluster has not made itself at AWS ` +
    'and takes along has to be deleted by whoever made it (load balancers of Services by deleting the Services)'
  );
}

/** What this pass began with. */
function sightOf({ seen }: Run): string {
  const gateways = seen.natGateways.map(({ id, state }) => `${id} ${state}`);
  const ids = Object.values(seen).flatMap((parts: readonly Part[]) => parts.map(({ id }) => id));
  return [...gateways, ...ids].sort().join(' ');
}

/** For people: `2 subnets, 1 VPC`. */
function listed({ seen }: Run): string {
  const counts = (Object.keys(seen) as Kind[]).map((kind) => ({ kind, count: seen[kind].length }));
  return counts
    .filter(({ count }) => count > 0)
    .map(
      ({ kind, count }) =>
        `${count} ${KINDS[kind].noun}${count === 1 ? '' : count > 1 && kind === 'addresses' ? 'es' : 's'}`,
    )
    .join(', ');
}
