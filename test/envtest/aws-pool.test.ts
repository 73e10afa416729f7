// SPDX-License-Identifier: Apache-2.0
// Machine pools on Auto Scaling groups, on moto behind the proxy: the backend alone, verb by verb.
import { DetachInstancesCommand, SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling';
import { DescribeImagesCommand, DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { groupName } from '../../backends/aws/pool/group.ts';
import { terminateInGroup } from '../../backends/aws/pool/termination.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import { type PlayedAWS, startPlayedAWS } from '../aws/played-aws.ts';
import { bootstrap, createPoolWorld, type PoolWorld } from '../aws/pool-world.ts';
import type { Proxy } from '../aws/proxy/server.ts';

let aws: PlayedAWS;
let proxy: Proxy;
let world: PoolWorld;

beforeAll(async () => {
  aws = await startPlayedAWS('aws-pool');
  proxy = aws.proxy;
});

afterAll(() => aws?.stop());

beforeEach(async () => {
  await proxy.reset();
  world = await createPoolWorld(proxy);
  proxy.clearCalls();
});

afterEach(() => world.close());

/** Calls that change something. */
function writes(): Record<string, number> {
  const changing = Object.entries(proxy.counts()).filter(([action]) => !/\.(Describe|Get)/.test(action));
  return Object.fromEntries(changing);
}

function byKey(tags: readonly { Key?: string | undefined; Value?: string | undefined }[] = []) {
  return Object.fromEntries(tags.map(({ Key = '', Value = '' }): [string, string] => [Key, Value]));
}

async function end(providerID: string): Promise<void> {
  const id = parseProviderID(providerID);
  if (id?.backend !== 'aws') throw new Error(providerID);
  await terminateInGroup(world.ctx, await world.session(), id.instanceID);
}

describe('a group', () => {
  it('is made from a template with a name of its own, and shows its instances', async () => {
    const ensured = await world.pass();
    expect(ensured.waiting).toMatchObject({ reason: 'PoolScaling' });
    const seen = await world.group();
    expect(seen.desired).toBe(2);
    expect(seen.instances).toHaveLength(2);
    for (const { name, providerID, state, machine } of seen.instances) {
      expect(providerID).toMatch(/^aws:\/\/\/us-east-1[ab]\/i-[0-9a-f]+$/);
      expect(name).toBe(`p1-${providerID.split('/i-')[1]}`);
      expect(state).toBe('running');
      expect(machine).toMatchObject({
        providerID,
        aws: { instanceType: 'm5.large' },
        createIntent: { attempt: 1, requestHash: ensured.template },
      });
    }
    const [version] = await world.versions();
    expect(version?.LaunchTemplateData).toMatchObject({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      SecurityGroupIds: world.network.securityGroups.nodes,
      UserData: bootstrap().value.toString('base64'),
    });
  });

  it('never picks a machine to end: instances are protected, zones are not rebalanced', async () => {
    await world.pass();
    await world.pass();
    const [group] = await world.groups();
    expect(group?.Instances?.map((one) => one.ProtectedFromScaleIn)).toEqual([true, true]);
    expect(group?.SuspendedProcesses?.map((one) => one.ProcessName)).toEqual(['AZRebalance']);
  });

  it('is tagged, and its instances are', async () => {
    await world.pass();
    const [group] = await world.groups();
    const wanted = { 'ts-provider/pool': 'ns/p1', 'ts-provider/cluster': 'c1-cluster' };
    expect(byKey(group?.Tags)).toMatchObject(wanted);
    const { Reservations } = await world.ec2.send(new DescribeInstancesCommand({}));
    const [instance] = Reservations![0]!.Instances!;
    const tags = byKey(instance?.Tags);
    expect(tags).toMatchObject({ ...wanted, 'kubernetes.io/cluster/c1': 'owned' });
    expect(tags['aws:autoscaling:groupName']).toBe('ts-provider-c1-p1-0a1b2c3d4e');
  });

  it('costs one call when nothing differs, also in another process', async () => {
    await world.pass();
    await world.pass();
    proxy.clearCalls();
    expect(await world.pass()).toMatchObject({ pollMs: 120_000 });
    expect(proxy.counts()).toEqual({ 'autoscaling.DescribeAutoScalingGroups': 1 });
    world.restart();
    await world.pass();
    expect(writes()).toEqual({});
  });

  it('of several types has a policy, which stays as it is', async () => {
    const aws = { ...world.spec.aws!, mixedInstances: { instanceTypes: ['m5a.large'] } };
    const facts = world.pool({ spec: { aws: { ...aws, spot: { maxPrice: '0.05' } } } });
    await world.pass(facts);
    await world.pass(facts);
    proxy.clearCalls();
    await world.pass(facts);
    expect(writes()).toEqual({});
    const [group] = await world.groups();
    expect(group?.MixedInstancesPolicy).toMatchObject({
      LaunchTemplate: { Overrides: [{ InstanceType: 'm5.large' }, { InstanceType: 'm5a.large' }] },
      InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 0, SpotMaxPrice: '0.05' },
    });
    const larger = world.pool({ ...facts, replicas: 3 });
    await world.pass(larger);
    expect((await world.groups())[0]?.MixedInstancesPolicy?.LaunchTemplate?.Overrides).toHaveLength(2);
  });

  it('that was made for another TSMachinePool is left alone', async () => {
    await world.pass();
    const copy = world.pool({ name: 'p2' });
    for (const verb of [
      () => world.backend.observe(world.ctx, copy),
      () => world.backend.remove(world.ctx, copy),
    ])
      await expect(verb()).rejects.toThrow(/belongs to TSMachinePool ns\/p1.*copy/);
    expect(await world.groups()).toHaveLength(1);
  });

  it('takes machines only where the MachinePool wants them', async () => {
    await world.pass(world.pool({ failureDomains: ['us-east-1b'] }));
    expect((await world.groups())[0]?.VPCZoneIdentifier).toBe(world.network.subnets[1]?.id);
    await expect(world.pass(world.pool({ failureDomains: ['us-east-1f'] }))).rejects.toThrow(
      /no private subnet in the failure domains us-east-1f/,
    );
  });
});

describe('an answer that is lost', () => {
  it.each(['CreateLaunchTemplate', 'CreateAutoScalingGroup', 'SuspendProcesses'])(
    'of %s: the next pass goes on, and nothing is made twice',
    async (action) => {
      proxy.faults.add({ action, kind: 'lostResponse', times: 1 });
      for (let pass = 0; pass < 4; pass++) {
        await world.pass().catch(() => undefined);
        world.restart();
      }
      expect(await world.groups()).toHaveLength(1);
      expect(await world.versions()).toHaveLength(1);
      expect((await world.group()).instances).toHaveLength(2);
    },
  );

  it.each(['CreateLaunchTemplateVersion', 'ModifyLaunchTemplate', 'UpdateAutoScalingGroup'])(
    'of %s: the next pass goes on, and nothing is made twice',
    async (action) => {
      await world.pass();
      await world.pass();
      proxy.faults.add({ action, kind: 'lostResponse', times: 1 });
      const data = bootstrap(undefined, 'join otherwise');
      await expect(world.pass(world.pool(), data)).rejects.toThrow();
      await world.pass(world.pool(), data);
      expect(await world.versions()).toHaveLength(2);
      expect((await world.groups())[0]?.LaunchTemplate?.Version).toBe('2');
    },
  );
});

describe('what new machines are made from', () => {
  it('IMP-13: a renewed token is for new machines, the others stay', async () => {
    const { template } = await world.pass();
    const renewed = await world.pass(world.pool(), bootstrap('fedcba.fedcba9876543210'));
    expect(renewed.template).toBe(template);
    const [group] = await world.groups();
    expect(group?.LaunchTemplate?.Version).toBe('2');
    const hashes = (await world.group()).instances.map(({ machine }) => machine.createIntent?.requestHash);
    expect(hashes).toEqual([template, template]);
  });

  it.each([
    ['bootstrap data', {}, bootstrap(undefined, 'join otherwise')],
    ['instance types', { instanceType: 'm5.xlarge' }, bootstrap()],
    ['metadata options', { metadataOptions: { httpPutResponseHopLimit: 2 } }, bootstrap()],
  ])('other %s need other machines', async (_what, change, data) => {
    const { template } = await world.pass();
    const facts = world.pool({ spec: { aws: { ...world.spec.aws!, ...change } } });
    expect((await world.pass(facts, data)).template).not.toBe(template);
  });

  it('other tags do not', async () => {
    const { template } = await world.pass();
    const facts = world.pool({ spec: { aws: { ...world.spec.aws!, tags: { team: 'blue' } } } });
    expect((await world.pass(facts)).template).toBe(template);
    expect(await world.versions()).toHaveLength(2);
  });

  it('a newer image is for those who ask in another way: nothing rolls by itself', async () => {
    const { Images = [] } = await world.ec2.send(
      new DescribeImagesCommand({ Filters: [{ Name: 'architecture', Values: ['x86_64'] }] }),
    );
    const [older = '', newer = ''] = Images.map(({ ImageId = '' }) => ImageId);
    const [Name, session] = ['/images/nodes', await world.session()];
    const publish = (Value: string) =>
      session.parameters(
        world.ctx,
        new PutParameterCommand({ Name, Value, Type: 'String', Overwrite: true }),
      );
    const image = { ssmParameter: Name };
    const facts = world.pool({ replicas: 0, spec: { aws: { ...world.spec.aws!, image } } });
    await publish(older);
    const { template } = await world.pass(facts);
    await publish(newer);
    world.restart();
    expect((await world.pass(facts)).template).toBe(template);
    expect(await world.versions()).toHaveLength(1);
    const upgraded = await world.pass({ ...facts, version: 'v1.37.0' });
    expect(upgraded.template).not.toBe(template);
    expect((await world.versions()).at(-1)?.LaunchTemplateData?.ImageId).toBe(newer);
  });

  it('keeps no version that no machine was made from', async () => {
    await world.pass(world.pool({ replicas: 1 }));
    for (const token of ['aaaaaa', 'bbbbbb', 'cccccc'])
      await world.pass(world.pool({ replicas: 1 }), bootstrap(`${token}.0123456789abcdef`));
    // The machine is from the first, the next one would be from the last.
    expect((await world.versions()).map(({ VersionNumber }) => VersionNumber)).toEqual([1, 4]);
  });

  it('a machine keeps what it was made from', async () => {
    const { template } = await world.pass();
    await world.pass();
    const data = bootstrap(undefined, 'join otherwise');
    const after = await world.pass(world.pool(), data);
    const [first] = (await world.group()).instances;
    await end(first!.providerID);
    await world.pass(world.pool(), data);
    world.restart();
    const hashes = (await world.group()).instances.map(({ machine }) => machine.createIntent?.requestHash);
    expect(hashes.sort()).toEqual([template, after.template].sort());
  });

  it('a change that is taken back needs no third version', async () => {
    await world.pass();
    // The group has machines of the first one by now.
    await world.pass();
    await world.pass(world.pool(), bootstrap(undefined, 'join otherwise'));
    proxy.clearCalls();
    await world.pass();
    expect(proxy.countOf('CreateLaunchTemplateVersion')).toBe(0);
    expect((await world.groups())[0]?.LaunchTemplate?.Version).toBe('1');
  });
});

describe('its size', () => {
  it('grows at once, and shrinks only by machines that are ended', async () => {
    await world.pass();
    await world.pass(world.pool({ replicas: 3 }));
    expect((await world.group()).instances).toHaveLength(3);

    await world.pass(world.pool({ replicas: 1 }));
    const all = (await world.group()).instances;
    expect(all).toHaveLength(3);
    await end(all[0]!.providerID);
    await end(all[1]!.providerID);
    expect((await world.group()).instances.map(({ name }) => name)).toEqual([all[2]!.name]);
  });

  it('stays when a machine is ended for another reason: the group makes another one', async () => {
    await world.pass();
    const [first] = (await world.group()).instances;
    await end(first!.providerID);
    const names = (await world.group()).instances.map(({ name }) => name);
    expect(names).toHaveLength(2);
    expect(names).not.toContain(first!.name);
  });

  it('an instance that is in no group any more is ended all the same', async () => {
    await world.pass();
    const [one] = (await world.group()).instances;
    const InstanceIds = [one!.providerID.split('/').at(-1)!];
    const name = groupName(world.pool());
    await world.autoScaling.send(
      new DetachInstancesCommand({
        ...{ InstanceIds, AutoScalingGroupName: name, ShouldDecrementDesiredCapacity: false },
      }),
    );
    await end(one!.providerID);
    await end(one!.providerID);
    const { Reservations } = await world.ec2.send(new DescribeInstancesCommand({ InstanceIds }));
    expect(Reservations![0]!.Instances![0]!.State?.Name).toBe('terminated');
  });

  it('is put right when somebody else has changed it', async () => {
    await world.pass();
    const name = groupName(world.pool());
    await world.autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: name, DesiredCapacity: 1 }),
    );
    await world.pass();
    expect((await world.groups())[0]?.DesiredCapacity).toBe(2);
  });

  it('IMP-10: is somebody else’s where the MachinePool says so, between limits', async () => {
    const limits = { minSize: 1, maxSize: 4 };
    const facts = world.pool({ isSizedElsewhere: true, spec: { aws: { ...world.spec.aws!, limits } } });
    await world.pass(facts);
    expect((await world.groups())[0]).toMatchObject({ DesiredCapacity: 2, MinSize: 1, MaxSize: 4 });
    await world.autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: groupName(facts), DesiredCapacity: 4 }),
    );
    expect(await world.pass(facts)).toMatchObject({ pollMs: 30_000 });
    expect((await world.group()).desired).toBe(4);
    expect((await world.groups())[0]?.Instances?.some((one) => one.ProtectedFromScaleIn)).toBe(false);
  });
});

