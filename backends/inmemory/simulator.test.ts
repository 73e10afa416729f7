// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MachineFacts } from '../backend.ts';
import type { Client } from '../../runtime/client.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { InMemoryCloud } from './cloud.ts';
import { openInMemoryCloud } from './sqlite-cloud.ts';
import { FakeWorkload } from './fake-workload.ts';
import {
  CONTROL_PLANE_JOIN,
  cloudConfig,
  contextOf,
  INIT_CONFIGURATION,
  INIT_FILE,
  JOIN_FILE,
  machineNamed,
  WORKER_JOIN,
} from './fixtures.ts';
import { createInMemoryBackend } from './machine-backend.ts';
import { createSimulator, type Simulator } from './simulator.ts';
import type { WorkloadAPI, Workloads } from './workload.ts';

const INIT = cloudConfig({ [INIT_FILE]: INIT_CONFIGURATION });
const JOIN = cloudConfig({ [JOIN_FILE]: CONTROL_PLANE_JOIN });
const WORKER = cloudConfig({ [JOIN_FILE]: WORKER_JOIN });

let clock: FakeClock;
let cloud: InMemoryCloud;
let workload: FakeWorkload;
let simulator: Simulator;

beforeEach(() => {
  clock = new FakeClock();
  cloud = openInMemoryCloud({ path: ':memory:', clock });
  workload = new FakeWorkload();
  simulator = simulate({ connect: async () => workload });
});
afterEach(() => cloud.close());

function simulate(workloads: Workloads, concurrency?: number): Simulator {
  return createSimulator({ cloud, workloads, clock, ...(concurrency !== undefined && { concurrency }) });
}

/** A manager that is killed while its guests are at work: for its timers no time passes any more. */
function killed(workloads: Workloads): Simulator {
  return createSimulator({ cloud, workloads, clock: new FakeClock() });
}

async function make(
  name: string,
  value: Buffer,
  overrides: Partial<MachineFacts> = {},
): Promise<MachineFacts> {
  const machine = machineNamed(name, overrides);
  await createInMemoryBackend(cloud).create(contextOf(clock), machine, machine.intent!, {
    format: 'cloud-config',
    value,
  });
  return machine;
}

/** As the ticker does once a second, for `seconds`. */
async function live(seconds: number, ...simulators: Simulator[]): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    for (const one of simulators.length === 0 ? [simulator] : simulators) {
      await one.tick(contextOf(clock));
    }
    await clock.advance(1_000);
  }
}

const stateOf = (name: string) => cloud.find({ clientToken: `token-${name}` });

describe('a guest that joins', () => {
  it('registers a worker Node: identity, version, place, labels, taints, health', async () => {
    await make('w-0', WORKER, { failureDomain: 'rack-a' });
    await live(1);
    const node = workload.node('w-0');
    expect(node?.metadata.labels).toMatchObject({ 'topology.kubernetes.io/zone': 'rack-a', pool: 'blue' });
    expect(node?.metadata.labels).not.toHaveProperty('node-role.kubernetes.io/control-plane');
    expect(node?.spec).toEqual({
      providerID: stateOf('w-0')?.providerID,
      taints: [{ key: 'node.cluster.x-k8s.io/uninitialized', effect: 'NoSchedule' }],
    });
    expect(node?.status).toMatchObject({
      nodeInfo: { kubeletVersion: 'v1.36.3' },
      capacity: { cpu: '4', pods: '110' },
    });
    expect(node?.status?.['conditions']).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    );
    expect(workload.keys('Pod')).toEqual([]);
    expect(stateOf('w-0')?.state).toBe('running');
  });

  it('costs a worker two requests', async () => {
    await make('w-0', WORKER);
    await live(3);
    expect(workload.writes).toEqual(['create Node//w-0', 'patch Node//w-0']);
  });

  it('initializes a cluster, and writes kubeadm-config last', async () => {
    await make('cp-0', INIT, { controlPlane: true });
    await live(1);
    const pods = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
    expect(workload.keys('Pod')).toEqual(pods.map((pod) => `Pod/kube-system/${pod}-cp-0`));
    expect(workload.objects.get('Pod/kube-system/kube-apiserver-cp-0')?.status).toMatchObject({
      phase: 'Running',
      conditions: expect.arrayContaining([
        expect.objectContaining({ type: 'Ready', status: 'True' }),
      ]) as unknown[],
    });
    expect(workload.node('cp-0')?.spec?.taints).toEqual([
      { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' },
    ]);
    expect(workload.writes.at(-1)).toBe('create ConfigMap/kube-system/kubeadm-config');
    const configuration = workload.objects.get('ConfigMap/kube-system/kubeadm-config')?.data?.[
      'ClusterConfiguration'
    ];
    expect(configuration).toContain('kubernetesVersion: v1.36.3');
    expect(configuration).toContain('serviceSubnet: 10.96.0.0/12');
    expect(JSON.stringify([...workload.objects.values()])).toContain(
      'registry.k8s.io/coredns/coredns:v1.14.2',
    );
    expect(JSON.stringify([...workload.objects.values()])).toContain('registry.k8s.io/kube-proxy:v1.36.3');
  });

  it('runs etcd beside the API server where it is stacked', async () => {
    const stacked = INIT_CONFIGURATION.replace(/etcd:[^]*?kind: Cl/, 'etcd: {}\nkind: Cl');
    await make('cp-0', cloudConfig({ [INIT_FILE]: stacked }), { controlPlane: true });
    await live(1);
    expect(workload.keys('Pod')).toContain('Pod/kube-system/etcd-cp-0');
    await make('cp-1', JOIN, { controlPlane: true });
    await live(1);
    expect(workload.keys('Pod')).toContain('Pod/kube-system/etcd-cp-1');
    expect(workload.node('cp-1')?.spec?.taints).toEqual([]);
  });

  it('waits for the kubeconfig, then for the control plane, and says so', async () => {
    let ready = false;
    simulator = simulate({ connect: async () => (ready ? workload : undefined) });
    await make('cp-1', JOIN, { controlPlane: true });
    await live(1);
    expect(stateOf('cp-1')).toMatchObject({
      state: 'booting',
      message: 'Waiting for the kubeconfig of cluster c1',
    });
    ready = true;
    await live(2);
    expect(stateOf('cp-1')?.message).toBe('Waiting for the control plane to be initialized');
    await make('cp-0', INIT, { controlPlane: true });
    await live(10);
    expect(stateOf('cp-1')?.state).toBe('running');
  });

  it('leaves the Node of another instance alone until it is gone', async () => {
    await make('w-0', WORKER);
    workload.objects.set('Node//w-0', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'w-0' },
      spec: { providerID: 'other://1' },
    });
    await live(5);
    expect(workload.node('w-0')?.spec).toEqual({ providerID: 'other://1' });
    expect(stateOf('w-0')?.message).toContain('earlier machine');
    workload.objects.delete('Node//w-0');
    await live(6);
    expect(workload.node('w-0')?.spec?.['providerID']).toBe(stateOf('w-0')?.providerID);
  });
});

