// SPDX-License-Identifier: Apache-2.0
// Machines that join, pass by pass: what is asked of whom, in which order, and what a crash at any line leaves behind.
import { beforeEach, describe, expect, it } from 'vitest';
import { SecretKind } from '../../api/kinds.ts';
import { ApiError, TerminalError, TransientError } from '../../runtime/errors.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';

let world: BootstrapWorld;
beforeEach(async () => {
  world = new BootstrapWorld();
  await world.controlPlane();
});

const ready = (name = 'w1') => world.condition(name, 'Ready');
const available = (name = 'w1') => world.condition(name, 'DataSecretAvailable');

describe('a worker whose cluster is ready', () => {
  it('takes three management requests and one workload request, besides what the cluster shares', async () => {
    world.machine('w0');
    await world.reconcile('w0');
    world.forget();
    world.machine('w1');
    expect(await world.reconcile('w1')).toEqual({
      kind: 'wait',
      ms: world.ttlMs / 3,
      reason: 'TokenRefresh',
    });
    const id = world.token('w1')!.slice(0, 6);
    expect(world.requests).toEqual([
      'patch KubeadmConfig w1',
      `workload create Secret bootstrap-token-${id}`,
      'create Secret w1',
      'patch_status KubeadmConfig w1',
    ]);
  });

  it('KB-10, KB-12: publishes the Secret and tells core', async () => {
    world.machine('w1');
    await world.reconcile('w1');
    const config = world.read('w1');
    expect(world.dataSecret('w1')).toMatchObject({
      type: 'cluster.x-k8s.io/secret',
      metadata: {
        labels: { 'cluster.x-k8s.io/cluster-name': 'c1' },
        ownerReferences: [
          {
            apiVersion: 'bootstrap.cluster.x-k8s.io/v1beta2',
            kind: 'KubeadmConfig',
            name: 'w1',
            uid: config?.metadata.uid,
            controller: true,
          },
        ],
      },
    });
    expect(world.dataSecret('w1')?.metadata.ownerReferences?.[0]).not.toHaveProperty('blockOwnerDeletion');
    expect(Object.keys(world.dataSecret('w1')?.data ?? {}).sort()).toEqual(['format', 'value']);
    expect(world.data('w1')).toContain('kubeadm join --config');
    expect(config?.status).toMatchObject({
      dataSecretName: 'w1',
      initialization: { dataSecretCreated: true },
      observedGeneration: config?.metadata.generation,
    });
    expect(config?.status?.conditions).toMatchObject([
      { type: 'Ready', status: 'True', reason: 'Ready', message: '' },
      { type: 'CertificatesAvailable', status: 'True', reason: 'Available' },
      { type: 'DataSecretAvailable', status: 'True', reason: 'Available' },
      { type: 'Paused', status: 'False', reason: 'NotPaused' },
    ]);
  });

  it('KB-18: records the whole discovery, and the data hold it', async () => {
    world.machine('w1');
    await world.reconcile('w1');
    const discovery = world.read('w1')?.spec?.joinConfiguration?.discovery?.bootstrapToken;
    expect(discovery).toEqual({
      token: expect.stringMatching(/^[a-z0-9]{6}\.[a-z0-9]{16}$/) as string,
      apiServerEndpoint: 'api.example.org:6443',
      caCertHashes: [expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string],
    });
    expect(world.data('w1')).toContain(discovery!.token!);
    expect(world.tokens()).toEqual([`bootstrap-token-${discovery!.token!.slice(0, 6)}`]);
  });

  it('6.5: gets the uninitialized taint in its data, not in its spec, and no certificate', async () => {
    world.machine('w1');
    await world.reconcile('w1');
    expect(world.data('w1')).toContain('node.cluster.x-k8s.io/uninitialized');
    expect(world.data('w1')).not.toContain('/etc/kubernetes/pki/ca.key');
    expect(JSON.stringify(world.read('w1')?.spec)).not.toContain('uninitialized');
  });

  it('called again: one look at the token, no write', async () => {
    world.machine('w1');
    await world.reconcile('w1');
    world.forget();
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(world.requests).toEqual([expect.stringMatching(/^workload get Secret bootstrap-token-/)]);
  });

  it('a thousand ask for the CA once', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `w${index}`);
    for (const name of names) world.machine(name);
    await Promise.all(names.map((name) => world.reconcile(name)));
    expect(world.requests.filter((request) => request.startsWith('get'))).toEqual(['get Secret c1-ca']);
    expect(new Set(world.tokens()).size).toBe(1000);
    expect(world.requests.length).toBe(4 * 1000 + 1);
  });

  it('a CA that is replaced is read again', async () => {
    world.machine('w0');
    await world.reconcile('w0');
    await world.certificate('ca');
    world.machine('w1');
    await world.reconcile('w1');
    const [before, after] = ['w0', 'w1'].map(
      (name) => world.read(name)?.spec?.joinConfiguration?.discovery?.bootstrapToken?.caCertHashes,
    );
    expect(after).not.toEqual(before);
  });

  it('discovery.file asks nothing of the workload cluster and has no token to keep', async () => {
    const discovery = { file: { kubeConfigPath: '/etc/discovery.conf' } };
    world.machine('w1', { spec: { joinConfiguration: { discovery } } });
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(world.token('w1')).toBeUndefined();
    expect(world.requests.filter((request) => request.startsWith('workload'))).toEqual([]);
    world.forget();
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(world.requests).toEqual([]);
  });

  it('a token that the user gave is made in the workload cluster', async () => {
    const bootstrapToken = { token: 'abcdef.0123456789abcdef' };
    world.machine('w1', { spec: { joinConfiguration: { discovery: { bootstrapToken } } } });
    await world.reconcile('w1');
    expect(world.token('w1')).toBe(bootstrapToken.token);
    expect(world.tokens()).toEqual(['bootstrap-token-abcdef']);
  });
});

