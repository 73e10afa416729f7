// SPDX-License-Identifier: Apache-2.0
// What happens to living instances: drift is repaired, notices are told in time, and calm costs no calls.
import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeInstancesCommand,
  ModifyInstanceMetadataOptionsCommand,
  ModifyNetworkInterfaceAttributeCommand,
  CreateSecurityGroupCommand,
} from '@aws-sdk/client-ec2';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import type { AWSBackend } from '../../backends/aws/machine-backend.ts';
import { createExistingResources } from '../../backends/aws/instance/existing.ts';
import { createInstanceTypes } from '../../backends/aws/instance/instance-type.ts';
import { createObservation } from '../../backends/aws/instance/observation.ts';
import { createRest } from '../../backends/aws/rest.ts';
import type { AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import { createSizing } from '../../backends/aws/sizing.ts';
import { CLUSTER_TAG } from '../../backends/aws/tags.ts';
import { rebalanceRecommendation, spotWarning } from '../../backends/aws/upkeep/event.fixtures.ts';
import { type AWSUpkeep, createUpkeep } from '../../backends/aws/upkeep/upkeep.ts';
import { createUserDataStore } from '../../backends/aws/user-data/user-data.ts';
import type { ExistingInstance, MachineFacts, UpkeepReport } from '../../backends/backend.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import {
  bootstrapData,
  intentFor,
  type MachineWorld,
  REGION,
  startMachineWorld,
} from '../aws/machine-world.ts';

let world: MachineWorld;
let sessions: AWSSessions;
let backend: AWSBackend;
let upkeep: AWSUpkeep;
let metrics: Metrics;
/** Ids that the load balancer was given. */
let registered: string[];

beforeAll(async () => {
  world = await startMachineWorld();
});

afterAll(async () => {
  sessions?.close();
  await world?.stop();
});

beforeEach(async () => {
  await world.reset();
  newManager();
});

