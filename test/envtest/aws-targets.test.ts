// SPDX-License-Identifier: Apache-2.0
// Control plane instances as targets of the load balancer, against a played AWS.
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import * as aws from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AWSSession } from '../../backends/aws/session/session.ts';
import type { ClusterAWS } from '../../backends/aws/network/facts.ts';
import { type Backend, type BalancerWorld, ID, startBalancerWorld } from './aws-balancer-world.ts';

const MINUTE = 60_000;
/** Part of a message. */
const saying = (text: string): unknown => expect.stringContaining(text);

let world: BalancerWorld;
let session: AWSSession;
let cluster: ClusterAWS;

beforeAll(async () => {
  world = await startBalancerWorld();
});
afterAll(() => world?.stop());

beforeEach(async () => {
  await world.reset();
  session = await world.session();
  const { aws: spec } = world.cluster().spec;
  if (spec === undefined) throw new Error('the cluster is not on AWS');
  cluster = { infrastructureID: ID, spec };
  await world.backend().ensureLoadBalancer(world.ctx, world.cluster());
  world.proxy.clearCalls();
});

const register = (backend: Backend, id: string) => backend.register(world.ctx, session, cluster, id);
const deregister = (backend: Backend, id: string) => backend.deregister(world.ctx, session, ID, id);
const calls = () => world.proxy.calls().length;

async function states(): Promise<Record<string, string | undefined>> {
  const { TargetGroups } = await world.elb.send(new elb.DescribeTargetGroupsCommand({}));
  const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn;
  const answer = await world.elb.send(new elb.DescribeTargetHealthCommand({ TargetGroupArn }));
  const all = answer.TargetHealthDescriptions ?? [];
  return Object.fromEntries(all.map(({ Target, TargetHealth }) => [Target?.Id ?? '', TargetHealth?.State]));
}

describe('registration', () => {
  it('of three machines at once costs at most two calls each, also for a manager that knows nothing', async () => {
    world.proxy.options.targetInitialMs = MINUTE;
    const ids = await world.launch(3);
    const backend = world.backend();
    const answers = await Promise.all(ids.map((id) => register(backend, id)));
    expect(answers).toEqual([{ done: true }, { done: true }, { done: true }]);
    expect(Object.keys(await states()).sort()).toEqual([...ids].sort());
    expect(calls()).toBeLessThanOrEqual(2 * ids.length);
    expect(world.proxy.countOf('DescribeTargetHealth')).toBe(1);
    // As long as nothing is due: nothing.
    world.proxy.clearCalls();
    for (const id of ids) await register(backend, id);
    expect(calls()).toBe(0);
    // One look for all of them, five minutes later.
    await world.clock.advance(5 * MINUTE);
    await Promise.all(ids.map((id) => register(backend, id)));
    expect(world.proxy.counts()).toEqual({ 'elasticloadbalancing.DescribeTargetHealth': 1 });
  });

  it('is repeated for a target that somebody took out, or that is draining', async () => {
    world.proxy.options.targetDrainingMs = MINUTE;
    const [id = ''] = await world.launch(1);
    const backend = world.backend();
    await register(backend, id);
    await deregister(world.backend(), id);
    await world.clock.advance(5 * MINUTE);
    expect(await register(backend, id)).toEqual({ done: true });
    expect(world.proxy.countOf('RegisterTargets')).toBe(2);
    await deregister(world.backend(), id);
    expect(await register(world.backend(), id)).toEqual({ done: true });
    expect(await states()).toEqual({ [id]: 'healthy' });
  });

  it('waits for an instance that is not running yet', async () => {
    const [id = ''] = await world.launch(1);
    await world.ec2.send(new aws.StopInstancesCommand({ InstanceIds: [id] }));
    const backend = world.backend();
    const answer = await register(backend, id);
    expect(answer).toMatchObject({ done: false, message: saying(id), pollMs: 5_000 });
    await world.ec2.send(new aws.StartInstancesCommand({ InstanceIds: [id] }));
    expect(await register(backend, id)).toEqual({ done: true });
  });

  it('waits for a target group, and does nothing for another kind of load balancer', async () => {
    const [id = ''] = await world.launch(1);
    await world.backend().removeLoadBalancer(world.ctx, world.cluster());
    const backend = world.backend();
    expect(await register(backend, id)).toMatchObject({ done: false, pollMs: 5_000 });
    world.proxy.clearCalls();
    const external = { ...cluster, type: 'External' as const };
    expect(await backend.register(world.ctx, session, external, id)).toEqual({ done: true });
    expect(calls()).toBe(0);
    // Told by the load balancer itself, not after a minute.
    await backend.ensureLoadBalancer(world.ctx, world.cluster());
    expect(await register(backend, id)).toEqual({ done: true });
  });
});

