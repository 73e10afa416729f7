// SPDX-License-Identifier: Apache-2.0
// The pure parts of a pool: what new machines are made from, what differs of a group, and AWS' words for a launch that failed.
import { gunzipSync, gzipSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import type { AutoScalingGroup } from '@aws-sdk/client-auto-scaling';
import { describe, expect, it } from 'vitest';
import type { AWSMachinePoolSpec } from '../../../api/aws/machine-pool.ts';
import type { BootstrapData } from '../../backend.ts';
import { poolMachineName, type PoolFacts } from '../../machine-pool-backend.ts';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { createLogger } from '../../../runtime/logger.ts';
import { GRANTS } from '../actions.ts';
import { createNameMemory } from '../name-memory.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import { createGroup, setProtection } from './groups.ts';
import { failureOf } from './activities.ts';
import { materialOf, userDataOf } from './bootstrap.ts';
import { creation, sizeOf, stateOf, update, type WantedGroup } from './group.ts';
import { templateContent } from './launch-data.ts';
import { chosenSubnets, findPlace, type PlaceSources } from './place.ts';

const cloudConfig = (text: string): BootstrapData => ({ format: 'cloud-config', value: Buffer.from(text) });
const TOKENS = ['abcdef.0123456789abcdef', 'fedcba.fedcba9876543210'] as const;

describe('user data', () => {
  it('are as they were where they fit', () => {
    expect(userDataOf(cloudConfig('#cloud-config\n'))).toBe(
      Buffer.from('#cloud-config\n').toString('base64'),
    );
  });

  it('are packed where they do not, the same every time', () => {
    const data = cloudConfig(`#cloud-config\n${'x'.repeat(20_000)}`);
    const packed = userDataOf(data);
    expect(gunzipSync(Buffer.from(packed, 'base64'))).toEqual(data.value);
    expect(userDataOf(data)).toBe(packed);
  });

  it.each([
    ['cloud-config', randomBytes(20_000), /20000 bytes \(2\d{4} compressed\)/],
    ['ignition', Buffer.from(`{"a":"${'x'.repeat(20_000)}"}`), /20008 bytes, and/],
    ['cloud-config', gzipSync(randomBytes(20_000)), /2\d{4} bytes, and/],
  ] as const)(
    'of %s that do not fit are refused, with a way out and nothing of them',
    (format, value, size) => {
      const error = refusal(() => userDataOf({ format, value }));
      expect(error).toMatchObject({ reason: 'UserDataTooLarge' });
      expect(error.message).toMatch(size);
      expect(error.message).toMatch(/use a MachineDeployment/);
      expect(error.message).not.toContain('xxxx');
    },
  );
});

function refusal(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was refused');
}

describe('IMP-13: what needs other machines', () => {
  const ignition = (token: string, how: (text: string) => { source: string; compression?: string }) => {
    const files = [{ path: '/etc/join.yaml', contents: how(`token: ${token}\n`) }];
    return { format: 'ignition', value: Buffer.from(JSON.stringify({ storage: { files } })) } as const;
  };
  const packed = (text: string) => ({
    source: `data:;base64,${gzipSync(text).toString('base64')}`,
    compression: 'gzip',
  });
  const cases: [string, (token: string) => BootstrapData][] = [
    ['plain', (token) => cloudConfig(`token: ${token}\n`)],
    ['packed', (token) => ({ format: 'cloud-config', value: gzipSync(`token: ${token}\n`) })],
    ['Ignition', (token) => ignition(token, (text) => ({ source: `data:,${encodeURIComponent(text)}` }))],
    ['Ignition with packed files', (token) => ignition(token, packed)],
  ];
  it.each(cases)('is not another token: %s', (_what, made) => {
    const [before, after] = TOKENS.map((token) => materialOf(made(token)));
    expect(before).toBe(after);
    expect(before).not.toContain('0123456789abcdef');
    expect(before).toContain('token: ');
  });

  it('is any other text', () => {
    expect(materialOf(cloudConfig('a'))).not.toBe(materialOf(cloudConfig('b')));
  });

  it('data that are not what they say they are are compared as they are', () => {
    const broken = { format: 'ignition', value: Buffer.from([0x1f, 0x8b, 1, 2]) } as const;
    expect(materialOf(broken)).toBe(materialOf(broken));
  });
});

const SPEC: AWSMachinePoolSpec = { instanceType: 'm5.large', image: { id: 'ami-1' } };

describe('a launch template', () => {
  const place = {
    image: { id: 'ami-1', rootDevice: '/dev/sda1', rootSizeGiB: '8', keptDevices: ['/dev/sdf'] },
    askedImage: '0123456789abcdef',
    subnetIDs: ['subnet-1'],
    securityGroupIDs: ['sg-1', 'sg-2'],
  };
  const content = (change: Partial<AWSMachinePoolSpec>, tags = {}) =>
    templateContent({ ...SPEC, ...change }, place, { tags, bootstrap: cloudConfig('x') });

  it('asks for an interface only where it asks for an address', () => {
    expect(content({}).data).toMatchObject({ SecurityGroupIds: ['sg-1', 'sg-2'] });
    expect(content({}).data.NetworkInterfaces).toBeUndefined();
    const { data } = content({ publicIP: true });
    expect(data.SecurityGroupIds).toBeUndefined();
    expect(data.NetworkInterfaces).toEqual([
      expect.objectContaining({ AssociatePublicIpAddress: true, Groups: ['sg-1', 'sg-2'] }),
    ]);
  });

  it('leaves no volume of the image behind', () => {
    expect(content({}).data.BlockDeviceMappings).toMatchObject([
      { DeviceName: '/dev/sda1', Ebs: { DeleteOnTermination: true } },
      { DeviceName: '/dev/sdf', Ebs: { DeleteOnTermination: true } },
    ]);
  });

  it('leaves the market to the group where that has several types', () => {
    const spot = { maxPrice: '0.05' };
    expect(content({ spot }).data.InstanceMarketOptions).toMatchObject({
      MarketType: 'spot',
      SpotOptions: { MaxPrice: '0.05' },
    });
    const mixedInstances = { instanceTypes: ['m5a.large'] };
    expect(content({ spot, mixedInstances }).data.InstanceMarketOptions).toBeUndefined();
  });

  it('does not ask for other machines because groups are listed in another order', () => {
    const securityGroupIDs = place.securityGroupIDs.toReversed();
    const again = templateContent(
      SPEC,
      { ...place, securityGroupIDs },
      { tags: {}, bootstrap: cloudConfig('x') },
    );
    expect(again).toMatchObject({ material: content({}).material, request: content({}).request });
  });

  it('says the same in another order', () => {
    const again = content({}, { b: '2', a: '1' });
    expect(content({}, { a: '1', b: '2' })).toMatchObject({
      request: again.request,
      material: again.material,
    });
  });
});

describe('the size of a group', () => {
  const facts = { infrastructureID: 'g', replicas: 3, isSizedElsewhere: false } as PoolFacts;
  const wanted = (change: Partial<PoolFacts> = {}, spec = SPEC): WantedGroup => ({
    ...{ pool: { ...facts, ...change }, spec, subnetIDs: ['subnet-1', 'subnet-2'], tags: {} },
    template: { id: 'lt-1', version: '2', isFresh: false },
  });
  const group: AutoScalingGroup = {
    ...{ AutoScalingGroupName: 'g', MinSize: 0, MaxSize: 3, DesiredCapacity: 3, DefaultCooldown: 0 },
    ...{ AvailabilityZones: [], HealthCheckType: 'EC2', CreatedTime: new Date(0) },
    LaunchTemplate: { LaunchTemplateId: 'lt-1', Version: '2' },
    ...{ VPCZoneIdentifier: 'subnet-2,subnet-1', NewInstancesProtectedFromScaleIn: true },
  };

  it('has a name that the IAM policy allows, which no other group has', () => {
    const [pattern = ''] = GRANTS.find(({ actions }) =>
      actions.includes('autoscaling:DeleteAutoScalingGroup'),
    )!.resources!.map((arn) => arn.split('/').at(-1) ?? '');
    expect(pattern).toBe('ts-provider-*');
    const { AutoScalingGroupName, Tags } = creation(wanted());
    expect(AutoScalingGroupName).toBe(pattern.replace('*', 'g'));
    expect(Tags?.every(({ ResourceId }) => ResourceId === AutoScalingGroupName)).toBe(true);
  });

  it('nothing differs: no request', () => {
    expect(update(wanted(), group)).toBeUndefined();
  });

  it.each([
    ['replicas', wanted({ replicas: 4 }), { MaxSize: 4, DesiredCapacity: 4 }],
    [
      'template',
      { ...wanted(), template: { id: 'lt-1', version: '3', isFresh: true } },
      { LaunchTemplate: { LaunchTemplateId: 'lt-1', Version: '3' } },
    ],
    ['subnets', { ...wanted(), subnetIDs: ['subnet-1'] }, { VPCZoneIdentifier: 'subnet-1' }],
    ['who sizes it', wanted({ isSizedElsewhere: true }), { NewInstancesProtectedFromScaleIn: false }],
  ])('another %s: only that is said', (_what, other, change) => {
    expect(update(other, group)).toEqual({ AutoScalingGroupName: 'ts-provider-g', ...change });
  });

  it.each([
    [undefined, 9, { MinSize: 0, MaxSize: 3, DesiredCapacity: 3 }],
    [{ minSize: 1, maxSize: 10 }, 9, { MinSize: 1, MaxSize: 10, DesiredCapacity: 9 }],
    [{ minSize: 1, maxSize: 5 }, 9, { MinSize: 1, MaxSize: 5, DesiredCapacity: 5 }],
    [{ minSize: 2, maxSize: 5 }, 0, { MinSize: 2, MaxSize: 5, DesiredCapacity: 2 }],
  ])('IMP-10: sized elsewhere within %j', (limits, DesiredCapacity, size) => {
    const spec = limits === undefined ? SPEC : { ...SPEC, limits };
    expect(sizeOf(wanted({ isSizedElsewhere: true }, spec), { ...group, DesiredCapacity })).toEqual(size);
  });
});

it.each([
  ['Pending:Wait', 'starting'],
  ['InService', 'running'],
  ['Standby', 'running'],
  ['Terminating:Proceed', 'leaving'],
  ['Detaching', 'leaving'],
  ['Terminated', undefined],
  ['Warmed:Stopped', undefined],
] as const)('an instance that is %s', (LifecycleState, state) => {
  expect(stateOf({ LifecycleState } as Parameters<typeof stateOf>[0])).toBe(state);
});

describe('a launch that failed', () => {
  const launch = (StatusCode: 'Failed' | 'Successful', StatusMessage = '') => ({
    ...{
      ActivityId: '',
      AutoScalingGroupName: 'g',
      Cause: '',
      StartTime: new Date(0),
      StatusCode,
      StatusMessage,
    },
    Description: 'Launching a new EC2 instance',
  });
  it.each([
    ['CapacityUnavailable', 'We currently do not have sufficient m5.large capacity in the Availability Zone'],
    ['QuotaExceeded', 'You have requested more vCPU capacity than your current vCPU limit of 8 allows'],
    ['CloudRequestRefused', 'The security group sg-1 does not exist. Launching EC2 instance failed.'],
  ])('%s', (reason, message) => {
    expect(failureOf([launch('Failed', message)])).toEqual({
      reason,
      message: expect.stringContaining(message) as string,
    });
  });

  it('is forgotten with the next one, and the end of an instance is none', () => {
    expect(failureOf([launch('Successful'), launch('Failed', 'no capacity')])).toBeUndefined();
    const ended = { ...launch('Failed'), Description: 'Terminating EC2 instance: i-1' };
    expect(failureOf([ended, launch('Failed', 'no capacity')])?.reason).toBe('CapacityUnavailable');
    expect(failureOf([])).toBeUndefined();
  });
});

const ctx: Ctx = {
  signal: new AbortController().signal,
  log: createLogger({ level: 'silent' }),
  clock: new FakeClock(),
};

describe('the image of a pool', () => {
  /** `ami-new` is what a look-up finds today. */
  const find = (present: string | undefined, gone: readonly string[] = []) => {
    const sources = {
      network: { networkFacts: async () => ({ subnets: [SUBNET], securityGroups: { nodes: [] } }) },
      instanceTypes: { describe: async () => ({}) },
      images: {
        resolve: async (_ctx: unknown, _session: unknown, { id = 'ami-new' }: { id?: string }) => {
          if (gone.includes(id)) throw new TerminalError(Reason.ImageNotFound, 'no such AMI');
          return { id };
        },
      },
    } as unknown as PlaceSources;
    const lookup = { owner: '1', name: 'nodes-*', mostRecent: true };
    const spec = { instanceType: 'm5.large', image: { lookup } };
    const pool = { version: 'v1.36.3', failureDomains: [] } as unknown as PoolFacts;
    const presentImage = async () => present;
    const cluster = { infrastructureID: 'c', spec: {} } as never;
    return findPlace(ctx, {} as AWSSession, sources, { pool, spec, cluster, presentImage });
  };
  const SUBNET = { id: 'a', availabilityZone: 'z1', isPublic: false, vpcID: 'vpc-1' };

  it('stays though there is a newer one', async () => {
    expect((await find('ami-old')).image.id).toBe('ami-old');
  });

  it('is looked up where none is in use, and where that is gone', async () => {
    expect((await find(undefined)).image.id).toBe('ami-new');
    expect((await find('ami-old', ['ami-old'])).image.id).toBe('ami-new');
  });
});

describe('what AWS may not know yet', () => {
  const refusing = (code: string) => {
    const error = new AWSRefusal({
      reason: 'CloudRequestRefused',
      action: 'a',
      code,
      message: 'no such thing',
    });
    return { autoScaling: () => Promise.reject(error) } as unknown as AWSSession;
  };
  const wanted = (isFresh: boolean): WantedGroup => ({
    ...{ pool: { infrastructureID: 'g', replicas: 1 } as PoolFacts, spec: SPEC, subnetIDs: [], tags: {} },
    template: { id: 'lt-1', version: '1', isFresh },
  });

  it('is asked again soon while it was made a moment ago, else it is for a person', async () => {
    await expect(createGroup(ctx, refusing('ValidationError'), wanted(true))).rejects.toThrow(TransientError);
    await expect(createGroup(ctx, refusing('ValidationError'), wanted(false))).rejects.toThrow(AWSRefusal);
    await expect(createGroup(ctx, refusing('LimitExceeded'), wanted(true))).rejects.toThrow(AWSRefusal);
  });

  it('an instance that left while it was to be protected stops nothing for long', async () => {
    const Instances = [{ InstanceId: 'i-1', LifecycleState: 'InService', ProtectedFromScaleIn: false }];
    const group = { AutoScalingGroupName: 'g', Instances } as unknown as AutoScalingGroup;
    await expect(setProtection(ctx, refusing('ValidationError'), group, true)).rejects.toThrow(
      TransientError,
    );
  });

  it('a group that is not shown is gone a window after it may have been made, or when AWS has said that it goes', async () => {
    const clock = new FakeClock();
    const memory = createNameMemory(clock);
    // By a process before this one.
    expect(memory.isSettled('g')).toBe(false);
    await clock.advance(60_000);
    expect(memory.isSettled('g')).toBe(true);
    memory.mayBe('g');
    await clock.advance(59_999);
    expect(memory.isSettled('g')).toBe(false);
    memory.goes('g');
    expect(memory.isSettled('g')).toBe(true);
  });
});

describe('subnets', () => {
  const subnet = (id: string, zone: string, isPublic = false) => ({
    ...{ id, availabilityZone: zone, isPublic, vpcID: 'vpc-1' },
  });
  const facts = { subnets: [subnet('b', 'z2'), subnet('a', 'z1'), subnet('p', 'z1', true)] };
  const choose = (change: Partial<Parameters<typeof chosenSubnets>[0]>) =>
    chosenSubnets({ facts, named: undefined, spec: {}, failureDomains: [], ...change });

  it('are the private ones, the public ones, or those that are named, in the failure domains', () => {
    expect(choose({})).toEqual(['a', 'b']);
    expect(choose({ spec: { publicIP: true } })).toEqual(['p']);
    expect(choose({ named: [subnet('x', 'z3')] })).toEqual(['x']);
    expect(choose({ failureDomains: ['z2'] })).toEqual(['b']);
  });

  it('where there is none, the message names the fields', () => {
    expect(() => choose({ failureDomains: ['z9'] })).toThrow(
      /failure domains z9: name subnets in spec.aws.subnets/,
    );
  });
});

it.each([
  ['p1', 'i-0123456789abcdef0', 'p1-0123456789abcdef0'],
  ['x'.repeat(80), 'i-0123456789abcdef0', `${'x'.repeat(45)}-0123456789abcdef0`],
  [`${'x'.repeat(44)}.y`, 'i-0123456789abcdef0', `${'x'.repeat(44)}-0123456789abcdef0`],
])('the TSMachine of an instance of pool %s', (pool, id, name) => {
  expect(poolMachineName(pool, id)).toBe(name);
  expect(name.length).toBeLessThanOrEqual(63);
});
