// SPDX-License-Identifier: Apache-2.0
// The proxy in front of moto behaves as AWS does, seen by the SDK's own clients: each rule once.
import * as autoscaling from '@aws-sdk/client-auto-scaling';
import * as aws from '@aws-sdk/client-ec2';
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import * as secrets from '@aws-sdk/client-secrets-manager';
import * as ssm from '@aws-sdk/client-ssm';
import * as sts from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { startServer, waitUntil } from '../../hack/stack/process.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type Proxy, startProxy } from '../aws/proxy/server.ts';

let dir: TemporaryDirectory;
let moto: Moto;
let proxy: Proxy;
let ec2: aws.EC2Client;
let balancing: elb.ElasticLoadBalancingV2Client;
/** The proxy's clock. */
let now = 0;
let image: string;
let subnet: string;
let vpc: string;

const once = () => settings({ maxAttempts: 1 });

beforeAll(async () => {
  dir = temporaryDirectory('aws-proxy');
  moto = await startMoto({ dir: dir.path });
  proxy = await startProxy({ upstream: moto.url, now: () => now });
  ec2 = new aws.EC2Client(settings());
  balancing = new elb.ElasticLoadBalancingV2Client(settings());
  image = (await ec2.send(new aws.DescribeImagesCommand({}))).Images?.[0]?.ImageId ?? '';
});

afterAll(async () => {
  await proxy?.stop();
  await moto?.stop();
  dir?.remove();
});

beforeEach(async () => {
  now = 1_000_000;
  await proxy.reset();
  const network = await newNetwork('10.0.0.0/16');
  vpc = network.vpc;
  subnet = network.subnet;
  proxy.clearCalls();
});

function settings(more: { maxAttempts?: number } = {}) {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return { endpoint: proxy.url, region: 'us-east-1', credentials, ...more };
}

async function newNetwork(block: string) {
  const made = await ec2.send(new aws.CreateVpcCommand({ CidrBlock: block }));
  const id = made.Vpc?.VpcId ?? '';
  const part = { VpcId: id, CidrBlock: block.replace('/16', '/24'), AvailabilityZone: 'us-east-1a' };
  const { Subnet } = await ec2.send(new aws.CreateSubnetCommand(part));
  return { vpc: id, subnet: Subnet?.SubnetId ?? '' };
}

function launch(token: string, more: Partial<aws.RunInstancesCommandInput> = {}, client = ec2) {
  const count = { MinCount: 1, MaxCount: 1, ClientToken: token };
  const input = { ImageId: image, InstanceType: 't3.micro' as const, SubnetId: subnet, ...count, ...more };
  return client.send(new aws.RunInstancesCommand(input));
}

async function launchOne(token: string, more: Partial<aws.RunInstancesCommandInput> = {}): Promise<string> {
  return (await launch(token, more)).Instances?.[0]?.InstanceId ?? '';
}

async function look(id: string) {
  const answer = await ec2.send(new aws.DescribeInstancesCommand({ InstanceIds: [id] }));
  return answer.Reservations?.[0]?.Instances?.[0];
}

async function count(...filters: aws.Filter[]): Promise<number> {
  const answer = await ec2.send(new aws.DescribeInstancesCommand({ Filters: filters }));
  return answer.Reservations?.flatMap(({ Instances = [] }) => Instances).length ?? 0;
}

async function terminate(id: string) {
  const answer = await ec2.send(new aws.TerminateInstancesCommand({ InstanceIds: [id] }));
  return answer.TerminatingInstances?.[0];
}

/** `InvalidInstanceID.NotFound 400`, or `none`. */
async function errorOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return `${name} ${$metadata?.httpStatusCode}`;
  }
}