/** What a manager has that was just started. */
function newManager(): void {
  const { clock, proxy } = world;
  const source = { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' } as const;
  const identities = { aws: async () => ({ key: 'test', source, roles: [] }) };
  metrics = createMetrics();
  sessions = createAWSSessions({ identities, clock, metrics, endpoint: proxy.url });
  const observation = createObservation({ sessions, clock });
  const userData = createUserDataStore();
  registered = [];
  const targets = {
    register: async (_ctx: unknown, _session: unknown, _cluster: unknown, id: string) => {
      registered.push(id);
      return { done: true } as const;
    },
    deregister: async () => ({ done: true }) as const,
  };
  const network = { networkFacts: async () => world.facts, forget: () => undefined };
  const existing = createExistingResources(clock);
  const rest = createRest(clock);
  upkeep = createUpkeep({
    sessions,
    network,
    existing,
    targets,
    userData,
    observation,
    rest,
    clock,
    metrics,
  });
  backend = world.manager({ sessions, observation, upkeep, userData, targets });
}

async function running(
  overrides: Partial<MachineFacts> = {},
  aws: Partial<AWSMachineSpec> = {},
): Promise<{ readonly machine: MachineFacts; readonly id: string }> {
  const { ctx } = world;
  const wanted = world.machine(overrides, aws);
  const intent = await intentFor(backend, ctx, wanted);
  await backend.create(ctx, { ...wanted, intent }, intent, bootstrapData);
  const made = await observed({ ...wanted, intent });
  const parsed = parseProviderID(made.providerID);
  const machine = { ...wanted, intent, providerID: made.providerID };
  await backend.tick(ctx);
  world.proxy.clearCalls();
  return { machine, id: parsed?.backend === 'aws' ? parsed.instanceID : '' };
}

async function observed(machine: MachineFacts): Promise<ExistingInstance> {
  const seen = await backend.observe(world.ctx, machine);
  if (seen.state === 'absent') throw new Error('the instance is not there');
  return seen;
}

async function lookAfter(machine: MachineFacts): Promise<UpkeepReport> {
  return backend.upkeep(world.ctx, machine, await observed(machine));
}

/** After the next list of everything. */
async function later(ms = 31_000): Promise<void> {
  world.clock.shift(ms);
  await backend.tick(world.ctx);
  await upkeep.tick(world.ctx);
}

async function reallyThere(id: string) {
  const { Reservations } = await world.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  const instance = Reservations![0]!.Instances![0]!;
  const [first] = instance.NetworkInterfaces!;
  return {
    tags: Object.fromEntries(instance.Tags!.map(({ Key = '', Value }) => [Key, Value])),
    groups: first!.Groups!.map(({ GroupId }) => GroupId),
    interfaceID: first!.NetworkInterfaceId!,
    metadata: instance.MetadataOptions,
  };
}

/** Clients of IAM are no part of the product. */
async function profileNamed(name: string): Promise<void> {
  const body = new URLSearchParams({
    Action: 'CreateInstanceProfile',
    InstanceProfileName: name,
    Version: '2010-05-08',
  });
  const authorization = 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request';
  const answer = await fetch(world.moto.url, { method: 'POST', body, headers: { authorization } });
  expect(answer.status).toBe(200);
}

const writes = () =>
  world.proxy
    .calls()
    .map(({ action }) => action)
    .filter((action) => !action.startsWith('Describe'));

describe('upkeep', () => {
  it('makes no call of its own for instances that are as they shall be', async () => {
    const made = [await running(), await running(), await running()];
    for (const { machine } of made) expect(await lookAfter(machine)).toEqual({});
    world.proxy.clearCalls();
    for (const { machine } of made) expect(await lookAfter(machine)).toEqual({});
    expect(world.proxy.calls()).toEqual([]);
  });

  it('gives tags back, and leaves those of others and a changed name alone', async () => {
    const { machine, id } = await running({}, { tags: { team: 'blue' } });
    const before = (await reallyThere(id)).tags;
    const Tags = [
      { Key: 'team', Value: 'red' },
      { Key: 'Name', Value: 'mine' },
      { Key: 'other', Value: 'stays' },
    ];
    await world.ec2.send(new CreateTagsCommand({ Resources: [id], Tags }));
    await later();
    const { differs } = await lookAfter(machine);
    expect(differs).toBeUndefined();
    expect((await reallyThere(id)).tags).toEqual({ ...before, Name: 'mine', other: 'stays' });
    await lookAfter(machine);
    expect(writes()).toEqual(['CreateTags']);
  });

  it('gives security groups and metadata options back, once each', async () => {
    const { machine, id } = await running();
    const before = await reallyThere(id);
    const { GroupId = '' } = await world.ec2.send(
      new CreateSecurityGroupCommand({ GroupName: 'other', Description: 'x', VpcId: world.facts.vpcID }),
    );
    const NetworkInterfaceId = before.interfaceID;
    await world.ec2.send(
      new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId, Groups: [GroupId] }),
    );
    await world.ec2.send(
      new ModifyInstanceMetadataOptionsCommand({
        InstanceId: id,
        HttpTokens: 'optional',
        HttpPutResponseHopLimit: 5,
      }),
    );
    // moto adds to the groups where EC2 replaces them.
    expect((await reallyThere(id)).groups).toContain(GroupId);
    await later();
    await lookAfter(machine);
    await lookAfter(machine);
    const after = await reallyThere(id);
    expect(after.metadata).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
    expect(writes().sort()).toEqual(['ModifyInstanceMetadataOptions', 'ModifyNetworkInterfaceAttribute']);
  });

  it('says that somebody changes it back, and then seldom tries', async () => {
    const { machine, id } = await running({}, { tags: { team: 'blue' } });
    const reports: UpkeepReport[] = [];
    for (let time = 0; time < 6; time++) {
      await world.ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'team', Value: 'red' }] }));
      await later(100_000);
      reports.push(await lookAfter(machine));
    }
    expect(reports.at(-1)?.differs).toContain(
      '(team) were put right 3 times, and somebody changes them back',
    );
    expect(writes()).toEqual(['CreateTags', 'CreateTags', 'CreateTags']);
  });

  it('says what AWS refuses, without a hot loop; what AWS does not answer is no trouble', async () => {
    const { machine, id } = await running({}, { tags: { team: 'blue' } });
    await world.ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'team' }] }));
    await later();
    world.proxy.faults.add({ action: 'CreateTags', kind: 'serverError', times: 1 });
    expect(await lookAfter(machine)).toEqual({ pollMs: 30_000 });
    world.proxy.faults.add({
      action: 'CreateTags',
      kind: 'error',
      ...{ status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized.' },
    });
    for (let time = 0; time < 3; time++)
      expect((await lookAfter(machine)).differs).toContain(`Tags of instance ${id} (team) differ:`);
    expect(world.proxy.countOf('CreateTags')).toBe(2);
  });

  it('changes nothing on an instance that lost the tag of its cluster', async () => {
    const { machine, id } = await running({}, { tags: { team: 'blue' } });
    const Tags = [{ Key: CLUSTER_TAG }, { Key: 'team' }];
    await world.ec2.send(new DeleteTagsCommand({ Resources: [id], Tags }));
    // The list does not show it, which is looked into by id.
    await later();
    await backend.tick(world.ctx);
    await expect(lookAfter(machine)).rejects.toThrow('does not carry the tags ts-provider/cluster');
    expect(writes()).toEqual([]);
  });

  it('registers control plane instances of a cluster with an NLB, and no others', async () => {
    const aws = { region: 'us-east-1', identityRef: { name: 'default' }, network: { managed: {} } };
    const cluster = { aws, controlPlaneLoadBalancer: { type: 'NLB' as const } };
    const controlPlane = await running({ controlPlane: true, cluster });
    const worker = await running({ cluster });
    const elsewhere = await running({ controlPlane: true });
    for (const { machine } of [controlPlane, worker, elsewhere]) await lookAfter(machine);
    expect(registered).toEqual([controlPlane.id]);
  });

  it('deletes stored bootstrap data when there is a Node, once', async () => {
    await profileNamed('nodes');
    const storage = { userData: { storage: 'SecretsManager' }, iamInstanceProfile: 'nodes' } as const;
    const { machine } = await running({}, storage);
    await lookAfter(machine);
    expect(world.proxy.countOf('DeleteSecret')).toBe(0);
    const joined = { ...machine, hasNode: true };
    for (let time = 0; time < 3; time++) await lookAfter(joined);
    expect(writes().filter((action) => action !== 'ListSecrets')).toEqual(['DeleteSecret', 'CreateTags']);
    newManager();
    await observed(joined);
    world.proxy.clearCalls();
    await lookAfter(joined);
    expect(writes()).toEqual([]);
  });
});

