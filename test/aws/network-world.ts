// SPDX-License-Identifier: Apache-2.0
// Networks on moto behind the fault proxy: each write is counted, and the manager can die at any of them.
import { randomUUID } from 'node:crypto';
import * as aws from '@aws-sdk/client-ec2';
import type { AWSNetwork, NLBSpec } from '../../api/aws/cluster.ts';
import { createAWSNetwork } from '../../backends/aws/network/network.ts';
import type { NetworkReader } from '../../backends/aws/network/facts.ts';
import { createRest } from '../../backends/aws/rest.ts';
import type { AWSSession, AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import type { AWSIdentity } from '../../backends/cloud-identities.ts';
import type { ClusterFacts, ClusterNetwork, FailureDomain } from '../../backends/cluster-backend.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { type Proxy, startProxy } from './proxy/server.ts';

export const REGION = 'us-east-1';
const IDENTITY = 'account';
const SOURCE = { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' } as const;

/** More passes than any network needs. */
const MAX_PASSES = 150;

/** The manager of a test died. */
export class Crash extends Error {}

/** What happens to calls on their way. */
export interface Hooks {
  /** Names of all calls that change something, in order. */
  readonly writes: string[];
  /** Runs when a call is about to be sent; what it throws is what the caller gets, and nothing is sent. */
  before: (action: string) => void;
  /** Runs when the call was done; what it throws hides the answer. */
  after: (action: string) => void;
  /** Changes an answer. */
  answer: (action: string, answer: object) => object;
}

/** One manager process. */
export type AWSNetworkBackend = ClusterNetwork & NetworkReader;

/** A cloud, and managers that come and go. */
export class NetworkWorld {
  readonly proxy: Proxy;
  readonly clock = new FakeClock();
  readonly ctx: Ctx;
  readonly hooks: Hooks = {
    writes: [],
    before: () => {},
    after: () => {},
    answer: (_action, given) => given,
  };
  readonly #dir: TemporaryDirectory;
  readonly #moto: Moto;
  readonly #sessions: AWSSessions;
  #identity: AWSIdentity = { key: 'one', source: SOURCE, roles: [] };

  private constructor(dir: TemporaryDirectory, moto: Moto, proxy: Proxy) {
    this.#dir = dir;
    this.#moto = moto;
    this.proxy = proxy;
    const log = createLogger({ level: 'silent' });
    this.ctx = { signal: new AbortController().signal, log, clock: systemClock };
    this.#sessions = createAWSSessions({
      identities: { aws: () => Promise.resolve(this.#identity) },
      clock: systemClock,
      metrics: createMetrics(),
      endpoint: proxy.url,
    });
  }

  static async start(): Promise<NetworkWorld> {
    const dir = temporaryDirectory('aws-network');
    const moto = await startMoto({ dir: dir.path });
    return new NetworkWorld(dir, moto, await startProxy({ upstream: moto.url }));
  }

  async stop(): Promise<void> {
    this.#sessions.close();
    await this.proxy.stop();
    await this.#moto.stop();
    this.#dir.remove();
  }

  /** From now on the identity is that of a role of another account; without one it is as at the start. */
  moveIdentity(account?: string): void {
    const roles = account === undefined ? [] : [{ arn: `arn:aws:iam::${account}:role/clusters` }];
    this.#identity = { key: account === undefined ? 'one' : randomUUID(), source: SOURCE, roles };
  }

  /** A session as backends have it, without hooks: for what somebody else does. */
  session(): Promise<AWSSession> {
    return this.#sessions.open(this.ctx, { namespace: 'default', identity: IDENTITY, region: REGION });
  }

  /** A new process: it remembers nothing. */
  manager(): AWSNetworkBackend {
    const sessions: AWSSessions = {
      ...{ all: (action) => this.#sessions.all(action), close: () => undefined },
      open: async (ctx, who) => hooked(await this.#sessions.open(ctx, who), this.hooks),
    };
    return createAWSNetwork({ sessions, rest: createRest(this.clock), clock: this.clock });
  }

  /** Nothing happens to calls any more. */
  calm(): void {
    this.hooks.writes.length = 0;
    this.hooks.before = () => {};
    this.hooks.after = () => {};
    this.hooks.answer = (_action, given) => given;
  }

  /** Passes until the network is ready; time goes on as the answers ask. */
  async untilReady(manager: AWSNetworkBackend, cluster: ClusterFacts): Promise<readonly FailureDomain[]> {
    let last = '';
    for (let pass = 0; pass < MAX_PASSES; pass += 1) {
      const ensured = await retried(() => manager.ensureNetwork(this.ctx, cluster));
      if (ensured?.state === 'ready') return ensured.failureDomains;
      last = ensured?.message ?? 'an error';
      await this.clock.advance(ensured?.pollMs ?? 1_000);
    }
    throw new Error(`the network is not ready after ${MAX_PASSES} passes: ${last}`);
  }

  /** Passes until the network is gone. */
  async untilGone(manager: AWSNetworkBackend, cluster: ClusterFacts): Promise<void> {
    let last = '';
    for (let pass = 0; pass < MAX_PASSES; pass += 1) {
      const removed = await retried(() => manager.removeNetwork(this.ctx, cluster));
      if (removed?.state === 'gone') return;
      last = removed?.message ?? 'an error';
      await this.clock.advance(removed?.pollMs ?? 1_000);
    }
    throw new Error(`the network is not gone after ${MAX_PASSES} passes: ${last}`);
  }

  /** What carries the tag of a cluster: `role zone` by kind. */
  async shapeOf({ infrastructureID }: ClusterFacts): Promise<Record<string, string[]>> {
    const { ec2 } = await this.session();
    const { Tags = [] } = await ec2(this.ctx, new aws.DescribeTagsCommand({}));
    const ids = Tags.filter(({ Key, Value }) => Key === 'ts-provider/cluster' && Value === infrastructureID);
    const tagOf = (id: string | undefined, key: string) =>
      Tags.find(({ ResourceId, Key }) => ResourceId === id && Key === key)?.Value ?? '';
    const living = await this.proxy.snapshot();
    const shape: Record<string, string[]> = {};
    for (const { ResourceId = '' } of ids) {
      if (!living.includes(`"${ResourceId}"`)) continue; // Moto keeps the tags of what was deleted.
      const zone = tagOf(ResourceId, 'ts-provider/zone');
      const part = `${tagOf(ResourceId, 'ts-provider/role')} ${zone}`.trim();
      (shape[ResourceId.split('-')[0] ?? ''] ??= []).push(part);
    }
    return Object.fromEntries(Object.entries(shape).map(([kind, parts]) => [kind, parts.sort()]));
  }
}

/** What may heal alone is tried again. */
async function retried<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof TransientError) return undefined;
    throw error;
  }
}

function hooked(session: AWSSession, hooks: Hooks): AWSSession {
  const send = async (ctx: Ctx, command: aws.DescribeVpcsCommand): Promise<aws.DescribeVpcsCommandOutput> => {
    const action = command.constructor.name.replace(/Command$/, '');
    const isWrite = !action.startsWith('Describe');
    if (isWrite) hooks.before(action);
    const given = await session.ec2(ctx, command);
    if (isWrite) hooks.writes.push(action);
    if (isWrite) hooks.after(action);
    return hooks.answer(action, given) as aws.DescribeVpcsCommandOutput;
  };
  // Whatever the command, it goes through unchanged.
  return { ...session, ec2: send as unknown as AWSSession['ec2'] };
}

/** A cluster with its own tag. */
export function clusterFacts(
  infrastructureID: string,
  network: AWSNetwork,
  more: { readonly nlb?: NLBSpec; readonly tags?: Record<string, string> } = {},
): ClusterFacts {
  const { nlb = {}, tags } = more;
  return {
    namespace: 'default',
    name: infrastructureID,
    clusterName: infrastructureID,
    infrastructureID,
    spec: {
      controlPlaneLoadBalancer: { type: 'NLB', nlb },
      aws: { region: REGION, identityRef: { name: IDENTITY }, network, ...(tags && { tags }) },
    },
  };
}

/** Two zones, to be quick. */
export const MANAGED: AWSNetwork = { managed: { availabilityZones: ['us-east-1a', 'us-east-1b'] } };

const GROUPS = ['control-plane', 'load-balancer', 'node'];

/** What {@link MANAGED} consists of. */
export const MANAGED_SHAPE = {
  vpc: ['vpc'],
  igw: ['internet-gateway'],
  subnet: ['private us-east-1a', 'private us-east-1b', 'public us-east-1a', 'public us-east-1b'],
  rtb: ['private us-east-1a', 'private us-east-1b', 'public'],
  eipalloc: ['nat us-east-1a', 'nat us-east-1b'],
  nat: ['nat us-east-1a', 'nat us-east-1b'],
  sg: GROUPS,
};

/** What is ours in a VPC that exists. */
export const EXISTING_SHAPE = { sg: GROUPS };

/** A VPC of somebody else with a public subnet in one zone and a private one in another. */
export async function someVPC(world: NetworkWorld, block = '10.50.0.0/16') {
  const { ctx } = world;
  const { ec2 } = await world.session();
  const { Vpc } = await ec2(ctx, new aws.CreateVpcCommand({ CidrBlock: block }));
  const VpcId = Vpc?.VpcId ?? '';
  const subnet = async (third: number, zone: string) => {
    const CidrBlock = block.replace('.0.0/16', `.${third}.0/24`);
    const command = new aws.CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone: zone });
    return (await ec2(ctx, command)).Subnet?.SubnetId ?? '';
  };
  const publicID = await subnet(1, 'us-east-1a');
  const privateID = await subnet(2, 'us-east-1b');
  const gateway = await ec2(ctx, new aws.CreateInternetGatewayCommand({}));
  const GatewayId = gateway.InternetGateway?.InternetGatewayId ?? '';
  await ec2(ctx, new aws.AttachInternetGatewayCommand({ InternetGatewayId: GatewayId, VpcId }));
  const table = await ec2(ctx, new aws.CreateRouteTableCommand({ VpcId }));
  const RouteTableId = table.RouteTable?.RouteTableId ?? '';
  await ec2(ctx, new aws.CreateRouteCommand({ RouteTableId, GatewayId, DestinationCidrBlock: '0.0.0.0/0' }));
  await ec2(ctx, new aws.AssociateRouteTableCommand({ RouteTableId, SubnetId: publicID }));
  return { vpcID: VpcId, publicID, privateID };
}
