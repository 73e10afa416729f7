// SPDX-License-Identifier: Apache-2.0
// Instances under faults: however much gets lost, comes late or is refused, one machine is one instance, and none after its end.
import { randomUUID } from 'node:crypto';
import { CreateTagsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AWSBackend } from '../../backends/aws/machine-backend.ts';
import type { MachineFacts } from '../../backends/backend.ts';
import { TransientError } from '../../runtime/errors.ts';
import { bootstrapData, intentFor, type MachineWorld, startMachineWorld } from '../aws/machine-world.ts';
import { endAll, makeAll, played, type PlayedMachine } from '../aws/played-controller.ts';

let world: MachineWorld;
beforeAll(async () => void (world = await startMachineWorld()));
afterAll(() => world.stop());
beforeEach(() => world.reset());

const MACHINES = 5;

function some(count = MACHINES, ...of: Parameters<MachineWorld['machine']>): PlayedMachine[] {
  return Array.from({ length: count }, () => played(world.machine(...of)));
}

function states(machines: readonly PlayedMachine[]): string[] {
  return machines.map(({ state, last }) =>
    state === 'making' ? `making: ${JSON.stringify(last)} ${String(last)}` : state,
  );
}

/** A manager that lives on, and one that is killed after every third round: the next one knows what was recorded, and nothing else. */
const LIVES: readonly [string, () => () => AWSBackend][] = [
  [
    'a manager that lives',
    () =>
      (
        (backend) => () =>
          backend
      )(world.manager()),
  ],
  [
    'a manager that is killed now and then',
    () => {
      let rounds = 0;
      let backend = world.manager();
      return () => (backend = rounds++ % 3 === 0 ? world.manager() : backend);
    },
  ],
];

const FAULTS: readonly [string, () => void][] = [
  ['nothing is wrong', () => undefined],
  [
    'many an answer of RunInstances is lost',
    () => void world.proxy.faults.add({ action: 'RunInstances', kind: 'lostResponse', rate: 0.37 }),
  ],
  [
    'many an answer is lost',
    () => void world.proxy.faults.add({ service: 'ec2', kind: 'lostResponse', rate: 0.37 }),
  ],
  [
    'many a request is lost',
    () => void world.proxy.faults.add({ service: 'ec2', kind: 'lostRequest', rate: 0.37 }),
  ],
  [
    'many a call is throttled',
    () => void world.proxy.faults.add({ service: 'ec2', kind: 'throttle', rate: 0.37 }),
  ],
  [
    'many a call is a 500',
    () => void world.proxy.faults.add({ service: 'ec2', kind: 'serverError', rate: 0.37 }),
  ],
  [
    'EC2 is 30 s behind',
    () =>
      void Object.assign(world.proxy.options, { staleMs: 30_000, pendingMs: 5_000, shuttingDownMs: 5_000 }),
  ],
  [
    'EC2 is 30 s behind, and answers get lost',
    () => {
      Object.assign(world.proxy.options, { staleMs: 30_000, pendingMs: 5_000, shuttingDownMs: 5_000 });
      world.proxy.faults.add({ service: 'ec2', kind: 'lostResponse', rate: 0.37 });
    },
  ],
];

