// SPDX-License-Identifier: Apache-2.0
// A region of the played AWS with a network, and the load balancer's backend in it. Time is the test's own.
import * as aws from '@aws-sdk/client-ec2';
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NLBSpec } from '../../api/aws/cluster.ts';
import type { Endpoint } from '../../api/tscluster.ts';
import { createAWSLoadBalancer } from '../../backends/aws/load-balancer/load-balancer.ts';
import { createRest } from '../../backends/aws/rest.ts';
import type { TargetRegistry } from '../../backends/aws/load-balancer/targets.ts';
import type { NetworkFacts, Subnet } from '../../backends/aws/network/facts.ts';
import type { AWSSession, AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import type { ClusterFacts, ClusterLoadBalancer } from '../../backends/cluster-backend.ts';
import { contextOf } from '../../backends/inmemory/fixtures.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { type Proxy, startProxy } from '../aws/proxy/server.ts';

const REGION = 'us-east-1';
export const ID = 'prod-1a2b3c4d';

/** One manager's life: what it remembers is gone with it. */
export type Backend = ClusterLoadBalancer & TargetRegistry;

export interface BalancerWorld {
  readonly proxy: Proxy;
  readonly ec2: aws.EC2Client;
  readonly elb: elb.ElasticLoadBalancingV2Client;
  readonly clock: FakeClock;
  readonly ctx: Ctx;
  /** What the network part would say; may be changed. */
  network: NetworkFacts;
  session(): Promise<AWSSession>;
  backend(): Backend;
  cluster(nlb?: NLBSpec, endpoint?: Endpoint): ClusterFacts;
  /** All as new, with a network of two zones. */
  reset(): Promise<void>;
  addSubnet(zone: string, isPublic: boolean): Promise<Subnet>;
  addVPC(): Promise<string>;
  addGroup(name: string): Promise<string>;
  /** Ids of running instances. */
  launch(count: number): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts moto and the proxy. */
export async function startBalancerWorld(): Promise<BalancerWorld> {
  const dir = temporaryDirectory('aws-balancer');
  const moto = await startMoto({ dir: dir.path });
  const clock = new FakeClock();
  const proxy = await startProxy({ upstream: moto.url, now: () => clock.now().getTime() });
  // Straight to moto: what a test does is not counted, and meets no fault.
  const direct = settings(moto);
  const world: BalancerWorld = {
    proxy,
    ec2: new aws.EC2Client(direct),
    elb: new elb.ElasticLoadBalancingV2Client(direct),
    clock,
    ctx: contextOf(clock),
    network: NOTHING,
    session: () => open(sessions),
    backend: () =>
      createAWSLoadBalancer({ sessions, clock, rest: createRest(clock), network: readerOf(world) }),
    cluster,
    reset: () => reset(world),
    addSubnet: (zone, isPublic) => addSubnet(world, zone, isPublic),
    addVPC: () => addVPC(world, '10.1.0.0/16'),
    addGroup: (name) => addGroup(world, name),
    launch: (count) => launch(world, count),
    async stop() {
      sessions.close();
      await proxy.stop();
      await moto.stop();
      dir.remove();
    },
  };
  const sessions = sessionsOf(proxy);
  return world;
}

const NOTHING: NetworkFacts = {
  vpcID: '',
  cidrBlocks: [],
  subnets: [],
  securityGroups: { controlPlane: [], nodes: [], loadBalancer: [] },
};

function settings({ url }: Moto) {
  return {
    endpoint: url,
    region: REGION,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
}

function sessionsOf(proxy: Proxy): AWSSessions {
  const source = { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' } as const;
  const identities = { aws: async () => ({ key: 'one', source, roles: [] }) };
  return createAWSSessions({
    identities,
    clock: systemClock,
    metrics: createMetrics(),
    endpoint: proxy.url,
  });
}

function open(sessions: AWSSessions): Promise<AWSSession> {
  const ctx = contextOf(systemClock);
  return sessions.open(ctx, { namespace: 'default', identity: 'main', region: REGION });
}

function readerOf(world: BalancerWorld) {
  return { networkFacts: async () => world.network, forget() {} };
}

function cluster(nlb?: NLBSpec, endpoint?: Endpoint): ClusterFacts {
  return {
    namespace: 'default',
    name: 'prod',
    clusterName: 'prod',
    infrastructureID: ID,
    spec: {
      infrastructureID: ID,
      aws: {
        region: REGION,
        identityRef: { name: 'main' },
        network: { managed: {} },
        tags: { team: 'blue' },
      },
      controlPlaneLoadBalancer: { type: 'NLB', ...(nlb && { nlb }) },
      ...(endpoint && { controlPlaneEndpoint: endpoint }),
    },
  };
}

async function reset(world: BalancerWorld): Promise<void> {
  await world.proxy.reset();
  const vpcID = await addVPC(world, '10.0.0.0/16');
  world.network = { ...NOTHING, vpcID };
  for (const zone of ['us-east-1a', 'us-east-1b'])
    for (const isPublic of [true, false]) await addSubnet(world, zone, isPublic);
  const group = await addGroup(world, 'load-balancer');
  world.network = {
    ...world.network,
    securityGroups: { ...NOTHING.securityGroups, loadBalancer: [group] },
  };
  await world.session();
  world.proxy.clearCalls();
}

async function addVPC(world: BalancerWorld, CidrBlock: string): Promise<string> {
  const { Vpc } = await world.ec2.send(new aws.CreateVpcCommand({ CidrBlock }));
  return Vpc?.VpcId ?? '';
}

async function addSubnet(world: BalancerWorld, zone: string, isPublic: boolean): Promise<Subnet> {
  const { vpcID, subnets } = world.network;
  const input = {
    VpcId: vpcID,
    CidrBlock: `10.0.${subnets.length}.0/24`,
    AvailabilityZone: zone,
  };
  const { Subnet } = await world.ec2.send(new aws.CreateSubnetCommand(input));
  const subnet = { id: Subnet?.SubnetId ?? '', availabilityZone: zone, isPublic, vpcID };
  world.network = { ...world.network, subnets: [...subnets, subnet] };
  return subnet;
}

async function addGroup(world: BalancerWorld, name: string): Promise<string> {
  const input = { GroupName: name, Description: name, VpcId: world.network.vpcID };
  return (await world.ec2.send(new aws.CreateSecurityGroupCommand(input))).GroupId ?? '';
}

/** Moto takes seconds to list them. */
let image: string | undefined;

async function launch(world: BalancerWorld, count: number): Promise<string[]> {
  image ??= (await world.ec2.send(new aws.DescribeImagesCommand({}))).Images?.[0]?.ImageId;
  const input = {
    ImageId: image,
    InstanceType: 't3.micro' as const,
    SubnetId: world.network.subnets[0]?.id,
    MinCount: count,
    MaxCount: count,
  };
  const { Instances = [] } = await world.ec2.send(new aws.RunInstancesCommand(input));
  return Instances.map(({ InstanceId = '' }) => InstanceId);
}