describe('a guest in trouble', () => {
  it.each([
    ['no kubeadm configuration', cloudConfig({ '/etc/motd': 'hi' }), /first boot failed: .*writes none of/],
    [
      'a foreign provider-id',
      cloudConfig({ [JOIN_FILE]: WORKER_JOIN.replace(/'{{ ds.meta_data.provider_id }}'/, 'aws:///i-1') }),
      /leave provider-id out/,
    ],
  ])('with %s fails for good, with the reason', async (_name, value, want) => {
    await make('w-0', value);
    await live(1);
    expect(stateOf('w-0')).toMatchObject({ state: 'failed', message: expect.stringMatching(want) as string });
    const writes = workload.writes.length;
    await live(100);
    expect(workload.writes).toHaveLength(writes);
  });

  it('with a kubeconfig that cannot be used shows why, and goes on once it is mended', async () => {
    let broken = true;
    simulator = simulate({
      connect: async () => {
        if (broken)
          throw new TerminalError(
            'KubeconfigInvalid',
            'Secret default/c1-kubeconfig is not a usable kubeconfig',
          );
        return workload;
      },
    });
    await make('w-0', WORKER);
    await live(3);
    expect(stateOf('w-0')).toMatchObject({
      state: 'booting',
      message: expect.stringContaining('c1-kubeconfig') as string,
    });
    broken = false;
    await live(60);
    expect(stateOf('w-0')?.state).toBe('running');
  });

  it('backs off from an API server that fails, at most a minute', async () => {
    let calls = 0;
    simulator = simulate({
      connect: async () => {
        calls++;
        throw new TransientError('connection refused');
      },
    });
    await make('w-0', WORKER);
    await live(600);
    expect(calls).toBeGreaterThan(10);
    expect(calls).toBeLessThan(20);
  });

  it('that hangs gives up its place after 20 s, and holds up no other cluster meanwhile', async () => {
    const hanging = new FakeWorkload();
    hanging.before = () => new Promise(() => {});
    simulator = simulate(
      { connect: async (_ctx, { clusterName }) => (clusterName === 'dead' ? hanging : workload) },
      4,
    );
    for (let index = 0; index < 10; index++) await make(`dead-${index}`, WORKER, { clusterName: 'dead' });
    await live(1);
    await make('w-0', WORKER);
    await live(1);
    expect(stateOf('w-0')?.state).toBe('running');
    await live(60);
    expect(stateOf('dead-0')?.message).toContain('did not answer within 20 s');
    expect(stateOf('dead-0')?.state).toBe('booting');
  });
});

