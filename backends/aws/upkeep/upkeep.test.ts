// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import type { MachineFacts, UpkeepReport } from '../../backend.ts';
import { createExistingResources } from '../instance/existing.ts';
import { contextOf, machineNamed, recordNamed, sessionOf } from '../instance/instance.fixtures.ts';
import { choiceOf } from '../instance/choice.ts';
import { tagsOfInstance } from '../instance/request.ts';
import { createInstanceStore } from '../instance/store.ts';
import { createRest } from '../rest.ts';
import { USER_DATA_TAG, type UserDataStore } from '../user-data/user-data.ts';
import { rebalanceRecommendation } from './event.fixtures.ts';
import { PlayedQueue } from './queue.fixtures.ts';
import { createUpkeep } from './upkeep.ts';

const ID = 'i-1';

/** Made in sg-role. */
function machineWith(aws: Partial<AWSMachineSpec>, overrides: Partial<MachineFacts> = {}): MachineFacts {
  const choice = {
    ...{ region: 'eu-central-1', identity: 'default', account: '123456789012', infrastructureID: 'prod-1' },
    ...{ clusterName: 'prod', role: 'node', imageID: 'ami-1', instanceType: 'm5.large' },
    ...{ subnetID: 'subnet-1', securityGroups: 'sg-role' },
  };
  return machineNamed('m', {
    intent: { attempt: 1, clientToken: 'token', requestHash: 'hash', choice },
    spec: { aws: { instanceType: 'm5.large', image: { id: 'ami-1' }, ...aws } },
    ...overrides,
  });
}

interface Call {
  readonly action: string;
  readonly input: object;
}

interface World {
  readonly calls: readonly Call[];
  lookAfter(machine: MachineFacts): Promise<UpkeepReport>;
  /** A manager that was just started, and has seen the instance with what was written. */
  restart(): void;
}

interface Options {
  readonly tags?: Record<string, string>;
  readonly spotNotice?: boolean;
  readonly maintenanceInHours?: number;
  /** Instead of an answer of EC2 about the network. */
  readonly networkError?: Error;
}

/** One instance as it was asked for, with these tags besides. */
function worldOf(made: MachineFacts, options: Options = {}) {
  const clock = new FakeClock();
  const calls: Call[] = [];
  const removals: string[] = [];
  const spec = made.spec.aws!;
  const intent = made.intent!;
  const tags = {
    ...tagsOfInstance({ machine: made, spec, intent, choice: choiceOf(intent)! }),
    ...options.tags,
  };
  const queue = new PlayedQueue();
  const ec2 = sessionOf((action, input) => {
    calls.push({ action, input });
    if (action === 'CreateTags')
      for (const { Key, Value } of (input as { Tags: { Key: string; Value: string }[] }).Tags)
        tags[Key] = Value;
    if (action === 'DescribeSecurityGroups') return { SecurityGroups: [{ GroupId: 'sg-found' }] };
    if (action === 'DescribeInstanceStatus' && options.maintenanceInHours !== undefined) {
      const NotBefore = new Date(clock.now().getTime() + options.maintenanceInHours * 3_600_000);
      return { InstanceStatuses: [{ InstanceId: ID, Events: [{ Code: 'system-reboot', NotBefore }] }] };
    }
    if (action !== 'DescribeSpotInstanceRequests') return {};
    const Status = { Code: 'marked-for-termination' };
    return { SpotInstanceRequests: options.spotNotice === true ? [{ InstanceId: ID, Status }] : [] };
  });
  const session = { ...ec2, queues: queue.session.queues };
  const newManager = () => {
    const store = createInstanceStore({ clock, windowMs: 60_000, changed: () => undefined });
    const networkInterfaces = [{ id: 'eni-1', securityGroupIDs: ['sg-role'] }];
    store.put(recordNamed(ID, { tags: { ...tags }, networkInterfaces, isSpot: true }));
    const userData: UserDataStore = {
      prepare: () => Promise.reject(new Error('nothing is made')),
      remove: async (...[, , , told]) => void removals.push(told?.[USER_DATA_TAG] ?? ''),
    };
    const securityGroups = { controlPlane: ['sg-control-plane'], nodes: ['sg-role'], loadBalancer: [] };
    const facts = { vpcID: 'vpc-1', cidrBlocks: [], subnets: [], securityGroups };
    return createUpkeep({
      sessions: { open: async () => session, all: () => [session], close: () => undefined },
      targets: { register: async () => ({ done: true }), deregister: async () => ({ done: true }) },
      userData,
      observation: { store: () => store, wake: () => undefined },
      network: {
        networkFacts: () =>
          options.networkError ? Promise.reject(options.networkError) : Promise.resolve(facts),
        forget: () => undefined,
      },
      existing: createExistingResources(clock),
      rest: createRest(clock),
      clock,
      metrics: createMetrics(),
    });
  };
  let upkeep = newManager();
  return {
    ...{ calls, removals, queue },
    async tick() {
      await upkeep.tick(contextOf(clock));
      await clock.settle();
    },
    lookAfter: (machine: MachineFacts) =>
      upkeep.upkeep(contextOf(clock), machine, {
        ...{ state: 'running', providerID: `aws:///eu-central-1a/${ID}`, addresses: [] },
        ...{ failureDomain: 'eu-central-1a', message: '' },
      }),
    restart: () => void (upkeep = newManager()),
  } satisfies World & { removals: string[]; queue: PlayedQueue; tick(): Promise<void> };
}

