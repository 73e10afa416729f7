// SPDX-License-Identifier: Apache-2.0
// An account at moto behind the fault proxy, and AWS backends in it, as many as there are managers.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
} from '@aws-sdk/client-ec2';
import { DescribeSubnetsCommand, EC2Client, type Instance } from '@aws-sdk/client-ec2';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import type { BootstrapData, CreateIntent, MachineFacts } from '../../backends/backend.ts';
import {
  type AWSBackend,
  type AWSBackendOptions,
  createAWSBackend,
} from '../../backends/aws/machine-backend.ts';
import type { NetworkFacts } from '../../backends/aws/network/facts.ts';
import type { AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import { createUserDataStore } from '../../backends/aws/user-data/user-data.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { createLogger } from '../../runtime/logger.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { type Proxy, startProxy } from './proxy/server.ts';

export const REGION = 'us-east-1';
export const INSTANCE_TYPE = 'm5.large';
const KEYS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** Real timers; the time of day is moved on at will, so that nothing waits for a window to pass. */
export interface MovableClock extends Clock {
  shift(ms: number): void;
}

export function movableClock(): MovableClock {
  let aheadMs = 0;
  return {
    now: () => new Date(Date.now() + aheadMs),
    shift: (ms) => void (aheadMs += ms),
    schedule(fn, ms) {
      const timer = setTimeout(fn, ms);
      return () => clearTimeout(timer);
    },
  };
}

export const bootstrapData: BootstrapData = {
  format: 'cloud-config',
  value: Buffer.from('#cloud-config\nruncmd:\n- echo hello\n'),
};

export interface MachineWorld {
  readonly moto: Moto;
  readonly proxy: Proxy;
  readonly clock: MovableClock;
  readonly ctx: Ctx;
  readonly facts: NetworkFacts;
  readonly imageID: string;
  /** Past the proxy: what is really there. */
  readonly ec2: EC2Client;
  /** What a manager has that was just started. */
  manager(overrides?: Partial<AWSBackendOptions>): AWSBackend;
  /** A machine of a new name, without intent. */
  machine(overrides?: Partial<MachineFacts>, aws?: Partial<AWSMachineSpec>): MachineFacts;
  /** Every instance ever made through the proxy. */
  instances(): Promise<Instance[]>;
  /** Those that are not terminated. */
  living(): Promise<Instance[]>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts moto and the proxy. */
export async function startMachineWorld(): Promise<MachineWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'aws-machines-'));
  const moto = await startMoto({ dir });
  const clock = movableClock();
  const proxy = await startProxy({ upstream: moto.url, now: () => clock.now().getTime() });
  const ec2 = new EC2Client({ region: REGION, endpoint: moto.url, credentials: KEYS });
  const sessions = new Set<AWSSessions>();
  const signal = new AbortController().signal;
  const log = createLogger({ level: 'silent' });
  const known = await existing(ec2);
  const instances = async () => {
    const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({}));
    return Reservations.flatMap(({ Instances = [] }) => Instances);
  };
  return {
    ...{ moto, proxy, clock, ec2, instances, ctx: { signal, log, clock } },
    // Others after a reset.
    get facts() {
      return known.facts;
    },
    get imageID() {
      return known.imageID;
    },
    manager(overrides = {}) {
      const opened = sessionsAt(proxy.url, clock);
      sessions.add(opened);
      return createAWSBackend({
        sessions: opened,
        network: { networkFacts: async () => known.facts, forget: () => undefined },
        targets: { register: async () => ({ done: true }), deregister: async () => ({ done: true }) },
        userData: createUserDataStore(),
        clock,
        ...overrides,
      });
    },
    machine: (overrides = {}, aws = {}) =>
      machineNamed(`m-${randomUUID().slice(0, 8)}`, known.imageID, { aws, ...overrides }),
    living: async () => (await instances()).filter(({ State }) => State?.Name !== 'terminated'),
    async reset() {
      await proxy.reset();
      Object.assign(known, await existing(ec2));
    },
    async stop() {
      for (const one of sessions) one.close();
      ec2.destroy();
      await proxy.stop();
      await moto.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function sessionsAt(endpoint: string, clock: Clock): AWSSessions {
  const source = { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' } as const;
  const identities = { aws: async () => ({ key: 'test', source, roles: [] }) };
  return createAWSSessions({ identities, clock, metrics: createMetrics(), endpoint });
}

/** The default VPC of a new account, and one of its images. */
async function existing(ec2: EC2Client): Promise<{ facts: NetworkFacts; imageID: string }> {
  const [{ Subnets = [] }, { SecurityGroups = [] }, { Images = [] }] = await Promise.all([
    ec2.send(new DescribeSubnetsCommand({})),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    ec2.send(new DescribeImagesCommand({ Filters: [{ Name: 'architecture', Values: ['x86_64'] }] })),
  ]);
  const vpcID = Subnets[0]?.VpcId ?? '';
  const group = [SecurityGroups.find(({ VpcId }) => VpcId === vpcID)?.GroupId ?? ''];
  const subnets = Subnets.map(({ SubnetId = '', AvailabilityZone = '' }) => ({
    ...{ id: SubnetId, availabilityZone: AvailabilityZone, vpcID, isPublic: false },
  }));
  const securityGroups = { controlPlane: group, nodes: group, loadBalancer: [] };
  return {
    facts: { vpcID, cidrBlocks: ['172.31.0.0/16'], subnets, securityGroups },
    imageID: Images[0]?.ImageId ?? '',
  };
}

function machineNamed(
  name: string,
  imageID: string,
  { aws, ...overrides }: Partial<MachineFacts> & { readonly aws: Partial<AWSMachineSpec> },
): MachineFacts {
  return {
    ...{ namespace: 'default', name, uid: randomUUID(), clusterName: 'prod', controlPlane: false },
    ...{ version: 'v1.34.1', failureDomain: undefined, providerID: undefined, intent: undefined },
    spec: { aws: { instanceType: INSTANCE_TYPE, image: { id: imageID }, ...aws } },
    cluster: { aws: { region: REGION, identityRef: { name: 'default' }, network: { managed: {} } } },
    ...{ infrastructureID: 'prod-1a2b3', hasNode: false },
    ...overrides,
  };
}

/** What the controller does: plan, then promise. */
export async function intentFor(backend: AWSBackend, ctx: Ctx, machine: MachineFacts): Promise<CreateIntent> {
  const planned = await backend.plan(ctx, machine);
  if (planned.state === 'deferred') throw new Error(planned.message);
  const attempt = (machine.intent?.attempt ?? 0) + 1;
  return { attempt, clientToken: randomUUID(), requestHash: 'a-hash', choice: planned.choice };
}