describe.each(LIVES)('%s', (_life, live) => {
  it.each(FAULTS)('makes each machine once and ends it, when %s', async (_fault, inject) => {
    inject();
    const machines = some();
    const round = { world, backend: live() };
    await makeAll(machines, round);
    expect(states(machines)).toEqual(machines.map(() => 'running'));
    expect(await world.instances()).toHaveLength(MACHINES);
    await endAll(machines, round);
    expect(states(machines)).toEqual(machines.map(() => 'gone'));
    expect(await world.living()).toEqual([]);
    expect(await world.instances()).toHaveLength(MACHINES);
  });

  it.each([0, 30_000])(
    'ends what was made though no answer ever came (EC2 is %d ms behind)',
    async (staleMs) => {
      world.proxy.options.staleMs = staleMs;
      world.proxy.faults.add({ action: 'RunInstances', kind: 'lostResponse', times: MACHINES });
      const machines = some();
      const round = { world, backend: live() };
      await makeAll(machines, { ...round, maxRounds: 1 });
      expect(machines.map(({ last }) => last)).toEqual(
        machines.map(() => expect.any(TransientError) as unknown),
      );
      expect(await world.living()).toHaveLength(MACHINES);
      await endAll(machines, round);
      expect(states(machines)).toEqual(machines.map(() => 'gone'));
      expect(await world.living()).toEqual([]);
      expect(await world.instances()).toHaveLength(MACHINES);
    },
  );

  it('ends a machine whose request never got there', async () => {
    world.proxy.faults.add({ action: 'RunInstances', kind: 'lostRequest', times: MACHINES });
    const machines = some();
    const round = { world, backend: live() };
    await makeAll(machines, { ...round, maxRounds: 1 });
    await endAll(machines, round);
    expect(states(machines)).toEqual(machines.map(() => 'gone'));
    expect(await world.living()).toEqual([]);
  });

  it('finds what was made with bootstrap data that have changed meanwhile', async () => {
    world.proxy.options.staleMs = 30_000;
    world.proxy.faults.add({ action: 'RunInstances', kind: 'lostResponse', times: MACHINES });
    const machines = some();
    const round = { world, backend: live() };
    await makeAll(machines, { ...round, maxRounds: 1 });
    const renewed = { ...bootstrapData, value: Buffer.from('#cloud-config\nruncmd: [other]\n') };
    await makeAll(machines, { ...round, data: renewed, maxRounds: 1 });
    expect(machines[0]!.last).toMatchObject({ state: 'deferred', reason: 'InstanceCreating' });
    await makeAll(machines, { ...round, data: renewed });
    expect(states(machines)).toEqual(machines.map(() => 'running'));
    expect(await world.instances()).toHaveLength(MACHINES);
  });
});

