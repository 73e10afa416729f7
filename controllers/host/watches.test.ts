// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, TSClusterKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import {
  CLEAN_ANNOTATION,
  FORCE_RELEASE_ANNOTATION,
  PAUSED_ANNOTATION,
  TSHOST_FINALIZER,
} from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { HostWorld } from '../../test/host-world.ts';
import { hostWatches } from './watches.ts';

let world: HostWorld;
let watches: readonly WatchMapping[];
beforeEach(() => {
  world = new HostWorld();
  watches = hostWatches(world.cache());
  world.addHost('h1', { status: { state: 'Provisioned' } });
  world.addHost('h2');
  world.addHost('lb1');
  world.addMachine('m1', { controlPlane: true });
  world.claim('h1', 'm1');
  world.claimForBalancer('lb1');
});

function tell(kind: string, event: InformerEvent<KubeObject>): string[] {
  const watch = watches.find((one) => one.kind.kind === kind)!;
  return [...new Set(watch.map(event).map(({ name }) => name))].toSorted();
}

/** Whom a change of one object wakes. */
function woken<T extends KubeObject>(object: T, change: (copy: T) => void): string[] {
  const after = structuredClone(object);
  change(after);
  return tell(object.kind, { type: 'update', previous: object, object: after });
}

describe('its own object', () => {
  it.each<[string, (host: TSHost) => unknown, string[]]>([
    ['status', (host) => (host.status = { ...host.status, bootID: 'b' }), []],
    ['conditions', (host) => (host.status = { ...host.status, conditions: [] }), []],
    ['the claim, when we free the host', (host) => (host.spec.claim = { generation: 1 }), ['lb1']],
    ['our finalizer on a host that we free', (host) => free(host), ['lb1']],
    ['annotations that we have answered', (host) => delete host.metadata.annotations, []],
    ['a claim', (host) => (host.spec.claim = { ...host.spec.claim!, generation: 2 }), ['h1', 'lb1']],
    ['a claim that is given back', (host) => (host.spec.claim!.releasing = true), ['h1', 'lb1']],
    ['maintenance', (host) => (host.spec.maintenance = true), ['h1']],
    ['the address', (host) => (host.spec.ssh.address = 'other'), ['h1', 'lb1']],
    ['pinned host keys', (host) => (host.spec.ssh.hostKeys = ['ssh-rsa AAAAother']), ['h1']],
    ['pause', (host) => (host.metadata.annotations![PAUSED_ANNOTATION] = ''), ['h1']],
    [
      'another value of an annotation',
      (host) => (host.metadata.annotations![CLEAN_ANNOTATION] = '2'),
      ['h1'],
    ],
    ['labels', (host) => (host.metadata.labels = { pool: 'a' }), ['h1']],
    ['deletion', (host) => (host.metadata.deletionTimestamp = 'now'), ['h1', 'lb1']],
    ['its uid: a namesake', (host) => (host.metadata.uid = 'other'), ['h1']],
    ['the status, when somebody wipes it', (host) => delete host.status, ['h1', 'lb1']],
    ['our finalizer, when somebody takes it', (host) => delete host.metadata.finalizers, ['h1']],
    ['the state: the balancer looks at its members', (host) => (host.status!.state = 'Releasing'), ['lb1']],
  ])('a change of %s', (_what, change, expected) => {
    const annotations = { [CLEAN_ANNOTATION]: '1', [FORCE_RELEASE_ANNOTATION]: 'x' };
    world.editHost('h1', ({ metadata }) => (metadata.annotations = annotations));
    expect(woken(world.host('h1')!, change)).toEqual(expected);
  });

  it('a host key that we have pinned on first use wakes nobody; one that a person adds does', () => {
    const first = structuredClone(world.host('h2')!);
    first.spec.ssh.hostKeyPolicy = 'TrustOnFirstUse';
    delete first.spec.ssh.hostKeys;
    expect(woken(first, ({ spec }) => (spec.ssh.hostKeys = ['ssh-rsa AAAAseen']))).toEqual([]);
    expect(woken({ ...first, spec: world.host('h2')!.spec }, ({ spec }) => (spec.ssh.hostKeys = []))).toEqual(
      ['h2'],
    );
  });

  it.each(['add', 'delete'] as const)('%s', (type) => {
    expect(tell('TSHost', { type, object: world.host('h2')! })).toEqual(['h2']);
    expect(tell('TSHost', { type, object: world.host('h1')! })).toEqual(['h1', 'lb1']);
  });
});

function free(host: TSHost): void {
  host.spec.claim = { generation: 1 };
  delete host.metadata.finalizers;
}

