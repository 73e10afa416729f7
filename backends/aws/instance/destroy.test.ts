// SPDX-License-Identifier: Apache-2.0
// Which control plane instances are taken out of a load balancer first, and how often a token is sent again; the rest is in
// test/envtest/aws-machines.test.ts.
import type { RunInstancesCommandInput } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { Destroyed, MachineFacts } from '../../backend.ts';
import { createAWSBackend } from '../machine-backend.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import type { UserDataStore } from '../user-data/user-data.ts';
import { contextOf, machineNamed, sessionOf } from './instance.fixtures.ts';

const TAGS = {
  'ts-provider/cluster': 'prod-1',
  'ts-provider/machine': 'default/cp-1',
  'ts-provider/machine-uid': 'uid-cp-1',
  'ts-provider/token': 't',
  'ts-provider/role': 'control-plane',
};

const instance = (state: string) => ({
  InstanceId: 'i-1',
  State: { Name: state },
  Placement: { AvailabilityZone: 'eu-central-1a' },
  Tags: Object.entries(TAGS).map(([Key, Value]) => ({ Key, Value })),
});

function answer(action: string): unknown {
  if (action === 'DescribeInstances') return { Reservations: [{ Instances: [instance('running')] }] };
  return { TerminatingInstances: [{ InstanceId: 'i-1', CurrentState: { Name: 'shutting-down' } }] };
}

const CHOICE = {
  ...{ region: 'eu-central-1', identity: 'default', account: '123456789012', infrastructureID: 'prod-1' },
  ...{ imageID: 'ami-1', instanceType: 'm5.large', subnetID: 'subnet-1' },
};

/** `taken`: gets the instances that are taken out of the load balancer. */
function backendOf(
  clock: FakeClock,
  session: AWSSession,
  { taken = [], userData = { remove: async () => undefined } as never }: Seen = {},
) {
  return createAWSBackend({
    clock,
    sessions: { open: async () => session, all: () => [session], close: () => undefined },
    network: { networkFacts: () => Promise.reject(new Error('not asked for')), forget: () => undefined },
    targets: {
      register: async () => ({ done: true }),
      deregister: async (_ctx, _session, _cluster, id) => {
        taken.push(id);
        return { done: true };
      },
    },
    userData,
  });
}

interface Seen {
  readonly taken?: string[];
  readonly userData?: UserDataStore;
}

/** Ends a control plane machine, and says which instances were taken out of the load balancer. */
async function takenOut(cluster: TSClusterSpec | undefined): Promise<readonly string[]> {
  const clock = new FakeClock();
  const taken: string[] = [];
  const asked: string[] = [];
  const session = sessionOf((action) => {
    asked.push(action);
    return answer(action);
  });
  const backend = backendOf(clock, session, { taken });
  const machine = machineNamed('cp-1', {
    controlPlane: true,
    providerID: 'aws:///eu-central-1a/i-1',
    intent: { attempt: 1, clientToken: 't', bootstrapDataHash: 'h', choice: CHOICE } as never,
    cluster,
  });
  const ending = backend.destroy(contextOf(clock), machine);
  await clock.advance(1_000);
  expect(await ending).toMatchObject({ state: 'inProgress' });
  expect(asked).toEqual(['DescribeInstances', 'TerminateInstances']);
  return taken;
}

const aws = { region: 'eu-central-1', identityRef: { name: 'default' }, network: { managed: {} } };

describe('a control plane instance that ends', () => {
  it.each(['External', 'HAProxy'] as const)(
    'where the endpoint is %s: no load balancer is asked',
    async (type) => {
      expect(await takenOut({ aws, controlPlaneLoadBalancer: { type } })).toEqual([]);
    },
  );

  it.each([
    ['NLB', { aws, controlPlaneLoadBalancer: { type: 'NLB' } }],
    ['not said', { aws }],
    ['unknown, since the TSCluster is gone', undefined],
  ] as const)('where it is %s: it is taken out first', async (_what, cluster) => {
    expect(await takenOut(cluster as TSClusterSpec | undefined)).toEqual(['i-1']);
  });
});