describe('what EC2 has none of', () => {
  it('goes to the next zone where the machine may be in any', async () => {
    const [zone] = world.facts.subnets.map(({ availabilityZone }) => availabilityZone);
    world.proxy.options.noCapacity = [{ availabilityZone: zone! }];
    const machines = some(12);
    const backend = world.manager();
    await makeAll(machines, { world, backend: () => backend });
    expect(states(machines)).toEqual(machines.map(() => 'running'));
    const zones = (await world.instances()).map(({ Placement }) => Placement?.AvailabilityZone);
    expect(zones).toHaveLength(12);
    expect(zones).not.toContain(zone);
    expect(new Set(zones).size).toBeGreaterThan(1);
  });

  it('takes the fallbacks in their order: another market, another type', async () => {
    world.proxy.options.noCapacity = [{ market: 'spot' }, { instanceType: 'm5.large' }];
    const fallbacks = [
      { market: 'OnDemand' as const },
      { instanceType: 'm5.xlarge', market: 'OnDemand' as const },
    ];
    const machine = played(world.machine({ failureDomain: 'us-east-1a' }, { spot: {}, fallbacks }));
    const backend = world.manager();
    await makeAll([machine], { world, backend: () => backend });
    expect(machine.facts.intent).toMatchObject({
      attempt: 3,
      choice: { instanceType: 'm5.xlarge', market: 'on-demand', offer: '2' },
    });
    expect(await world.instances()).toMatchObject([{ InstanceType: 'm5.xlarge' }]);
  });

  it('waits, says what it waits for, and does not storm', async () => {
    world.proxy.options.noCapacity = [{}];
    const machines = some(5, { failureDomain: 'us-east-1a' });
    const backend = world.manager();
    await makeAll(machines, { world, backend: () => backend, maxRounds: 200, stepMs: 3_000 });
    const message = expect.stringMatching(/m5\.large on-demand in us-east-1a \(no capacity/) as string;
    for (const { last } of machines)
      expect(last).toMatchObject({ state: 'deferred', reason: 'CapacityUnavailable', message });
    // Ten minutes: five at once, then one probe after 1, 2 and 4 minutes more.
    expect(world.proxy.countOf('RunInstances')).toBeLessThanOrEqual(5 + 4);
    world.proxy.options.noCapacity = [];
    await makeAll(machines, { world, backend: () => backend, maxRounds: 400, stepMs: 3_000 });
    expect(states(machines)).toEqual(machines.map(() => 'running'));
    expect(await world.instances()).toHaveLength(5);
  });

  it('says that the quota is used up, and lets such a machine go at once', async () => {
    world.proxy.options.maxInstances = 1;
    const machines = some(2);
    const backend = world.manager();
    await makeAll(machines.slice(0, 1), { world, backend: () => backend });
    await makeAll(machines.slice(1), { world, backend: () => backend, maxRounds: 3 });
    expect(machines[1]!.last).toMatchObject({ state: 'deferred', reason: 'QuotaExceeded' });
    expect(await backend.destroy(world.ctx, machines[1]!.facts)).toEqual({ state: 'gone' });
    expect(await world.living()).toHaveLength(1);
  });

  it('refuses for good what is wrong, and lets it go without having made anything', async () => {
    const error = {
      status: 400,
      code: 'InvalidKeyPair.NotFound',
      message: "The key pair 'x' does not exist",
    };
    world.proxy.faults.add({ action: 'RunInstances', kind: 'error', ...error });
    const machine = played(world.machine());
    const backend = world.manager();
    await makeAll([machine], { world, backend: () => backend, maxRounds: 1 });
    expect(machine.last).toMatchObject({
      reason: 'InvalidMachine',
      message: expect.stringContaining('spec.aws.keyName') as string,
    });
    expect(await backend.destroy(world.ctx, machine.facts)).toEqual({ state: 'gone' });
    expect(world.proxy.countOf('RunInstances')).toBe(1);
  });

  it('takes no for an answer of the identity only: what was asked for before is still looked for', async () => {
    world.proxy.faults.add({ action: 'RunInstances', kind: 'lostResponse', times: 1 });
    const machine = played(world.machine());
    world.proxy.options.staleMs = 30_000;
    await makeAll([machine], { world, backend: () => world.manager(), maxRounds: 1 });
    const denied = { status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized' };
    world.proxy.faults.add({ action: 'RunInstances', kind: 'error', ...denied });
    const backend = world.manager();
    expect(await backend.destroy(world.ctx, machine.facts)).toMatchObject({ state: 'inProgress' });
    await endAll([machine], { world, backend: () => backend });
    expect(machine.state).toBe('gone');
    expect(await world.living()).toEqual([]);
  });
});

describe('what happens outside', () => {
  async function running(overrides: Partial<MachineFacts> = {}) {
    const machine = played(world.machine(overrides));
    const backend = world.manager();
    await makeAll([machine], { world, backend: () => backend });
    const [instance] = await world.living();
    return { machine, backend, id: instance!.InstanceId! };
  }

  /** As the next list shows it. */
  async function observed(backend: AWSBackend, machine: PlayedMachine) {
    world.clock.shift(31_000);
    await backend.tick(world.ctx);
    return backend.observe(world.ctx, machine.facts);
  }

  it('says who has stopped an instance, and wakes its machine', async () => {
    const { machine, backend, id } = await running();
    const { cursor } = await backend.changes(world.ctx, '');
    await world.proxy.stopOutside(id);
    const seen = await observed(backend, machine);
    expect(seen).toMatchObject({
      state: 'stopped',
      message: expect.stringMatching(/by a call to the EC2 API/) as string,
    });
    const { namespace, name } = machine.facts;
    expect((await backend.changes(world.ctx, cursor)).machines).toEqual([{ namespace, name }]);
  });

  it('says who has terminated an instance', async () => {
    const { machine, backend, id } = await running();
    await world.proxy.terminateOutside(id, { code: 'Server.SpotInstanceTermination', message: 'Spot' });
    expect(await observed(backend, machine)).toMatchObject({
      state: 'absent',
      message: expect.stringContaining('spot capacity') as string,
    });
  });

  it('believes only after a while that an instance is gone that EC2 does not show', async () => {
    const { machine, backend, id } = await running();
    await world.proxy.terminateOutside(id);
    world.proxy.forget(id);
    expect(await backend.observe(world.ctx, machine.facts)).toMatchObject({ state: 'running' });
    world.clock.shift(50_000);
    await backend.tick(world.ctx);
    expect(await backend.observe(world.ctx, machine.facts)).toMatchObject({ state: 'running' });
    world.clock.shift(15_000);
    expect(await backend.observe(world.ctx, machine.facts)).toEqual({ state: 'absent' });
    const next = world.manager();
    expect(await next.observe(world.ctx, machine.facts)).toMatchObject({
      state: 'pending',
      providerID: machine.facts.providerID,
    });
    expect(await next.destroy(world.ctx, machine.facts)).toMatchObject({ state: 'inProgress' });
    world.clock.shift(60_000);
    expect(await next.destroy(world.ctx, machine.facts)).toEqual({ state: 'gone' });
  });

  it('stops where two instances say that they are the machine, and names both', async () => {
    const { machine, backend, id } = await running();
    const [original] = await world.living();
    const { ImageId, SubnetId, Tags } = original!;
    const copy = await world.ec2.send(
      new RunInstancesCommand({ MinCount: 1, MaxCount: 1, ImageId, SubnetId, InstanceType: 'm5.large' }),
    );
    const other = copy.Instances![0]!.InstanceId!;
    await world.ec2.send(new CreateTagsCommand({ Resources: [other], Tags }));
    world.clock.shift(31_000);
    await backend.tick(world.ctx);
    for (const one of [backend, world.manager()]) {
      const both = {
        reason: 'DuplicateInstances',
        message: expect.stringMatching(new RegExp(`(?=.*${id})(?=.*${other})`)) as string,
      };
      await expect(one.observe(world.ctx, machine.facts)).rejects.toMatchObject(both);
      await expect(one.destroy(world.ctx, machine.facts)).rejects.toMatchObject(both);
      await expect(one.destroy(world.ctx, { ...machine.facts, providerID: undefined })).rejects.toMatchObject(
        both,
      );
    }
    expect(await world.living()).toHaveLength(2);
  });

  it('makes none for an object of a backup that does not know the attempt which made its instance', async () => {
    const { machine, id } = await running();
    const backend = world.manager();
    const restored = { ...machine.facts, uid: randomUUID(), providerID: undefined, intent: undefined };
    const again = played(restored);
    await makeAll([again], { world, backend: () => backend, maxRounds: 1 });
    expect(again.last).toMatchObject({
      reason: 'DuplicateInstances',
      message: expect.stringContaining(id) as string,
    });
    expect(await world.instances()).toHaveLength(1);
  });

  it('makes another one under the name of a machine that was ended', async () => {
    const { machine, backend } = await running();
    await endAll([machine], { world, backend: () => backend });
    const next = played({ ...machine.facts, uid: randomUUID(), providerID: undefined, intent: undefined });
    await makeAll([next], { world, backend: () => backend });
    expect(next.state).toBe('running');
    expect(await world.living()).toHaveLength(1);
  });

  it('does not end an instance that does not carry our tags', async () => {
    const [subnet] = world.facts.subnets;
    const command = new RunInstancesCommand({
      MinCount: 1,
      MaxCount: 1,
      ImageId: world.imageID,
      SubnetId: subnet!.id,
      InstanceType: 'm5.large',
    });
    const { Instances = [] } = await world.ec2.send(command);
    const providerID = `aws:///${subnet!.availabilityZone}/${Instances[0]!.InstanceId}`;
    const machine = world.machine({ providerID });
    await expect(world.manager().destroy(world.ctx, machine)).rejects.toMatchObject({
      reason: 'ProviderIDInvalid',
    });
    expect(await world.living()).toHaveLength(1);
  });

  it('does not end a control plane instance that the load balancer still has', async () => {
    const { machine } = await running({ controlPlane: true });
    const asked: string[] = [];
    let answer: { done: true } | { done: false; message: string; pollMs: number } = {
      done: false,
      message: 'draining',
      pollMs: 1_000,
    };
    const deregister = async (
      _ctx: unknown,
      _session: unknown,
      infrastructureID: string,
      instanceID: string,
    ) => {
      asked.push(`${infrastructureID} ${instanceID}`);
      return answer;
    };
    const backend = world.manager({ targets: { register: async () => ({ done: true }), deregister } });
    expect(await backend.destroy(world.ctx, { ...machine.facts, cluster: undefined })).toMatchObject({
      state: 'inProgress',
      message: 'draining',
    });
    const [instance] = await world.living();
    expect(instance?.State?.Name).toBe('running');
    expect(asked).toEqual([`prod-1a2b3 ${instance!.InstanceId}`]);
    answer = { done: true };
    await endAll([machine], { world, backend: () => backend });
    expect(await world.living()).toEqual([]);
  });
});

describe('calls', () => {
  it('makes 100 machines with at most 3 calls each, and ends them with at most 2', async () => {
    Object.assign(world.proxy.options, { pendingMs: 8_000, shuttingDownMs: 8_000 });
    const machines = some(100);
    const backend = world.manager();
    await makeAll(machines, { world, backend: () => backend, stepMs: 1_500 });
    expect(states(machines)).toEqual(machines.map(() => 'running'));
    expect(world.proxy.countOf('RunInstances')).toBe(100);
    expect(world.proxy.calls().length / 100).toBeLessThan(1.5);
    world.proxy.clearCalls();
    await endAll(machines, { world, backend: () => backend, stepMs: 1_500 });
    expect(states(machines)).toEqual(machines.map(() => 'gone'));
    expect(world.proxy.calls().length / 100).toBeLessThan(0.5);
    expect(await world.living()).toEqual([]);
  });

  it('asks once for all machines after a start, and then hardly', async () => {
    const machines = some(20);
    const first = world.manager();
    await makeAll(machines, { world, backend: () => first });
    const backend = world.manager();
    world.proxy.clearCalls();
    for (let count = 0; count < 40; count++) {
      await Promise.all(machines.map(({ facts }) => backend.observe(world.ctx, facts)));
      world.clock.shift(1_500);
      await backend.tick(world.ctx);
    }
    // A minute: a list at the start, and one every 30 s.
    expect(world.proxy.countOf('DescribeInstances')).toBeLessThanOrEqual(4);
  });

  it('asks for everything in the one request', async () => {
    const machine = played(
      world.machine(
        { controlPlane: true },
        {
          ...{ publicIP: true, tags: { team: 'blue', Name: 'mine' }, keyName: 'a-key' },
          rootVolume: { sizeGiB: 40 },
          volumes: [{ deviceName: '/dev/sdf', sizeGiB: 10, type: 'gp2' }],
        },
      ),
    );
    const backend = world.manager();
    await makeAll([machine], { world, backend: () => backend });
    const [instance] = await world.living();
    expect(instance).toMatchObject({
      KeyName: 'a-key',
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    });
    expect(Object.fromEntries(instance!.Tags!.map(({ Key, Value }) => [Key, Value]))).toMatchObject({
      ...{ team: 'blue', Name: 'mine', 'kubernetes.io/cluster/prod': 'owned' },
      ...{ 'ts-provider/cluster': 'prod-1a2b3', 'ts-provider/role': 'control-plane' },
      'ts-provider/machine': `default/${machine.facts.name}`,
      'ts-provider/token': machine.facts.intent!.clientToken,
    });
    expect(instance!.BlockDeviceMappings).toHaveLength(2);
    expect(world.proxy.countOf('CreateTags')).toBe(0);
  });

  it('refuses a subnet of another VPC and names both', async () => {
    const backend = world.manager();
    const wrong = { ...world.facts, vpcID: 'vpc-0123456789', subnets: [] };
    const other = world.manager({ network: { networkFacts: async () => wrong, forget: () => undefined } });
    const [subnet] = world.facts.subnets;
    const machine = world.machine({}, { subnet: { id: subnet!.id } });
    const message = expect.stringMatching(
      new RegExp(`${subnet!.id}.*${subnet!.vpcID}.*vpc-0123456789`),
    ) as string;
    await expect(other.plan(world.ctx, machine)).rejects.toMatchObject({ reason: 'SubnetInvalid', message });
    const filters = [{ name: 'availability-zone', values: ['us-east-1b'] }];
    const byFilter = await intentFor(backend, world.ctx, world.machine({}, { subnet: { filters } }));
    expect(byFilter.choice).toMatchObject({ availabilityZone: 'us-east-1b' });
    expect(byFilter.clientToken).not.toBe(randomUUID());
  });
});
