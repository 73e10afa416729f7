// SPDX-License-Identifier: Apache-2.0
// The machine that runs kubeadm init: the lock, the certificates, and that it happens once.
import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigMapKind, KubeadmConfigKind, MachineKind, SecretKind } from '../../api/kinds.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';

let world: BootstrapWorld;
beforeEach(() => {
  world = new BootstrapWorld();
  world.machine('cp1', { controlPlane: true });
});

const ready = (name = 'cp1') => world.condition(name, 'Ready');
const available = (name = 'cp1') => world.condition(name, 'DataSecretAvailable');
const controlPlaneRef = {
  apiGroup: 'controlplane.cluster.x-k8s.io',
  kind: 'KubeadmControlPlane',
  name: 'cp',
};
const crash = () => {
  throw new TransientError('the process was killed');
};

describe('the first control plane machine', () => {
  it('takes the lock, makes the certificates, publishes its data', async () => {
    expect(await world.reconcile('cp1')).toEqual({ kind: 'done' });
    const writes = world.requests.filter((request) => !request.startsWith('get'));
    const certificates = ['c1-ca', 'c1-etcd', 'c1-proxy', 'c1-sa'].map((name) => `create Secret ${name}`);
    expect(writes.filter((write) => !certificates.includes(write))).toEqual([
      'create ConfigMap c1-lock',
      'patch KubeadmConfig cp1',
      'create Secret cp1',
      'patch_status KubeadmConfig cp1',
    ]);
    expect(writes.slice(1, 5).sort()).toEqual(certificates);
    expect(world.data('cp1')).toContain('kubeadm init --config');
    expect(world.data('cp1')).toContain('/etc/kubernetes/pki/etcd/ca.key');
    expect(ready()).toMatchObject({ status: 'True', reason: 'Ready' });
  });

  it('KB-9: the lock names the Machine, belongs to the Cluster, and stays after success', async () => {
    await world.reconcile('cp1');
    expect(world.lock()).toMatchObject({
      metadata: {
        labels: { 'cluster.x-k8s.io/cluster-name': 'c1' },
        ownerReferences: [
          { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Cluster', name: 'c1', uid: 'uid-c1' },
        ],
      },
      data: { 'lock-information': '{"machineName":"cp1"}' },
    });
    expect(world.lock()?.metadata.ownerReferences?.[0]).not.toHaveProperty('controller');
  });

  it('6.3.3: records the endpoint as it was used, and keeps one that is there', async () => {
    await world.reconcile('cp1');
    expect(world.read('cp1')?.spec?.clusterConfiguration?.controlPlaneEndpoint).toBe('api.example.org:6443');
    const other = new BootstrapWorld();
    const clusterConfiguration = { controlPlaneEndpoint: 'other:443' };
    other.machine('cp1', { controlPlane: true, spec: { clusterConfiguration } });
    await other.reconcile('cp1');
    expect(other.data('cp1')).toContain('other:443');
    expect(other.requests).not.toContain('patch KubeadmConfig cp1');
  });

  it('KB-30: what it made is its own, labelled, and of the type that says so', async () => {
    await world.reconcile('cp1');
    expect(world.dataSecret('c1-ca')).toMatchObject({
      type: 'cluster.x-k8s.io/secret',
      metadata: {
        labels: { 'cluster.x-k8s.io/cluster-name': 'c1' },
        ownerReferences: [{ kind: 'KubeadmConfig', name: 'cp1', controller: true }],
      },
    });
    expect(world.keysAsked).toEqual(['RSA-2048', 'RSA-2048', 'RSA-2048', 'RSA-2048']);
  });

  it('makes keys as clusterConfiguration.encryptionAlgorithm says', async () => {
    const clusterConfiguration = { encryptionAlgorithm: 'ECDSA-P384' as const };
    world.machine('cp1', { controlPlane: true, spec: { clusterConfiguration } });
    await world.reconcile('cp1');
    expect(new Set(world.keysAsked)).toEqual(new Set(['ECDSA-P384']));
  });

  it('uses certificates that are there and makes only what is missing', async () => {
    const ca = await world.certificate('ca');
    await world.reconcile('cp1');
    expect(world.keysAsked).toHaveLength(3);
    expect(world.data('cp1')).toContain(ca.certificate.split('\n')[1]);
    expect(world.dataSecret('c1-ca')?.metadata.ownerReferences).toBeUndefined();
  });

  it('PIT-30: with a control plane provider it makes none', async () => {
    world.cluster({ spec: { controlPlaneRef } });
    for (const purpose of ['ca', 'etcd', 'proxy', 'sa']) await world.certificate(purpose);
    await world.reconcile('cp1');
    expect(world.keysAsked).toEqual([]);
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('certificates of an external etcd are waited for, without the lock', async () => {
    const external = {
      endpoints: ['https://etcd:2379'],
      caFile: '/ca',
      certFile: '/crt',
      keyFile: '/key',
    };
    world.machine('cp1', { controlPlane: true, spec: { clusterConfiguration: { etcd: { external } } } });
    expect(await world.reconcile('cp1')).toMatchObject({ kind: 'wait', ms: 30_000 });
    expect(world.condition('cp1', 'CertificatesAvailable')).toMatchObject({
      status: 'Unknown',
      reason: 'InternalError',
      message:
        'waiting for Secret ns/c1-etcd (key tls.crt): create it, spec.clusterConfiguration.etcd.external needs it',
    });
    expect(world.lock()).toBeUndefined();
    expect(world.keysAsked).toEqual([]);
  });

  it('called again: nothing to do, nobody asked', async () => {
    await world.reconcile('cp1');
    world.forget();
    expect(await world.reconcile('cp1')).toEqual({ kind: 'done' });
    expect(world.requests).toEqual([]);
  });
});

describe('killed at any line: the same certificates, the same data, the same lock', () => {
  it.each([
    ['the lock', 'ConfigMap', 'c1-lock', 'create'],
    ['a certificate', 'Secret', 'c1-etcd', 'create'],
    ['the spec', 'KubeadmConfig', 'cp1', 'patch'],
    ['the data', 'Secret', 'cp1', 'create'],
    ['the status', 'KubeadmConfig', 'cp1', 'patch_status'],
  ])('after writing %s', async (_what, kind, name, verb) => {
    // A killed process gives up no lock either: every write after the crash is lost as well.
    let dead = false;
    world.api.beforeWrite = () => (dead ? crash() : undefined);
    world.api.afterWrite = (write) => {
      if (write.kind !== kind || write.key !== `ns/${name}` || write.verb !== verb) return;
      dead = true;
      crash();
    };
    await expect(world.reconcile('cp1')).rejects.toThrow();
    world.api.beforeWrite = () => {};
    world.api.afterWrite = () => {};
    world.restart();
    world.forget();
    expect(world.lock()?.data?.['lock-information']).toContain('cp1');
    const [data, etcd] = [world.data('cp1'), world.dataSecret('c1-etcd')?.data];
    await world.reconcile('cp1');
    if (data !== '') expect(world.data('cp1')).toBe(data);
    if (etcd !== undefined) expect(world.dataSecret('c1-etcd')?.data).toEqual(etcd);
    expect(ready()).toMatchObject({ status: 'True' });
    expect(world.requests.filter((request) => request === 'delete ConfigMap c1-lock')).toEqual([]);
  });

  it('a certificate that another process made first is used', async () => {
    let theirs: string | undefined;
    world.api.beforeWrite = ({ kind, verb, key }) => {
      if (kind !== 'ConfigMap' || verb !== 'create' || key !== 'ns/c1-lock') return;
      world.api.beforeWrite = () => {};
      world.api.put({ ...foreign.dataSecret('c1-ca')!, metadata: { namespace: 'ns', name: 'c1-ca' } });
      theirs = Buffer.from(foreign.dataSecret('c1-ca')!.data!['tls.crt']!, 'base64').toString();
    };
    const foreign = new BootstrapWorld();
    await foreign.certificate('ca');
    await world.reconcile('cp1');
    expect(theirs).toContain('BEGIN CERTIFICATE');
    expect(world.data('cp1')).toContain(theirs!.split('\n')[1]);
    expect(ready()).toMatchObject({ status: 'True' });
  });
});

describe('the init lock (KB-9, PIT-14)', () => {
  beforeEach(() => void world.machine('cp2', { controlPlane: true }));

  it('one of two racing machines gets it; the other says who holds it', async () => {
    world.watchesAreBehind = true;
    await Promise.all(['cp1', 'cp2'].map((name) => world.reconcile(name)));
    const withData = ['cp1', 'cp2'].filter((name) => world.dataSecret(name) !== undefined);
    expect(withData).toHaveLength(1);
    const loser = withData[0] === 'cp1' ? 'cp2' : 'cp1';
    expect(available(loser)).toMatchObject({
      status: 'False',
      reason: 'NotAvailable',
      message: `waiting for the control plane of Cluster ns/c1 to be initialized: Machine ns/${withData[0]} holds the init lock`,
    });
  });

  it('who waits looks again in 30 s, and writes nothing when nothing has changed', async () => {
    await world.reconcile('cp1');
    expect(await world.reconcile('cp2')).toMatchObject({ kind: 'wait', ms: 30_000 });
    world.forget();
    await world.reconcile('cp2');
    expect(world.requests.filter((request) => !request.startsWith('get'))).toEqual([]);
  });

  it('who finds the lock free after the cluster was initialized does not init a second one', async () => {
    // Our watch on Clusters is behind: this pass began with the Cluster as it was.
    world.api.beforeWrite = ({ kind, verb }) => {
      if (kind === 'ConfigMap' && verb === 'create') world.cluster({ controlPlaneInitialized: true });
    };
    expect(await world.reconcile('cp1')).toMatchObject({ kind: 'wait', ms: 1_000 });
    expect(available('cp1')?.message).toBe(
      'Cluster ns/c1 has been initialized meanwhile: this machine will join it',
    );
    expect(world.dataSecret('cp1')).toBeUndefined();
    expect(world.lock()).toBeUndefined();
    expect(world.keysAsked).toEqual([]);
  });

  it('the lock of a Machine that is gone is taken from it', async () => {
    await world.reconcile('cp1');
    world.remove(MachineKind, 'cp1');
    world.remove(KubeadmConfigKind, 'cp1');
    await world.reconcile('cp2');
    expect(world.lock()?.data).toEqual({ 'lock-information': '{"machineName":"cp2"}' });
    expect(ready('cp2')).toMatchObject({ status: 'True' });
  });

  it('the lock of a Machine that is only being deleted is not', async () => {
    await world.reconcile('cp1');
    const machine = world.api.read(MachineKind, { namespace: 'ns', name: 'cp1' })!;
    world.api.put({
      ...machine,
      metadata: { ...machine.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    });
    await world.reconcile('cp2');
    expect(world.dataSecret('cp2')).toBeUndefined();
  });

  it('is given up when the data cannot be made', async () => {
    const template = { path: '/v', content: '{{ exec "x" }}', contentFormat: 'Template' } as const;
    world.machine('cp1', { controlPlane: true, spec: { files: [template] } });
    await expect(world.reconcile('cp1')).rejects.toThrow(TerminalError);
    expect(world.lock()).toBeUndefined();
    await world.reconcile('cp2');
    expect(ready('cp2')).toMatchObject({ status: 'True' });
  });

  it('is not given up when the data may have been stored', async () => {
    world.api.afterWrite = ({ kind, key }) => {
      if (kind === 'Secret' && key === 'ns/cp1') throw new TransientError('no answer');
    };
    await expect(world.reconcile('cp1')).rejects.toThrow(/no answer/);
    world.api.afterWrite = () => {};
    expect(world.lock()).toBeDefined();
    await world.reconcile('cp2');
    expect(world.dataSecret('cp2')).toBeUndefined();
    await world.reconcile('cp1');
    expect(ready('cp1')).toMatchObject({ status: 'True' });
  });

  it('is not given up when the data were stored in an earlier pass and the spec is bad now', async () => {
    world.api.beforeWrite = ({ verb }) => (verb === 'patch_status' ? crash() : undefined);
    await expect(world.reconcile('cp1')).rejects.toThrow(/killed/);
    world.api.beforeWrite = () => {};
    const config = world.read('cp1')!;
    const template = { path: '/v', content: '{{ exec "x" }}', contentFormat: 'Template' } as const;
    world.api.put({ ...config, spec: { ...config.spec, files: [template] } });
    await expect(world.reconcile('cp1')).rejects.toThrow(TerminalError);
    expect(world.lock()).toBeDefined();
  });

  it('one that names nobody is left to a person', async () => {
    const metadata = { namespace: 'ns', name: 'c1-lock', labels: { 'cluster.x-k8s.io/cluster-name': 'c1' } };
    world.api.put({
      apiVersion: 'v1',
      kind: ConfigMapKind.kind,
      metadata,
      data: { 'lock-information': '{' },
    });
    await world.reconcile('cp1');
    expect(available()?.message).toMatch(/ConfigMap ns\/c1-lock, does not name its Machine.*: delete it$/);
  });

  it('is removed once, by the first pass that sees the control plane initialized', async () => {
    await world.reconcile('cp1');
    world.cluster({ controlPlaneInitialized: true });
    world.machine('w1');
    world.machine('w2');
    await Promise.all(['w1', 'w2', 'cp1'].map((name) => world.reconcile(name)));
    expect(world.lock()).toBeUndefined();
    expect(world.requests.filter((request) => request === 'delete ConfigMap c1-lock')).toHaveLength(1);
  });
});

describe('who waits for the first machine', () => {
  it.each(['Machine', 'MachinePool'])('a worker %s is woken by the Cluster, not by a timer', async (kind) => {
    world.cluster({ spec: { controlPlaneRef } });
    if (kind === 'Machine') world.machine('w1');
    else world.pool('w1');
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(available('w1')).toMatchObject({
      status: 'False',
      reason: 'NotAvailable',
      message:
        'waiting for the control plane of Cluster ns/c1 to be initialized (see KubeadmControlPlane ns/cp)',
    });
    expect(ready('w1')?.message).toBe(
      `* DataSecretAvailable: ${available('w1')?.message}\n* CertificatesAvailable: Condition not yet reported`,
    );
    expect(world.condition('w1', 'CertificatesAvailable')).toBeUndefined();
    world.forget();
    await world.reconcile('w1');
    expect(world.requests).toEqual([]);
  });
});

describe('the data of an init', () => {
  it('are never made twice: deleted by hand, they are missed', async () => {
    await world.reconcile('cp1');
    world.cluster({ controlPlaneInitialized: true });
    world.remove(SecretKind, 'cp1');
    expect(await world.reconcile('cp1')).toMatchObject({ kind: 'wait', ms: 30_000 });
    expect(available()).toMatchObject({
      status: 'False',
      message: expect.stringMatching(
        /^Secret ns\/cp1 with the bootstrap data was deleted, and data of a kubeadm init are never made twice: restore it, or delete Machine ns\/cp1/,
      ) as string,
    });
    expect(world.events.map(({ reason }) => reason)).toEqual(['DataSecretLost']);
    await world.reconcile('cp1');
    expect(world.events).toHaveLength(1);
    expect(world.dataSecret('cp1')).toBeUndefined();
  });
});
