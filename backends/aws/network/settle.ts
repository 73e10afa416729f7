// SPDX-License-Identifier: Apache-2.0
// Two of what there should be one of: an answer of AWS was lost, and a process that did not know of it made the second.
import { DeleteInternetGatewayCommand, DeleteVpcCommand } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { isRefused } from '../session/session.ts';
import { releaseAddress } from './nat.ts';
import { together } from './observation.ts';
import { type Address, type InternetGateway, isLiving, type Part, type VPC } from './parts.ts';
import { isUnknown, nameOf, type Run } from './run.ts';

/** Kinds for whose creation AWS knows no token and no name. */
type DoublingKind = 'vpcs' | 'internetGateways' | 'addresses';

interface Doubling<P extends Part> {
  readonly kind: DoublingKind;
  readonly isUsed: (part: P) => boolean;
  readonly remove: (part: P) => Promise<unknown>;
}

/**
 * Of each group of duplicates the used one stays, or else the first by id; the others are deleted, and are no longer among what the pass
 * has seen. AWS refuses to delete what is used though we do not see it. TerminalError(NetworkInvalid) where several are used.
 */
export async function settleDuplicates(run: Run): Promise<void> {
  const { ctx, session, seen } = run;
  const contents: readonly { readonly vpcID: string }[] = [
    ...[...seen.subnets, ...seen.routeTables, ...seen.securityGroups],
    ...seen.natGateways.filter(isLiving),
    ...seen.internetGateways.flatMap(({ vpcIDs }) => vpcIDs.map((vpcID) => ({ vpcID }))),
  ];
  const allocations = seen.natGateways
    .filter(({ state }) => state !== 'deleted')
    .flatMap((one) => one.allocationIDs);
  seen.vpcs = await settle<VPC>(run, seen.vpcs, {
    kind: 'vpcs',
    isUsed: ({ id }) => contents.some(({ vpcID }) => vpcID === id),
    remove: ({ id }) => session.ec2(ctx, new DeleteVpcCommand({ VpcId: id })),
  });
  seen.internetGateways = await settle<InternetGateway>(run, seen.internetGateways, {
    kind: 'internetGateways',
    isUsed: ({ vpcIDs }) => vpcIDs.length > 0,
    remove: ({ id }) => session.ec2(ctx, new DeleteInternetGatewayCommand({ InternetGatewayId: id })),
  });
  seen.addresses = await settle<Address>(run, seen.addresses, {
    kind: 'addresses',
    isUsed: ({ id, isAssociated }) => isAssociated || allocations.includes(id),
    remove: (address) => releaseAddress(run, address),
  });
}

async function settle<P extends Part>(run: Run, parts: readonly P[], doubling: Doubling<P>): Promise<P[]> {
  const groups = Map.groupBy(parts, ({ role, zone }) => `${role} ${zone}`);
  const keepers = [...groups.values()].map((group) => keeperOf(group, doubling));
  const surplus = parts.filter((part) => !keepers.includes(part));
  await together(surplus.map((part) => remove(run, part, doubling)));
  return keepers;
}

function keeperOf<P extends Part>(group: readonly P[], doubling: Doubling<P>): P {
  const used = group.filter(doubling.isUsed);
  if (used.length > 1) throw severalAreUsed(used, doubling.kind);
  const byID = [...group].sort((a, b) => (a.id < b.id ? -1 : 1));
  return used[0] ?? (byID[0] as P); // A group is never empty.
}

async function remove<P extends Part>(run: Run, part: P, { kind, remove }: Doubling<P>): Promise<void> {
  run.waits.add(`a second ${nameOf({ ...part, kind })} was found, ${part.id}, and is being deleted`);
  try {
    await remove(part);
    run.memory.forget(part.id);
  } catch (error) {
    if (!isUnknown(error) && !isRefused(error, 'DependencyViolation')) throw error;
  }
}

function severalAreUsed(parts: readonly Part[], kind: DoublingKind): TerminalError {
  const [first] = parts;
  const what = nameOf({ kind, role: first?.role ?? '', zone: first?.zone ?? '' });
  const ids = parts.map(({ id }) => id).join(' and ');
  const message = `There is more than one ${what} with the tag of this cluster, and each is used: ${ids}; delete the wrong one`;
  return new TerminalError(Reason.NetworkInvalid, message);
}