describe('client tokens', () => {
  it('one token is one instance, also for two at once and after its end, in its present state', async () => {
    const [first, second] = await Promise.all([launch('a'), launch('a')]);
    const id = first.Instances?.[0]?.InstanceId ?? '';
    expect(second.Instances?.[0]?.InstanceId).toBe(id);
    expect(first.Instances?.[0]?.State?.Name).toBe('pending');
    await terminate(id);
    const replayed = (await launch('a')).Instances?.[0];
    expect(replayed).toMatchObject({ InstanceId: id, State: { Name: 'terminated' } });
    expect(await count({ Name: 'image-id', Values: [image] })).toBe(1);
    proxy.options.replayOfTerminated = 'error';
    expect(await errorOf(launch('a'))).toBe('IdempotentInstanceTerminated 400');
  });

  it('other parameters are a mismatch, other regions are others, a failure leaves the token free', async () => {
    expect(await errorOf(launch('a', { SubnetId: 'subnet-0123456789abcdef0' }))).toBe(
      'InvalidSubnetID.NotFound 400',
    );
    const id = await launchOne('a');
    expect(await errorOf(launch('a', { InstanceType: 't3.small' }))).toBe('IdempotentParameterMismatch 400');
    expect(await errorOf(launch('x'.repeat(65)))).toBe('InvalidParameterValue 400');
    const west = new aws.EC2Client({ ...settings(), region: 'us-west-2' });
    const there = (await west.send(new aws.DescribeSubnetsCommand({}))).Subnets?.[0]?.SubnetId ?? '';
    const other = await launch('a', { SubnetId: there }, west);
    expect(other.Instances?.[0]?.InstanceId).not.toBe(id);
  });

  it('instances are found by the token that made them', async () => {
    const id = await launchOne('a');
    await launchOne('b');
    const filter = { Name: 'client-token', Values: ['a'] };
    const found = await ec2.send(new aws.DescribeInstancesCommand({ Filters: [filter] }));
    expect(found.Reservations?.map(({ Instances }) => Instances?.[0]?.InstanceId)).toEqual([id]);
    expect(await count({ Name: 'client-token', Values: ['c'] })).toBe(0);
  });

  it('more than a hundred instances by id are one answer', async () => {
    const tokens = Array.from({ length: 101 }, (_, index) => `t${index}`);
    const ids = await Promise.all(tokens.map((token) => launchOne(token)));
    const ask = (InstanceIds: string[]) => ec2.send(new aws.DescribeInstancesCommand({ InstanceIds }));
    const answer = await ask(ids);
    expect(answer.Reservations?.length).toBe(101);
    expect(answer.NextToken).toBeUndefined();
    expect(await errorOf(ask([...ids, 'i-0123456789abcdef0']))).toBe('InvalidInstanceID.NotFound 400');
    expect(await count({ Name: 'client-token', Values: tokens })).toBe(100); // A page.
  });

  it('NAT gateways and launch templates have tokens too', async () => {
    const template = { LaunchTemplateName: 't', LaunchTemplateData: { InstanceType: 't3.micro' as const } };
    const make = () => ec2.send(new aws.CreateLaunchTemplateCommand({ ...template, ClientToken: 'a' }));
    const ids = [await make(), await make()].map(({ LaunchTemplate }) => LaunchTemplate?.LaunchTemplateId);
    expect(ids[0]).toBe(ids[1]);
    const address = await ec2.send(new aws.AllocateAddressCommand({ Domain: 'vpc' }));
    const gateway = { SubnetId: subnet, AllocationId: address.AllocationId, ClientToken: 'a' };
    const first = await ec2.send(new aws.CreateNatGatewayCommand(gateway));
    const second = await ec2.send(new aws.CreateNatGatewayCommand(gateway));
    expect(second.NatGateway?.NatGatewayId).toBe(first.NatGateway?.NatGatewayId);
    expect([first.NatGateway?.State, second.NatGateway?.State]).toEqual(['pending', 'available']);
  });
});

