// SPDX-License-Identifier: Apache-2.0
// The load balancer of the API servers, against a played AWS that loses answers and is down at times.
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NLBSpec } from '../../api/aws/cluster.ts';
import { nameOf } from '../../backends/aws/load-balancer/scope.ts';
import { CLUSTER_TAG } from '../../backends/aws/tags.ts';
import type { ClusterFacts } from '../../backends/cluster-backend.ts';
import { type Backend, type BalancerWorld, ID, startBalancerWorld } from './aws-balancer-world.ts';

const NAME = nameOf(ID);
const MINUTE = 60_000;
/** Part of a message. */
const saying = (text: string): unknown => expect.stringContaining(text);

let world: BalancerWorld;

beforeAll(async () => {
  world = await startBalancerWorld();
});
afterAll(() => world?.stop());
beforeEach(() => world.reset());

const isWrite = (action: string) => !/^(Describe|Get)/.test(action);
const writes = () =>
  world.proxy
    .calls()
    .filter(({ action }) => isWrite(action))
    .map(({ action }) => action);

/** As a controller would: again until it is ready. */
async function ready(backend: Backend, cluster: ClusterFacts) {
  for (let round = 0; round < 20; round++) {
    const answer = await backend.ensureLoadBalancer(world.ctx, cluster);
    if (answer.state === 'ready') return answer;
    await world.clock.advance(answer.pollMs ?? 5_000);
  }
  throw new Error('the load balancer is not ready after 20 looks');
}

async function removed(backend: Backend, cluster: ClusterFacts): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const answer = await backend.removeLoadBalancer(world.ctx, cluster);
    if (answer.state === 'gone') return;
    await world.clock.advance(answer.pollMs ?? 5_000);
  }
  throw new Error('the load balancer is not gone after 20 looks');
}

async function balancers() {
  return (await world.elb.send(new elb.DescribeLoadBalancersCommand({}))).LoadBalancers ?? [];
}

async function groups() {
  return (await world.elb.send(new elb.DescribeTargetGroupsCommand({}))).TargetGroups ?? [];
}

async function listeners(arn?: string) {
  const LoadBalancerArn = arn ?? (await balancers())[0]?.LoadBalancerArn;
  return (await world.elb.send(new elb.DescribeListenersCommand({ LoadBalancerArn }))).Listeners ?? [];
}

async function tags(arn: string | undefined): Promise<Record<string, string | undefined>> {
  const answer = await world.elb.send(new elb.DescribeTagsCommand({ ResourceArns: [arn ?? ''] }));
  const [description] = answer.TagDescriptions ?? [];
  return Object.fromEntries((description?.Tags ?? []).map(({ Key = '', Value }) => [Key, Value]));
}

async function groupAttributes() {
  const TargetGroupArn = (await groups())[0]?.TargetGroupArn;
  const command = new elb.DescribeTargetGroupAttributesCommand({ TargetGroupArn });
  const { Attributes = [] } = await world.elb.send(command);
  return Object.fromEntries(Attributes.map(({ Key = '', Value }) => [Key, Value]));
}

async function balancerAttributes() {
  const LoadBalancerArn = (await balancers())[0]?.LoadBalancerArn;
  const command = new elb.DescribeLoadBalancerAttributesCommand({ LoadBalancerArn });
  const { Attributes = [] } = await world.elb.send(command);
  return Object.fromEntries(Attributes.map(({ Key = '', Value }) => [Key, Value]));
}

const subnetsThat = (isPublic: boolean) =>
  world.network.subnets
    .filter((subnet) => subnet.isPublic === isPublic)
    .map(({ id }) => id)
    .sort();

async function subnetsOfBalancer() {
  const [balancer] = await balancers();
  return balancer?.AvailabilityZones?.map(({ SubnetId }) => SubnetId).sort();
}

