// SPDX-License-Identifier: Apache-2.0
// What EC2 does not know yet, and what it never will; the rest is in test/envtest/aws-machines.test.ts.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Created } from '../../backend.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createAWSBackend } from '../machine-backend.ts';
import { AWSRefusal } from '../session/session.ts';
import { contextOf, machineNamed, sessionOf } from './instance.fixtures.ts';

const CHOICE = {
  ...{ region: 'eu-central-1', identity: 'default', account: '123456789012', infrastructureID: 'prod-1' },
  ...{ imageID: 'ami-1', instanceType: 'm5.large', subnetID: 'subnet-1', securityGroups: 'sg-1,sg-2' },
};

let clock: FakeClock;
/** What EC2 says to RunInstances: a code and a sentence, or undefined for an instance. */
let refusal: { readonly code: string; readonly message: string } | undefined;
let backend: ReturnType<typeof createAWSBackend>;
let sent: number;

beforeEach(() => {
  clock = new FakeClock();
  refusal = undefined;
  sent = 0;
  const session = sessionOf((action, input) => {
    if (action !== 'RunInstances') return { Reservations: [] };
    sent += 1;
    if (refusal !== undefined) throw new AWSRefusal({ reason: 'CloudRequestRefused', action, ...refusal });
    const { TagSpecifications } = input as { TagSpecifications: { ResourceType: string; Tags: object[] }[] };
    const Tags = TagSpecifications.find(({ ResourceType }) => ResourceType === 'instance')?.Tags;
    const Placement = { AvailabilityZone: 'eu-central-1a' };
    return { Instances: [{ InstanceId: `i-${sent}`, State: { Name: 'pending' }, Placement, Tags }] };
  });
  backend = createAWSBackend({
    clock,
    sessions: { open: async () => session, all: () => [session], close: () => undefined },
    network: { networkFacts: () => Promise.reject(new Error('not asked for')), forget: () => undefined },
    targets: { register: async () => ({ done: true }), deregister: async () => ({ done: true }) },
    userData: { prepare: async () => ({ base64: 'aGk=', tags: {} }), remove: async () => undefined },
  });
});

async function create(name: string, subnetID = 'subnet-1'): Promise<Created> {
  const aws = { instanceType: 'm5.large', image: { id: 'ami-1' }, iamInstanceProfile: 'nodes' };
  const intent = {
    ...{ attempt: 1, clientToken: `token-${name}`, requestHash: 'h' },
    choice: { ...CHOICE, subnetID },
  };
  const data = { format: 'cloud-config', value: Buffer.from('#cloud-config\n') } as const;
  const creating = backend.create(
    contextOf(clock),
    machineNamed(name, { spec: { aws }, intent }),
    intent,
    data,
  );
  const [created] = await Promise.all([creating, clock.advance(0)]);
  return created;
}

const PROFILE =
  'Value (nodes) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name';
const UNKNOWN = [
  ['InvalidSubnetID.NotFound', "The subnet ID 'subnet-1' does not exist", 'SubnetInvalid', 'subnet'],
  [
    'InvalidGroup.NotFound',
    "The security group 'sg-1' does not exist",
    'SecurityGroupInvalid',
    'securityGroups',
  ],
  ['InvalidParameterValue', PROFILE, 'InvalidMachine', 'iamInstanceProfile'],
] as const;

describe('what was made a moment ago, and EC2 does not know everywhere', () => {
  it.each(UNKNOWN)(
    '%s is waited for, and is a mistake when it lasts',
    async (code, message, reason, field) => {
      refusal = { code, message };
      const start = clock.now().getTime();
      const ofMs = () => clock.now().getTime() - start;
      while (ofMs() < 60_000) {
        const created = await create('m');
        const told = expect.stringContaining(message) as string;
        expect(created).toMatchObject({ state: 'deferred', reason: 'InstanceCreating', message: told });
        await clock.advance((created as { pollMs: number }).pollMs);
      }
      expect(ofMs()).toBe(60_000);
      expect(sent).toBeLessThanOrEqual(6);
      const told = expect.stringContaining(`spec.aws.${field}: `) as string;
      await expect(create('m')).rejects.toMatchObject({ name: 'TerminalError', reason, message: told });
      // Others that name the same learn it at once, also when it was tried ten minutes later.
      await clock.advance(600_000);
      await expect(create('other')).rejects.toMatchObject({ reason });
    },
  );

  it('is made once EC2 knows it, and is new again then', async () => {
    refusal = { code: 'InvalidSubnetID.NotFound', message: 'no' };
    expect(await create('m')).toMatchObject({ state: 'deferred' });
    await clock.advance(50_000);
    refusal = undefined;
    expect(await create('m')).toEqual({ state: 'started' });
    await clock.advance(50_000);
    refusal = { code: 'InvalidSubnetID.NotFound', message: 'no' };
    expect(await create('other')).toMatchObject({ state: 'deferred' });
  });

  it('is another one for another subnet, and forgotten after an hour', async () => {
    refusal = { code: 'InvalidSubnetID.NotFound', message: 'no' };
    expect(await create('m')).toMatchObject({ state: 'deferred' });
    await clock.advance(60_000);
    expect(await create('other', 'subnet-2')).toMatchObject({ state: 'deferred' });
    await clock.advance(3_600_000);
    expect(await create('m')).toMatchObject({ state: 'deferred' });
  });

  it.each([
    ['InvalidSubnet.Conflict', 'no'],
    ['InvalidParameterValue', 'something else'],
    ['InvalidKeyPair.NotFound', 'no'],
  ])('%s is for good', async (code, message) => {
    refusal = { code, message };
    await expect(create('m')).rejects.toThrow(TerminalError);
  });
});