describe('deregistration', () => {
  it('is done when AWS has cut the old connections, by the clock and without a call more', async () => {
    world.proxy.options.targetDrainingMs = 15_000;
    const [id = ''] = await world.launch(1);
    const backend = world.backend();
    await register(backend, id);
    world.proxy.clearCalls();
    expect(await deregister(backend, id)).toMatchObject({ done: false, pollMs: 2_000 });
    await world.clock.advance(2_000);
    expect(await deregister(backend, id)).toMatchObject({ done: false, pollMs: 13_000 });
    await world.clock.advance(13_000);
    expect(await deregister(backend, id)).toEqual({ done: true });
    expect(await deregister(backend, id)).toEqual({ done: true });
    const elbCalls = 'elasticloadbalancing';
    expect(world.proxy.counts()).toEqual({
      [`${elbCalls}.DeregisterTargets`]: 1,
      [`${elbCalls}.DescribeTargetHealth`]: 1,
    });
  });

  it('is done at the first look when there was nothing to drain', async () => {
    const ids = await world.launch(3);
    const backend = world.backend();
    await Promise.all(ids.map((id) => register(backend, id)));
    world.proxy.clearCalls();
    await Promise.all(ids.map((id) => deregister(backend, id)));
    await world.clock.advance(2_000);
    const answers = await Promise.all(ids.map((id) => deregister(backend, id)));
    expect(answers).toEqual([{ done: true }, { done: true }, { done: true }]);
    expect(calls()).toBeLessThanOrEqual(2 * ids.length);
    expect(await states()).toEqual({});
  });

  it('begins its time anew for a manager that does not know since when', async () => {
    world.proxy.options.targetDrainingMs = MINUTE;
    const [id = ''] = await world.launch(1);
    await register(world.backend(), id);
    await deregister(world.backend(), id);
    await world.clock.advance(10_000);
    const backend = world.backend();
    expect(await deregister(backend, id)).toMatchObject({ done: false, pollMs: 15_000 });
    expect(world.proxy.countOf('DeregisterTargets')).toBe(1);
    await world.clock.advance(15_000);
    expect(await deregister(backend, id)).toEqual({ done: true });
  });

  it('is done for one that never was a target, and where there is no load balancer any more', async () => {
    const [id = '', other = ''] = await world.launch(2);
    const backend = world.backend();
    await register(backend, id);
    world.proxy.clearCalls();
    expect(await deregister(backend, other)).toEqual({ done: true });
    expect(calls()).toBe(0);
    const { TargetGroups } = await world.elb.send(new elb.DescribeTargetGroupsCommand({}));
    const { LoadBalancers } = await world.elb.send(new elb.DescribeLoadBalancersCommand({}));
    const { LoadBalancerArn } = LoadBalancers?.[0] ?? {};
    await world.elb.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn }));
    const { TargetGroupArn } = TargetGroups?.[0] ?? {};
    await world.elb.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn }));
    expect(await deregister(backend, id)).toEqual({ done: true });
    expect(await deregister(world.backend(), id)).toEqual({ done: true });
  });

  it('waits, with a sentence that says for what, while the API of the load balancer is down', async () => {
    const [id = ''] = await world.launch(1);
    const backend = world.backend();
    await register(backend, id);
    const down = world.proxy.faults.add({ kind: 'serviceDown', service: 'elasticloadbalancing' });
    const attempt = deregister(backend, id);
    await expect(attempt).rejects.toMatchObject({
      name: 'TransientError',
      message: `Instance ${id} is not ended before the load balancer has let go of it, and AWS does not answer`,
    });
    down.remove();
    expect(await deregister(backend, id)).toMatchObject({ done: false });
    await world.clock.advance(2_000);
    expect(await deregister(backend, id)).toEqual({ done: true });
  });

  it('survives a lost answer', async () => {
    const [id = ''] = await world.launch(1);
    const backend = world.backend();
    await register(backend, id);
    world.proxy.faults.add({ kind: 'lostResponse', action: 'DeregisterTargets', times: 1 });
    await expect(deregister(backend, id)).rejects.toMatchObject({ name: 'TransientError' });
    expect(await states()).toEqual({});
    expect((await deregister(backend, id)).done).toBe(true);
  });
});
