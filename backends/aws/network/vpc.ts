// SPDX-License-Identifier: Apache-2.0
// The VPC that we make, and its subnets.
import {
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeVpcAttributeCommand,
  ModifyVpcAttributeCommand,
} from '@aws-sdk/client-ec2';
import type { AWSManagedNetwork } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { blockKey, carvable, carve } from './cidr.ts';
import { together } from './observation.ts';
import { type SeenSubnet, toSubnet, toVPC, type VPC, ZONES_TAG } from './parts.ts';
import { attempt, find, make, type Run, type Slot, tagSpecification } from './run.ts';
import { addZones, chooseZones, zonesTag } from './zones.ts';

const DEFAULT_BLOCK = '10.0.0.0/16';

const PUBLIC_ROLE = 'public';
const PRIVATE_ROLE = 'private';

/** Where load balancers of Services go: the cloud controller manager of the cluster finds the subnets by it. */
const LOAD_BALANCER_TAGS = {
  [PUBLIC_ROLE]: { 'kubernetes.io/role/elb': '1' },
  [PRIVATE_ROLE]: { 'kubernetes.io/role/internal-elb': '1' },
};

/** A VPC with the zones that it has subnets in. */
export interface ZonedVPC {
  readonly vpc: VPC;
  /** In the order of their slots. */
  readonly zones: readonly string[];
}

/** The VPC; `undefined` while it cannot be made. */
export async function ensureVPC(run: Run, wanted: AWSManagedNetwork): Promise<ZonedVPC | undefined> {
  const vpc = find(run, { kind: 'vpcs', role: 'vpc' }) ?? (await makeVPC(run, wanted));
  if (vpc === undefined) return undefined;
  requireSameBlock(vpc, wanted);
  const [, zones] = await together([ensureDNS(run, vpc), addZones(run, vpc, wanted.availabilityZones ?? [])]);
  return { vpc, zones };
}

async function makeVPC(run: Run, wanted: AWSManagedNetwork): Promise<VPC | undefined> {
  const CidrBlock = carvable(wanted.cidrBlock ?? DEFAULT_BLOCK);
  const zones = await chooseZones(run.ctx, run.session, wanted);
  const slot: Slot<'vpcs'> = { kind: 'vpcs', role: 'vpc', tags: { [ZONES_TAG]: zonesTag(zones) } };
  return make(run, slot, { doubles: true }, async () => {
    const TagSpecifications = tagSpecification(run, slot);
    const { Vpc } = await run.session.ec2(run.ctx, new CreateVpcCommand({ CidrBlock, TagSpecifications }));
    return toVPC(Vpc);
  });
}

function requireSameBlock({ id, cidrBlock }: VPC, wanted: AWSManagedNetwork): void {
  if (wanted.cidrBlock === undefined || blockKey(wanted.cidrBlock) === blockKey(cidrBlock)) return;
  const message =
    `spec.aws.network.managed.cidrBlock is ${wanted.cidrBlock}, and the VPC ${id} of this cluster has ${cidrBlock}: ` +
    'a VPC keeps its block, write that one';
  throw new TerminalError(Reason.NetworkInvalid, message);
}

/** Nodes have names, and the endpoints of AWS' services private addresses, only with both. */
async function ensureDNS(run: Run, { id: VpcId }: VPC): Promise<void> {
  await together([
    ensureAttribute(
      run,
      async () => {
        const command = new DescribeVpcAttributeCommand({ VpcId, Attribute: 'enableDnsSupport' });
        return (await run.session.ec2(run.ctx, command)).EnableDnsSupport?.Value;
      },
      new ModifyVpcAttributeCommand({ VpcId, EnableDnsSupport: { Value: true } }),
    ),
    ensureAttribute(
      run,
      async () => {
        const command = new DescribeVpcAttributeCommand({ VpcId, Attribute: 'enableDnsHostnames' });
        return (await run.session.ec2(run.ctx, command)).EnableDnsHostnames?.Value;
      },
      new ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: { Value: true } }),
    ),
  ]);
}

async function ensureAttribute(
  run: Run,
  read: () => Promise<boolean | undefined>,
  set: ModifyVpcAttributeCommand,
): Promise<void> {
  await attempt(run, 'DNS settings of the VPC', async () => {
    if ((await read()) !== true) await run.session.ec2(run.ctx, set);
  });
}

/** Subnets of all zones; `undefined` entries are not there yet. */
export async function ensureSubnets(
  run: Run,
  { vpc, zones }: ZonedVPC,
): Promise<{ readonly publicOnes: readonly SeenSubnet[]; readonly privateOnes: readonly SeenSubnet[] }> {
  const blocks = zones.map((zone, slot) => ({ zone, ...carve(vpc.cidrBlock, slot) }));
  const [publicOnes, privateOnes] = await together([
    together(
      blocks.map(({ zone, publicBlock }) => ensureSubnet(run, vpc, subnetSlot('public', zone), publicBlock)),
    ),
    together(
      blocks.map(({ zone, privateBlock }) =>
        ensureSubnet(run, vpc, subnetSlot('private', zone), privateBlock),
      ),
    ),
  ]);
  return {
    publicOnes: publicOnes.filter((subnet) => subnet !== undefined),
    privateOnes: privateOnes.filter((subnet) => subnet !== undefined),
  };
}

/** The subnet of a zone that is public, or private. */
export function subnetSlot(role: 'public' | 'private', zone: string): Slot<'subnets'> {
  return { kind: 'subnets', role, zone, tags: LOAD_BALANCER_TAGS[role] };
}

/** A second one cannot be: its addresses would overlap. */
function ensureSubnet(
  run: Run,
  { id: VpcId }: VPC,
  slot: Slot<'subnets'>,
  CidrBlock: string,
): Promise<SeenSubnet | undefined> {
  return make(run, slot, { doubles: false }, async () => {
    const TagSpecifications = tagSpecification(run, slot);
    const AvailabilityZone = slot.zone;
    const command = new CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone, TagSpecifications });
    const { Subnet } = await run.session.ec2(run.ctx, command);
    return toSubnet(Subnet);
  });
}
