// SPDX-License-Identifier: Apache-2.0
// What is published stays true until the machine has joined: tokens that get old or lost, Secrets that are deleted, moves.
import { beforeEach, describe, expect, it } from 'vitest';
import { KubeadmConfigKind, SecretKind } from '../../api/kinds.ts';
import type { Secret } from '../../api/cluster-api.ts';
import { TransientError } from '../../runtime/errors.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';

let world: BootstrapWorld;
beforeEach(async () => {
  world = new BootstrapWorld();
  await world.controlPlane();
});

const ready = (name = 'w1') => world.condition(name, 'Ready');
const joined = { nodeRef: { name: 'node' } };
const crash = () => {
  throw new TransientError('the process was killed');
};

/** How long the token lives from now on, in milliseconds. */
function lifeOf(secret: Secret | undefined): number {
  const expiration = Buffer.from(secret?.data?.['expiration'] ?? '', 'base64').toString();
  return Date.parse(expiration) - world.clock.now().getTime();
}

/** The cluster has removed the tokens that have ended. */
function loseTokens(): void {
  for (const name of world.tokens()) world.workload.remove(SecretKind, { namespace: 'kube-system', name });
}

describe('a token before the Node has joined (KB-22)', () => {
  beforeEach(async () => {
    world.machine('w1');
    await world.reconcile('w1');
    world.forget();
  });

  it('gets its whole life again when it is old', async () => {
    await world.clock.advance(world.ttlMs / 3);
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(lifeOf(world.tokenSecrets()[0])).toBeGreaterThan(world.ttlMs - 2_000);
    expect(world.requests.map((request) => request.replace(/token-\w+/, 'token-x'))).toEqual([
      'workload get Secret bootstrap-token-x',
      'workload patch Secret bootstrap-token-x',
    ]);
  });

  it('whatever the infrastructure says', async () => {
    world.setMachine('w1', { status: { initialization: { infrastructureProvisioned: true } } });
    await world.clock.advance(world.ttlMs / 3);
    await world.reconcile('w1');
    expect(lifeOf(world.tokenSecrets()[0])).toBeGreaterThan(world.ttlMs - 2_000);
  });

  it('and never again after it has', async () => {
    world.setMachine('w1', { status: joined });
    await world.clock.advance(world.ttlMs / 3);
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(world.requests).toEqual([]);
  });

  it('a cluster that does not answer: the data stay available, the message says so', async () => {
    world.connect = () => Promise.reject(new TransientError('connect ECONNREFUSED'));
    await expect(world.reconcile('w1')).rejects.toThrow(TransientError);
    expect(world.condition('w1', 'DataSecretAvailable')).toMatchObject({
      status: 'True',
      reason: 'Available',
      message: expect.stringMatching(/ECONNREFUSED/) as string,
    });
    expect(ready()).toMatchObject({ status: 'True', reason: 'Ready' });
  });
});