describe('made by us', () => {
  it('is made with all its parts, and the answer names endpoint and zones', async () => {
    const answer = await ready(world.backend(), world.cluster());
    const [balancer] = await balancers();
    const [group] = await groups();
    expect(answer).toEqual({
      state: 'ready',
      endpoint: { host: balancer?.DNSName, port: 6443 },
      covers: ['us-east-1a', 'us-east-1b'],
      // Five seconds ago it was provisioning.
      pollMs: 10 * MINUTE - 5_000,
    });
    expect(balancer).toMatchObject({ Type: 'network', Scheme: 'internet-facing', LoadBalancerName: NAME });
    expect(balancer?.SecurityGroups).toEqual(world.network.securityGroups.loadBalancer);
    expect(await subnetsOfBalancer()).toEqual(subnetsThat(true));
    expect(await balancerAttributes()).toMatchObject({ 'load_balancing.cross_zone.enabled': 'true' });
    expect(group).toMatchObject({
      ...{ Protocol: 'TCP', Port: 6443, TargetType: 'instance', VpcId: world.network.vpcID },
      ...{ HealthCheckProtocol: 'HTTPS', HealthCheckPath: '/readyz', HealthCheckIntervalSeconds: 10 },
    });
    expect(await groupAttributes()).toMatchObject({
      'preserve_client_ip.enabled': 'false',
      'deregistration_delay.timeout_seconds': '15',
      'deregistration_delay.connection_termination.enabled': 'true',
    });
    const [listener] = await listeners();
    const DefaultActions = [{ Type: 'forward', TargetGroupArn: group?.TargetGroupArn }];
    expect(listener).toMatchObject({ Port: 6443, Protocol: 'TCP', DefaultActions });
  });

  it('has tags on every part', async () => {
    await ready(world.backend(), world.cluster());
    const [balancer] = await balancers();
    const [group] = await groups();
    const [listener] = await listeners();
    for (const arn of [balancer?.LoadBalancerArn, group?.TargetGroupArn, listener?.ListenerArn])
      expect(await tags(arn)).toMatchObject({
        ...{ [CLUSTER_TAG]: ID, 'kubernetes.io/cluster/prod': 'owned', team: 'blue' },
        ...{ 'ts-provider/role': 'load-balancer', Name: 'prod-api-server' },
      });
  });

  it('asks nothing again for ten minutes, and then, or after a restart, six times without a write', async () => {
    const backend = world.backend();
    await ready(backend, world.cluster());
    const before = await world.proxy.snapshot();
    world.proxy.clearCalls();
    const { endpoint } = await ready(backend, world.cluster());
    // The controller has written the endpoint meanwhile.
    await ready(backend, world.cluster(undefined, endpoint));
    expect(world.proxy.counts()).toEqual({});
    await world.clock.advance(10 * MINUTE);
    await ready(backend, world.cluster());
    expect(world.proxy.calls().length).toBe(6);
    await ready(world.backend(), world.cluster());
    expect(world.proxy.calls().length).toBe(12);
    expect(writes()).toEqual([]);
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('is not ready while AWS provisions it, which costs one call each time', async () => {
    world.proxy.options.loadBalancerProvisioningMs = MINUTE;
    const backend = world.backend();
    const cluster = world.cluster();
    const first = await backend.ensureLoadBalancer(world.ctx, cluster);
    expect(first).toMatchObject({ state: 'pending', reason: 'LoadBalancerCreating', pollMs: 5_000 });
    expect(await listeners()).toHaveLength(1);
    world.proxy.clearCalls();
    await world.clock.advance(5_000);
    const second = await backend.ensureLoadBalancer(world.ctx, cluster);
    expect(second.state).toBe('pending');
    expect(world.proxy.counts()).toEqual({ 'elasticloadbalancing.DescribeLoadBalancers': 1 });
    await world.clock.advance(MINUTE);
    expect((await backend.ensureLoadBalancer(world.ctx, cluster)).state).toBe('ready');
  });

  it('has one of each part, and none after removal, whichever answer was lost', async () => {
    const cluster = world.cluster();
    const before = await world.proxy.snapshot();
    await ready(world.backend(), cluster);
    const creating = writes();
    expect(creating.length).toBeGreaterThanOrEqual(5);
    world.proxy.clearCalls();
    await removed(world.backend(), cluster);
    const deleting = writes();
    expect(await world.proxy.snapshot()).toBe(before);
    for (const [step, action] of [...creating, ...deleting].entries()) {
      const lost = world.proxy.faults.add({ kind: 'lostResponse', action, times: 1 });
      if (step < creating.length)
        await expect(ready(world.backend(), cluster), action).rejects.toThrow('no answer');
      await ready(world.backend(), cluster);
      const parts = [await balancers(), await groups(), await listeners()];
      expect(
        parts.map(({ length }) => length),
        action,
      ).toEqual([1, 1, 1]);
      expect(await groupAttributes()).toMatchObject({ 'preserve_client_ip.enabled': 'false' });
      expect(await balancerAttributes()).toMatchObject({ 'load_balancing.cross_zone.enabled': 'true' });
      if (step >= creating.length)
        await expect(removed(world.backend(), cluster), action).rejects.toThrow('no answer');
      expect(lost.hits(), action).toBe(1);
      await removed(world.backend(), cluster);
      expect(await world.proxy.snapshot(), action).toBe(before);
    }
  });

  it('what was changed outside is put right at the next look', async () => {
    const backend = world.backend();
    await ready(backend, world.cluster());
    const [balancer] = await balancers();
    const [group] = await groups();
    const [listener] = await listeners();
    const { LoadBalancerArn } = balancer ?? {};
    const { TargetGroupArn } = group ?? {};
    const foreign = await world.addGroup('foreign');
    const off = [{ Key: 'load_balancing.cross_zone.enabled', Value: 'false' }];
    await world.elb.send(new elb.ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes: off }));
    const on = [{ Key: 'preserve_client_ip.enabled', Value: 'true' }];
    await world.elb.send(new elb.ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: on }));
    const slow = { TargetGroupArn, HealthCheckIntervalSeconds: 30 };
    await world.elb.send(new elb.ModifyTargetGroupCommand(slow));
    const groupsOfOthers = { LoadBalancerArn, SecurityGroups: [foreign] };
    await world.elb.send(new elb.SetSecurityGroupsCommand(groupsOfOthers));
    await world.elb.send(
      new elb.RemoveTagsCommand({ ResourceArns: [LoadBalancerArn ?? ''], TagKeys: ['team'] }),
    );
    await world.elb.send(new elb.DeleteListenerCommand({ ListenerArn: listener?.ListenerArn }));
    await world.clock.advance(10 * MINUTE);
    await ready(backend, world.cluster());
    expect((await listeners())[0]?.DefaultActions?.[0]?.TargetGroupArn).toBe(TargetGroupArn);
    expect(await balancerAttributes()).toMatchObject({ 'load_balancing.cross_zone.enabled': 'true' });
    expect(await groupAttributes()).toMatchObject({ 'preserve_client_ip.enabled': 'false' });
    expect((await groups())[0]).toMatchObject({ HealthCheckIntervalSeconds: 10 });
    expect((await balancers())[0]?.SecurityGroups).toEqual(world.network.securityGroups.loadBalancer);
    expect(await tags(LoadBalancerArn)).toMatchObject({ team: 'blue' });
  });

  it('a listener that leads elsewhere is led back', async () => {
    await ready(world.backend(), world.cluster());
    const other = await makeGroup('other');
    const [listener] = await listeners();
    const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn: other }];
    const input = { ListenerArn: listener?.ListenerArn, DefaultActions };
    await world.elb.send(new elb.ModifyListenerCommand(input));
    await ready(world.backend(), world.cluster());
    const led = (await listeners())[0]?.DefaultActions?.[0]?.TargetGroupArn;
    expect(led).toMatch(`:targetgroup/${NAME}/`);
  });

  it('a new zone of the network is added, and the old ones keep their subnets', async () => {
    const backend = world.backend();
    await ready(backend, world.cluster());
    const before = await subnetsOfBalancer();
    const added = await world.addSubnet('us-east-1c', true);
    await world.addSubnet('us-east-1a', true);
    await world.clock.advance(10 * MINUTE);
    const { covers } = await ready(backend, world.cluster());
    expect(covers).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1c']);
    expect(await subnetsOfBalancer()).toEqual([...(before ?? []), added.id].sort());
  });

  it('follows the spec: internal, other port, TCP checks, no cross zone, own name as the endpoint', async () => {
    const nlb: NLBSpec = {
      scheme: 'Internal',
      crossZone: false,
      healthCheck: { protocol: 'TCP', intervalSeconds: 5, thresholdCount: 3 },
    };
    const cluster = world.cluster(nlb, { host: 'api.example.org', port: 443 });
    const { endpoint } = await ready(world.backend(), cluster);
    expect(endpoint).toEqual({ host: 'api.example.org', port: 443 });
    const [balancer] = await balancers();
    expect(balancer?.Scheme).toBe('internal');
    expect(await subnetsOfBalancer()).toEqual(subnetsThat(false));
    expect(await balancerAttributes()).toMatchObject({ 'load_balancing.cross_zone.enabled': 'false' });
    const [group] = await groups();
    expect(group).toMatchObject({
      ...{ Port: 443, HealthCheckProtocol: 'TCP', HealthCheckIntervalSeconds: 5 },
      ...{ HealthCheckTimeoutSeconds: 4, HealthyThresholdCount: 3, UnhealthyThresholdCount: 3 },
    });
    expect((await listeners())[0]?.Port).toBe(443);
  });

  it('changed health checks of the spec are taken over at once', async () => {
    const backend = world.backend();
    await ready(backend, world.cluster());
    await ready(backend, world.cluster({ healthCheck: { protocol: 'TCP' } }));
    expect((await groups())[0]).toMatchObject({ HealthCheckProtocol: 'TCP' });
  });
});

