// SPDX-License-Identifier: Apache-2.0
// Who is woken by what: too few leaves a machine without data, too many makes a wave of machines pay for each other.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Cluster, Machine, MachinePool, Secret } from '../../api/cluster-api.ts';
import { ClusterKind, KubeadmConfigKind, MachineKind, MachinePoolKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfig, KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';
import { bootstrapWatches } from './watches.ts';

let world: BootstrapWorld;
beforeEach(() => {
  world = new BootstrapWorld();
  world.machine('waiting');
  world.machine('published');
  world.api.put({
    ...world.read('published')!,
    status: { initialization: { dataSecretCreated: true }, dataSecretName: 'published' },
  });
});

function woken<T extends KubeObject>(kind: Kind<T>, event: InformerEvent<T>): string[] {
  const watch = bootstrapWatches(world.cache()).find((one) => one.kind.kind === kind.kind);
  return watch!
    .map(event)
    .map(({ name }) => name)
    .sort();
}

function update<T extends KubeObject>(kind: Kind<T>, previous: T, object: T): string[] {
  return woken(kind, { type: 'update', previous, object });
}

describe('a KubeadmConfig', () => {
  const config = () => world.read('waiting')!;
  const withSpec = (spec: KubeadmConfigSpec): KubeadmConfig => ({ ...config(), spec });
  const discovery = {
    bootstrapToken: {
      token: 'abcdef.0123456789abcdef',
      apiServerEndpoint: 'a:1',
      caCertHashes: ['sha256:1'],
    },
  };

  it.each([
    ['what a worker join fills in', {}, { joinConfiguration: { discovery } }],
    ['what a control plane join fills in', {}, { joinConfiguration: { discovery, controlPlane: {} } }],
    [
      'what a join fills in beside what is there',
      { files: [{ path: '/a', content: 'a' }], joinConfiguration: { nodeRegistration: { name: 'n' } } },
      {
        files: [{ path: '/a', content: 'a' }],
        joinConfiguration: { nodeRegistration: { name: 'n' }, discovery },
      },
    ],
    ['the endpoint of an init', {}, { clusterConfiguration: { controlPlaneEndpoint: 'a:1' } }],
  ])('is not woken by our own write: %s', (_what, before, after) => {
    expect(update(KubeadmConfigKind, withSpec(before), withSpec(after))).toEqual([]);
  });

  it.each<[string, KubeadmConfigSpec, KubeadmConfigSpec]>([
    ['a file', { files: [{ path: '/a', content: 'a' }] }, { files: [{ path: '/a', content: 'b' }] }],
    ['a new field', {}, { verbosity: 5 }],
    ['a field that is gone', { verbosity: 5 }, {}],
    [
      'a token that was bad',
      { joinConfiguration: { discovery: { bootstrapToken: { token: 'bad' } } } },
      { joinConfiguration: { discovery } },
    ],
  ])('is woken by a person who mends it: %s', (_what, before, after) => {
    expect(update(KubeadmConfigKind, withSpec(before), withSpec(after))).toEqual(['waiting']);
  });

  it('is woken by its owner, by pause, by a status that was dropped; not by a status', () => {
    const owned = { ...config(), metadata: { ...config().metadata, ownerReferences: [] } };
    expect(update(KubeadmConfigKind, owned, config())).toEqual(['waiting']);
    const annotations = { 'cluster.x-k8s.io/paused': '' };
    const paused = { ...config(), metadata: { ...config().metadata, annotations } };
    expect(update(KubeadmConfigKind, paused, config())).toEqual(['waiting']);
    const published = world.read('published')!;
    expect(update(KubeadmConfigKind, published, { ...published, status: {} })).toEqual(['published']);
    expect(update(KubeadmConfigKind, { ...published, status: {} }, published)).toEqual([]);
  });

  it('BC-11: is not woken by its spec once its data are published', () => {
    const published = world.read('published')!;
    expect(update(KubeadmConfigKind, published, { ...published, spec: { verbosity: 9 } })).toEqual([]);
  });
});

describe('a Machine', () => {
  const machine = (name: string) => world.api.read(MachineKind, { namespace: 'ns', name })!;

  it('that comes wakes its config; its status and what core copies from us wake nobody', () => {
    expect(woken(MachineKind, { type: 'add', object: machine('waiting') })).toEqual(['waiting']);
    const copied: Machine = structuredClone(machine('waiting'));
    copied.spec.bootstrap!.dataSecretName = 'waiting';
    copied.status = { nodeRef: { name: 'n' } };
    expect(update(MachineKind, machine('waiting'), copied)).toEqual([]);
  });

  it('with another version wakes its config', () => {
    const other: Machine = structuredClone(machine('waiting'));
    other.spec.version = 'v1.37.0';
    expect(update(MachineKind, machine('waiting'), other)).toEqual(['waiting']);
  });

  it('of the control plane that goes wakes who may wait for its init lock', () => {
    expect(woken(MachineKind, { type: 'delete', object: machine('published') })).toEqual([]);
    world.machine('cp1', { controlPlane: true });
    world.remove(KubeadmConfigKind, 'cp1');
    expect(woken(MachineKind, { type: 'delete', object: machine('cp1') })).toEqual(['waiting']);
  });

  it('of another bootstrap provider wakes nobody', () => {
    const other: Machine = structuredClone(machine('waiting'));
    other.spec.bootstrap!.configRef!.kind = 'TalosConfig';
    expect(woken(MachineKind, { type: 'add', object: other })).toEqual([]);
  });
});

it('a MachinePool that comes wakes its config', () => {
  world.pool('p1');
  const pool: MachinePool = world.api.read(MachinePoolKind, { namespace: 'ns', name: 'p1' })!;
  expect(woken(MachinePoolKind, { type: 'add', object: pool })).toEqual(['p1']);
  expect(update(MachinePoolKind, pool, { ...pool, status: {} })).toEqual([]);
});

describe('a Cluster', () => {
  const before = (): Cluster => world.api.read(ClusterKind, world.c1)!;
  const changed = (change: Partial<Cluster>): Cluster => ({ ...before(), ...change });

  it.each<[string, (cluster: Cluster) => Cluster, string[]]>([
    [
      'its infrastructure comes',
      (cluster) => ({ ...cluster, status: { ...cluster.status, initialization: {} } }),
      ['waiting'],
    ],
    [
      'its endpoint comes',
      (cluster) => ({ ...cluster, spec: { ...cluster.spec, controlPlaneEndpoint: {} } }),
      ['waiting'],
    ],
    [
      'it is unpaused',
      (cluster) => ({ ...cluster, spec: { ...cluster.spec, paused: true } }),
      ['published', 'waiting'],
    ],
  ])('%s', (_what, was, want) => {
    expect(update(ClusterKind, was(before()), before())).toEqual(want);
  });

  it('its control plane comes: everybody, since somebody has to remove the lock', () => {
    const previous = before();
    world.cluster({ controlPlaneInitialized: true });
    expect(update(ClusterKind, previous, before())).toEqual(['published', 'waiting']);
  });

  it('another condition of it wakes nobody', () => {
    const conditions = [...(before().status?.conditions ?? [])].map((one) => ({ ...one, message: 'other' }));
    const after = changed({ status: { ...before().status, conditions } });
    expect(update(ClusterKind, before(), after)).toEqual([]);
  });
});

describe('a Secret of the cluster', () => {
  const labels = { 'cluster.x-k8s.io/cluster-name': 'c1' };
  const secret = (name: string, metadata: Partial<Secret['metadata']> = {}): Secret => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: 'ns', name, labels, resourceVersion: '7', ...metadata },
  });
  const ours = {
    apiVersion: 'bootstrap.cluster.x-k8s.io/v1beta2',
    kind: 'KubeadmConfig',
    name: 'published',
    uid: 'u',
    controller: true,
  };

  it.each(['c1-ca', 'c1-etcd', 'c1-proxy', 'c1-sa', 'c1-apiserver-etcd-client', 'c1-kubeconfig'])(
    '%s wakes who waits',
    (name) => {
      expect(woken(SecretKind, { type: 'add', object: secret(name) })).toEqual(['waiting']);
      expect(update(SecretKind, secret(name), secret(name, { resourceVersion: '8' }))).toEqual(['waiting']);
    },
  );

  it('of another name wakes only the config whose spec names it', () => {
    expect(woken(SecretKind, { type: 'add', object: secret('extra') })).toEqual([]);
    const contentFrom = { secret: { name: 'extra', key: 'k' } };
    world.api.put({ ...world.read('waiting')!, spec: { files: [{ path: '/a', contentFrom }] } });
    expect(woken(SecretKind, { type: 'add', object: secret('extra') })).toEqual(['waiting']);
  });

  it('with data wakes its config when it goes or is taken from it, not when we make it', () => {
    const data = secret('published', { ownerReferences: [ours] });
    expect(woken(SecretKind, { type: 'add', object: data })).toEqual([]);
    expect(
      update(SecretKind, data, { ...data, metadata: { ...data.metadata, resourceVersion: '8' } }),
    ).toEqual([]);
    expect(update(SecretKind, data, secret('published'))).toEqual(['published']);
    expect(woken(SecretKind, { type: 'delete', object: data })).toEqual(['published']);
  });

  it("somebody else's that goes, or changes, where the data are to be wakes who waits to make them", () => {
    const theirs = secret('waiting');
    expect(woken(SecretKind, { type: 'delete', object: theirs })).toEqual(['waiting']);
    expect(update(SecretKind, theirs, secret('waiting', { resourceVersion: '8' }))).toEqual(['waiting']);
    expect(woken(SecretKind, { type: 'delete', object: secret('c1-other') })).toEqual([]);
  });

  it('a CA that an init of ours makes wakes nobody: all who need it wait for the control plane', () => {
    expect(woken(SecretKind, { type: 'add', object: secret('c1-ca', { ownerReferences: [ours] }) })).toEqual(
      [],
    );
  });
});
