// SPDX-License-Identifier: Apache-2.0
// Sessions at AWS, seen with the SDK's own clients and a moto behind the proxy that fails as AWS does.
import { DescribeVpcsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import { DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isRefused, type AWSSession, type AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import type { AWSIdentity } from '../../backends/cloud-identities.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { type PlayedAWS, startPlayedAWS } from '../aws/played-aws.ts';
import type { Proxy } from '../aws/proxy/server.ts';

const CANARY = 'canary-9f31';
const ROLE = 'arn:aws:iam::111111111111:role/first';
const LAST_ROLE = 'arn:aws:iam::222222222222:role/last';

let aws: PlayedAWS;
let proxy: Proxy;
let clock: FakeClock;
let metrics: Metrics;
let sessions: AWSSessions;
let identity: AWSIdentity;

beforeAll(async () => {
  aws = await startPlayedAWS('aws-session');
  proxy = aws.proxy;
});

afterAll(() => aws?.stop());

beforeEach(async () => {
  await proxy.reset();
  clock = new FakeClock();
  metrics = createMetrics();
  identity = { key: 'one', source: keys(), roles: [] };
  const identities = { aws: async () => identity };
  sessions = createAWSSessions({ identities, clock, metrics, endpoint: proxy.url, random: () => 0.5 });
});

afterEach(() => sessions.close());

describe('who we are', () => {
  it('static credentials: their account; every client works', async () => {
    const session = await open();
    expect(session).toMatchObject({ account: '123456789012', region: 'us-east-1' });
    expect((await vpcs(session)).Vpcs).toHaveLength(1);
    expect((await session.elb(ctx(), new DescribeLoadBalancersCommand({}))).LoadBalancers).toEqual([]);
    const groups = await session.autoScaling(ctx(), new DescribeAutoScalingGroupsCommand({}));
    expect(groups.AutoScalingGroups).toEqual([]);
    const secret = await caught(session.secrets(ctx(), new GetSecretValueCommand({ SecretId: 'none' })));
    expect(isRefused(secret, 'ResourceNotFoundException')).toBe(true);
    const parameter = await caught(session.parameters(ctx(), new GetParameterCommand({ Name: '/none' })));
    expect(isRefused(parameter, 'ParameterNotFound')).toBe(true);
    expect(proxy.counts()).toEqual({
      'sts.GetCallerIdentity': 1,
      'ec2.DescribeRegions': 1,
      'ec2.DescribeVpcs': 1,
      'elasticloadbalancing.DescribeLoadBalancers': 1,
      'autoscaling.DescribeAutoScalingGroups': 1,
      'secretsmanager.GetSecretValue': 1,
      'ssm.GetParameter': 1,
    });
  });

  it("the manager's own: those of its environment", async () => {
    const before = { ...process.env };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'of-the-manager', AWS_SECRET_ACCESS_KEY: 'secret' });
    try {
      identity = { key: 'manager', source: { kind: 'manager' }, roles: [] };
      await vpcs(await open());
      expect(new Set(proxy.calls().map(({ accessKeyID }) => accessKeyID))).toEqual(
        new Set(['of-the-manager']),
      );
    } finally {
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  it('roles, one after the other: the last one acts, and all namespaces and calls share it', async () => {
    identity = {
      ...identity,
      roles: [
        { arn: ROLE, externalID: 'x-1' },
        { arn: LAST_ROLE, durationSeconds: 900 },
      ],
    };
    const [session, other] = await Promise.all([open('ns'), open('other'), open('ns')]);
    expect(session.account).toBe('222222222222');
    await Promise.all([vpcs(session), vpcs(session), vpcs(other)]);
    expect(proxy.counts()).toEqual({
      ...{ 'sts.AssumeRole': 2, 'sts.GetCallerIdentity': 1, 'ec2.DescribeRegions': 1, 'ec2.DescribeVpcs': 3 },
    });
    const used = proxy.calls().map(({ accessKeyID }) => accessKeyID);
    expect(used[0]).toBe('test');
    expect(used[1]).not.toBe('test');
    expect(new Set(used.slice(2)).size).toBe(1);
    expect(used[2]).not.toBe(used[1]);
    // Fifteen minutes: half of the time before the end is five minutes or more.
    await clock.advance(10 * 60_000 + 1_000);
    await vpcs(session);
    expect(proxy.countOf('AssumeRole')).toBe(4);
  });

  it('of one account and region there is one session to observe with', async () => {
    await open('ns');
    await open('other');
    await open('ns', 'eu-west-1');
    expect(observers().map(({ account, region }) => `${account} ${region}`)).toEqual([
      '123456789012 us-east-1',
      '123456789012 eu-west-1',
    ]);
  });

  describe('of two identities of one account', () => {
    beforeEach(async () => {
      await open('ns', 'us-east-1', 'first');
      await open('ns', 'us-east-1', 'last');
    });
    const first = () => open('ns', 'us-east-1', 'first');
    const last = () => open('ns', 'us-east-1', 'last');

    it('the one opened last observes, unless AWS denies it what it asks', async () => {
      expect(observers()).toEqual([await last()]);
      const denied = { status: 403, code: 'UnauthorizedOperation', message: 'No.' } as const;
      proxy.faults.add({ kind: 'error', action: 'DescribeVpcs', times: 1, ...denied });
      expect(await caught(vpcs(await last()))).toMatchObject({ reason: 'CloudAccessDenied' });
      await clock.advance(1_000);
      const other = await first();
      await clock.advance(1_000);
      const broken = await last();
      expect(observers()).toEqual([other]);
      // Of another action this says nothing.
      expect(sessions.all('DescribeInstances')).toEqual([broken]);
      await broken.elb(ctx(), new DescribeLoadBalancersCommand({}));
      expect(observers()).toEqual([other]);
      await vpcs(broken);
      expect(observers()).toEqual([broken]);
    });

    it('one that nobody has opened for an hour, as it was deleted, observes no more', async () => {
      await clock.advance(3_599_000);
      const kept = await first();
      await clock.advance(1_000);
      expect(observers()).toEqual([kept]);
      await clock.advance(3_600_000);
      expect(observers()).toEqual([]);
    });
  });

  it('a new Secret makes a new session', async () => {
    const first = await open();
    expect(await open()).toBe(first);
    identity = { key: 'two', source: keys('another'), roles: [] };
    const second = await open();
    await vpcs(second);
    expect(proxy.calls().at(-1)?.accessKeyID).toBe('another');
    expect(observers()).toEqual([second]);
  });
});

describe('a region', () => {
  it.each([
    ['mars-north-1', 'AWS has no region of this name'],
    ['ap-east-1', 'is not enabled in the account'],
  ])('%s: RegionInvalid, and a hundred machines that ask do not ask AWS', async (region, message) => {
    const errors = await Promise.all(Array.from({ length: 100 }, () => caught(open('ns', region))));
    for (const error of errors)
      expect(error).toMatchObject({ name: 'TerminalError', reason: 'RegionInvalid' });
    expect((errors[0] as Error).message).toContain(`spec.aws.region "${region}"`);
    expect((errors[0] as Error).message).toContain(message);
    const calls = proxy.calls().length;
    expect(calls).toBeLessThanOrEqual(3);
    await caught(open('ns', region));
    expect(proxy.calls()).toHaveLength(calls);
    // It may be enabled now.
    await clock.advance(61_000);
    await caught(open('ns', region));
    expect(proxy.calls().length).toBeGreaterThan(calls);
  });

  it('is taken as it is where the policy does not allow to ask', async () => {
    const denied = {
      status: 403,
      code: 'UnauthorizedOperation',
      message: 'You are not authorized.',
    } as const;
    proxy.faults.add({ kind: 'error', action: 'DescribeRegions', ...denied });
    expect((await open()).region).toBe('us-east-1');
  });
});

describe('credentials', () => {
  it('that have expired are renewed: the next call works', async () => {
    identity = { ...identity, roles: [{ arn: ROLE }] };
    const session = await open();
    proxy.faults.add({ kind: 'expiredCredentials', action: 'DescribeVpcs', times: 1 });
    expect(await caught(vpcs(session))).toBeInstanceOf(TransientError);
    expect((await vpcs(session)).Vpcs).toHaveLength(1);
    expect(proxy.countOf('AssumeRole')).toBe(2);
  });

  it('that are refused when they are fresh, too: CloudAccessDenied names the identity; healed by a new Secret', async () => {
    const session = await open();
    proxy.faults.add({ kind: 'invalidCredentials' });
    expect(await caught(vpcs(session))).toBeInstanceOf(TransientError);
    const error = await caught(vpcs(session));
    expect(error).toMatchObject({ name: 'TerminalError', reason: 'CloudAccessDenied' });
    // Nothing is proven by it: an earlier call may have come through.
    expect(isRefused(error, 'AuthFailure')).toBe(false);
    expect((error as Error).message).toMatch(/TSClusterIdentity "default" in region us-east-1/);
    proxy.faults.clear();
    identity = { key: 'two', source: keys('another'), roles: [] };
    expect((await vpcs(await open())).Vpcs).toHaveLength(1);
  });

  it('that are wrong from the start: no session, and the same condition', async () => {
    proxy.faults.add({ kind: 'invalidCredentials' });
    expect(await caught(open())).toBeInstanceOf(TransientError);
    const error = await caught(open());
    expect(error).toMatchObject({ name: 'TerminalError', reason: 'CloudAccessDenied' });
    const calls = proxy.calls().length;
    await Promise.all(Array.from({ length: 50 }, () => caught(open())));
    expect(proxy.calls()).toHaveLength(calls);
    proxy.faults.clear();
    await clock.advance(61_000);
    expect((await open()).account).toBe('123456789012');
  });

  it('of a role that may not be assumed', async () => {
    identity = { ...identity, roles: [{ arn: ROLE }] };
    const message = `User is not authorized to perform: sts:AssumeRole on resource: ${ROLE}`;
    proxy.faults.add({ kind: 'error', action: 'AssumeRole', status: 403, code: 'AccessDenied', message });
    const error = await caught(open());
    expect(error).toMatchObject({ name: 'TerminalError', reason: 'CloudAccessDenied' });
    expect((error as Error).message).toContain(ROLE);
    expect((error as Error).message).toContain('TSClusterIdentity "default"');
  });

  it.each([1, -1])(
    'a clock that is an hour off (%i): the SDK learns it by the answer, the next call works',
    async (sign) => {
      const session = await open();
      proxy.options.clockSkewMs = sign * 3_600_000;
      const first = await caught(vpcs(session));
      expect(first).toBeInstanceOf(TransientError);
      expect((await vpcs(session)).Vpcs).toHaveLength(1);
    },
  );
});

describe('a call', () => {
  it('that AWS throttles holds all identities of the account, in this bucket only', async () => {
    const session = await open();
    identity = { key: 'two', source: keys('another'), roles: [] };
    const other = await sessions.open(ctx(), { namespace: 'b', identity: 'b', region: 'us-east-1' });
    proxy.faults.add({ kind: 'throttle', action: 'DescribeVpcs', times: 1 });
    expect(await caught(vpcs(session))).toBeInstanceOf(TransientError);
    const waiting = vpcs(other);
    await other.elb(ctx(), new DescribeLoadBalancersCommand({}));
    expect(proxy.countOf('DescribeVpcs')).toBe(1);
    const text = await metrics.metrics();
    expect(text).toContain(
      'ts_provider_aws_budget_tokens{account="123456789012",region="us-east-1",bucket="DescribeVpcs"} 0',
    );
    expect(text).toContain(
      'ts_provider_aws_requests_total{action="DescribeVpcs",code="RequestLimitExceeded"} 1',
    );
    await clock.advance(1_000);
    expect((await waiting).Vpcs).toHaveLength(1);
    expect(await metrics.metrics()).toContain(
      'ts_provider_aws_requests_total{action="DescribeVpcs",code="OK"} 1',
    );
  });

  it.each([
    ['lostRequest', 'Network'],
    ['lostResponse', 'Network'],
    ['serverError', 'InternalError'],
  ] as const)('with %s is sent once, and nothing is known', async (kind, code) => {
    const session = await open();
    proxy.faults.add({ kind, action: 'DescribeVpcs', times: 1 });
    expect(await caught(vpcs(session))).toBeInstanceOf(TransientError);
    expect(proxy.countOf('DescribeVpcs')).toBe(1);
    expect(await metrics.metrics()).toContain(
      `ts_provider_aws_requests_total{action="DescribeVpcs",code="${code}"} 1`,
    );
    expect((await vpcs(session)).Vpcs).toHaveLength(1);
  });

  it('ends with its caller', async () => {
    const session = await open();
    const slow = proxy.faults.add({ kind: 'slow', delayMs: 10_000, action: 'DescribeVpcs', times: 1 });
    const abort = new AbortController();
    const call = caught(session.ec2(ctx(abort.signal), new DescribeVpcsCommand({})));
    await expect.poll(() => slow.hits()).toBe(1);
    abort.abort(new TransientError('the manager stops'));
    expect(await call).toBeInstanceOf(TransientError);
  });

  it('that lacks capacity is refused, although AWS says 500', async () => {
    const session = await open();
    proxy.options.noCapacity = [{}];
    const error = await caught(session.ec2(ctx(), runInstances()));
    expect(isRefused(error, 'InsufficientInstanceCapacity')).toBe(true);
    expect(error).toMatchObject({ reason: 'CapacityUnavailable', action: 'RunInstances' });
  });

  it('300 at once are not slowed down while AWS lets them through', async () => {
    const session = await open();
    const describe = Array.from({ length: 300 }, () => vpcs(session));
    await Promise.all(describe);
    expect(proxy.countOf('DescribeVpcs')).toBe(300);
    // No time has passed on the budget's clock: nobody waited for a token to be filled in.
    expect(clock.now()).toEqual(new FakeClock().now());
  });
});

it('no secret in an error or a metric', async () => {
  identity = {
    key: 'one',
    source: { kind: 'static', accessKeyID: 'test', secretAccessKey: CANARY, sessionToken: CANARY },
    roles: [],
  };
  const session = await open();
  const errors: unknown[] = [];
  const kinds = [
    'expiredCredentials',
    'invalidCredentials',
    'serverError',
    'lostRequest',
    'throttle',
  ] as const;
  for (const kind of kinds) {
    proxy.faults.add({ kind, times: 1 });
    errors.push(await caught(session.ec2(ctx(), runInstances())));
    await clock.advance(5_000);
  }
  for (const error of errors) {
    expect(error).toBeInstanceOf(Error);
    expect(everything(error)).not.toContain(CANARY);
    expect(everything(error)).not.toContain(Buffer.from(CANARY).toString('base64'));
  }
  expect(await metrics.metrics()).not.toContain(CANARY);
});

function keys(accessKeyID = 'test'): AWSIdentity['source'] {
  return { kind: 'static', accessKeyID, secretAccessKey: 'test' };
}

function ctx(signal: AbortSignal = new AbortController().signal): Ctx {
  return { signal, clock, log: createLogger({ level: 'silent' }) };
}

function open(namespace = 'ns', region = 'us-east-1', name = 'default'): Promise<AWSSession> {
  return sessions.open(ctx(), { namespace, identity: name, region });
}

/** Who would ask what {@link vpcs} asks. */
function observers(): readonly AWSSession[] {
  return sessions.all('DescribeVpcs');
}

function vpcs(session: AWSSession) {
  return session.ec2(ctx(), new DescribeVpcsCommand({}));
}

function runInstances(): RunInstancesCommand {
  return new RunInstancesCommand({
    ...{ ImageId: 'ami-00000000', InstanceType: 'm5.large', MinCount: 1, MaxCount: 1 },
    UserData: Buffer.from(CANARY).toString('base64'),
  });
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** What a logger could print of it. */
function everything(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  return [error.message, error.stack, JSON.stringify(error), everything(error.cause)].join('\n');
}
