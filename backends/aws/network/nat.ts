// SPDX-License-Identifier: Apache-2.0
// NAT gateways with their Elastic IP addresses: how machines in private subnets reach the internet.
import {
  AllocateAddressCommand,
  CreateNatGatewayCommand,
  DeleteNatGatewayCommand,
  ReleaseAddressCommand,
} from '@aws-sdk/client-ec2';
import { together } from './observation.ts';
import {
  type Address,
  isLiving,
  type NATGateway,
  type SeenSubnet,
  toAddress,
  toNATGateway,
} from './parts.ts';
import { isUnknown, make, nameOf, type Run, type Slot, tagSpecification } from './run.ts';
import { tokenOf } from './routes.ts';

const ROLE = 'nat';
/** One that is made again after a failure mostly fails again, within a minute. */
const RETRIED_POLL_MS = 15_000;

const slotOf = (zone: string): Slot<'natGateways'> => ({ kind: 'natGateways', role: ROLE, zone });

/** The NAT gateway of a zone, in its public subnet; `undefined` while it does not work. */
export async function ensureNATGateway(run: Run, subnet: SeenSubnet): Promise<NATGateway | undefined> {
  const zone = subnet.availabilityZone;
  const what = nameOf(slotOf(zone));
  const { memory } = run;
  const ofZone = run.seen.natGateways.filter((one) => one.role === ROLE && one.zone === zone);
  const found = ofZone.find(isLiving);
  if (found !== undefined) memory.trust(what);
  const living = found ?? (await replace(run, subnet, ofZone));
  if (living === undefined) return undefined;
  if (living.state === 'available') {
    memory.pauses.end(what);
    return living;
  }
  const waiting = `waiting for the NAT gateway ${living.id} in ${zone}`;
  const failure = memory.pauses.last(what)?.why;
  if (failure === undefined) run.waitsOfMachines.add(waiting);
  else run.postponed.set(`${waiting}; the one before failed (${failure})`, RETRIED_POLL_MS);
  return undefined;
}

/** One that failed stays as it is, and holds its address until it is deleted. The next one may fail as well: it is not made at once. */
async function replace(
  run: Run,
  subnet: SeenSubnet,
  dead: readonly NATGateway[],
): Promise<NATGateway | undefined> {
  const what = nameOf(slotOf(subnet.availabilityZone));
  const { pauses } = run.memory;
  const isPausing = () => (pauses.last(what)?.leftMs ?? 0) > 0;
  const failed = dead.find(({ state }) => state === 'failed');
  if (failed !== undefined) {
    if (!isPausing()) pauses.lengthen(what, failed.failure);
    await unlessGone(() => deleteGateway(run, failed));
  }
  const pause = pauses.last(what);
  if (pause !== undefined && isPausing()) {
    const zone = subnet.availabilityZone;
    run.postponed.set(
      `the NAT gateway in ${zone} failed (${pause.why}) and is made anew after a pause`,
      pause.leftMs,
    );
    return undefined;
  }
  const address = await ensureAddress(run, subnet.availabilityZone);
  if (address === undefined) return undefined;
  return makeGateway(run, subnet, { address, dead });
}

async function makeGateway(
  run: Run,
  subnet: SeenSubnet,
  { address, dead }: { readonly address: Address; readonly dead: readonly NATGateway[] },
): Promise<NATGateway | undefined> {
  const { cluster, ctx, session } = run;
  const slot = slotOf(subnet.availabilityZone);
  // Another token than that of a gateway which was deleted: AWS would answer with the deleted one.
  const before = dead.map(({ id }) => id).sort();
  const ClientToken = tokenOf([cluster.infrastructureID, 'nat', subnet.id, address.id, ...before]);
  const input = { SubnetId: subnet.id, AllocationId: address.id, ClientToken };
  const living = { ...run, seen: { ...run.seen, natGateways: run.seen.natGateways.filter(isLiving) } };
  return make(living, slot, { doubles: false }, async () => {
    const command = new CreateNatGatewayCommand({ ...input, TagSpecifications: tagSpecification(run, slot) });
    return toNATGateway((await session.ec2(ctx, command)).NatGateway);
  });
}

function ensureAddress(run: Run, zone: string): Promise<Address | undefined> {
  const slot: Slot<'addresses'> = { kind: 'addresses', role: ROLE, zone };
  return make(run, slot, { doubles: true }, async () => {
    const TagSpecifications = tagSpecification(run, slot);
    const command = new AllocateAddressCommand({ Domain: 'vpc', TagSpecifications });
    return toAddress(await run.session.ec2(run.ctx, command));
  });
}

/** Those of zones that need none any more, once no route leads to them. */
export async function removeSurplusGateways(run: Run, zones: readonly string[]): Promise<void> {
  const targets = new Set(run.seen.routeTables.flatMap(({ routes }) => routes.map(({ target }) => target)));
  const surplus = run.seen.natGateways.filter(
    (one) => one.role === ROLE && !zones.includes(one.zone) && one.state !== 'deleted',
  );
  const unused = surplus.filter((one) => isLiving(one) && !targets.has(one.id));
  const isFree = (one: Address) => !one.isAssociated && !surplus.some(({ zone }) => zone === one.zone);
  const free = run.seen.addresses.filter(
    (one) => one.role === ROLE && !zones.includes(one.zone) && isFree(one),
  );
  if (surplus.length > 0) run.waits.add('waiting for NAT gateways that are not needed any more to go');
  await together([
    ...unused.map((gateway) => unlessGone(() => deleteGateway(run, gateway))),
    ...free.map((address) => unlessGone(() => releaseAddress(run, address))),
  ]);
}

/** What is gone already is no error. */
async function unlessGone(send: () => Promise<void>): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!isUnknown(error)) throw error;
  }
}

/** Starts its end. */
export async function deleteGateway({ ctx, session, memory }: Run, { id }: NATGateway): Promise<void> {
  await session.ec2(ctx, new DeleteNatGatewayCommand({ NatGatewayId: id }));
  memory.forget(id);
}

/** Gives an address back that nothing uses. */
export async function releaseAddress({ ctx, session, memory }: Run, { id }: Address): Promise<void> {
  await session.ec2(ctx, new ReleaseAddressCommand({ AllocationId: id }));
  memory.forget(id);
}
