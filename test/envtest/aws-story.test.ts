// SPDX-License-Identifier: Apache-2.0
// The life of a cluster on AWS, in a network of its own and in one that exists: up, larger, smaller, rolled, gone, and nothing is left.
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed, vi } from 'vitest';
import {
  ClusterKind,
  MachineKind,
  NodeKind,
  TSClusterKind,
  TSMachineKind,
  TSMachineTemplateKind,
} from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { Behaviour } from '../aws/proxy/behaviour.ts';
import { ourRefusals, ourWrites, readAuditLog } from './audit.ts';
import { withGivenControlPlane } from './aws-given-control-plane.ts';
import { type Guests, startGuests } from './aws-guests.ts';
import { createIdentity, createVPC, type Region, SUBNET_TAG, tagOf } from './aws-region.ts';
import { clusterVariables, startStoryWorld, type StoryWorld } from './aws-story-world.ts';
import type { Environment } from './harness.ts';
import { conditionOf, conditionText, phaseOf, typeOf } from './machines.ts';
import { growth, quietFor } from './quiet.ts';

const CONTROL_PLANES = 3;
const WORKERS = 10;
const LARGER = 12;
const SMALLER = 8;
const NAME = 'prod';

/**
 * API writes of a machine, at most. Before what is written for any machine there is one write here that says that it
 * waits for bootstrap data: core makes the TSMachine before they are there.
 */
const HOLDS = { create: 1 + 4, delete: 3 } as const;
/** What is called for machines. The network is looked at for the whole cluster, now and then. */
const OF_MACHINES = /^(ec2\..*(Instance|Image)|elasticloadbalancing\..*Target)/;
/** Looks are shared by all machines, so few of them pay as much as many: at most one in this time, and one more for a list of all. */
const LOOK_MS = 1_500;

/** AWS takes its time, here a little of it. */
const LIKE_AWS: Partial<Behaviour> = {
  ...{ pendingMs: 1_000, shuttingDownMs: 1_000, natGatewayPendingMs: 2_000, natGatewayDeletingMs: 2_000 },
  ...{ loadBalancerProvisioningMs: 2_000, loadBalancerReleaseMs: 2_000 },
  ...{ targetInitialMs: 1_000, targetDrainingMs: 1_000 },
};

const soon = { timeout: 180_000, interval: 300 };
vi.setConfig({ testTimeout: 240_000 });

let world: StoryWorld;
let environment: Environment;
let region: Region;
let provider: Provider;

beforeAll(async () => {
  world = await startStoryWorld(LIKE_AWS);
  ({ environment, region, provider } = world);
});

afterAll(() => world?.stop());

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(30))));

interface Mode {
  readonly what: string;
  readonly template: string;
  /** What the account has before, and how the template knows of it. */
  readonly prepare: () => Promise<Record<string, string>>;
}

const MODES: readonly Mode[] = [
  {
    what: 'a VPC that exists',
    template: 'cluster-template-aws-existing-vpc.yaml',
    prepare: async () => ({ AWS_VPC_ID: (await createVPC(region)).id, AWS_SUBNET_TAG: SUBNET_TAG }),
  },
  { what: 'a VPC of its own', template: 'cluster-template-aws.yaml', prepare: async () => ({}) },
];