describe('a token that is lost', () => {
  beforeEach(async () => {
    world.machine('w1');
    await world.reconcile('w1');
    loseTokens();
    world.forget();
  });

  it('of a Machine that has not used its data: a new token with new data', async () => {
    const [token, data] = [world.token('w1'), world.data('w1')];
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(world.token('w1')).not.toBe(token);
    expect(world.data('w1')).toBe(data.replaceAll(token!, world.token('w1')!));
    expect(world.tokens()).toEqual([`bootstrap-token-${world.token('w1')!.slice(0, 6)}`]);
    expect(world.events).toEqual([
      expect.objectContaining({ type: 'Warning', reason: 'BootstrapTokenLost' }),
    ]);
    expect(JSON.stringify(world.events)).not.toContain(world.token('w1')!.slice(7));
    expect(world.read('w1')?.status?.dataSecretName).toBe('w1');
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it.each([
    ['has a providerID', { machine: { providerID: 'ts:///1' } }],
    ['has its infrastructure', { status: { initialization: { infrastructureProvisioned: true } } }],
  ])('of a Machine that %s: the same token again', async (_what, change) => {
    world.setMachine('w1', change);
    const [token, data] = [world.token('w1'), world.dataSecret('w1')];
    await world.reconcile('w1');
    expect(world.token('w1')).toBe(token);
    expect(world.dataSecret('w1')).toEqual(data);
    expect(world.tokens()).toEqual([`bootstrap-token-${token!.slice(0, 6)}`]);
    expect(world.events.map(({ reason }) => reason)).toEqual(['BootstrapTokenLost']);
  });

  it.each([
    ['the spec', 'api', 'KubeadmConfig', 'patch'],
    ['the token', 'workload', 'Secret', 'create'],
    ['the data', 'api', 'Secret', 'patch'],
  ] as const)(
    'killed after writing %s: spec, token and data agree in the end',
    async (_what, api, kind, verb) => {
      world[api].afterWrite = (write) => (write.kind === kind && write.verb === verb ? crash() : undefined);
      await expect(world.reconcile('w1')).rejects.toThrow();
      world[api].afterWrite = () => {};
      world.restart();
      await world.reconcile('w1');
      expect(world.data('w1')).toContain(world.token('w1'));
      expect(world.tokens()).toEqual([`bootstrap-token-${world.token('w1')!.slice(0, 6)}`]);
      expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    },
  );

  it('of data that another provider made as an init: never made again', async () => {
    const spec = {
      joinConfiguration: { discovery: { bootstrapToken: { token: 'abcdef.0123456789abcdef' } } },
    };
    world.machine('cp1', { controlPlane: true, spec, machine: { bootstrap: { dataSecretName: 'cp1' } } });
    world.secret('cp1', { labels: { 'cluster.x-k8s.io/cluster-name': 'c1' } }, { value: 'aW5pdA==' });
    await world.reconcile('cp1');
    expect(world.data('cp1')).toBe('init');
  });
});

describe('the data Secret', () => {
  beforeEach(async () => {
    world.machine('w1');
    await world.reconcile('w1');
    world.forget();
  });

  it('deleted before it was used: made again with the same token', async () => {
    const [token, data] = [world.token('w1'), world.data('w1')];
    world.remove(SecretKind, 'w1');
    await world.reconcile('w1');
    expect(world.data('w1')).toBe(data);
    expect(world.tokens()).toEqual([`bootstrap-token-${token!.slice(0, 6)}`]);
    expect(world.events.map(({ reason }) => reason)).toEqual(['DataSecretLost']);
  });

  it('deleted after it was used: missed, with the way out, and the token is kept', async () => {
    world.setMachine('w1', { machine: { providerID: 'ts:///1' } });
    world.remove(SecretKind, 'w1');
    await world.clock.advance(world.ttlMs / 3);
    expect(await world.reconcile('w1')).toMatchObject({ kind: 'wait', ms: 30_000 });
    expect(world.condition('w1', 'DataSecretAvailable')).toMatchObject({
      status: 'False',
      reason: 'NotAvailable',
      message:
        'Secret ns/w1 with the bootstrap data was deleted, and its machine may run already: ' +
        'restore it, or delete Machine ns/w1 to have it replaced',
    });
    expect(world.read('w1')?.status?.initialization).toEqual({ dataSecretCreated: true });
    expect(lifeOf(world.tokenSecrets()[0])).toBeGreaterThan(world.ttlMs - 2_000);
  });

  it('deleted after the Node has joined: nobody needs it', async () => {
    world.setMachine('w1', { status: joined });
    world.remove(SecretKind, 'w1');
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('BC-11: a spec that changes later changes nothing', async () => {
    const data = world.data('w1');
    const config = world.read('w1')!;
    world.api.put({ ...config, spec: { ...config.spec, preKubeadmCommands: ['echo later'] } });
    await world.reconcile('w1');
    expect(world.data('w1')).toBe(data);
  });

  it('that another living KubeadmConfig controls is left to it, and named', async () => {
    world.machine('w2', { machine: { bootstrap: { dataSecretName: 'w1' } } });
    await world.reconcile('w2'); // Finds out its name, as after a move.
    await expect(world.reconcile('w2')).rejects.toThrow(/Secret ns\/w1 is controlled by KubeadmConfig w1/);
    expect(world.dataSecret('w1')?.metadata.ownerReferences).toMatchObject([{ uid: 'uid-config-w1' }]);
  });

  it('without a controller is adopted, other owners stay', async () => {
    const secret = world.dataSecret('w1')!;
    const other = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Cluster', name: 'c1', uid: 'uid-c1' };
    world.api.put({ ...secret, metadata: { ...secret.metadata, ownerReferences: [other] } });
    await world.reconcile('w1');
    expect(world.dataSecret('w1')?.metadata.ownerReferences).toMatchObject([
      other,
      { kind: 'KubeadmConfig', name: 'w1', uid: 'uid-config-w1', controller: true },
    ]);
    world.forget();
    await world.reconcile('w1');
    expect(world.requests.filter((request) => request.includes('Secret w1'))).toEqual([]);
  });
});

describe('a Secret of that name which is somebody else’s (6.2.3)', () => {
  const machine = {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'Machine',
    name: 'm',
    uid: 'u',
    controller: true,
  };

  it.each([
    ['labelled, which is watched', { 'cluster.x-k8s.io/cluster-name': 'c1' }, { name: 'TerminalError' }, 0],
    ['unlabelled, which is not', {}, { name: 'TransientError', retryAfterMs: 30_000 }, 1],
  ])('%s: an error that names it, and it stays as it was', async (_what, labels, error, tokens) => {
    world.secret('w1', { labels, ownerReferences: [machine] }, { value: 'dGhlaXJz' });
    world.machine('w1');
    const message =
      'Secret ns/w1 is controlled by Machine m: delete the Secret, or name the KubeadmConfig differently';
    await expect(world.reconcile('w1')).rejects.toMatchObject({ ...error, message });
    expect(world.condition('w1', 'DataSecretAvailable')?.message).toBe(message);
    // Nobody can know beforehand that a Secret is there which is not watched.
    expect(world.tokens()).toHaveLength(tokens);
    expect(world.data('w1')).toBe('theirs');
  });

  it('of another type: an error that names it, and it stays as it was', async () => {
    world.secret('w1', {}, { value: 'dGhlaXJz' });
    world.machine('w1');
    await expect(world.reconcile('w1')).rejects.toThrow(
      /Secret ns\/w1 has the type Opaque.*delete the Secret/,
    );
    expect(world.data('w1')).toBe('theirs');
    expect(world.dataSecret('w1')?.metadata.ownerReferences).toBeUndefined();
  });

  it('nobody’s: adopted and brought up to date', async () => {
    world.secret('w1', {}, { value: 'dGhlaXJz', other: 'eA==' });
    world.api.put({ ...world.dataSecret('w1')!, type: 'cluster.x-k8s.io/secret' });
    world.machine('w1');
    await world.reconcile('w1');
    expect(world.data('w1')).toContain('kubeadm join');
    expect(Object.keys(world.dataSecret('w1')?.data ?? {}).sort()).toEqual(['format', 'value']);
    expect(world.dataSecret('w1')?.metadata.labels).toEqual({ 'cluster.x-k8s.io/cluster-name': 'c1' });
  });
});

describe('a status that a move has dropped (6.2.5, BC-5)', () => {
  it('comes back from the Machine, and nothing is made again', async () => {
    world.machine('w1', { machine: { bootstrap: { dataSecretName: 'other-name' } } });
    world.secret('other-name', {}, { value: 'b2xk' });
    world.setMachine('w1', { machine: { bootstrap: { dataSecretName: 'other-name' } }, status: joined });
    expect(await world.reconcile('w1')).toEqual({ kind: 'done' });
    expect(world.read('w1')?.status).toMatchObject({
      dataSecretName: 'other-name',
      initialization: { dataSecretCreated: true },
    });
    for (const type of ['Ready', 'DataSecretAvailable', 'CertificatesAvailable'])
      expect(world.condition('w1', type)).toMatchObject({ status: 'True', message: '' });
    expect(world.requests).toEqual(['patch_status KubeadmConfig w1']);
    expect(world.dataSecret('w1')).toBeUndefined();
  });

  it('the token of a machine that has not joined is looked after in the same pass', async () => {
    world.machine('w1');
    await world.reconcile('w1');
    loseTokens();
    const { status: _dropped, ...config } = world.read('w1')!;
    world.api.put(config);
    world.setMachine('w1', { machine: { bootstrap: { dataSecretName: 'w1' }, providerID: 'ts:///1' } });
    await world.reconcile('w1');
    expect(world.tokens()).toEqual([`bootstrap-token-${world.token('w1')!.slice(0, 6)}`]);
    expect(ready()).toMatchObject({ status: 'True' });
  });

  it('a latch without a name means the name that we would give (BC-3)', async () => {
    world.machine('w1');
    const config = world.read('w1')!;
    world.api.put({ ...config, status: { initialization: { dataSecretCreated: true } } });
    world.setMachine('w1', { status: joined });
    await world.reconcile('w1');
    expect(world.read('w1')?.status?.dataSecretName).toBe('w1');
    expect(world.api.read(KubeadmConfigKind, { namespace: 'ns', name: 'w1' })?.spec).toEqual({});
  });
});

describe('a MachinePool', () => {
  const expireIn = (ms: number) => {
    const [secret] = world.tokenSecrets();
    const expiration = new Date(world.clock.now().getTime() + ms).toISOString().replace(/\.\d+Z$/, 'Z');
    const data = { ...secret!.data, expiration: Buffer.from(expiration).toString('base64') };
    world.workload.put({ ...secret!, data });
  };
  beforeEach(async () => {
    world.pool('p1', { replicas: 2 });
    await world.reconcile('p1');
    world.forget();
  });

  it('KB-22: keeps its token fresh while Nodes are missing', async () => {
    world.pool('p1', { replicas: 2, nodes: 1 });
    const token = world.token('p1');
    expireIn(world.ttlMs * 0.4);
    expect(await world.reconcile('p1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(world.token('p1')).toBe(token);
    expect(lifeOf(world.tokenSecrets()[0])).toBeGreaterThan(world.ttlMs - 2_000);
  });

  it.each([
    [0.75, 'is kept', false],
    [0.4, 'gives way to a new one, with new data', true],
  ])('KB-24: all joined, a token with %d of its life left %s', async (share, _what, rotated) => {
    world.pool('p1', { replicas: 2, nodes: 2 });
    const token = world.token('p1');
    expireIn(world.ttlMs * share);
    expect(await world.reconcile('p1')).toMatchObject({ kind: 'wait', ms: world.ttlMs / 3 });
    expect(world.token('p1') !== token).toBe(rotated);
    expect(world.data('p1')).toContain(world.token('p1'));
    // The old one ends by itself: a machine may be about to use it.
    expect(world.tokens()).toHaveLength(rotated ? 2 : 1);
    expect(world.events).toEqual([]);
  });

  it('a token that is lost: a new one, with new data', async () => {
    const token = world.token('p1');
    loseTokens();
    await world.reconcile('p1');
    expect(world.token('p1')).not.toBe(token);
    expect(world.data('p1')).toContain(world.token('p1'));
  });
});