describe('killed at any line: no second token, no second data, the same end', () => {
  const crash = () => {
    throw new TransientError('the process was killed');
  };

  it.each([
    ['the spec', 'KubeadmConfig', 'patch'],
    ['the data Secret', 'Secret', 'create'],
    ['the status', 'KubeadmConfig', 'patch_status'],
  ])('after writing %s', async (_what, kind, verb) => {
    world.machine('w1');
    world.api.afterWrite = (write) => {
      if (write.kind === kind && write.verb === verb) crash();
    };
    await expect(world.reconcile('w1')).rejects.toThrow();
    world.api.afterWrite = () => {};
    world.restart();
    const token = world.token('w1');
    const data = world.data('w1');
    await world.reconcile('w1');
    expect(world.token('w1')).toBe(token);
    expect(world.tokens()).toHaveLength(1);
    if (data !== '') expect(world.data('w1')).toBe(data);
    expect(world.data('w1')).toContain(token!);
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('after making the token', async () => {
    world.machine('w1');
    world.workload.afterWrite = crash;
    await expect(world.reconcile('w1')).rejects.toThrow(/killed/);
    world.workload.afterWrite = () => {};
    world.restart();
    const token = world.token('w1');
    await world.reconcile('w1');
    expect(world.token('w1')).toBe(token);
    expect(world.tokens()).toHaveLength(1);
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('and long after: the token that was left behind gets its whole life again', async () => {
    world.machine('w1');
    world.workload.afterWrite = crash;
    await expect(world.reconcile('w1')).rejects.toThrow(/killed/);
    world.workload.afterWrite = () => {};
    await world.clock.advance(world.ttlMs - 60_000);
    await world.reconcile('w1');
    const [secret] = world.tokenSecrets();
    const expiration = Buffer.from(secret!.data!['expiration']!, 'base64').toString();
    expect(Date.parse(expiration)).toBeGreaterThan(world.clock.now().getTime() + world.ttlMs - 2_000);
  });

  it('the same data that are there already are not written again', async () => {
    world.machine('w1');
    world.api.afterWrite = ({ kind, verb }) => {
      if (kind === 'Secret' && verb === 'create') crash();
    };
    await expect(world.reconcile('w1')).rejects.toThrow(/killed/);
    world.api.afterWrite = () => {};
    world.forget();
    await world.reconcile('w1');
    expect(world.requests.filter((request) => request.includes('Secret w1'))).toEqual([
      'create Secret w1',
      'get Secret w1',
    ]);
  });

  it('a conflict says nothing and starts anew', async () => {
    world.machine('w1');
    world.api.beforeWrite = ({ verb }) => {
      if (verb === 'patch') throw new ApiError(409, 'Conflict', 'the object has been modified');
    };
    await expect(world.reconcile('w1')).rejects.toThrow(/modified/);
    expect(world.read('w1')?.status).toBeUndefined();
    expect(world.tokens()).toEqual([]);
  });
});

describe('waits and errors name the other object', () => {
  it('no endpoint yet', async () => {
    world.cluster({ spec: { controlPlaneEndpoint: {} }, controlPlaneInitialized: true });
    world.machine('w1');
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: 10_000 });
    expect(available()).toMatchObject({
      status: 'False',
      reason: 'NotAvailable',
      message: 'waiting for Cluster ns/c1: it has no spec.controlPlaneEndpoint yet',
    });
    expect(world.condition('w1', 'CertificatesAvailable')).toMatchObject({ status: 'True' });
    expect(ready()).toMatchObject({
      status: 'False',
      reason: 'NotReady',
      message: '* DataSecretAvailable: waiting for Cluster ns/c1: it has no spec.controlPlaneEndpoint yet',
    });
  });

  it('no kubeconfig yet: nothing is recorded, and a second pass writes nothing', async () => {
    world.connect = () => Promise.resolve(undefined);
    world.machine('w1');
    await world.reconcile('w1');
    expect(available()?.message).toBe(
      'waiting for Secret ns/c1-kubeconfig: the control plane provider writes it',
    );
    expect(world.read('w1')?.spec).toEqual({});
    world.forget();
    await world.reconcile('w1');
    expect(world.requests).toEqual([]);
  });

  it('the workload cluster does not answer', async () => {
    world.machine('w1');
    world.workload.beforeWrite = () => {
      throw new TransientError('connect ECONNREFUSED 192.0.2.1:6443');
    };
    await expect(world.reconcile('w1')).rejects.toThrow(TransientError);
    expect(available()?.message).toBe(
      'the API server of cluster ns/c1 does not answer: connect ECONNREFUSED 192.0.2.1:6443',
    );
    expect(world.dataSecret('w1')).toBeUndefined();
    expect(world.read('w1')?.status?.observedGeneration).toBeUndefined();
  });

  it('the workload cluster refuses our credentials', async () => {
    world.machine('w1');
    world.workload.beforeWrite = () => {
      throw new ApiError(401, 'Unauthorized', 'Unauthorized');
    };
    await expect(world.reconcile('w1')).rejects.toThrow(TransientError);
    expect(available()?.message).toMatch(/refuses the credentials in Secret ns\/c1-kubeconfig: Unauthorized/);
  });

  it('a worker with joinConfiguration.controlPlane', async () => {
    world.machine('w1', { spec: { joinConfiguration: { controlPlane: {} } } });
    await expect(world.reconcile('w1')).rejects.toThrow(TerminalError);
    expect(available()?.message).toBe(
      'spec.joinConfiguration.controlPlane is set, and Machine ns/w1 is a worker: remove it',
    );
    expect(world.tokens()).toEqual([]);
  });

  it('a Machine without a version', async () => {
    world.machine('w1', { machine: { version: '' } });
    await expect(world.reconcile('w1')).rejects.toThrow(/Machine ns\/w1 has no spec.version/);
    expect(world.tokens()).toEqual([]);
  });

  it('what the API server says of an invalid spec is not repeated: it quotes the spec', async () => {
    world.machine('w1', { spec: { files: [{ path: '/x', content: 'canary-content' }] } });
    world.api.beforeWrite = ({ verb }) => {
      if (verb === 'patch')
        throw new ApiError(422, 'Invalid', 'spec.files[0]: Invalid value: "canary-content": no');
    };
    await expect(world.reconcile('w1')).rejects.toThrow(/The API server refuses the spec/);
    expect(JSON.stringify(world.read('w1')?.status)).not.toContain('canary');
  });
});

describe('files and users from Secrets (KB-20)', () => {
  const secret = { name: 'extra', key: 'k' };
  const files = [
    { path: '/a', content: 'a' },
    { path: '/b', contentFrom: { secret } },
  ];
  const base64 = (text: string) => Buffer.from(text).toString('base64');

  it('are in the data', async () => {
    world.secret('extra', {}, { k: base64('from-the-secret') });
    world.machine('w1', { spec: { files } });
    await world.reconcile('w1');
    expect(world.data('w1')).toContain('from-the-secret');
  });

  it('no Secret: says which, looks again, nothing is made', async () => {
    world.machine('w1', { spec: { files } });
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: 30_000 });
    expect(available()?.message).toMatch(
      /^Failed to prepare spec\.files: Secret ns\/extra \(spec\.files\[1\].*\) does not exist: create it with the key "k"$/,
    );
    expect(world.tokens()).toEqual([]);
    world.secret('extra', {}, { k: base64('x') });
    await world.clock.advance(30_000);
    await world.reconcile('w1');
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('no key: says which, and no other key or content', async () => {
    world.secret('extra', {}, { other: base64('canary') });
    world.machine('w1', { spec: { users: [{ name: 'u', passwdFrom: { secret } }] } });
    await world.reconcile('w1');
    expect(available()?.message).toMatch(
      /^Failed to prepare spec\.users: Secret ns\/extra has no key "k" \(spec\.users\[0\].*\): add it$/,
    );
    expect(JSON.stringify(world.read('w1'))).not.toContain('canary');
  });

  it('a template of the control plane version is rendered', async () => {
    world.api.put({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: 'kubeadmcontrolplanes.controlplane.cluster.x-k8s.io',
        labels: { 'cluster.x-k8s.io/v1beta2': 'v1beta1_v1beta2' },
      },
    });
    const controlPlane = {
      apiVersion: 'controlplane.cluster.x-k8s.io/v1beta2',
      kind: 'KubeadmControlPlane',
      metadata: { namespace: 'ns', name: 'cp' },
      spec: { version: '1.36.1' },
    };
    world.api.put(controlPlane);
    const controlPlaneRef = {
      apiGroup: 'controlplane.cluster.x-k8s.io',
      kind: 'KubeadmControlPlane',
      name: 'cp',
    };
    world.cluster({ spec: { controlPlaneRef }, controlPlaneInitialized: true });
    const template = {
      path: '/v',
      content: 'it is {{ .controlPlane.version }}',
      contentFormat: 'Template',
    } as const;
    world.machine('w1', { spec: { files: [template] } });
    await world.reconcile('w1');
    expect(world.data('w1')).toContain('it is v1.36.1');
  });

  it('a template that we cannot render is refused by name', async () => {
    const template = { path: '/v', content: '{{ exec "x" }}', contentFormat: 'Template' } as const;
    world.machine('w1', { spec: { files: [template] } });
    await expect(world.reconcile('w1')).rejects.toThrow(TerminalError);
    expect(available()?.message).toMatch(/^Failed to prepare spec\.files: spec\.files\[0\]\.content/);
    expect(world.tokens()).toEqual([]);
  });
});

describe('a control plane machine that joins (6.4)', () => {
  it('gets the certificates, joinConfiguration.controlPlane, and no taint of workers', async () => {
    world.machine('cp2', { controlPlane: true });
    expect(await world.reconcile('cp2')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(world.read('cp2')?.spec?.joinConfiguration?.controlPlane).toEqual({});
    for (const file of ['ca.key', 'etcd/ca.crt', 'front-proxy-ca.crt', 'sa.pub'])
      expect(world.data('cp2')).toContain(`/etc/kubernetes/pki/${file}`);
    expect(world.data('cp2')).not.toContain('uninitialized');
  });

  it('a certificate that is missing: Unknown, which Secret, who writes it', async () => {
    world.remove(SecretKind, 'c1-etcd');
    world.machine('cp2', { controlPlane: true });
    expect(await world.reconcile('cp2')).toMatchObject({ kind: 'wait', ms: 30_000 });
    const message = expect.stringMatching(
      /^waiting for Secret ns\/c1-etcd \(key tls\.crt\): the first control plane machine writes it/,
    ) as string;
    expect(world.condition('cp2', 'CertificatesAvailable')).toMatchObject({
      status: 'Unknown',
      reason: 'InternalError',
      message,
    });
    expect(available('cp2')).toMatchObject({ status: 'False', reason: 'NotAvailable', message });
    expect(world.tokens()).toEqual([]);
    await world.certificate('etcd');
    await world.reconcile('cp2');
    expect(ready('cp2')).toMatchObject({ status: 'True' });
  });

  it('a certificate that is malformed: Unknown, which Secret and key', async () => {
    world.secret('c1-ca', { labels: { 'cluster.x-k8s.io/cluster-name': 'c1' } }, { 'tls.key': 'Y2FuYXJ5' });
    world.machine('cp2', { controlPlane: true });
    await expect(world.reconcile('cp2')).rejects.toThrow(TerminalError);
    expect(world.condition('cp2', 'CertificatesAvailable')).toMatchObject({
      status: 'Unknown',
      reason: 'InternalError',
      message: expect.stringMatching(/c1-ca.*tls\.crt/) as string,
    });
    expect(JSON.stringify(world.read('cp2'))).not.toMatch(/canary|Y2FuYXJ5/);
  });

  it("a user's certificate that is malformed and without the label: looked at again, since nobody tells", async () => {
    world.secret('c1-ca', {}, { 'tls.key': 'Y2FuYXJ5' });
    world.machine('cp2', { controlPlane: true });
    await expect(world.reconcile('cp2')).rejects.toMatchObject({
      name: 'TransientError',
      retryAfterMs: 30_000,
    });
    const message = expect.stringMatching(/^Secret c1-ca data\["tls.crt"\]: is missing/) as string;
    expect(world.condition('cp2', 'CertificatesAvailable')).toMatchObject({ status: 'Unknown', message });
  });

  it('certificates that a user made without the label of the cluster are found', async () => {
    await world.certificate('ca', { labels: {} });
    world.machine('cp2', { controlPlane: true });
    await world.reconcile('cp2');
    expect(ready('cp2')).toMatchObject({ status: 'True' });
  });
});