describe('time', () => {
  it('a new instance is not seen, then pending, then running', async () => {
    Object.assign(proxy.options, { staleMs: 1000, pendingMs: 500 });
    const id = await launchOne('a');
    expect(await errorOf(look(id))).toBe('InvalidInstanceID.NotFound 400');
    expect(await count({ Name: 'client-token', Values: ['a'] })).toBe(0);
    now += 1000;
    expect((await look(id))?.State?.Name).toBe('pending');
    expect(await count({ Name: 'instance-state-name', Values: ['running'] })).toBe(0);
    now += 500;
    expect((await look(id))?.State?.Name).toBe('running');
    expect(await count({ Name: 'instance-state-name', Values: ['running'] })).toBe(1);
  });

  it('an end is seen late, and takes its time', async () => {
    Object.assign(proxy.options, { staleMs: 1000, shuttingDownMs: 700 });
    const id = await launchOne('a');
    now += 1000;
    expect((await terminate(id))?.CurrentState?.Name).toBe('shutting-down');
    expect(await look(id)).toMatchObject({ State: { Name: 'running' }, BlockDeviceMappings: [{}] });
    now += 1000;
    expect((await look(id))?.State?.Name).toBe('shutting-down');
    now += 700;
    expect((await look(id))?.State?.Name).toBe('terminated');
    expect((await terminate(id))?.CurrentState?.Name).toBe('terminated');
    proxy.forget(id);
    expect(await errorOf(look(id))).toBe('InvalidInstanceID.NotFound 400');
    expect(await errorOf(terminate(id))).toBe('InvalidInstanceID.NotFound 400');
  });

  it('tags are seen late', async () => {
    const id = await launchOne('a');
    proxy.options.staleMs = 1000;
    now += 1000;
    await ec2.send(new aws.CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'k', Value: 'v' }] }));
    expect((await look(id))?.Tags ?? []).toEqual([]);
    expect(await count({ Name: 'tag:k', Values: ['v'] })).toBe(0);
    now += 1000;
    expect((await look(id))?.Tags).toEqual([{ Key: 'k', Value: 'v' }]);
    expect(await count({ Name: 'tag:k', Values: ['v'] })).toBe(1);
  });

  it('NAT gateways are pending and deleting, and hold their address until they are gone', async () => {
    Object.assign(proxy.options, { natGatewayPendingMs: 500, natGatewayDeletingMs: 700 });
    const before = await proxy.snapshot();
    const { AllocationId } = await ec2.send(new aws.AllocateAddressCommand({ Domain: 'vpc' }));
    const made = await ec2.send(new aws.CreateNatGatewayCommand({ SubnetId: subnet, AllocationId }));
    const NatGatewayId = made.NatGateway?.NatGatewayId ?? '';
    const state = async () => {
      const input = { NatGatewayIds: [NatGatewayId] };
      return (await ec2.send(new aws.DescribeNatGatewaysCommand(input))).NatGateways?.[0]?.State;
    };
    const release = () => errorOf(ec2.send(new aws.ReleaseAddressCommand({ AllocationId })));
    expect(await state()).toBe('pending');
    now += 500;
    expect(await state()).toBe('available');
    expect(await release()).toBe('AuthFailure 400');
    await ec2.send(new aws.DeleteNatGatewayCommand({ NatGatewayId }));
    expect(await state()).toBe('deleting');
    expect(await release()).toBe('AuthFailure 400');
    expect(await errorOf(ec2.send(new aws.DeleteSubnetCommand({ SubnetId: subnet })))).toBe(
      'DependencyViolation 400',
    );
    now += 700;
    expect(await state()).toBe('deleted');
    expect(await release()).toBe('none');
    expect(await proxy.snapshot()).toBe(before);
  });
});

