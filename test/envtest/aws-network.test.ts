// SPDX-License-Identifier: Apache-2.0
// Networks on moto: made once, whatever happens in between, and gone without a trace.
import * as aws from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../runtime/errors.ts';
import {
  clusterFacts,
  Crash,
  EXISTING_SHAPE,
  MANAGED,
  MANAGED_SHAPE,
  NetworkWorld,
  someVPC,
} from '../aws/network-world.ts';

let world: NetworkWorld;

beforeAll(async () => {
  world = await NetworkWorld.start();
});

afterAll(() => world?.stop());

beforeEach(async () => {
  await world.proxy.reset();
  world.calm();
});

afterEach(() => world.calm());

/** The manager dies at the `count`-th write: it was done, and nobody hears of it. */
function dieAt(count: number): { readonly hasDied: () => boolean } {
  let sent = 0;
  let isDead = false;
  world.hooks.before = () => {
    if (isDead) throw new Crash();
  };
  world.hooks.after = () => {
    sent += 1;
    if (sent < count) return;
    isDead = true;
    throw new Crash();
  };
  return { hasDied: () => isDead };
}

async function existingCluster(id: string) {
  const { vpcID, publicID, privateID } = await someVPC(world);
  return clusterFacts(id, { vpc: { id: vpcID }, subnets: [{ id: publicID }, { id: privateID }] });
}

const MODES = [
  { mode: 'managed', make: (id: string) => Promise.resolve(clusterFacts(id, MANAGED)), shape: MANAGED_SHAPE },
  { mode: 'existing', make: existingCluster, shape: EXISTING_SHAPE },
] as const;

describe.each(MODES)('a network, $mode', ({ make, shape }) => {
  it('is made, then left alone, and is gone without a trace', async () => {
    const cluster = await make('c1');
    const before = await world.proxy.snapshot();
    const manager = world.manager();
    const domains = await world.untilReady(manager, cluster);
    expect(domains).toEqual([
      { name: 'us-east-1a', controlPlane: true },
      { name: 'us-east-1b', controlPlane: true },
    ]);
    expect(await world.shapeOf(cluster)).toEqual(shape);

    const after = await world.proxy.snapshot();
    world.hooks.writes.length = 0;
    await world.untilReady(manager, cluster);
    await world.untilReady(world.manager(), cluster);
    expect(world.hooks.writes).toEqual([]);
    expect(await world.proxy.snapshot()).toBe(after);

    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
    world.hooks.writes.length = 0;
    await world.untilGone(manager, cluster);
    await world.untilGone(world.manager(), cluster);
    expect(world.hooks.writes).toEqual([]);
  });

  it('ends the same when the manager dies at any write', { timeout: 600_000 }, async () => {
    let count = 1;
    for (let isThrough = false; !isThrough; count += 1) {
      await world.proxy.reset();
      world.calm();
      const cluster = await make(`crash-${count}`);
      const before = await world.proxy.snapshot();
      const making = dieAt(count);
      await world.untilReady(world.manager(), cluster).catch(expectCrash);
      const diedMaking = making.hasDied();
      world.calm();
      const manager = world.manager();
      await world.untilReady(manager, cluster);
      expect(await world.shapeOf(cluster), `after write ${count}`).toEqual(shape);
      const removing = dieAt(count);
      await world.untilGone(manager, cluster).catch(expectCrash);
      const diedRemoving = removing.hasDied();
      world.calm();
      await world.untilGone(world.manager(), cluster);
      expect(await world.proxy.snapshot(), `after deletion ${count}`).toBe(before);
      isThrough = !diedMaking && !diedRemoving;
    }
    expect(count).toBeGreaterThan(shape === MANAGED_SHAPE ? 25 : 5);
  });

  it('is gone without a trace when the manager died while it was made', { timeout: 600_000 }, async () => {
    for (const count of [1, 2, 3, 5, 8, 13, 21]) {
      await world.proxy.reset();
      world.calm();
      const cluster = await make(`early-${count}`);
      const before = await world.proxy.snapshot();
      dieAt(count);
      await world.untilReady(world.manager(), cluster).catch(expectCrash);
      world.calm();
      await world.untilGone(world.manager(), cluster);
      expect(await world.proxy.snapshot(), `after write ${count}`).toBe(before);
    }
  });

  it('ends the same when every answer is lost once', { timeout: 120_000 }, async () => {
    const cluster = await make('lost');
    const before = await world.proxy.snapshot();
    loseAnswers();
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual(shape);
    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });
});