async function makeGroup(name: string): Promise<string> {
  const input = { Name: name, Protocol: 'TCP' as const, Port: 6443, VpcId: world.network.vpcID };
  const { TargetGroups } = await world.elb.send(new elb.CreateTargetGroupCommand(input));
  return TargetGroups?.[0]?.TargetGroupArn ?? '';
}

async function makeBalancer(more: Partial<elb.CreateLoadBalancerCommandInput> = {}): Promise<string> {
  const input = { Name: 'given', Type: 'network' as const, Subnets: subnetsThat(true), ...more };
  const { LoadBalancers } = await world.elb.send(new elb.CreateLoadBalancerCommand(input));
  return LoadBalancers?.[0]?.LoadBalancerArn ?? '';
}

async function makeListener(balancer: string, group: string): Promise<void> {
  const input = {
    LoadBalancerArn: balancer,
    Protocol: 'TCP' as const,
    Port: 6443,
    DefaultActions: [{ Type: 'forward' as const, TargetGroupArn: group }],
  };
  await world.elb.send(new elb.CreateListenerCommand(input));
}

describe('given by name', () => {
  const given = { name: 'given' };

  it('gets a listener and a target group, which alone go again', async () => {
    const arn = await makeBalancer();
    await balancers(); // Moto makes it active at the first look.
    const before = await world.proxy.snapshot();
    const { endpoint, covers } = await ready(world.backend(), world.cluster(given));
    expect(endpoint.host).toMatch(/^given-/);
    expect(covers).toEqual(['us-east-1a', 'us-east-1b']);
    expect(writes()).toEqual(['CreateTargetGroup', 'ModifyTargetGroupAttributes', 'CreateListener']);
    expect(await tags(arn)).toEqual({});
    const [listener] = await listeners(arn);
    expect(await tags(listener?.ListenerArn)).toMatchObject({ [CLUSTER_TAG]: ID });
    world.proxy.clearCalls();
    await ready(world.backend(), world.cluster(given));
    expect(writes()).toEqual([]);
    // Found by the target group, also when the spec does not name it any more.
    await removed(world.backend(), world.cluster());
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it('a listener of somebody else on our port is left alone', async () => {
    const arn = await makeBalancer();
    await makeListener(arn, await makeGroup('theirs'));
    await balancers();
    const before = await world.proxy.snapshot();
    const attempt = ready(world.backend(), world.cluster(given));
    await expect(attempt).rejects.toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying('Port 6443 of load balancer given has a listener of somebody else'),
    });
    await removed(world.backend(), world.cluster(given));
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it.each([
    ['does not exist', undefined, {}],
    ['is of type application', { Type: 'application' as const }, {}],
    ['is internet-facing', { Scheme: 'internet-facing' as const }, { scheme: 'Internal' as const }],
  ])('%s: one clear condition and no write', async (message, made, more) => {
    if (made !== undefined) await makeBalancer(made);
    const attempt = ready(world.backend(), world.cluster({ ...given, ...more }));
    const nlb = 'spec.controlPlaneLoadBalancer.nlb.name: load balancer given';
    await expect(attempt).rejects.toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying(`${nlb} ${message}`),
    });
    expect(writes()).toEqual([]);
  });
});