describe('dependencies', () => {
  it('groups, subnets and networks in use stay', async () => {
    const group = async (GroupName: string) =>
      (await ec2.send(new aws.CreateSecurityGroupCommand({ GroupName, Description: 'd', VpcId: vpc })))
        .GroupId ?? '';
    const [one, two] = [await group('one'), await group('two')];
    const rule = { IpProtocol: 'tcp', FromPort: 1, ToPort: 2, UserIdGroupPairs: [{ GroupId: one }] };
    const rules = { GroupId: two, IpPermissions: [rule] };
    await ec2.send(new aws.AuthorizeSecurityGroupIngressCommand(rules));
    const drop = (GroupId: string) => errorOf(ec2.send(new aws.DeleteSecurityGroupCommand({ GroupId })));
    const dropSubnet = () => errorOf(ec2.send(new aws.DeleteSubnetCommand({ SubnetId: subnet })));
    const dropNetwork = () => errorOf(ec2.send(new aws.DeleteVpcCommand({ VpcId: vpc })));
    expect(await drop(one)).toBe('DependencyViolation 400');
    await ec2.send(new aws.RevokeSecurityGroupIngressCommand(rules));
    const id = await launchOne('a', { SecurityGroupIds: [one] });
    proxy.options.shuttingDownMs = 100;
    for (const use of [await drop(one), await dropSubnet(), await dropNetwork()])
      expect(use).toBe('DependencyViolation 400');
    await terminate(id);
    expect([await drop(one), await dropSubnet()]).toEqual([
      'DependencyViolation 400',
      'DependencyViolation 400',
    ]);
    now += 100;
    expect([await drop(one), await dropSubnet()]).toEqual(['none', 'none']);
    expect(await dropNetwork()).toBe('DependencyViolation 400');
    expect([await drop(two), await dropNetwork()]).toEqual(['none', 'none']);
  });

  it('an internet gateway stays while its network has public addresses', async () => {
    const { InternetGateway } = await ec2.send(new aws.CreateInternetGatewayCommand({}));
    const ids = { InternetGatewayId: InternetGateway?.InternetGatewayId, VpcId: vpc };
    await ec2.send(new aws.AttachInternetGatewayCommand(ids));
    const face = { DeviceIndex: 0, SubnetId: subnet, AssociatePublicIpAddress: true };
    const id = await launchOne('a', { SubnetId: undefined, NetworkInterfaces: [face] });
    expect(await errorOf(ec2.send(new aws.DetachInternetGatewayCommand(ids)))).toBe(
      'DependencyViolation 400',
    );
    await terminate(id);
    expect(await errorOf(ec2.send(new aws.DeleteVpcCommand({ VpcId: vpc })))).toBe('DependencyViolation 400');
    expect(await errorOf(ec2.send(new aws.DetachInternetGatewayCommand(ids)))).toBe('none');
  });

  it('load balancers hold their subnets, also for a while after', async () => {
    proxy.options.loadBalancerReleaseMs = 100;
    const made = await balancing.send(
      new elb.CreateLoadBalancerCommand({ Name: 'a', Type: 'network', Subnets: [subnet] }),
    );
    const drop = () => errorOf(ec2.send(new aws.DeleteSubnetCommand({ SubnetId: subnet })));
    expect(await drop()).toBe('DependencyViolation 400');
    const LoadBalancerArn = made.LoadBalancers?.[0]?.LoadBalancerArn;
    await balancing.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn }));
    expect(await drop()).toBe('DependencyViolation 400');
    now += 100;
    expect(await drop()).toBe('none');
  });
});

