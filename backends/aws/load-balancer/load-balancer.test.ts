// SPDX-License-Identifier: Apache-2.0
// A look that is behind; how AWS behaves otherwise is shown in test/envtest/aws-load-balancer.test.ts.
import { beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { ClusterFacts, ClusterLoadBalancer } from '../../cluster-backend.ts';
import { contextOf, sessionOf } from '../instance/instance.fixtures.ts';
import type { NetworkFacts } from '../network/facts.ts';
import { createRest } from '../rest.ts';
import { AWSRefusal, type AWSSessions } from '../session/session.ts';
import { createAWSLoadBalancer } from './load-balancer.ts';

const WINDOW_MS = 60_000;
const DELETIONS = ['DeleteLoadBalancer', 'DeleteTargetGroup'];

const facts: NetworkFacts = {
  ...{ vpcID: 'vpc-1', cidrBlocks: ['10.0.0.0/16'] },
  subnets: [{ id: 'subnet-1', availabilityZone: 'z1', isPublic: true, vpcID: 'vpc-1' }],
  securityGroups: { controlPlane: ['sg-1'], nodes: ['sg-2'], loadBalancer: ['sg-3'] },
};
const aws = { region: 'eu-central-1', identityRef: { name: 'default' }, network: { vpc: { id: 'vpc-1' } } };
const cluster: ClusterFacts = {
  ...{ namespace: 'default', name: 'prod', clusterName: 'prod', infrastructureID: 'prod-1' },
  spec: { aws, controlPlaneLoadBalancer: { type: 'NLB' } },
};

let clock: FakeClock;
let balancer: ClusterLoadBalancer;
/** What exists, by the actions that ask for it. */
let made: Map<string, object>;
/** What a look shows nothing of. */
let hidden: Set<string>;
/** Actions whose answer is lost. */
let lost: Set<string>;
let sent: string[];

beforeEach(async () => {
  clock = new FakeClock();
  made = new Map();
  hidden = new Set();
  lost = new Set();
  sent = [];
  const sessions: AWSSessions = {
    ...{ open: () => Promise.resolve(sessionOf(played)), all: () => [], close: () => undefined },
  };
  const network = { networkFacts: () => Promise.resolve(facts), forget: () => undefined };
  balancer = createAWSLoadBalancer({ sessions, network, rest: createRest(clock), clock });
  // The manager has been up for long.
  await clock.advance(WINDOW_MS);
});

const BALANCER = { LoadBalancerArn: 'arn:lb', VpcId: 'vpc-1', Scheme: 'internet-facing' };
const GROUP = { TargetGroupArn: 'arn:tg', VpcId: 'vpc-1', Port: 6443, Protocol: 'TCP' };
const Tags = [{ Key: 'ts-provider/cluster', Value: 'prod-1' }];

function played(action: string): unknown {
  sent.push(action);
  const answer = answerTo(action);
  if (lost.has(action)) throw new TransientError(`${action}: no answer`);
  return answer;
}

function answerTo(action: string): unknown {
  switch (action) {
    case 'CreateLoadBalancer':
      made.set('DescribeLoadBalancers', { LoadBalancers: [BALANCER] });
      return { LoadBalancers: [BALANCER] };
    case 'CreateTargetGroup':
      made.set('DescribeTargetGroups', { TargetGroups: [GROUP] });
      return { TargetGroups: [GROUP] };
    case 'DeleteLoadBalancer':
      return made.delete('DescribeLoadBalancers');
    case 'DeleteTargetGroup':
      return made.delete('DescribeTargetGroups');
    case 'DescribeLoadBalancers':
      return shown(action, 'LoadBalancerNotFound');
    case 'DescribeTargetGroups':
      return shown(action, 'TargetGroupNotFound');
    case 'DescribeTags':
      return { TagDescriptions: ['arn:lb', 'arn:tg'].map((ResourceArn) => ({ ResourceArn, Tags })) };
    default:
      return {};
  }
}

function shown(action: string, code: string): object {
  const found = made.get(action);
  if (found !== undefined && !hidden.has(action)) return found;
  throw new AWSRefusal({ reason: 'CloudRequestRefused', action, code, message: 'there is none' });
}

const ctx = () => contextOf(clock);
const ensure = () => balancer.ensureLoadBalancer(ctx(), cluster);

/** Passes until it is gone; time goes on as the answers ask. */
async function removed(): Promise<number> {
  const since = clock.now().getTime();
  for (let pass = 0; pass < 20; pass += 1) {
    const answer = await balancer.removeLoadBalancer(ctx(), cluster);
    if (answer.state === 'gone') return clock.now().getTime() - since;
    await clock.advance(answer.pollMs ?? 1_000);
  }
  throw new Error('not gone after 20 passes');
}

describe('removal', () => {
  it.each(['DescribeLoadBalancers', 'DescribeTargetGroups'])(
    'right after it was made, and %s does not show it yet: waits until it would',
    async (action) => {
      await ensure();
      await clock.advance(2_000);
      hidden.add(action);
      expect(await balancer.removeLoadBalancer(ctx(), cluster)).toMatchObject({ state: 'inProgress' });
      await clock.advance(WINDOW_MS / 2);
      expect(await balancer.removeLoadBalancer(ctx(), cluster)).toMatchObject({
        ...{ state: 'inProgress', pollMs: 15_000 },
        message: expect.stringMatching(/^Waiting until AWS would show /) as string,
      });
      hidden.clear();
      await removed();
      expect(made.size).toBe(0);
    },
  );

  it.each(['CreateLoadBalancer', 'CreateTargetGroup'])(
    'after the answer of %s was lost: the same',
    async (action) => {
      lost.add(action);
      await expect(ensure()).rejects.toThrow('no answer');
      for (const look of ['DescribeLoadBalancers', 'DescribeTargetGroups']) hidden.add(look);
      expect(await balancer.removeLoadBalancer(ctx(), cluster)).toMatchObject({ state: 'inProgress' });
      hidden.clear();
      await removed();
      expect(made.size).toBe(0);
    },
  );

  it('waits for nothing when AWS has said that both go, or nothing was made of late', async () => {
    await ensure();
    expect(await removed()).toBe(3_000);
    expect(sent.filter((action) => action.startsWith('Delete'))).toEqual(DELETIONS);
    expect(await removed()).toBe(0);
  });
});