describe('what does not fit', () => {
  const failure = async (cluster: ClusterFacts) =>
    ready(world.backend(), cluster).then(
      () => undefined,
      (error: unknown) => error,
    );

  it('a load balancer of our name without our tag is neither used nor deleted', async () => {
    await makeBalancer({ Name: NAME });
    await makeGroup(NAME);
    await balancers();
    const before = await world.proxy.snapshot();
    expect(await failure(world.cluster())).toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying(`A load balancer named ${NAME} exists`),
    });
    await removed(world.backend(), world.cluster());
    expect(await world.proxy.snapshot()).toBe(before);
  });

  it.each([['made by us', undefined] as const, ['given by name', { name: 'given' }] as const])(
    'a copy of the TSCluster gets nothing, and takes nothing, %s',
    async (_how, nlb) => {
      if (nlb !== undefined) await makeBalancer();
      const copy = { ...world.cluster(nlb), namespace: 'copies' };
      const backend = world.backend();
      await ready(backend, world.cluster(nlb));
      const before = await world.proxy.snapshot();
      world.proxy.clearCalls();
      const refused = { reason: 'ClusterIDTaken', message: saying('belongs to TSCluster default/prod') };
      for (const one of [backend, world.backend()]) {
        await expect(ready(one, copy)).rejects.toMatchObject(refused);
        await expect(removed(one, copy)).rejects.toMatchObject(refused);
      }
      expect(writes()).toEqual([]);
      expect(await world.proxy.snapshot()).toBe(before);
    },
  );

  it('is not made before its security group is there: AWS would never give it one', async () => {
    const { securityGroups } = world.network;
    world.network = { ...world.network, securityGroups: { ...securityGroups, loadBalancer: [] } };
    expect(await failure(world.cluster())).toMatchObject({ name: 'TransientError' });
    expect(writes()).toEqual([]);
    world.network = { ...world.network, securityGroups };
    await ready(world.backend(), world.cluster());
    expect((await balancers())[0]?.SecurityGroups).toEqual(securityGroups.loadBalancer);
  });

  it('subnets that AWS does not know yet are tried again', async () => {
    const fault = { kind: 'error', status: 400, code: 'SubnetNotFound', message: 'no such subnet' } as const;
    world.proxy.faults.add({ ...fault, action: 'CreateLoadBalancer', times: 1 });
    const backend = world.backend();
    await expect(ready(backend, world.cluster())).rejects.toMatchObject({ name: 'TransientError' });
    await ready(backend, world.cluster());
  });

  it('a name that AWS has but does not show yet is looked for again', async () => {
    const code = 'DuplicateLoadBalancerName';
    const fault = { kind: 'error', status: 400, code, message: 'exists with other settings' } as const;
    world.proxy.faults.add({ ...fault, action: 'CreateLoadBalancer', times: 1 });
    expect(await failure(world.cluster())).toMatchObject({
      name: 'TransientError',
      message: saying(NAME),
    });
    await ready(world.backend(), world.cluster());
  });

  it('one that was deleted outside, whose name is the endpoint, is not replaced by one that nobody asks', async () => {
    const { endpoint } = await ready(world.backend(), world.cluster());
    await removed(world.backend(), world.cluster());
    expect(await failure(world.cluster(undefined, endpoint))).toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying(endpoint.host),
    });
    expect(await balancers()).toEqual([]);
  });

  it('scheme and port cannot be changed', async () => {
    const { endpoint } = await ready(world.backend(), world.cluster());
    expect(await failure(world.cluster({ scheme: 'Internal' }, endpoint))).toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying('nlb.scheme'),
    });
    expect(await failure(world.cluster(undefined, { port: 443 }))).toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying('spec.controlPlaneEndpoint.port'),
    });
  });

  it('subnets: none public, of another VPC, unknown, private for an internet-facing one', async () => {
    const [privateID = ''] = subnetsThat(false);
    expect(await failure(world.cluster({ subnets: [{ id: privateID }] }))).toMatchObject({
      reason: 'SubnetInvalid',
      message: saying(`subnet ${privateID} is private`),
    });
    const unknown = { subnets: [{ id: 'subnet-0123456789abcdef0' }] };
    expect(await failure(world.cluster(unknown))).toMatchObject({
      reason: 'SubnetInvalid',
      message: saying('nlb.subnets[0]: there is no subnet subnet-0123456789abcdef0'),
    });
    const none = { subnets: [{ filters: [{ name: 'tag:team', values: ['nobody'] }] }] };
    expect(await failure(world.cluster(none))).toMatchObject({
      reason: 'SubnetInvalid',
      message: saying('no subnet matches the filters'),
    });
    const own = world.network;
    const foreignVPC = await world.addVPC();
    world.network = { ...own, vpcID: foreignVPC, subnets: [] };
    const [id = ''] = own.subnets.map((subnet) => subnet.id);
    expect(await failure(world.cluster({ subnets: [{ id }] }))).toMatchObject({
      reason: 'SubnetInvalid',
      message: saying(`subnet ${id} is in ${own.vpcID}, and the cluster in ${foreignVPC}`),
    });
    world.network = { ...own, subnets: own.subnets.filter(({ isPublic }) => !isPublic) };
    expect(await failure(world.cluster())).toMatchObject({
      reason: 'SubnetInvalid',
      message: saying('no public subnet'),
    });
    expect(writes()).toEqual([]);
  });

  it('named subnets are used, by id and by filters', async () => {
    const [first = '', second = ''] = subnetsThat(true);
    const filters = [{ name: 'subnet-id', values: [second] }];
    await ready(world.backend(), world.cluster({ subnets: [{ id: first }, { filters }] }));
    expect(await subnetsOfBalancer()).toEqual([first, second]);
  });
});