describe('load balancers', () => {
  it('the same name and settings is the same one; other settings are refused; it takes time', async () => {
    proxy.options.loadBalancerProvisioningMs = 100;
    const make = (Scheme: 'internal' | 'internet-facing') =>
      balancing.send(
        new elb.CreateLoadBalancerCommand({ Name: 'a', Type: 'network', Scheme, Subnets: [subnet] }),
      );
    const both = await Promise.all([make('internal'), make('internal')]);
    const [first, second] = both.map(({ LoadBalancers }) => LoadBalancers?.[0]?.LoadBalancerArn);
    expect(second).toBe(first);
    expect(await errorOf(make('internet-facing'))).toBe('DuplicateLoadBalancerNameException 400');
    const state = async () =>
      (await balancing.send(new elb.DescribeLoadBalancersCommand({ Names: ['a'] }))).LoadBalancers?.[0]?.State
        ?.Code;
    expect(await state()).toBe('provisioning');
    now += 100;
    expect(await state()).toBe('active');
  });

  it('targets run, are initial, healthy, unhealthy when told, draining; a group in use stays', async () => {
    Object.assign(proxy.options, { pendingMs: 100, targetInitialMs: 100, targetDrainingMs: 100 });
    const wanted = {
      Name: 'g',
      Protocol: 'TCP' as const,
      Port: 6443,
      VpcId: vpc,
      TargetType: 'instance' as const,
    };
    const { TargetGroups } = await balancing.send(new elb.CreateTargetGroupCommand(wanted));
    const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn ?? '';
    const again = await balancing.send(new elb.CreateTargetGroupCommand(wanted));
    expect(again.TargetGroups?.[0]?.TargetGroupArn).toBe(TargetGroupArn);
    const id = await launchOne('a');
    const targets = { TargetGroupArn, Targets: [{ Id: id, Port: 6443 }] };
    const register = () => balancing.send(new elb.RegisterTargetsCommand(targets));
    const health = async () => {
      const answer = await balancing.send(new elb.DescribeTargetHealthCommand({ TargetGroupArn }));
      return answer.TargetHealthDescriptions?.map(({ TargetHealth }) => TargetHealth?.State);
    };
    expect(await errorOf(register())).toBe('InvalidTargetException 400');
    now += 100;
    await register();
    expect(await health()).toEqual(['initial']);
    now += 100;
    expect(await health()).toEqual(['healthy']);
    proxy.setHealth(id, { state: 'unhealthy', reason: 'Target.FailedHealthChecks' });
    expect(await health()).toEqual(['unhealthy']);
    await balancing.send(new elb.DeregisterTargetsCommand(targets));
    expect(await health()).toEqual(['draining']);
    now += 100;
    expect(await health()).toEqual([]);
    const input = { Name: 'a', Type: 'network' as const, Subnets: [subnet] };
    const { LoadBalancers } = await balancing.send(new elb.CreateLoadBalancerCommand(input));
    const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }];
    const LoadBalancerArn = LoadBalancers?.[0]?.LoadBalancerArn;
    const listener = { LoadBalancerArn, Protocol: 'TCP' as const, Port: 6443, DefaultActions };
    await balancing.send(new elb.CreateListenerCommand(listener));
    const drop = balancing.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn }));
    expect(await errorOf(drop)).toBe('ResourceInUseException 400');
  });
});