describe.each(MODES)('in $what', ({ what, template, prepare }) => {
  const workload = `workload-${template.replace(/\.yaml$/, '')}`;
  let namespace: string;
  let before: string;
  let guests: Guests;
  const at = (name: string) => ({ namespace, name });
  const list = () => environment.client.list(MachineKind, { namespace });
  const isControlPlane = (labels?: Readonly<Record<string, string>>) =>
    labels?.[CONTROL_PLANE_LABEL] !== undefined;
  const workers = async () => (await list()).filter(({ metadata }) => !isControlPlane(metadata.labels));
  const running = async () => (await list()).filter((one) => phaseOf(one) === 'Running').length;
  /** Those that are not, and why. */
  const others = async () =>
    Object.fromEntries(
      (await list())
        .filter((one) => phaseOf(one) !== 'Running')
        .map((one) => [one.metadata.name, `${phaseOf(one)}: ${conditionText(one, 'Ready')}`]),
    );
  const scale = (replicas: number) =>
    environment.client.patch(MachineDeploymentKind, at(`${NAME}-md-0`), { spec: { replicas } });
  const instanceIDs = async (role?: string) =>
    (await region.living())
      .filter((one) => role === undefined || tagOf(one, 'ts-provider/role') === role)
      .map(({ InstanceId = '' }) => InstanceId)
      .sort();
  const untilRunning = (count: number) =>
    expect
      .poll(
        async () => ({ running: await running(), others: await others(), trouble: guests.trouble() }),
        soon,
      )
      .toEqual({ running: count, others: {}, trouble: {} });

  beforeAll(async () => {
    const variables = await prepare();
    namespace = await environment.namespace('story');
    await createIdentity(environment.client, namespace, [namespace]);
    before = await region.snapshot();
    const api = await environment.workloadClient(workload);
    guests = startGuests({ region, api, version: environment.stack.versions.kubernetes });
    region.proxy.clearCalls();
    await environment.cluster({
      ...{ namespace, name: NAME, template, workload, change: withGivenControlPlane },
      ...{ controlPlaneMachines: CONTROL_PLANES, workerMachines: WORKERS },
      variables: {
        ...clusterVariables(region, namespace),
        AWS_NODE_MACHINE_TYPE: 'm5.large',
        ...variables,
      },
    });
  });

  afterAll(() => guests?.stop());

  it(`comes up: ${CONTROL_PLANES} + ${WORKERS} machines, each with a Node of its providerID`, async () => {
    await untilRunning(CONTROL_PLANES + WORKERS);
    console.log(`${what}, up: ${JSON.stringify(region.proxy.counts())}`);
    const kcp = conditionOf(environment, KubeadmControlPlaneKind, at(`${NAME}-control-plane`), 'Available');
    await expect.poll(kcp, soon).toMatch(/^True/);
    const api = await environment.workloadClient(workload);
    const ours = (await environment.client.list(TSMachineKind, { namespace })).map(
      ({ spec }) => spec.providerID,
    );
    const nodes = (await api.list(NodeKind)).map(({ spec }) => spec?.providerID);
    expect(nodes.sort()).toEqual(ours.sort());
    expect(await instanceIDs()).toHaveLength(CONTROL_PLANES + WORKERS);
    expect(region.proxy.countOf('RunInstances')).toBe(CONTROL_PLANES + WORKERS);
  });

  it('control plane machines are in zones of their own, and targets of the load balancer', async () => {
    const tsCluster = await environment.client.get(TSClusterKind, at(NAME));
    expect(conditionText(tsCluster, 'Ready')).toMatch(/^True/);
    const domains = tsCluster?.status?.failureDomains ?? [];
    expect(domains).toHaveLength(3);
    expect(domains.every(({ controlPlane }) => controlPlane === true)).toBe(true);
    const machines = (await list()).filter(({ metadata }) => isControlPlane(metadata.labels));
    expect(machines.map(({ spec }) => spec.failureDomain ?? '').sort()).toEqual(
      domains.map(({ name }) => name).sort(),
    );
    const zones = (await region.living())
      .filter((one) => tagOf(one, 'ts-provider/role') === 'control-plane')
      .map(({ Placement }) => Placement?.AvailabilityZone);
    expect(new Set(zones).size).toBe(3);
    await expect.poll(() => targets(region), soon).toEqual(await instanceIDs('control-plane'));
  });

  it(`grows to ${LARGER} workers at no more than its price`, async () => {
    await quietFor(() => writesFor(namespace).length, { forMs: 4_000, timeoutMs: 90_000 });
    const known = new Set((await list()).map(({ metadata }) => metadata.name));
    region.proxy.clearCalls();
    const began = Date.now();
    await scale(LARGER);
    await untilRunning(CONTROL_PLANES + LARGER);
    const calls = callsForMachines();
    const added = (await list()).map(({ metadata }) => metadata.name).filter((name) => !known.has(name));
    const writes = await quietFor(() => writesOn(namespace, added), { forMs: 3_000, timeoutMs: 60_000 });
    report(`${what}, ${added.length} more`, { calls, writes, machines: added.length });
    expect(added).toHaveLength(LARGER - WORKERS);
    expectFewCalls(added.length, Date.now() - began);
    for (const count of Object.values(writes)) expect(count).toBeLessThanOrEqual(HOLDS.create);
  });

  it(`shrinks to ${SMALLER} workers at no more than its price`, async () => {
    const known = (await workers()).map(({ metadata }) => metadata.name);
    const earlier = writesOn(namespace, known);
    region.proxy.clearCalls();
    const began = Date.now();
    await scale(SMALLER);
    await expect.poll(async () => (await list()).length, soon).toBe(CONTROL_PLANES + SMALLER);
    await expect.poll(async () => (await instanceIDs()).length, soon).toBe(CONTROL_PLANES + SMALLER);
    const calls = callsForMachines();
    const left = new Set((await list()).map(({ metadata }) => metadata.name));
    const removed = known.filter((name) => !left.has(name));
    const now = writesOn(namespace, removed);
    const writes = Object.fromEntries(removed.map((name) => [name, (now[name] ?? 0) - (earlier[name] ?? 0)]));
    report(`${what}, ${removed.length} fewer`, { calls, writes, machines: removed.length });
    expect(removed).toHaveLength(LARGER - SMALLER);
    expectFewCalls(removed.length, Date.now() - began);
    for (const count of Object.values(writes)) expect(count).toBeLessThanOrEqual(HOLDS.delete);
  });

  it('rolls its workers to a new template', async () => {
    const old = new Set((await workers()).map(({ metadata }) => metadata.name));
    const template = await environment.client.get(TSMachineTemplateKind, at(`${NAME}-md-0`));
    const next = { ...template!.spec.template.spec.aws!, instanceType: 'm5.xlarge' };
    await environment.client.create(TSMachineTemplateKind, {
      ...typeOf(TSMachineTemplateKind),
      metadata: at(`${NAME}-md-1`),
      spec: { template: { spec: { aws: next } } },
    });
    const rollingUpdate = { maxSurge: 4, maxUnavailable: 4 };
    await environment.client.patch(MachineDeploymentKind, at(`${NAME}-md-0`), {
      spec: {
        rollout: { strategy: { type: 'RollingUpdate', rollingUpdate } },
        template: { spec: { infrastructureRef: { name: `${NAME}-md-1` } } },
      },
    });
    const isRolled = async () => {
      const now = await workers();
      return now.length === SMALLER && now.every((one) => !old.has(one.metadata.name));
    };
    await expect.poll(isRolled, soon).toBe(true);
    await untilRunning(CONTROL_PLANES + SMALLER);
    const types = (await region.living())
      .filter((one) => tagOf(one, 'ts-provider/role') === 'node')
      .map(({ InstanceType }) => InstanceType);
    expect(types).toEqual(Array.from({ length: SMALLER }, () => 'm5.xlarge'));
  });

  it('is quiet once it is as it should be', async () => {
    const writes = () => writesFor(namespace).length;
    await quietFor(writes, { forMs: 5_000, timeoutMs: 90_000 });
    const grown = await growth(
      () => Promise.resolve({ writes: writes(), calls: sum(region.proxy.counts()) }),
      20_000,
    );
    console.log(`${what}, 20 s of peace: ${JSON.stringify(grown)}`);
    expect(grown['writes']).toBe(0);
    expect(grown['calls']).toBeLessThan(20);
  });

  it('is deleted, and the account is byte for byte what it was', async () => {
    region.proxy.clearCalls();
    await environment.client.delete(ClusterKind, at(NAME));
    await expect.poll(() => environment.client.get(ClusterKind, at(NAME)), soon).toBeUndefined();
    expect(await environment.client.list(TSMachineKind, { namespace })).toEqual([]);
    console.log(`${what}, gone: ${JSON.stringify(region.proxy.counts())}`);
    expect(await region.snapshot()).toBe(before);
  });
});