/** Of each action every second answer, the first one to begin with. */
function loseAnswers(): void {
  const seen = new Map<string, number>();
  world.hooks.after = (action) => {
    const times = (seen.get(action) ?? 0) + 1;
    seen.set(action, times);
    if (times % 2 === 1) throw new TransientError(`${action}: no answer from AWS`);
  };
}

function expectCrash(error: unknown): void {
  expect(error).toBeInstanceOf(Crash);
}

describe('a network that is made', () => {
  it('is described in few calls when nothing is to be done', async () => {
    const cluster = clusterFacts('idle', MANAGED);
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    await world.clock.advance(120_000);
    world.proxy.clearCalls();
    const ensured = await manager.ensureNetwork(world.ctx, cluster);
    expect(ensured).toMatchObject({ state: 'ready', pollMs: 600_000 });
    expect(world.proxy.countOf('ec2.*')).toBeLessThanOrEqual(9);
    // Whoever else wakes the cluster, such as its load balancer on its way, costs no look.
    world.proxy.clearCalls();
    await world.clock.advance(599_000);
    expect(await manager.ensureNetwork(world.ctx, cluster)).toMatchObject({ state: 'ready', pollMs: 1_000 });
    expect(world.proxy.countOf('ec2.*')).toBe(0);
    await world.clock.advance(1_000);
    await manager.ensureNetwork(world.ctx, cluster);
    expect(world.proxy.countOf('ec2.*')).toBeGreaterThan(0);
  });

  it('is looked at at once when its spec changes, or somebody has missed a part of it', async () => {
    const cluster = clusterFacts('changed', MANAGED);
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    world.proxy.clearCalls();
    await manager.ensureNetwork(world.ctx, cluster);
    expect(world.proxy.countOf('ec2.*')).toBe(0);
    const other = clusterFacts('changed', MANAGED, { tags: { team: 'a' } });
    await world.untilReady(manager, other);
    expect(world.proxy.countOf('CreateTags')).toBeGreaterThan(0);
    world.proxy.clearCalls();
    manager.forget(cluster.infrastructureID);
    await manager.ensureNetwork(world.ctx, other);
    expect(world.proxy.countOf('ec2.*')).toBeGreaterThan(0);
  });

  it('gives machines what they need to know, once for all of them', async () => {
    const cluster = clusterFacts('facts', MANAGED);
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    world.proxy.clearCalls();
    const session = await world.session();
    const asked = { infrastructureID: 'facts', spec: cluster.spec.aws! };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => manager.networkFacts(world.ctx, session, asked)),
    );
    expect(world.proxy.countOf('ec2.*')).toBe(3);
    const [facts] = answers;
    expect(facts?.cidrBlocks).toEqual(['10.0.0.0/16']);
    expect(
      facts?.subnets.map(({ isPublic, availabilityZone }) => `${availabilityZone} ${isPublic}`).sort(),
    ).toEqual(['us-east-1a false', 'us-east-1a true', 'us-east-1b false', 'us-east-1b true']);
    expect(Object.values(facts?.securityGroups ?? {}).map(({ length }) => length)).toEqual([1, 1, 1]);
  });

  it('waits for NAT gateways, and their end', async () => {
    const cluster = clusterFacts('slow', MANAGED);
    const before = await world.proxy.snapshot();
    Object.assign(world.proxy.options, { natGatewayPendingMs: 1_500, natGatewayDeletingMs: 300 });
    const manager = world.manager();
    const first = await manager.ensureNetwork(world.ctx, cluster);
    expect(first).toMatchObject({ state: 'pending', reason: 'NetworkCreating', takesLoadBalancer: false });
    // Everything else was shown by now.
    const second = await manager.ensureNetwork(world.ctx, cluster);
    expect(second).toMatchObject({ state: 'pending', takesLoadBalancer: true });
    expect(first).toHaveProperty(
      'message',
      expect.stringMatching(/waiting for the NAT gateway nat-\w+ in us-east-1a/),
    );
    await world.untilReady(manager, cluster);
    await world.clock.advance(120_000);
    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('with a NAT gateway that fails for good says so, and looks more and more seldom', async () => {
    const cluster = clusterFacts('failing', MANAGED);
    const manager = world.manager();
    failGateways();
    const messages: string[] = [];
    const passes = async () => {
      const untilMs = world.clock.now().getTime() + 3_600_000;
      let count = 0;
      for (; world.clock.now().getTime() < untilMs; count += 1) {
        const ensured = await manager.ensureNetwork(world.ctx, cluster);
        expect(ensured.state).toBe('pending');
        messages.push(ensured.state === 'pending' ? ensured.message : '');
        await world.clock.advance(ensured.pollMs ?? 1_000);
      }
      return count;
    };
    expect(await passes()).toBeLessThan(80);
    expect(messages.at(-1)).toMatch(/us-east-1a.* failed \(Subnet has insufficient free addresses\)/);
    world.calm();
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual(MANAGED_SHAPE);
  });

  it.each([
    { what: 'its making is not shown yet', areLost: false },
    { what: 'its making is not shown yet and answers are lost', areLost: true },
  ])('is not made twice when $what', { timeout: 300_000 }, async ({ areLost }) => {
    const cluster = clusterFacts('stale', MANAGED);
    const before = await world.proxy.snapshot();
    hideNew(6);
    if (areLost) loseAnswers();
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    expect(await world.shapeOf(cluster)).toEqual(MANAGED_SHAPE);
    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('settles what a manager made twice that did not know of the first', async () => {
    const cluster = clusterFacts('twice', MANAGED);
    const before = await world.proxy.snapshot();
    for (const fatal of ['CreateVpc', 'CreateInternetGateway', 'AllocateAddress']) {
      world.calm();
      let isDead = false;
      world.hooks.before = () => {
        if (isDead) throw new Crash();
      };
      world.hooks.after = (action) => {
        isDead ||= action === fatal;
        if (isDead) throw new Crash();
      };
      await world.untilReady(world.manager(), cluster).catch(expectCrash);
      world.calm();
      world.hooks.answer = (action, answer) => withoutNew(fatal, action, answer);
      let isSecond = false;
      world.hooks.before = () => {
        if (isSecond) throw new Crash();
      };
      world.hooks.after = (action) => {
        isSecond ||= action === fatal;
      };
      await world.untilReady(world.manager(), cluster).catch(expectCrash);
    }
    world.calm();
    const doubled = await world.shapeOf(cluster);
    expect(doubled['vpc']).toHaveLength(1);
    expect(doubled['eipalloc']?.length).toBeGreaterThan(2);
    await world.untilReady(world.manager(), cluster);
    expect(await world.shapeOf(cluster)).toEqual(MANAGED_SHAPE);
    await world.untilGone(world.manager(), cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });
});

/** NAT gateways are pending, and fail then. */
function failGateways(): void {
  world.hooks.answer = (action, answer) => {
    const given = answer as aws.CreateNatGatewayCommandOutput & aws.DescribeNatGatewaysCommandOutput;
    if (action === 'CreateNatGateway')
      return { ...given, NatGateway: { ...given.NatGateway, State: 'pending' } };
    if (action !== 'DescribeNatGateways') return answer;
    const failed = { State: 'failed', FailureMessage: 'Subnet has insufficient free addresses' };
    const NatGateways = given.NatGateways?.map((one) => ({
      ...one,
      ...(one.State === 'available' && failed),
    }));
    return { ...given, NatGateways };
  };
}

/** Describe calls show what is new only after they were asked so many times. */
function hideNew(rounds: number): void {
  const asked = new Map<string, number>();
  world.hooks.answer = (action, answer) => {
    if (!action.startsWith('Describe') || action === 'DescribeAvailabilityZones') return answer;
    const fields = Object.entries(answer as Record<string, unknown>);
    const visible = (item: object) => {
      const id = Object.entries(item).find(([name]) =>
        /^(Vpc|Subnet|RouteTable|InternetGateway|NatGateway|Allocation|Group)Id$/.test(name),
      );
      const key = `${action} ${String(id?.[1])}`;
      asked.set(key, (asked.get(key) ?? 0) + 1);
      return (asked.get(key) ?? 0) > rounds;
    };
    return Object.fromEntries(
      fields.map(([name, value]) => [name, Array.isArray(value) ? value.filter(visible) : value]),
    );
  };
}

/** What the call made is not shown. */
function withoutNew(fatal: string, action: string, answer: object): object {
  const hidden: Record<string, Record<string, object>> = {
    CreateVpc: { DescribeVpcs: { Vpcs: [] } },
    CreateInternetGateway: { DescribeInternetGateways: { InternetGateways: [] } },
    AllocateAddress: { DescribeAddresses: { Addresses: [] } },
  };
  return { ...answer, ...hidden[fatal]?.[action] };
}

describe('what others do', () => {
  it.each(MODES)('a copy of the TSCluster gets nothing, and takes nothing, $mode', async ({ make }) => {
    const cluster = await make('original');
    const copy = { ...cluster, namespace: 'copies' };
    await world.untilReady(world.manager(), cluster);
    const before = await world.proxy.snapshot();
    world.hooks.writes.length = 0;
    const refused = {
      reason: 'ClusterIDTaken',
      message: expect.stringContaining('belongs to TSCluster default/original') as unknown,
    };
    await expect(world.manager().ensureNetwork(world.ctx, copy)).rejects.toMatchObject(refused);
    await expect(world.manager().removeNetwork(world.ctx, copy)).rejects.toMatchObject(refused);
    expect(world.hooks.writes).toEqual([]);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('names what is in the way of deletion, deletes none of it, and goes on when it is gone', async () => {
    const cluster = clusterFacts('left', MANAGED);
    const before = await world.proxy.snapshot();
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    await world.clock.advance(120_000);
    const { ec2, ...session } = await world.session();
    const facts = await manager.networkFacts(
      world.ctx,
      { ...session, ec2 },
      {
        infrastructureID: 'left',
        spec: cluster.spec.aws!,
      },
    );
    const made = await ec2(
      world.ctx,
      new aws.CreateSecurityGroupCommand({
        GroupName: 'k8s-elb-a1',
        Description: 'left',
        VpcId: facts.vpcID,
      }),
    );
    const SubnetId = facts.subnets.find(({ isPublic }) => isPublic)?.id;
    const { NetworkInterface } = await ec2(
      world.ctx,
      new aws.CreateNetworkInterfaceCommand({ SubnetId, Description: 'ELB a1' }),
    );
    const messages: string[] = [];
    for (let pass = 0; pass < 5; pass += 1) {
      const removed = await manager.removeNetwork(world.ctx, cluster);
      expect(removed.state).toBe('inProgress');
      messages.push(removed.state === 'inProgress' ? removed.message : '');
    }
    expect(messages.at(-1)).toContain(`network interface ${NetworkInterface?.NetworkInterfaceId} (ELB a1)`);
    expect(messages.at(-1)).toContain(`security group ${made.GroupId} (k8s-elb-a1)`);
    const NetworkInterfaceId = NetworkInterface?.NetworkInterfaceId;
    await ec2(world.ctx, new aws.DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
    await ec2(world.ctx, new aws.DeleteSecurityGroupCommand({ GroupId: made.GroupId }));
    await world.untilGone(manager, cluster);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('repairs rules, routes and tags, and leaves rules of others', async () => {
    const cluster = clusterFacts('drift', MANAGED, { tags: { team: 'a' } });
    const manager = world.manager();
    await world.untilReady(manager, cluster);
    const before = await world.proxy.snapshot();
    const session = await world.session();
    const { ec2 } = session;
    const facts = await manager.networkFacts(world.ctx, session, {
      infrastructureID: 'drift',
      spec: cluster.spec.aws!,
    });
    const GroupId = facts.securityGroups.controlPlane[0] ?? '';
    const { SecurityGroups = [] } = await ec2(
      world.ctx,
      new aws.DescribeSecurityGroupsCommand({ GroupIds: [GroupId] }),
    );
    const IpPermissions = (SecurityGroups[0]?.IpPermissions ?? []).filter(
      ({ FromPort }) => FromPort === 2379,
    );
    expect(IpPermissions).toHaveLength(1);
    await ec2(world.ctx, new aws.RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
    const { RouteTables = [] } = await ec2(world.ctx, new aws.DescribeRouteTablesCommand({}));
    const table = RouteTables.find(({ Routes = [] }) =>
      Routes.some(({ NatGatewayId }) => NatGatewayId !== undefined),
    );
    const DestinationCidrBlock = '0.0.0.0/0';
    await ec2(
      world.ctx,
      new aws.DeleteRouteCommand({ RouteTableId: table?.RouteTableId, DestinationCidrBlock }),
    );
    await ec2(world.ctx, new aws.DeleteTagsCommand({ Resources: [GroupId], Tags: [{ Key: 'team' }] }));
    expect(await world.proxy.snapshot()).not.toBe(before);
    await world.clock.advance(600_000);
    await world.untilReady(manager, cluster);
    const repaired = JSON.parse(await world.proxy.snapshot()) as Record<string, unknown>;
    const whole = JSON.parse(before) as Record<string, unknown>;
    expect(repaired['routeTables']).toEqual(whole['routeTables']);
    expect(repaired['tags']).toEqual(whole['tags']);

    const foreign = { IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: '10.9.0.0/16' }] };
    await ec2(world.ctx, new aws.AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [foreign] }));
    world.hooks.writes.length = 0;
    await world.untilReady(manager, cluster);
    expect(world.hooks.writes).toEqual([]);
  });
});