describe('what a launch is refused for', () => {
  it('more than 16,384 bytes of user data', async () => {
    const data = (bytes: number) => Buffer.alloc(bytes, 'a').toString('base64');
    expect(await errorOf(launch('a', { UserData: data(16_384) }))).toBe('none');
    await expect(launch('b', { UserData: data(16_385) })).rejects.toThrow(
      'User data is limited to 16384 bytes',
    );
  });

  it('a quota, that ends free', async () => {
    proxy.options.maxInstances = 1;
    const calls = await Promise.all(['a', 'b'].map((token) => errorOf(launch(token))));
    expect(calls.sort()).toEqual(['VcpuLimitExceeded 400', 'none']);
  });

  it('no capacity for a type, zone or market: HTTP 500, that the SDK tries again', async () => {
    proxy.options.noCapacity = [
      { instanceType: 't3.micro', availabilityZone: 'us-east-1a', market: 'on-demand' },
    ];
    const client = new aws.EC2Client(once());
    expect(await errorOf(launch('a', {}, client))).toBe('InsufficientInstanceCapacity 500');
    expect(await errorOf(launch('b', { InstanceType: 't3.small' }))).toBe('none');
    const spot = { InstanceMarketOptions: { MarketType: 'spot' as const } };
    expect(await errorOf(launch('c', spot))).toBe('none');
    proxy.options.noCapacity = [{ market: 'spot', code: 'SpotMaxPriceTooLow' }];
    expect(await errorOf(launch('d', spot))).toBe('SpotMaxPriceTooLow 400');
  });

  it('groups beside network interfaces; the groups of the first interface are those of the instance', async () => {
    const made = new aws.CreateSecurityGroupCommand({ GroupName: 'g', Description: 'd', VpcId: vpc });
    const GroupId = (await ec2.send(made)).GroupId ?? '';
    const face = { DeviceIndex: 0, SubnetId: subnet, Groups: [GroupId] };
    const both = { SubnetId: undefined, NetworkInterfaces: [face], SecurityGroupIds: [GroupId] };
    expect(await errorOf(launch('a', both))).toBe('InvalidParameterCombination 400');
    const id = await launchOne('b', { SubnetId: undefined, NetworkInterfaces: [face] });
    expect((await look(id))?.SecurityGroups?.map((group) => group.GroupId)).toEqual([GroupId]);
  });
});

describe('faults', () => {
  it('a lost answer leaves its effect, and the retry of the SDK finds it', async () => {
    const fault = proxy.faults.add({ action: 'RunInstances', kind: 'lostResponse', times: 1 });
    const answer = await launch('a');
    expect(answer.$metadata.attempts).toBe(2);
    expect(fault.hits()).toBe(1);
    expect(await count()).toBe(1);
    expect(
      proxy
        .calls()
        .map(({ action, status }) => `${action} ${status}`)
        .slice(0, 2),
    ).toEqual(['RunInstances 0', 'RunInstances 200']);
  });

  it('a lost request has no effect', async () => {
    proxy.faults.add({ action: 'RunInstances', kind: 'lostRequest' });
    await expect(launch('a', {}, new aws.EC2Client(once()))).rejects.toThrow();
    expect(await count()).toBe(0);
  });

  it.each([
    ['throttle', 'RequestLimitExceeded 503', 'Throttling 400', 'ThrottlingException 400'],
    ['serverError', 'InternalError 500', 'InternalFailure 500', 'InternalFailure 500'],
    ['serviceDown', 'Unavailable 503', 'ServiceUnavailable 503', 'ServiceUnavailable 503'],
    ['expiredCredentials', 'RequestExpired 400', 'ExpiredToken 403', 'ExpiredTokenException 400'],
    ['invalidCredentials', 'AuthFailure 401', 'InvalidClientTokenId 403', 'UnrecognizedClientException 400'],
  ] as const)('%s, as each service says it', async (kind, ofEC2, ofQuery, ofJSON) => {
    proxy.faults.add({ kind });
    const vpcs = new aws.EC2Client(once()).send(new aws.DescribeVpcsCommand({}));
    expect(await errorOf(vpcs)).toBe(ofEC2);
    const groups = new elb.ElasticLoadBalancingV2Client(once()).send(new elb.DescribeTargetGroupsCommand({}));
    expect(await errorOf(groups)).toBe(ofQuery);
    const scaling = new autoscaling.AutoScalingClient(once());
    expect(await errorOf(scaling.send(new autoscaling.DescribeAutoScalingGroupsCommand({})))).toBe(ofQuery);
    const identity = new sts.STSClient(once()).send(new sts.GetCallerIdentityCommand({}));
    expect(await errorOf(identity)).toBe(ofQuery);
    const list = new secrets.SecretsManagerClient(once()).send(new secrets.ListSecretsCommand({}));
    expect(await errorOf(list)).toBe(ofJSON);
    const parameters = new ssm.SSMClient(once()).send(new ssm.DescribeParametersCommand({}));
    expect(await errorOf(parameters)).toBe(ofJSON);
  });

  it('hits what it is for: service, parameters, after some, a share, until its end', async () => {
    const client = new aws.EC2Client(once());
    const ask = () => errorOf(client.send(new aws.DescribeVpcsCommand({})));
    proxy.faults.add({ service: 'elasticloadbalancing', kind: 'serviceDown' });
    proxy.faults.add({ actions: ['RunInstances'], params: { InstanceType: 't3.small' }, kind: 'throttle' });
    proxy.faults.add({ action: 'DescribeVpcs', skip: 1, rate: 0.5, forMs: 100, kind: 'throttle' });
    const throttled = 'RequestLimitExceeded 503';
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual(['none', 'none', throttled, 'none']);
    expect(await ask()).toBe(throttled);
    now += 100;
    expect([await ask(), await ask()]).toEqual(['none', 'none']);
    expect(await errorOf(launch('a', {}, client))).toBe('none');
    expect(await errorOf(launch('b', { InstanceType: 't3.small' }, client))).toBe(throttled);
  });

  it('slow answers and errors of choice', async () => {
    proxy.faults.add({ kind: 'slow', delayMs: 30, before: 'answer' });
    proxy.faults.add({ kind: 'error', status: 403, code: 'UnauthorizedOperation', message: 'no' });
    const start = performance.now();
    expect(await errorOf(ec2.send(new aws.DescribeVpcsCommand({})))).toBe('UnauthorizedOperation 403');
    proxy.faults.clear();
    proxy.faults.add({ kind: 'slow', delayMs: 30 });
    await ec2.send(new aws.DescribeVpcsCommand({}));
    expect(performance.now() - start).toBeGreaterThan(29);
  });

  it('a clock that is wrong is refused, and corrected by the SDK', async () => {
    proxy.options.clockSkewMs = 3_600_000;
    expect(await errorOf(new aws.EC2Client(once()).send(new aws.DescribeVpcsCommand({})))).toBe(
      'RequestExpired 400',
    );
    const answer = await new aws.EC2Client(settings()).send(new aws.DescribeVpcsCommand({}));
    expect(answer.$metadata.attempts).toBe(2);
  });
});

