// SPDX-License-Identifier: Apache-2.0
// What a spec says of a network: other shapes, changes of it, and mistakes, on moto.
import * as aws from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AWSManagedNetwork, AWSNetwork } from '../../api/aws/cluster.ts';
import type { TerminalError } from '../../runtime/errors.ts';
import { clusterFacts, EXISTING_SHAPE, MANAGED_SHAPE, NetworkWorld, someVPC } from '../aws/network-world.ts';

let world: NetworkWorld;

beforeAll(async () => {
  world = await NetworkWorld.start();
});

afterAll(() => world?.stop());

beforeEach(async () => {
  await world.proxy.reset();
  world.calm();
});

const ZONES = ['us-east-1a', 'us-east-1b'];

function managed(more: AWSManagedNetwork): AWSNetwork {
  return { managed: { availabilityZones: ZONES, ...more } };
}

/** Default routes of private route tables: `zone target`. */
async function privateRoutes(): Promise<string[]> {
  const { ec2 } = await world.session();
  const { RouteTables = [] } = await ec2(world.ctx, new aws.DescribeRouteTablesCommand({}));
  const tagOf = (tags: aws.Tag[] | undefined, key: string) => tags?.find(({ Key }) => Key === key)?.Value;
  return RouteTables.filter(({ Tags }) => tagOf(Tags, 'ts-provider/role') === 'private')
    .map(({ Tags, Routes = [] }) => {
      const route = Routes.find(({ DestinationCidrBlock }) => DestinationCidrBlock === '0.0.0.0/0');
      return `${tagOf(Tags, 'ts-provider/zone')} ${route?.NatGatewayId ?? 'nowhere'}`;
    })
    .sort();
}

