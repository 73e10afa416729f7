// SPDX-License-Identifier: Apache-2.0
// What the registry believes while answers are under way; how AWS behaves is shown in test/envtest/aws-targets.test.ts.
import { beforeEach, describe, expect, it } from 'vitest';
import { contextOf } from '../../inmemory/fixtures.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { type AWSSession, AWSRefusal } from '../session/session.ts';
import { createTargets, type TargetCluster, type Targets } from './targets.ts';

const ARN = 'arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/ts-c1/1';
const CLUSTER: TargetCluster = {
  infrastructureID: 'c1',
  spec: { region: 'us-east-1', identityRef: { name: 'main' }, network: { managed: {} } },
};

type Play = (action: string) => Promise<unknown>;

/** A session that answers by `play`, and writes down what it was asked. */
function sessionThat(play: Play, asked: string[]): AWSSession {
  const elb = async (_ctx: unknown, command: object) => {
    const action = command.constructor.name.replace(/Command$/, '');
    asked.push(action);
    return play(action);
  };
  return { account: '1', region: 'us-east-1', elb } as unknown as AWSSession;
}

/** An answer that comes when the test says so. */
function heldAnswer() {
  let answer: (value: unknown) => void = () => undefined;
  const promise = new Promise<unknown>((resolve) => (answer = resolve));
  return { promise, answer: (value: unknown) => answer(value) };
}

const health = (...ids: string[]) => ({
  TargetHealthDescriptions: ids.map((Id) => ({ Target: { Id }, TargetHealth: { State: 'healthy' } })),
});

function refusal(action: string, reason: string, code: string): AWSRefusal {
  return new AWSRefusal({ reason, action, code, message: 'no' });
}

const tagged = (infrastructureID: string) => ({
  TagDescriptions: [{ ResourceArn: ARN, Tags: [{ Key: 'ts-provider/cluster', Value: infrastructureID }] }],
});

let clock: FakeClock;
let targets: Targets;
let asked: string[];

beforeEach(() => {
  clock = new FakeClock();
  targets = createTargets({ clock });
  asked = [];
});

describe('targets', () => {
  it('a look that began before a registration does not undo it', async () => {
    const looks = [heldAnswer(), heldAnswer()];
    let look = 0;
    const session = sessionThat(
      async (action) => (action === 'DescribeTargetHealth' ? looks[look++]?.promise : {}),
      asked,
    );
    targets.found(session, 'c1', ARN);
    const ctx = contextOf(clock);
    looks[0]?.answer(health());
    await targets.register(ctx, session, CLUSTER, 'i-1');
    await clock.advance(60_000);
    // A look for the end of another machine is under way when a third one is registered.
    const ending = targets.deregister(ctx, session, 'c1', 'i-2');
    await clock.settle();
    await targets.register(ctx, session, CLUSTER, 'i-3');
    looks[1]?.answer(health('i-1'));
    expect(await ending).toEqual({ done: true });
    asked.length = 0;
    expect((await targets.deregister(ctx, session, 'c1', 'i-3')).done).toBe(false);
    expect(asked).toEqual(['DeregisterTargets']);
  });

  it('the session of whoever asks is used: that of before may have lost its key', async () => {
    const play: Play = async (action) => {
      if (action === 'DescribeTargetGroups') return { TargetGroups: [{ TargetGroupArn: ARN }] };
      return action === 'DescribeTargetHealth' ? health('i-1') : tagged('c1');
    };
    const ctx = contextOf(clock);
    let isRotated = false;
    const first = sessionThat(async (action) => {
      if (isRotated) throw new Error('the key is gone');
      return play(action);
    }, []);
    await targets.register(ctx, first, CLUSTER, 'i-1');
    isRotated = true;
    const second = sessionThat(play, asked);
    await clock.advance(5 * 60_000);
    expect(await targets.register(ctx, second, CLUSTER, 'i-1')).toEqual({ done: true });
    targets.forget(second, 'c1');
    expect(await targets.deregister(ctx, second, 'c1', 'i-2')).toEqual({ done: true });
    expect(asked).toEqual([
      'DescribeTargetHealth',
      ...['DescribeTargetGroups', 'DescribeTags', 'DescribeTargetHealth'],
    ]);
  });

  describe('a policy that does not allow it', () => {
    const deniedFor = (denied: string) =>
      sessionThat(async (action) => {
        if (action === denied) throw refusal(action, 'CloudAccessDenied', 'AccessDenied');
        return action === 'DescribeTargetHealth' ? health('i-1') : {};
      }, asked);

    it('to look for load balancers: the instance is no target of ours', async () => {
      const session = deniedFor('DescribeTargetGroups');
      expect(await targets.deregister(contextOf(clock), session, 'c1', 'i-1')).toEqual({ done: true });
      await expect(targets.register(contextOf(clock), session, CLUSTER, 'i-1')).rejects.toThrow('no');
    });

    it.each(['DescribeTargetHealth', 'DeregisterTargets'])(
      '%s: it stays, since it may be a target',
      async (action) => {
        const session = deniedFor(action);
        targets.found(session, 'c1', ARN);
        await expect(targets.deregister(contextOf(clock), session, 'c1', 'i-1')).rejects.toThrow('no');
      },
    );
  });

  it('a failed look is forgotten, and the next one asks again', async () => {
    let isDown = true;
    const session = sessionThat(async (action) => {
      if (action !== 'DescribeTargetHealth') return {};
      if (isDown) throw new Error('down');
      return health('i-1');
    }, asked);
    targets.found(session, 'c1', ARN);
    const ctx = contextOf(clock);
    await expect(targets.register(ctx, session, CLUSTER, 'i-1')).rejects.toThrow('down');
    isDown = false;
    expect(await targets.register(ctx, session, CLUSTER, 'i-1')).toEqual({ done: true });
    expect(asked).toEqual(['DescribeTargetHealth', 'DescribeTargetHealth']);
  });

  it('a target group that is replaced is looked up again', async () => {
    const gone = refusal('RegisterTargets', 'CloudRequestRefused', 'TargetGroupNotFoundException');
    const session = sessionThat(async (action) => {
      if (action === 'RegisterTargets') throw gone;
      return action === 'DescribeTargetHealth' ? health() : {};
    }, asked);
    targets.found(session, 'c1', ARN);
    const ctx = contextOf(clock);
    expect(await targets.register(ctx, session, CLUSTER, 'i-1')).toMatchObject({ done: false });
    expect(await targets.register(ctx, session, CLUSTER, 'i-1')).toMatchObject({ done: false });
    expect(asked).toEqual(['DescribeTargetHealth', 'RegisterTargets', 'DescribeTargetGroups']);
    asked.length = 0;
    // None was found: asked again after a minute, not by every machine.
    await targets.register(ctx, session, CLUSTER, 'i-2');
    expect(asked).toEqual([]);
    await clock.advance(60_000);
    await targets.register(ctx, session, CLUSTER, 'i-2');
    expect(asked).toEqual(['DescribeTargetGroups']);
  });

  it('what ended an hour ago is forgotten', async () => {
    const session = sessionThat(
      async (action) => (action === 'DescribeTargetHealth' ? health('i-1', 'i-2') : {}),
      asked,
    );
    targets.found(session, 'c1', ARN);
    const ctx = contextOf(clock);
    await targets.deregister(ctx, session, 'c1', 'i-1');
    await clock.advance(60 * 60_000);
    await targets.deregister(ctx, session, 'c1', 'i-2');
    asked.length = 0;
    expect((await targets.deregister(ctx, session, 'c1', 'i-1')).done).toBe(false);
    expect(asked).toEqual(['DeregisterTargets']);
  });
});