describe('from outside', () => {
  it('events are told, ends have a reason, spot instances are warned', async () => {
    const id = await launchOne('a', { InstanceMarketOptions: { MarketType: 'spot' } });
    const status = async () => {
      const input = { InstanceIds: [id], IncludeAllInstances: true };
      return (await ec2.send(new aws.DescribeInstanceStatusCommand(input))).InstanceStatuses?.[0];
    };
    expect((await status())?.Events ?? []).toEqual([]);
    proxy.scheduleEvent(id, {
      code: 'instance-retirement',
      description: 'd',
      notBefore: '2030-01-01T00:00:00.000Z',
    });
    const notBefore = new Date('2030-01-01T00:00:00Z');
    expect((await status())?.Events).toMatchObject([{ Code: 'instance-retirement', NotBefore: notBefore }]);
    const request = async () => {
      const SpotInstanceRequestIds = [(await look(id))?.SpotInstanceRequestId ?? ''];
      const answer = await ec2.send(new aws.DescribeSpotInstanceRequestsCommand({ SpotInstanceRequestIds }));
      return answer.SpotInstanceRequests?.[0];
    };
    expect(await request()).toMatchObject({ InstanceId: id, State: 'active', Status: { Code: 'fulfilled' } });
    proxy.warnOfInterruption(id);
    expect((await request())?.Status?.Code).toBe('marked-for-termination');
    await proxy.interrupt(id);
    expect((await look(id))?.StateReason?.Code).toBe('Server.SpotInstanceTermination');
    const other = await launchOne('b');
    await proxy.stopOutside(other, { code: 'Server.ScheduledStop', message: 'planned' });
    expect(await look(other)).toMatchObject({
      State: { Name: 'stopped' },
      StateReason: { Code: 'Server.ScheduledStop', Message: 'planned' },
    });
  });
});