describe('the end of a pool', () => {
  async function remove(): Promise<number> {
    for (let pass = 1; pass < 20; pass++) {
      if ((await world.backend.remove(world.ctx, world.pool({ cluster: undefined }))).state === 'gone')
        return pass;
      await world.clock.advance(5_000);
    }
    throw new Error('the pool does not go');
  }

  it('leaves the account as it was', async () => {
    const before = await proxy.snapshot();
    await world.pass();
    await world.backend.close(world.ctx, world.pool(), await world.group());
    for (const { providerID } of (await world.group()).instances) await end(providerID);
    expect((await world.group()).instances).toEqual([]);
    await remove();
    expect(await proxy.snapshot()).toBe(before);
    expect(await remove()).toBe(1);
  });

  it('takes what is left of it: nobody has ended these instances', async () => {
    const before = await proxy.snapshot();
    await world.pass();
    await remove();
    expect(await proxy.snapshot()).toBe(before);
  });

  it.each(['DeleteAutoScalingGroup', 'UpdateAutoScalingGroup', 'DeleteLaunchTemplate'])(
    'survives a lost answer of %s',
    async (action) => {
      const before = await proxy.snapshot();
      await world.pass();
      proxy.faults.add({ action, kind: 'lostResponse', times: 1 });
      await expect(remove()).rejects.toThrow();
      await remove();
      expect(await proxy.snapshot()).toBe(before);
    },
  );

  it('waits for a group that another process may have asked for, and that is not shown yet', async () => {
    const facts = world.pool();
    world.restart();
    expect(await world.backend.remove(world.ctx, facts)).toMatchObject({ state: 'inProgress' });
    await world.pass();
    await world.clock.advance(60_000);
    await remove();
    expect(await world.groups()).toEqual([]);
  });

  it('waits for instances that shut down', async () => {
    await world.pass();
    const [one] = (await world.group()).instances;
    await world.backend.close(world.ctx, world.pool(), await world.group());
    expect((await world.groups())[0]).toMatchObject({ DesiredCapacity: 0 });
    await end(one!.providerID);
    expect((await world.group()).instances).toHaveLength(1);
  });
});