const writes = ({ calls }: Pick<World, 'calls'>) =>
  calls.filter(({ action }) => !action.startsWith('Describe'));

describe('an interruption', () => {
  it('asks for the replacement of a worker where that is wanted', async () => {
    const machine = machineWith({ onInterruption: 'Replace' });
    const { interruption } = await worldOf(machine, { spotNotice: true }).lookAfter(machine);
    expect(interruption).toMatchObject({ reason: 'SpotInterruption', replace: true, canWait: false });
  });

  it.each([
    { hours: 48, canWait: true },
    { hours: 0.5, canWait: false },
  ])('by maintenance in $hours h: can wait: $canWait', async ({ hours, canWait }) => {
    const machine = machineWith({ onInterruption: 'Replace' });
    const { interruption } = await worldOf(machine, { maintenanceInHours: hours }).lookAfter(machine);
    expect(interruption).toMatchObject({ reason: 'MaintenanceScheduled', replace: true, canWait });
  });

  it('of a control plane machine is only reported: with it a member of etcd would go', async () => {
    const machine = machineWith({ onInterruption: 'Replace' }, { controlPlane: true });
    const { interruption } = await worldOf(machine, { spotNotice: true }).lookAfter(machine);
    expect(interruption).toMatchObject({ reason: 'SpotInterruption', replace: false });
    expect(interruption?.message).toContain('control plane machines are not replaced for it');
  });
});

describe('a rebalance recommendation', () => {
  const aws = {
    ...{ region: 'eu-central-1', identityRef: { name: 'default' }, network: { managed: {} } },
    interruptionQueue: 'interruptions',
  };
  const recommended = async (spec: Partial<AWSMachineSpec>, overrides: Partial<MachineFacts> = {}) => {
    const machine = machineWith(spec, { cluster: { aws }, ...overrides });
    const world = worldOf(machine);
    await world.lookAfter(machine);
    await world.tick();
    world.queue.send(rebalanceRecommendation(ID));
    await world.tick();
    return (await world.lookAfter(machine)).interruption;
  };

  it('is told, and replaces a worker where onRebalance asks for it', async () => {
    expect(await recommended({ onInterruption: 'Replace' })).toMatchObject({
      ...{ reason: 'RebalanceRecommended', replace: false },
    });
    expect(await recommended({ onRebalance: 'Replace' })).toMatchObject({ replace: true, canWait: true });
  });

  it('replaces no control plane machine', async () => {
    const interruption = await recommended({ onRebalance: 'Replace' }, { controlPlane: true });
    expect(interruption).toMatchObject({ reason: 'RebalanceRecommended', replace: false });
    expect(interruption?.message).toContain('control plane machines are not replaced for it');
  });

  it('is not heard of without a queue', async () => {
    const { interruptionQueue: _queue, ...without } = aws;
    expect(await recommended({ onRebalance: 'Replace' }, { cluster: { aws: without } })).toBeUndefined();
  });

  it('is no spot notice: onRebalance says nothing of that', async () => {
    const machine = machineWith({ onRebalance: 'Replace' });
    const { interruption } = await worldOf(machine, { spotNotice: true }).lookAfter(machine);
    expect(interruption).toMatchObject({ reason: 'SpotInterruption', replace: false });
  });
});

describe('stored user data', () => {
  it('are removed once there is a Node, which the instance then says to whoever comes later', async () => {
    const machine = machineWith({}, { hasNode: true });
    const world = worldOf(machine, { tags: { [USER_DATA_TAG]: 'secretsmanager:1:x' } });
    expect((await world.lookAfter(machine)).differs).toBeUndefined();
    await world.lookAfter(machine);
    expect(writes(world)).toEqual([
      { action: 'CreateTags', input: { Resources: [ID], Tags: [{ Key: USER_DATA_TAG, Value: 'removed' }] } },
    ]);
    world.restart();
    await world.lookAfter(machine);
    expect(world.removals.at(-1)).toBe('removed');
    expect(writes(world)).toHaveLength(1);
  });

  it('are not said to be removed before they are', async () => {
    const machine = machineWith({});
    const world = worldOf(machine, { tags: { [USER_DATA_TAG]: 'secretsmanager:1:x' } });
    await world.lookAfter(machine);
    expect(world.removals).toEqual([]);
    expect(writes(world)).toEqual([]);
  });
});

describe('security groups', () => {
  it('that were added to the spec are given to the living instance, by id and by filters', async () => {
    const filters = [{ name: 'group-name', values: ['db'] }];
    const changed = machineWith({ securityGroups: [{ id: 'sg-added' }, { filters }] });
    const world = worldOf(machineWith({}));
    await world.lookAfter(changed);
    const Groups = ['sg-added', 'sg-found', 'sg-role'];
    expect(writes(world)).toEqual([
      { action: 'ModifyNetworkInterfaceAttribute', input: { NetworkInterfaceId: 'eni-1', Groups } },
    ]);
  });

  it('stay as they are while nobody can say which they shall be', async () => {
    const made = machineWith({});
    const choice = { ...made.intent!.choice, securityGroups: 'sg-of-before' };
    const machine = { ...made, intent: { ...made.intent!, choice } };
    const world = worldOf(machine, { networkError: new TransientError('no answer') });
    expect(await world.lookAfter(machine)).toEqual({ pollMs: 30_000 });
    expect(writes(world)).toEqual([]);
  });
});