describe('snapshot', () => {
  it('is the same after everything that was made is gone, and tells each thing that stays', async () => {
    const before = await proxy.snapshot();
    expect(await proxy.snapshot()).toBe(before);
    const id = await launchOne('a', {
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'k', Value: 'v' }] }],
    });
    const vault = new secrets.SecretsManagerClient(settings());
    await vault.send(new secrets.CreateSecretCommand({ Name: 's', SecretString: 'hidden' }));
    const store = new ssm.SSMClient(settings());
    await store.send(new ssm.PutParameterCommand({ Name: 'p', Value: 'hidden', Type: 'SecureString' }));
    const during = await proxy.snapshot();
    for (const text of [id, '"Name": "s"', '"Name": "p"']) expect(during).toContain(text);
    expect(during).not.toContain('hidden');
    await terminate(id);
    await store.send(new ssm.DeleteParameterCommand({ Name: 'p' }));
    await vault.send(new secrets.DeleteSecretCommand({ SecretId: 's', RecoveryWindowInDays: 7 }));
    expect(await proxy.snapshot()).not.toBe(before);
    await vault.send(new secrets.DeleteSecretCommand({ SecretId: 's', ForceDeleteWithoutRecovery: true }));
    expect(await proxy.snapshot()).toBe(before);
    await ec2.send(new aws.CreateTagsCommand({ Resources: [vpc], Tags: [{ Key: 'k', Value: 'v' }] }));
    expect(await proxy.snapshot()).not.toBe(before);
  });
});

describe('calls', () => {
  it('are counted by service and action, with their code and key', async () => {
    await errorOf(look('i-0123456789abcdef0'));
    await balancing.send(new elb.DescribeTargetGroupsCommand({}));
    expect(proxy.counts()).toEqual({
      'ec2.DescribeInstances': 1,
      'elasticloadbalancing.DescribeTargetGroups': 1,
    });
    expect([proxy.countOf('DescribeInstances'), proxy.countOf('ec2.*'), proxy.countOf('Describe')]).toEqual([
      1, 1, 0,
    ]);
    expect(proxy.calls()[0]).toMatchObject({
      status: 400,
      code: 'InvalidInstanceID.NotFound',
      accessKeyID: 'test',
    });
  });

  it('a process of its own has a control port', async () => {
    const [port, control] = [await freePort(), await freePort()];
    const args = ['--upstream', moto.url, '--port', String(port), '--control-port', String(control)];
    const server = startServer({
      ...{ name: 'proxy', binary: process.execPath, logFile: `${dir.path}/proxy.log` },
      args: [`${import.meta.dirname}/../aws/proxy/main.ts`, ...args],
    });
    const ask = async (method: string, path: string, input?: unknown) => {
      const body = input === undefined ? {} : { body: JSON.stringify(input) };
      return (await fetch(`http://127.0.0.1:${control}${path}`, { method, ...body })).text();
    };
    try {
      const counts = async () => (await ask('GET', '/counts')) === '{}';
      await waitUntil(counts, { what: 'the control port', timeoutMs: 20_000, server });
      await ask('POST', '/faults', { kind: 'throttle', times: 1 });
      const client = new aws.EC2Client({ ...once(), endpoint: `http://127.0.0.1:${port}` });
      expect(await errorOf(client.send(new aws.DescribeVpcsCommand({})))).toBe('RequestLimitExceeded 503');
      expect(JSON.parse(await ask('PATCH', '/options', { staleMs: 5 }))).toMatchObject({ staleMs: 5 });
      expect(await ask('GET', '/counts')).toBe('{"ec2.DescribeVpcs":1}');
    } finally {
      await server.stop();
    }
  });
});