describe('crashes and competition', () => {
  it('comes up whole after a crash before any of its writes', async () => {
    const total = await writesOfInit();
    for (let crashAt = 0; crashAt < total; crashAt++) {
      const name = `cp-${crashAt}`;
      workload = new FakeWorkload();
      let write = 0;
      workload.before = async () => {
        if (write++ === crashAt) await new Promise(() => {});
      };
      await make(name, INIT, { controlPlane: true, clusterName: name });
      // The first manager dies at that write and is never heard of again; its lease runs out.
      await live(1, killed({ connect: async () => workload }));
      expect(stateOf(name)?.state).toBe('booting');
      await live(7, simulate({ connect: async () => workload }));
      expect([name, stateOf(name)?.state]).toEqual([name, 'running']);
      expect(workload.keys('Node')).toEqual([`Node//${name}`]);
      expect(workload.keys('Pod')).toHaveLength(3);
      expect(workload.objects.has('ConfigMap/kube-system/kubeadm-config')).toBe(true);
    }
  });

  async function writesOfInit(): Promise<number> {
    await make('count', INIT, { controlPlane: true });
    await live(1);
    return workload.writes.length;
  }

  it('brings each guest up once when two managers simulate the same cloud', async () => {
    for (let index = 0; index < 30; index++) await make(`w-${index}`, WORKER);
    const two = [simulate({ connect: async () => workload }), simulate({ connect: async () => workload })];
    await Promise.all(two.map((one) => one.tick(contextOf(clock))));
    await live(3, ...two);
    expect(workload.writes.filter((write) => write.startsWith('create Node'))).toHaveLength(30);
    expect(workload.keys('Node')).toHaveLength(30);
  });

  it('leaves no Node behind when the machine is deleted while it comes up', async () => {
    const machine = await make('cp-0', INIT, { controlPlane: true });
    let go: () => void = () => {};
    workload.before = () => new Promise((resolve) => (go = resolve));
    await simulator.tick(contextOf(clock));
    await clock.settle();
    expect(await createInMemoryBackend(cloud).destroy(contextOf(clock), machine)).toEqual({ state: 'gone' });
    workload.before = async () => {};
    go();
    await simulator.idle();
    expect(workload.keys('Node')).toEqual(['Node//cp-0']);
    await live(2);
    expect(workload.keys('Node')).toEqual([]);
    expect(workload.keys('Pod')).toEqual([]);
  });

  it('writes nothing for a machine that was deleted before its guest found the cluster', async () => {
    const machine = await make('w-0', WORKER);
    simulator = simulate({
      connect: async () => {
        await createInMemoryBackend(cloud).destroy(contextOf(clock), machine);
        return workload;
      },
    });
    await live(3);
    expect(workload.writes).toEqual([]);
    expect(stateOf('w-0')?.state).toBe('terminated');
  });

  it('stops at once, and the next manager goes on without waiting for a lease', async () => {
    await make('w-0', WORKER);
    workload.before = () => new Promise(() => {});
    await simulator.tick(contextOf(clock));
    await simulator.stop();
    await live(2);
    expect(stateOf('w-0')?.state).toBe('booting');
    workload.before = async () => {};
    await live(2, simulate({ connect: async () => workload }));
    expect(stateOf('w-0')?.state).toBe('running');
  });
});

describe('the end of a machine', () => {
  it('shows a dead machine as an unreachable Node', async () => {
    const failing = { inMemory: { failures: { diesAfterSeconds: 5 } } };
    await make('w-0', WORKER, { spec: failing });
    await live(3);
    expect(workload.node('w-0')?.status?.['conditions']).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    );
    await live(4);
    const ready = { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' };
    expect(workload.node('w-0')?.status?.['conditions']).toContainEqual(expect.objectContaining(ready));
    const unreachable = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' };
    expect(workload.node('w-0')?.spec?.taints).toContainEqual(expect.objectContaining(unreachable));
    expect(stateOf('w-0')?.state).toBe('stopped');
  });

  it('takes the mirror pods and the Node with it, and nothing of a successor of the same name', async () => {
    const machine = await make('cp-0', INIT, { controlPlane: true });
    await live(1);
    await createInMemoryBackend(cloud).destroy(contextOf(clock), machine);
    await live(1);
    expect([workload.keys('Node'), workload.keys('Pod')]).toEqual([[], []]);

    const next = await make('cp-1', JOIN, { controlPlane: true });
    await live(1);
    workload.node('cp-1')!.spec!['providerID'] = 'tsinmemory://successor';
    await createInMemoryBackend(cloud).destroy(contextOf(clock), next);
    await live(1);
    expect(workload.keys('Node')).toEqual(['Node//cp-1']);
    expect(workload.keys('Pod')).toHaveLength(3);
  });

  it('gives up cleaning up when the API server went with its cluster', async () => {
    const machine = await make('w-0', WORKER);
    await live(1);
    let calls = 0;
    const gone = simulate({
      connect: async () => {
        calls++;
        throw new TransientError('connection refused');
      },
    });
    await createInMemoryBackend(cloud).destroy(contextOf(clock), machine);
    await live(1_000, gone);
    expect(calls).toBe(10);
  });
});

it('takes the client of the runtime as it is', () => {
  const accept = (client: Client): WorkloadAPI => client;
  expect(accept).toBeDefined();
});