/** Ends a machine of which this process knows nothing, nor EC2, which refuses to make anything: calls by name, and what was answered. */
function endUnseen(reason: string, code: string) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const session = sessionOf((action) => {
    asked.push(action);
    if (action !== 'RunInstances') return { Reservations: [] };
    throw new AWSRefusal({ reason, action, code, message: code });
  });
  const backend = backendOf(clock, session);
  const intent = { attempt: 1, clientToken: 't', requestHash: 'h', choice: CHOICE };
  const machine = machineNamed('m', { intent });
  const destroy = async (): Promise<Destroyed> => {
    const ending = backend.destroy(contextOf(clock), machine);
    await clock.advance(1_000);
    return ending;
  };
  return { clock, destroy, countOf: (name: string) => asked.filter((action) => action === name).length };
}

/** Ends a machine, and answers the tags by which its user data are removed then. */
async function tagsTold(answer: Parameters<typeof sessionOf>[0], overrides: Partial<MachineFacts>) {
  const clock = new FakeClock();
  const told: (Readonly<Record<string, string>> | undefined)[] = [];
  const remove = async (...[, , , tags]: Parameters<UserDataStore['remove']>) => void told.push(tags);
  const backend = backendOf(clock, sessionOf(answer), { userData: { remove } as never });
  const intent = { attempt: 1, clientToken: 't', requestHash: 'h', choice: CHOICE };
  const ending = backend.destroy(contextOf(clock), machineNamed('m', { intent, ...overrides }));
  await clock.advance(1_000);
  expect(await ending).toEqual({ state: 'gone' });
  expect(told).toHaveLength(1);
  return told[0];
}

/** As {@link tagsTold}, of a machine that EC2 shows no instance of. */
const endFenced = (aws: Partial<AWSMachineSpec>) =>
  tagsTold(
    (action, input) => {
      if (action === 'DescribeInstances') return { Reservations: [] };
      const { TagSpecifications } = input as RunInstancesCommandInput;
      return { Instances: [{ ...instance('terminated'), Tags: TagSpecifications?.[0]?.Tags }] };
    },
    { spec: { aws: { instanceType: 'm5.large', image: { id: 'ami-1' }, ...aws } } },
  );

describe('an instance that only uses a token up', () => {
  it('says that user data may have been stored, for whoever ends it', async () => {
    const tags = await endFenced({ iamInstanceProfile: 'nodes' });
    expect(tags).toMatchObject({ 'ts-provider/token': 't', 'ts-provider/user-data': 'unknown' });
  });

  it.each([{}, { iamInstanceProfile: 'nodes', userData: { storage: 'Inline' as const } }])(
    'says nothing where none can have been: %o',
    async (aws) => expect(Object.keys((await endFenced(aws)) ?? {})).not.toContain('ts-provider/user-data'),
  );
});

it('an instance that has lost its tags after its end does not say that nothing was stored', async () => {
  const answer = (action: string) => {
    if (action === 'DescribeInstances')
      return { Reservations: [{ Instances: [{ ...instance('terminated'), Tags: [] }] }] };
    const code = 'IdempotentInstanceTerminated';
    throw new AWSRefusal({ reason: 'InvalidRequest', action, code, message: code });
  };
  expect(await tagsTold(answer, { providerID: 'aws:///eu-central-1a/i-1' })).toBeUndefined();
});

describe('a machine that another process may just have asked for', () => {
  it.each([
    ['CapacityUnavailable', 'InsufficientInstanceCapacity'],
    ['CloudAccessDenied', 'UnauthorizedOperation'],
  ])('%s: its token is sent once at first, and once when nothing can be under way', async (reason, code) => {
    const { clock, destroy, countOf } = endUnseen(reason, code);
    const first = await destroy();
    expect(first).toMatchObject({ state: 'inProgress', pollMs: expect.any(Number) as number });
    const { pollMs = 0 } = first as { pollMs?: number };
    expect(pollMs).toBeGreaterThan(55_000);
    // Something else has woken it.
    await clock.advance(20_000);
    expect(await destroy()).toMatchObject({ state: 'inProgress' });
    expect(countOf('RunInstances')).toBe(1);
    await clock.advance(pollMs - 21_000);
    expect(await destroy()).toEqual({ state: 'gone' });
    expect(countOf('RunInstances')).toBe(2);
    expect(countOf('DescribeInstances')).toBeLessThanOrEqual(4);
  });
});
