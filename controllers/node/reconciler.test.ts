// SPDX-License-Identifier: Apache-2.0
// The node linker, pass by pass.
import { beforeEach, describe, expect, it } from 'vitest';
import type { CertificateSigningRequest, Cluster, Node } from '../../api/cluster-api.ts';
import {
  CertificateSigningRequestKind,
  ClusterKind,
  NodeKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, PAUSED_ANNOTATION } from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import { ApiError, TransientError } from '../../runtime/errors.ts';
import type { EventContent } from '../../runtime/events.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import { createLogger } from '../../runtime/logger.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { tsCluster, tsMachine } from '../../test/machine-world.ts';
import { signingRequest } from './fixtures.ts';
import { nodeReconciler } from './reconciler.ts';
import { nodeWatches } from './watches.ts';

const C1 = { namespace: 'ns', name: 'c1' };
const SOON = { kind: 'wait', ms: 2_000, reason: 'LinkingNodes' };
const SETTLED = { kind: 'wait', ms: 30_000, reason: 'NodesLinked' };
const UNINITIALIZED = { key: 'node.cloudprovider.kubernetes.io/uninitialized', effect: 'NoSchedule' };
const infrastructureRef = { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSCluster', name: 'c1' };

let api: FakeAPI;
let workload: FakeAPI;
let events: (EventContent & { about: string })[];
let lists: string[];
let failure: Error | undefined;
let clock: FakeClock;
let reconcile: () => Promise<unknown>;

beforeEach(() => {
  [api, workload, clock, failure] = [new FakeAPI(), new FakeAPI(), new FakeClock(), undefined];
  [events, lists] = [[], []];
  cluster();
  api.put(tsCluster());
  addMachine();
  reconcile = manager();
});

/** A manager with a memory of its own. */
function manager(options: { watchFilter?: string; kubeconfig?: false } = {}): () => Promise<unknown> {
  const client: Client = {
    ...workload.client,
    list: async (kind, ...rest) => {
      lists.push(kind.plural);
      if (failure !== undefined) throw failure;
      return workload.client.list(kind, ...rest);
    },
  };
  const pass = nodeReconciler({
    cache: api.cache({ [CLUSTER_INDEX]: byCluster }),
    workloads: { connect: async () => (options.kubeconfig === false ? undefined : client) },
    events: { event: (object, content) => void events.push({ ...content, about: object.metadata.name }) },
    watchFilter: options.watchFilter,
  });
  const ctx = { signal: new AbortController().signal, log: createLogger({ level: 'silent' }), clock };
  return () => pass(ctx, C1);
}

function cluster(spec: Cluster['spec'] = {}): void {
  api.put<Cluster>({ ...ClusterKind, metadata: C1, spec: { infrastructureRef, ...spec } });
}

/** w0 on host rack-a-07: providerID, name and address are those of worker-0. */
function addMachine(
  change: {
    name?: string;
    spec?: Partial<TSMachine['spec']>;
    provisioned?: boolean;
    metadata?: object;
    addresses?: boolean;
  } = {},
): TSMachine {
  const { name = 'w0', spec, provisioned = true, metadata, addresses = true } = change;
  return api.put<TSMachine>({
    ...TSMachineKind,
    metadata: { ...tsMachine().metadata, name, ...metadata },
    spec: { host: {}, providerID: idOf(name), ...spec },
    status: {
      ...(provisioned && { initialization: { provisioned } }),
      failureDomain: 'rack-a',
      ...(addresses && {
        addresses: [
          { type: 'InternalIP', address: '10.0.0.7' },
          { type: 'Hostname', address: 'worker-0' },
        ],
      }),
    },
  });
}

const idOf = (name: string) => `tshost://ns/host-of-${name}/0123abcd`;

function addNode(
  change: { id?: string; taints?: object[]; created?: string; labels?: Record<string, string> } = {},
): void {
  const { id, taints = [], created = '2020-01-01T00:00:00Z', labels = {} } = change;
  workload.put<Node>({
    ...NodeKind,
    metadata: { name: 'worker-0', creationTimestamp: created, labels },
    spec: { taints: taints as [], ...(id !== undefined && { providerID: id }) },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.7' }] },
  });
}

const linkedNode = () => addNode({ id: idOf('w0'), labels: { 'topology.kubernetes.io/zone': 'rack-a' } });
const nodeNow = () => workload.read(NodeKind, { namespace: '', name: 'worker-0' });
const ask = (request = signingRequest()) => workload.put(request);
const askFor = (ip: string) => ask(signingRequest({ dns: ['worker-0'], ips: [ip] }));
const conditions = (request: CertificateSigningRequest) =>
  workload.read(CertificateSigningRequestKind, { namespace: '', name: request.metadata.name })?.status
    ?.conditions;

describe('linking', () => {
  it('completes the Node in one write, and is quiet from then on', async () => {
    addNode({ taints: [UNINITIALIZED] });
    expect(await reconcile()).toEqual(SETTLED);
    expect(nodeNow()).toMatchObject({
      metadata: { labels: { 'topology.kubernetes.io/zone': 'rack-a' } },
      spec: { providerID: idOf('w0') },
    });
    expect(nodeNow()?.spec?.taints).toBeUndefined();
    expect(workload.writes).toHaveLength(1);
    await reconcile();
    expect(workload.writes).toHaveLength(1);
    expect(events).toEqual([]);
  });

  it('one list of Nodes and one of requests, however many machines', async () => {
    for (const name of ['w1', 'w2', 'w3']) addMachine({ name });
    await reconcile();
    expect(lists.sort()).toEqual(['certificatesigningrequests', 'nodes']);
  });

  it('looks again soon while a provisioned machine has no Node, or a young one', async () => {
    expect(await reconcile()).toEqual(SOON);
    addNode({ id: idOf('w0'), created: new Date(clock.now().getTime() - 30_000).toISOString() });
    expect(await reconcile()).toEqual(SOON);
    linkedNode();
    expect(await reconcile()).toEqual(SETTLED);
  });

  it('a machine that is not provisioned yet is not waited for, but its Node is linked', async () => {
    addMachine({ provisioned: false });
    expect(await reconcile()).toEqual(SETTLED);
    addNode();
    await reconcile();
    expect(nodeNow()?.spec?.providerID).toBe(idOf('w0'));
  });

  it('somebody else writes the Node at the same moment: read again', async () => {
    addNode();
    workload.beforeWrite = () => {
      workload.beforeWrite = () => {};
      addNode({ labels: { x: 'y' } });
    };
    expect(await reconcile()).toEqual(SOON);
    expect(nodeNow()?.spec?.providerID).toBeUndefined();
    await reconcile();
    expect(nodeNow()).toMatchObject({ metadata: { labels: { x: 'y' } }, spec: { providerID: idOf('w0') } });
    expect(events).toEqual([]);
  });

  it('a Node with another providerID is never touched, and told of once', async () => {
    addNode({ id: 'tshost://ns/host-of-w0/ffffffff', taints: [UNINITIALIZED] });
    const request = ask();
    expect(await reconcile()).toEqual(SETTLED);
    await reconcile();
    expect(workload.writes).toEqual([]);
    expect(conditions(request)).toBeUndefined();
    expect(events).toMatchObject([{ type: 'Warning', reason: 'NodeIdentityConflict', about: 'w0' }]);
    expect(events[0]?.note).toContain('Node worker-0 has providerID tshost://ns/host-of-w0/ffffffff');
  });

  it('told again when it comes back', async () => {
    for (const id of ['x://1', idOf('w0'), 'x://1']) {
      addNode({ id, labels: { 'topology.kubernetes.io/zone': 'rack-a' } });
      await reconcile();
    }
    expect(events).toHaveLength(2);
  });

  it('a Node that may not be written holds up no other', async () => {
    addNode();
    addMachine({ name: 'w1' });
    workload.put<Node>({ ...NodeKind, metadata: { name: 'worker-1' }, spec: { providerID: idOf('w1') } });
    workload.beforeWrite = ({ key }) => {
      if (key === 'worker-0') throw new ApiError(403, 'Forbidden', 'a webhook says no');
    };
    await reconcile();
    const other = workload.read(NodeKind, { namespace: '', name: 'worker-1' });
    expect(other?.metadata.labels).toEqual({ 'topology.kubernetes.io/zone': 'rack-a' });
    expect(events.map(({ note }) => note)).toEqual([
      'Node worker-0 cannot be given its providerID, label or taints: a webhook says no',
    ]);
  });
});

describe('serving certificates', () => {
  beforeEach(linkedNode);

  it('approves what matches, once', async () => {
    const request = ask();
    await reconcile();
    expect(conditions(request)).toEqual([
      {
        type: 'Approved',
        status: 'True',
        reason: 'AddressesMatch',
        message: 'All names and addresses are those of TSMachine ns/w0',
        lastUpdateTime: clock.now().toISOString(),
      },
    ]);
    await reconcile();
    expect(workload.writes).toHaveLength(1);
  });

  it('in the pass that links the Node', async () => {
    addNode();
    const request = ask();
    await reconcile();
    expect(conditions(request)).toHaveLength(1);
  });

  it('leaves a foreign address alone, and says so once', async () => {
    const request = askFor('10.9.9.9');
    await reconcile();
    await reconcile();
    expect(conditions(request)).toBeUndefined();
    expect(events).toMatchObject([{ type: 'Warning', reason: 'ServingCertificateRefused', about: 'w0' }]);
    expect(events[0]?.note).toMatch(
      /Node worker-0 asks for 10\.9\.9\.9, which is not an address of TSMachine ns\/w0; it is left alone/,
    );
  });

  it('approves it later when the address turns out to be the machine’s', async () => {
    const request = askFor('10.0.0.8');
    await reconcile();
    const machine = api.read(TSMachineKind, { namespace: 'ns', name: 'w0' })!;
    machine.status!.addresses!.push({ type: 'InternalIP', address: '10.0.0.8' });
    api.put(machine);
    await reconcile();
    expect(conditions(request)).toHaveLength(1);
  });

  it('a Node that asks without end fills no Events', async () => {
    for (let i = 0; i < 50; i++) askFor(`10.9.9.${i}`);
    await reconcile();
    await reconcile();
    expect(events).toHaveLength(10);
    expect(ask() && (await reconcile()) && workload.writes).toHaveLength(1);
  });

  it.each<[string, () => void]>([
    [
      'of a machine that is being deleted',
      () => addMachine({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
    ],
    [
      'of a machine that is paused',
      () => addMachine({ metadata: { annotations: { [PAUSED_ANNOTATION]: '' } } }),
    ],
    [
      'of a machine of another cluster',
      () => addMachine({ metadata: { labels: { [CLUSTER_NAME_LABEL]: 'c2' } } }),
    ],
    [
      'of a machine of another backend',
      () => addMachine({ spec: { inMemory: {}, host: undefined as never } }),
    ],
    ['while the addresses are not known', () => addMachine({ addresses: false })],
    ['of a Node that is nobody’s', () => addNode({ id: 'aws:///x' })],
    [
      'of two Nodes with one providerID',
      () => workload.put<Node>({ ...NodeKind, metadata: { name: 'twin' }, spec: { providerID: idOf('w0') } }),
    ],
  ])('none %s', async (_name, arrange) => {
    arrange();
    const request = ask();
    await reconcile();
    expect(conditions(request)).toBeUndefined();
    expect(events.filter(({ reason }) => reason === 'ServingCertificateRefused')).toEqual([]);
  });

  it('somebody else decides at the same moment: theirs stays', async () => {
    const request = ask();
    const denied = { type: 'Denied', status: 'True' };
    workload.beforeWrite = () => {
      workload.beforeWrite = () => {};
      workload.put({ ...request, status: { conditions: [denied] } });
    };
    await reconcile();
    expect(conditions(request)).toEqual([denied]);
  });
});

describe('hands off', () => {
  it.each<[string, () => void]>([
    ['paused', () => cluster({ paused: true })],
    ['no Cluster', () => api.remove(ClusterKind, C1)],
    ['no TSCluster', () => api.remove(TSClusterKind, C1)],
    ['no machine on a host', () => addMachine({ spec: { inMemory: {}, host: undefined as never } })],
    ['no providerID yet', () => addMachine({ spec: { providerID: undefined as never } })],
    ['another watch filter', () => (reconcile = manager({ watchFilter: 'blue' }))],
  ])('%s: asks nothing and waits for an event', async (_name, arrange) => {
    arrange();
    expect(await reconcile()).toEqual({ kind: 'done' });
    expect(lists).toEqual([]);
  });

  it('no kubeconfig yet: waits', async () => {
    expect(await manager({ kubeconfig: false })()).toMatchObject({ ms: 30_000 });
  });

  it.each([new TransientError('connection refused'), new ApiError(401, 'Unauthorized', 'who are you')])(
    'the API server answers with %s: no error, less and less often',
    async (error) => {
      failure = error;
      const waits = [];
      for (let i = 0; i < 6; i++) waits.push(((await reconcile()) as { ms: number }).ms);
      expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
      failure = undefined;
      await reconcile();
      failure = error;
      expect(await reconcile()).toMatchObject({ ms: 2_000 });
    },
  );

  it('what nobody foresaw is an error', async () => {
    failure = new TypeError('a bug');
    await expect(reconcile()).rejects.toThrow('a bug');
  });
});

describe('watches', () => {
  const woken = (event: InformerEvent<TSMachine>) =>
    nodeWatches(api.cache({ [CLUSTER_INDEX]: byCluster }))
      .find(({ kind }) => kind.kind === 'TSMachine')!
      .map(event)
      .map(({ name }) => name);
  const on = (change: Parameters<typeof addMachine>[0]) => addMachine(change);

  it.each<[string, () => InformerEvent<TSMachine>, string[]]>([
    ['a new machine', () => ({ type: 'add', object: on({}) }), ['c1']],
    ['provisioned', () => ({ type: 'update', previous: on({ provisioned: false }), object: on({}) }), ['c1']],
    ['addresses', () => ({ type: 'update', previous: on({ addresses: false }), object: on({}) }), ['c1']],
    [
      'finalizers',
      () => ({ type: 'update', previous: on({}), object: on({ metadata: { finalizers: ['x'] } }) }),
      [],
    ],
    ['gone', () => ({ type: 'delete', object: on({}) }), []],
    [
      'another backend',
      () => ({ type: 'add', object: on({ spec: { inMemory: {}, host: undefined as never } }) }),
      [],
    ],
  ])('%s', (_name, event, names) => expect(woken(event())).toEqual(names));
});