describe('removal', () => {
  it('is gone without a write where nothing was made', async () => {
    const backend = world.backend();
    // A process before this one may have made it a moment ago.
    const first = await backend.removeLoadBalancer(world.ctx, world.cluster());
    expect(first).toMatchObject({ state: 'inProgress', pollMs: 15_000 });
    await world.clock.advance(MINUTE);
    expect(await backend.removeLoadBalancer(world.ctx, world.cluster())).toEqual({ state: 'gone' });
    expect(writes()).toEqual([]);
  });

  it('says that the load balancer is protected, and goes on once it is not', async () => {
    await ready(world.backend(), world.cluster());
    const error = {
      kind: 'error' as const,
      status: 400,
      code: 'OperationNotPermitted',
      message: 'deletion protection is enabled',
    };
    const protection = world.proxy.faults.add({ ...error, action: 'DeleteLoadBalancer' });
    await expect(removed(world.backend(), world.cluster())).rejects.toMatchObject({
      reason: 'LoadBalancerInvalid',
      message: saying('deletion protection'),
    });
    protection.remove();
    await removed(world.backend(), world.cluster());
    expect(await balancers()).toEqual([]);
  });

  it('a target group that somebody else uses is named, and not forced', async () => {
    const given = await makeBalancer();
    await ready(world.backend(), world.cluster());
    const [group] = (await groups()).filter(({ TargetGroupName }) => TargetGroupName === NAME);
    await makeListener(given, group?.TargetGroupArn ?? '');
    const backend = world.backend();
    await backend.removeLoadBalancer(world.ctx, world.cluster());
    const answer = await backend.removeLoadBalancer(world.ctx, world.cluster());
    expect(answer).toMatchObject({
      state: 'inProgress',
      message: saying('still leads to it'),
    });
    expect(await listeners(given)).toHaveLength(1);
  });

  it('LB API down: a TransientError, and nothing is taken for gone', async () => {
    await ready(world.backend(), world.cluster());
    const down = world.proxy.faults.add({ kind: 'serviceDown', service: 'elasticloadbalancing' });
    const attempt = world.backend().removeLoadBalancer(world.ctx, world.cluster());
    await expect(attempt).rejects.toMatchObject({ name: 'TransientError' });
    down.remove();
    await removed(world.backend(), world.cluster());
  });
});