it('nothing was asked of the API server that the service account may not', () => {
  expect(ourRefusals(readAuditLog(`${environment.dir}/audit.log`))).toEqual([]);
});

/** Instances in all target groups. */
async function targets({ elb: client }: Region): Promise<string[]> {
  const { TargetGroups = [] } = await client.send(new elb.DescribeTargetGroupsCommand({}));
  const health = await Promise.all(
    TargetGroups.map(({ TargetGroupArn }) =>
      client.send(new elb.DescribeTargetHealthCommand({ TargetGroupArn })),
    ),
  );
  return health
    .flatMap(({ TargetHealthDescriptions = [] }) => TargetHealthDescriptions)
    .map(({ Target }) => Target?.Id ?? '')
    .sort();
}

function writesFor(namespace: string): string[] {
  const all = ourWrites(readAuditLog(`${environment.dir}/audit.log`));
  return all.filter((line) => line.includes(` ${namespace}/`));
}

/** Our writes on these TSMachines, by name. */
function writesOn(namespace: string, names: readonly string[]): Record<string, number> {
  const lines = writesFor(namespace).filter((line) => line.includes(' tsmachines'));
  return Object.fromEntries(
    names.map((name) => [name, lines.filter((line) => line.endsWith(` ${namespace}/${name}`)).length]),
  );
}

/** One call that changes something for each machine at most, and no look too many. */
function expectFewCalls(machines: number, tookMs: number): void {
  const counts = Object.entries(region.proxy.counts()).filter(([action]) => OF_MACHINES.test(action));
  const looks = counts.filter(([action]) => action.includes('.Describe'));
  const changes = counts.filter(([action]) => !action.includes('.Describe'));
  expect(sum(Object.fromEntries(changes)), JSON.stringify(counts)).toBeLessThanOrEqual(machines);
  const most = Math.ceil(tookMs / LOOK_MS) + 2;
  expect(sum(Object.fromEntries(looks)), JSON.stringify(counts)).toBeLessThanOrEqual(most);
}

function callsForMachines(): number {
  const counts = Object.entries(region.proxy.counts());
  return sum(Object.fromEntries(counts.filter(([action]) => OF_MACHINES.test(action))));
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function report(
  what: string,
  { calls, writes, machines }: { calls: number; writes: Record<string, number>; machines: number },
): void {
  const perMachine = (calls / machines).toFixed(1);
  console.log(
    `${what}: ${perMachine} cloud calls per machine ${JSON.stringify(region.proxy.counts())}; ` +
      `API writes of each: ${Object.values(writes).join(' ')}`,
  );
}