describe('interruptions', () => {
  it('of spot instances are told within seconds, wake the machine, and ask for replacement where that is wanted', async () => {
    const { machine } = await running({}, { spot: {} });
    const { machine: other, id } = await running({}, { spot: {}, onInterruption: 'Replace' });
    await lookAfter(other);
    const { cursor } = await backend.changes(world.ctx, '');
    world.proxy.warnOfInterruption(id);
    world.clock.shift(16_000);
    await upkeep.tick(world.ctx);
    expect((await backend.changes(world.ctx, cursor)).machines).toEqual([
      { namespace: other.namespace, name: other.name },
    ]);
    const { interruption } = await lookAfter(other);
    expect(interruption).toMatchObject({ reason: 'SpotInterruption', replace: true });
    expect(interruption?.message).toContain(`terminates spot instance ${id}`);
    expect((await lookAfter(machine)).interruption).toBeUndefined();
  });

  it('by maintenance are told, and gone when they are called off', async () => {
    const { machine, id } = await running();
    world.proxy.scheduleEvent(id, {
      code: 'instance-retirement',
      description: 'The instance is running on degraded hardware',
      notBefore: '2030-01-02T00:00:00.000Z',
    });
    await later(61_000);
    const { interruption } = await lookAfter(machine);
    expect(interruption).toMatchObject({ reason: 'MaintenanceScheduled', replace: false });
    expect(interruption?.message).toContain('instance-retirement');
    expect(interruption?.message).toContain('degraded hardware');
    world.proxy.scheduleEvent(id);
    await later(61_000);
    expect((await lookAfter(machine)).interruption).toBeUndefined();
  });

  it('are known to a manager that was just started, in one call for all machines', async () => {
    const made = [await running(), await running()];
    newManager();
    for (const { machine } of made) await observed(machine);
    world.proxy.clearCalls();
    await Promise.all(made.map(({ machine }) => lookAfter(machine)));
    expect(world.proxy.countOf('DescribeInstanceStatus')).toBe(1);
    expect(world.proxy.countOf('DescribeSpotInstanceRequests')).toBe(0);
  });

  it('that may not be asked for stop nothing', async () => {
    const { machine } = await running();
    newManager();
    world.proxy.faults.add({
      action: 'DescribeInstanceStatus',
      kind: 'error',
      ...{ status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized.' },
    });
    expect(await lookAfter(machine)).toEqual({});
    expect(await lookAfter(machine)).toEqual({});
    expect(world.proxy.countOf('DescribeInstanceStatus')).toBe(1);
  });
});

describe('a queue of interruptions', () => {
  const name = 'interruptions';
  const aws = { region: REGION, identityRef: { name: 'default' }, network: { managed: {} } };
  const cluster = { aws: { ...aws, interruptionQueue: name } };
  let sqs: SQSClient;

  beforeEach(() => {
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    sqs = new SQSClient({ region: REGION, endpoint: world.moto.url, credentials });
  });

  afterEach(() => {
    upkeep.close();
    sqs.destroy();
  });

  const numberOf = async (metric: string, labels: object) => {
    const { values } = await metrics.getSingleMetric(`ts_provider_aws_${metric}`)!.get();
    return values.find((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      ?.value;
  };
  const isUp = () => numberOf('interruption_queue_up', { queue: name });
  const endedPolls = () => numberOf('requests_total', { action: 'ReceiveMessage', code: 'Network' });

  it('tells of spot notices and rebalance recommendations at once, and is empty then', async () => {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
    const spot = await running({ cluster }, { spot: {}, onInterruption: 'Replace' });
    const rebalance = await running({ cluster }, { spot: {}, onRebalance: 'Replace' });
    for (const { machine } of [spot, rebalance]) await lookAfter(machine);
    const { cursor } = await backend.changes(world.ctx, '');
    const of = { region: REGION, time: world.clock.now().toISOString() };
    const events = [spotWarning(spot.id, of), rebalanceRecommendation(rebalance.id, of), 'not an event'];
    for (const MessageBody of events) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));

    await upkeep.tick(world.ctx);
    const woken = async () => (await backend.changes(world.ctx, cursor)).machines.map((one) => one.name);
    await expect.poll(woken).toHaveLength(2);
    expect((await woken()).sort()).toEqual([spot, rebalance].map(({ machine }) => machine.name).sort());
    expect((await lookAfter(spot.machine)).interruption).toMatchObject({
      ...{ reason: 'SpotInterruption', replace: true },
    });
    expect((await lookAfter(rebalance.machine)).interruption).toMatchObject({
      ...{ reason: 'RebalanceRecommended', replace: true },
    });

    const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
    const left = async () =>
      (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...AttributeNames] })))
        .Attributes;
    await expect.poll(left).toEqual(Object.fromEntries(AttributeNames.map((one) => [one, '0'])));
    // From then on the next request is under way.
    await expect.poll(isUp).toBe(1);
    expect(await endedPolls()).toBeUndefined();
    upkeep.close();
    await expect.poll(endedPolls).toBe(1);
  });

  it('that is not there stops nothing', async () => {
    const { machine } = await running({ cluster });
    await lookAfter(machine);
    for (let time = 0; time < 3; time++) await upkeep.tick(world.ctx);
    await expect.poll(isUp).toBe(0);
    for (let time = 0; time < 3; time++) await upkeep.tick(world.ctx);
    expect(await lookAfter(machine)).toEqual({});
    expect(world.proxy.countOf('GetQueueUrl')).toBe(1);
    expect(world.proxy.countOf('ReceiveMessage')).toBe(0);
  });
});

describe('sizing', () => {
  it('says what EC2 says of a type, once a day', async () => {
    const sizing = createSizing({ sessions, types: createInstanceTypes(world.clock) });
    const { namespace, spec, cluster } = world.machine({}, { rootVolume: { sizeGiB: 50 } });
    const size = await sizing.size(world.ctx, { namespace, spec, cluster });
    expect(size).toEqual({
      capacity: { cpu: '2', memory: '8192Mi', 'ephemeral-storage': '50Gi' },
      architecture: 'amd64',
      operatingSystem: 'linux',
    });
    await sizing.size(world.ctx, { namespace, spec, cluster });
    expect(world.proxy.countOf('DescribeInstanceTypes')).toBe(1);
    expect(await sizing.size(world.ctx, { namespace, spec, cluster: undefined })).toBeUndefined();
  });
});