describe('NAT gateways', () => {
  it('one is enough for all zones, or none, and the spec may change its mind', async () => {
    const before = await world.proxy.snapshot();
    const manager = world.manager();
    const facts = (natGateways: 'PerZone' | 'Single' | 'None') =>
      clusterFacts('nat', managed({ natGateways }));

    await world.untilReady(manager, facts('Single'));
    const single = await world.shapeOf(facts('Single'));
    expect(single).toEqual({ ...MANAGED_SHAPE, nat: ['nat us-east-1a'], eipalloc: ['nat us-east-1a'] });
    const targets = (await privateRoutes()).map((line) => line.split(' ')[1]);
    expect(targets[0]).toMatch(/^nat-/);
    expect(new Set(targets).size).toBe(1);

    await world.untilReady(manager, facts('PerZone'));
    expect(await world.shapeOf(facts('PerZone'))).toEqual(MANAGED_SHAPE);
    expect(new Set((await privateRoutes()).map((line) => line.split(' ')[1])).size).toBe(2);

    await world.untilReady(manager, facts('None'));
    const { nat, eipalloc, ...rest } = MANAGED_SHAPE;
    expect([nat.length, eipalloc.length]).toEqual([2, 2]);
    expect(await world.shapeOf(facts('None'))).toEqual(rest);
    expect(await privateRoutes()).toEqual(ZONES.map((zone) => `${zone} nowhere`));

    await world.untilGone(manager, facts('None'));
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('one that was deleted outside is made anew', async () => {
    const cluster = clusterFacts('again', managed({}));
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    await world.clock.advance(120_000);
    const { ec2 } = await world.session();
    const { NatGateways = [] } = await ec2(world.ctx, new aws.DescribeNatGatewaysCommand({}));
    const NatGatewayId = NatGateways[0]?.NatGatewayId;
    await ec2(world.ctx, new aws.DeleteNatGatewayCommand({ NatGatewayId }));
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual(MANAGED_SHAPE);
    expect((await privateRoutes()).join()).not.toContain(NatGatewayId);
  });
});

describe('zones', () => {
  it('are three when none are named, and another one moves nothing', async () => {
    const manager = world.manager();
    const cluster = clusterFacts('zones', { managed: { natGateways: 'None' } });
    const domains = await world.untilReady(manager, cluster);
    expect(domains.map(({ name }) => name)).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1c']);
    const blocks = await subnetBlocks();
    expect(blocks).toHaveLength(6);

    // One before the others, by name: its slot is the last one all the same.
    const more = clusterFacts('zones', {
      managed: { natGateways: 'None', availabilityZones: ['us-east-1d', 'us-east-1a', 'us-east-1b'] },
    });
    const changed = await world.untilReady(manager, more);
    expect(changed.map(({ name }) => name)).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1d']);
    expect(await subnetBlocks()).toEqual(expect.arrayContaining(blocks));
    expect(await subnetBlocks()).toHaveLength(8);
    await world.untilReady(world.manager(), more);
    expect(await subnetBlocks()).toHaveLength(8);
  });
});

/** `zone block` of every subnet of ours. */
async function subnetBlocks(): Promise<string[]> {
  const { ec2 } = await world.session();
  const Filters = [{ Name: 'tag-key', Values: ['ts-provider/cluster'] }];
  const { Subnets = [] } = await ec2(world.ctx, new aws.DescribeSubnetsCommand({ Filters }));
  return Subnets.map(({ AvailabilityZone, CidrBlock }) => `${AvailabilityZone} ${CidrBlock}`).sort();
}

describe('a network that exists', () => {
  it('is found by filters, told public from private, and neither tagged nor changed', async () => {
    const { vpcID, publicID, privateID } = await someVPC(world);
    const { ec2, ...others } = await world.session();
    const Tags = [{ Key: 'team', Value: 'x' }];
    await ec2(world.ctx, new aws.CreateTagsCommand({ Resources: [vpcID, publicID, privateID], Tags }));
    const before = JSON.parse(await world.proxy.snapshot()) as Record<string, unknown>;
    const filters = [{ name: 'tag:team', values: ['x'] }];
    const cluster = clusterFacts('filters', { vpc: { filters }, subnets: [{ filters }] });
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual(EXISTING_SHAPE);
    const after = JSON.parse(await world.proxy.snapshot()) as Record<string, unknown>;
    for (const kind of ['vpcs', 'subnets', 'routeTables', 'internetGateways', 'addresses'])
      expect(after[kind], kind).toEqual(before[kind]);

    const asked = { infrastructureID: 'filters', spec: cluster.spec.aws! };
    const facts = await manager.networkFacts(world.ctx, { ...others, ec2 }, asked);
    expect(facts.vpcID).toBe(vpcID);
    expect(facts.subnets.map(({ id, isPublic }) => [id, isPublic])).toEqual(
      expect.arrayContaining([
        [publicID, true],
        [privateID, false],
      ]),
    );
  });

  it('has groups of its own where the spec names some', async () => {
    const { vpcID, privateID } = await someVPC(world);
    const { ec2 } = await world.session();
    const command = new aws.CreateSecurityGroupCommand({
      GroupName: 'own',
      Description: 'own',
      VpcId: vpcID,
    });
    const id = (await ec2(world.ctx, command)).GroupId ?? '';
    const cluster = clusterFacts('groups', {
      vpc: { id: vpcID },
      subnets: [{ id: privateID }],
      securityGroups: { nodes: [{ id }] },
    });
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual({ sg: ['control-plane', 'load-balancer'] });
    const { SecurityGroups = [] } = await ec2(
      world.ctx,
      new aws.DescribeSecurityGroupsCommand({ GroupIds: [id] }),
    );
    expect(SecurityGroups[0]?.IpPermissions).toEqual([]);
    expect(SecurityGroups[0]?.Tags ?? []).toEqual([]);
  });
});

describe('an identity that has become that of another account', () => {
  const OTHER = '222222222222';
  afterEach(() => world.moveIdentity());

  /** As the controller has it once the account is recorded. */
  async function recorded(id: string) {
    const cluster = clusterFacts(id, managed({ natGateways: 'None' }));
    const accountID = await world.manager().accountOf(world.ctx, cluster);
    return { ...cluster, spec: { ...cluster.spec, aws: { ...cluster.spec.aws!, accountID } } };
  }

  it('has nothing made there, and nothing taken for gone', async () => {
    const before = await world.proxy.snapshot();
    const cluster = await recorded('moved');
    expect(cluster.spec.aws.accountID).toBe('123456789012');
    await world.untilReady(world.manager(), cluster);
    const made = await world.proxy.snapshot();
    world.moveIdentity(OTHER);
    expect((await world.session()).account).toBe(OTHER);
    world.hooks.writes.length = 0;
    world.proxy.clearCalls();

    const refused = {
      reason: 'IdentityInvalid',
      message: expect.stringMatching(/2{12}.* 123456789012/) as string,
    };
    const manager = world.manager();
    await expect(manager.ensureNetwork(world.ctx, cluster)).rejects.toMatchObject(refused);
    await expect(manager.removeNetwork(world.ctx, cluster)).rejects.toMatchObject(refused);
    await expect(manager.accountOf(world.ctx, cluster)).rejects.toMatchObject(refused);
    expect(world.hooks.writes).toEqual([]);
    expect(world.proxy.counts()).toEqual({});
    expect(await world.proxy.snapshot()).toBe(made);

    world.moveIdentity();
    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('is that of the cluster where nothing was recorded before', async () => {
    world.moveIdentity(OTHER);
    expect((await recorded('other')).spec.aws.accountID).toBe(OTHER);
  });
});

describe('a spec that cannot be', () => {
  const NONE = [{ name: 'tag:team', values: ['nobody'] }];

  it.each<[string, (given: Given) => AWSNetwork, string, RegExp]>([
    [
      'a VPC that does not exist',
      ({ subnet }) => ({ vpc: { id: 'vpc-0123' }, subnets: [{ id: subnet }] }),
      'NetworkInvalid',
      /^spec\.aws\.network\.vpc: there is no VPC vpc-0123 in us-east-1$/,
    ],
    [
      'filters that match no VPC',
      ({ subnet }) => ({ vpc: { filters: NONE }, subnets: [{ id: subnet }] }),
      'NetworkInvalid',
      /^spec\.aws\.network\.vpc: no VPC in us-east-1 matches the filters$/,
    ],
    [
      'filters that match several VPCs',
      ({ subnet }) => ({
        vpc: { filters: [{ name: 'state', values: ['available'] }] },
        subnets: [{ id: subnet }],
      }),
      'NetworkInvalid',
      /^spec\.aws\.network\.vpc: 3 VPCs match the filters \(vpc-.*write the id of one, or more filters$/,
    ],
    [
      'a subnet of another VPC',
      ({ vpc, subnet, other }) => ({ vpc: { id: vpc }, subnets: [{ id: subnet }, { id: other }] }),
      'SubnetInvalid',
      /^spec\.aws\.network\.subnets\[1\]: the subnet subnet-\w+ is of vpc-\w+, and spec\.aws\.network\.vpc is vpc-\w+$/,
    ],
    [
      'filters that match no subnet',
      ({ vpc }) => ({ vpc: { id: vpc }, subnets: [{ filters: NONE }] }),
      'SubnetInvalid',
      /^spec\.aws\.network\.subnets\[0\]: no subnet of vpc-\w+ matches the filters$/,
    ],
    [
      'a security group that does not exist',
      ({ vpc, subnet }) => ({
        vpc: { id: vpc },
        subnets: [{ id: subnet }],
        securityGroups: { controlPlane: [{ id: 'sg-0123' }] },
      }),
      'SecurityGroupInvalid',
      /^spec\.aws\.network\.securityGroups\.controlPlane\[0\]: there is no security group sg-0123$/,
    ],
    [
      'a zone of another region',
      () => ({ managed: { availabilityZones: ['eu-central-1a'] } }),
      'NetworkInvalid',
      /availabilityZones: eu-central-1a is no available zone of us-east-1; there are us-east-1a, /,
    ],
    [
      'a VPC that is too small',
      () => ({ managed: { cidrBlock: '10.0.0.0/24' } }),
      'NetworkInvalid',
      /^spec\.aws\.network\.managed\.cidrBlock 10\.0\.0\.0\/24 cannot be cut into subnets/,
    ],
  ])('%s', async (_what, networkOf, reason, message) => {
    const { vpcID: vpc, privateID: subnet } = await someVPC(world);
    const { privateID: other } = await someVPC(world, '10.51.0.0/16');
    const before = await world.proxy.snapshot();
    const cluster = clusterFacts('wrong', networkOf({ vpc, subnet, other }));
    const failed = await world
      .manager()
      .ensureNetwork(world.ctx, cluster)
      .catch((error: unknown) => error as TerminalError);
    expect(failed).toMatchObject({ name: 'TerminalError', reason });
    expect((failed as TerminalError).message).toMatch(message);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('another block for a VPC that is there', async () => {
    const manager = world.manager();
    await world.untilReady(manager, clusterFacts('block', managed({ natGateways: 'None' })));
    const other = clusterFacts('block', managed({ natGateways: 'None', cidrBlock: '10.8.0.0/16' }));
    await expect(manager.ensureNetwork(world.ctx, other)).rejects.toThrow(
      /cidrBlock is 10\.8\.0\.0\/16, and the VPC vpc-\w+ of this cluster has 10\.0\.0\.0\/16/,
    );
  });
});

interface Given {
  readonly vpc: string;
  readonly subnet: string;
  /** Of another VPC. */
  readonly other: string;
}