describe('a TSMachine', () => {
  it('that names a host, appears, goes or changes its mind: that host, the one that is claimed for it, and the balancer', () => {
    const machine = world.machine('m1')!;
    expect(woken(machine, ({ spec }) => (spec.providerID = 'tshost://ns/h2/00000000'))).toEqual([
      'h1',
      'h2',
      'lb1',
    ]);
    expect(woken(machine, ({ metadata }) => (metadata.deletionTimestamp = 'now'))).toEqual(['h1', 'lb1']);
    expect(woken(machine, ({ metadata }) => (metadata.annotations = { [PAUSED_ANNOTATION]: '' }))).toEqual([
      ...['h1', 'lb1'],
    ]);
    for (const type of ['add', 'delete'] as const)
      expect(tell('TSMachine', { type, object: machine })).toEqual(['h1', 'lb1']);
  });

  it('of a worker leaves the balancer alone', () => {
    world.addMachine('m2');
    world.claim('h2', 'm2');
    expect(tell('TSMachine', { type: 'add', object: world.machine('m2')! })).toEqual(['h2']);
  });

  it('whose status or conditions change wakes nobody', () => {
    expect(woken(world.machine('m1')!, (machine) => (machine.status = { conditions: [] }))).toEqual([]);
  });

  it('of another backend wakes nobody', () => {
    const other = structuredClone(world.machine('m1')!);
    other.metadata.name = 'm9';
    other.spec = { inMemory: {}, providerID: 'tsinmemory://abc' };
    other.metadata.labels = {};
    expect(tell('TSMachine', { type: 'add', object: other })).toEqual([]);
  });
});

describe('a Cluster', () => {
  it.each([
    ['paused', { spec: { paused: true } }, ['h1', 'lb1']],
    ['being deleted', { metadata: { namespace: 'ns', name: 'c1', deletionTimestamp: 'now' } }, ['h1', 'lb1']],
    ['with another status', { status: { conditions: [] } }, []],
  ])('%s', (_what, change, expected) => {
    const cluster = world.api.read(ClusterKind, world.c1)!;
    expect(woken(cluster, (copy) => Object.assign(copy, change))).toEqual(expected);
  });
});

describe('a TSCluster', () => {
  it('with another endpoint wakes its balancer, with another status nobody', () => {
    const cluster = world.api.read(TSClusterKind, world.c1)!;
    expect(woken(cluster, ({ spec }) => (spec.controlPlaneEndpoint = { port: 7443 }))).toEqual(['lb1']);
    expect(woken(cluster, (copy) => (copy.status = { conditions: [] }))).toEqual([]);
  });
});

it('kinds: its own comes first', () => {
  expect(watches.map(({ kind }) => kind.kind)).toEqual([
    ...[TSHostKind.kind, TSMachineKind.kind, ClusterKind.kind, TSClusterKind.kind],
  ]);
  expect(world.host('h1')?.metadata.finalizers).toEqual([TSHOST_FINALIZER]);
});

describe('hosts that share an address', () => {
  beforeEach(() => {
    world.tsCluster({
      controlPlaneLoadBalancer: { type: 'VirtualIP' },
      controlPlaneEndpoint: { host: '10.0.0.100' },
    });
    world.addMachine('m2', { controlPlane: true });
    world.claim('h2', 'm2');
    world.addHost('h3', { status: { state: 'Provisioned' } });
    world.addMachine('worker');
    world.claim('h3', 'worker');
    world.editHost('lb1', ({ spec }) => (spec.claim = { generation: 1 }));
  });

  it.each<[string, (host: TSHost) => unknown, string[]]>([
    ['whom it knows', (host) => (host.status!.virtualIP = known('10.0.0.2')), ['h2']],
    ['its address', (host) => (host.spec.ssh.address = 'other'), ['h1', 'h2']],
    ['its state', (host) => (host.status!.state = 'Releasing'), ['h2']],
    ['its claim, when we free it', (host) => (host.spec.claim = { generation: 1 }), ['h2']],
    ['a boot, which is nothing to the others', (host) => (host.status!.bootID = 'other'), []],
  ])('hear of each other: %s', (_what, change, expected) => {
    expect(woken(world.host('h1')!, change)).toEqual(expected);
  });

  it('hear of a machine that names its host, and of their cluster', () => {
    expect(woken(world.machine('m2')!, ({ spec }) => delete spec.providerID)).toEqual(['h1', 'h2']);
    const tsCluster = world.api.read(TSClusterKind, world.c1)!;
    const change = { type: 'VirtualIP' as const, virtualIP: { routerID: 7 } };
    expect(woken(tsCluster, ({ spec }) => (spec.controlPlaneLoadBalancer = change))).toEqual(['h1', 'h2']);
  });

  it('hear nothing of workers', () => {
    expect(woken(world.host('h3')!, ({ status }) => (status!.state = 'Releasing'))).toEqual([]);
  });
});

function known(peer: string) {
  return { address: '10.0.0.100', peers: [peer], configHash: 'x' };
}
