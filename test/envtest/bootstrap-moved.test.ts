// SPDX-License-Identifier: Apache-2.0
// What clusterctl move leaves of bootstrap data: new objects with new UIDs and no status, in another place. Nothing is made anew there,
// also not where core had not yet taken over the name of the data Secret.
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ClusterKind,
  ConfigMapKind,
  KubeadmConfigKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
} from '../../api/kinds.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject, OwnerReference } from '../../runtime/object.ts';
import {
  bootstrapRequests,
  createCluster,
  createConfig,
  observe,
  reportCluster,
  startBootstrap,
} from './bootstrap-objects.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { conditionText, soon } from './machines.ts';
import { quietFor } from './quiet.ts';

/** Whose owner has taken over the name of the data Secret, as core does at once. */
const TAKEN = ['control-plane', 'pool', 'worker'];
/** Whose owner has not: one of a cluster that has a control plane, and the first machine of one that has not. */
const FRESH = ['first', 'late'];
const MADE = [...TAKEN, ...FRESH].sort();
const ALL = [...MADE, 'waiting'].sort();
const CLUSTERS = ['c', 'new'];

let environment: Environment;
let client: ApiClient;
let here: string;

beforeAll(async () => {
  environment = await startEnvironment({
    managers: [],
    controllerManager: false,
    ourBootstrap: true,
    auditLog: 'audit.log',
  });
  client = environment.client;
  await startBootstrap(environment);
  here = await environment.namespace('here');
  const one = { namespace: here, cluster: 'c' };
  await createCluster(environment, { namespace: here, name: 'c' });
  await createCluster(environment, { namespace: here, name: 'new', initialized: false });
  await createConfig(environment, { ...one, name: 'worker' });
  await createConfig(environment, { ...one, name: 'late' });
  await createConfig(environment, { ...one, name: 'control-plane', role: 'control-plane' });
  await createConfig(environment, { ...one, name: 'pool', role: 'pool' });
  const files = [{ path: '/etc/motd', contentFrom: { secret: { name: 'nowhere', key: 'motd' } } }];
  await createConfig(environment, { ...one, name: 'waiting', spec: { files } });
  await createConfig(environment, { ...one, cluster: 'new', name: 'first', role: 'control-plane' });
  const made = async () => (await ready(here)).join() === MADE.join();
  await waitUntil(made, { what: 'all data', timeoutMs: soon.timeout });
  await takeNames();
});

afterAll(() => environment?.stop());

async function takeNames(): Promise<void> {
  const bootstrap = (name: string) => ({ bootstrap: { dataSecretName: name } });
  for (const name of ['worker', 'control-plane'])
    await client.patch(MachineKind, { namespace: here, name }, { spec: bootstrap(name) });
  const spec = { template: { spec: bootstrap('pool') } };
  await client.patch(MachinePoolKind, { namespace: here, name: 'pool' }, { spec });
}

/** Names of the configs of which this condition has this status, sorted. */
async function namesWith(namespace: string, condition: string): Promise<string[]> {
  const [type = '', status = ''] = condition.split('=');
  const configs = await client.list(KubeadmConfigKind, { namespace });
  return configs
    .filter((one) => conditionText(one, type).startsWith(status))
    .map(({ metadata }) => metadata.name)
    .sort();
}
const ready = (namespace: string) => namesWith(namespace, 'Ready=True');

/** What our manager wrote there, sorted; a Secret that it found to be there already is not written. */
async function writesIn(namespace: string): Promise<string[]> {
  const requests = await quietFor(() => bootstrapRequests(environment, namespace), {
    forMs: 2_000,
    timeoutMs: 30_000,
  });
  return requests
    .filter(({ verb, resource, code }) => !/get|list|watch/.test(verb) && resource !== 'events' && code < 300)
    .map(({ verb, resource, name }) => `${verb} ${resource} ${name}`)
    .sort();
}
const statusPatches = (names: readonly string[]) =>
  names.map((name) => `patch kubeadmconfigs/status ${name}`);

/** Everything that must stay as it is: bootstrap data, keys, and who owns them by name. */
async function secretsIn(namespace: string): Promise<object[]> {
  const all = await client.list(SecretKind, { namespace });
  return all.map(({ metadata: { name, labels, annotations, ownerReferences = [] }, type, data }) => {
    const owners = ownerReferences.map((owner) => ({ ...owner, uid: '' }));
    return { name, labels, annotations, owners, type, data };
  });
}

/** Every bootstrap token with its version: a write would change it. */
async function tokenVersions(): Promise<string[]> {
  const secrets = await (await environment.workloadClient()).list(SecretKind, { namespace: 'kube-system' });
  return secrets.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
}

/** As clusterctl does it: the Cluster paused, owners before what they own, the UIDs of the new place. */
async function move(there: string): Promise<void> {
  const uids = new Map<string, string>();
  const kept = (owners: readonly OwnerReference[] = []) =>
    owners.map((owner) => ({ ...owner, uid: uids.get(owner.uid) ?? owner.uid }));
  for (const kind of [
    ClusterKind,
    MachineKind,
    MachinePoolKind,
    KubeadmConfigKind,
    SecretKind,
    ConfigMapKind,
  ])
    for (const object of await client.list<KubeObject>(kind, { namespace: here })) {
      const { name, labels = {}, annotations = {}, ownerReferences, uid = '' } = object.metadata;
      const metadata = {
        namespace: there,
        name,
        labels,
        annotations,
        ownerReferences: kept(ownerReferences),
      };
      const { status: _, ...moved } = { ...(object as KubeObject & { status?: unknown }), metadata };
      uids.set(uid, (await client.create<KubeObject>(kind, asleep(kind, moved))).metadata.uid ?? '');
    }
  for (const name of CLUSTERS)
    await reportCluster(environment, { namespace: there, name }, { initialized: name === 'c' });
}

function asleep(kind: Kind, object: KubeObject): KubeObject {
  if (kind.kind !== ClusterKind.kind) return object;
  return { ...object, spec: { ...(object as { spec?: object }).spec, paused: true } } as KubeObject;
}

it('BC-5, GEN-18: says that it is paused, then finds its status again; no Secret, lock or token is written', async () => {
  const [secrets, tokens] = [await secretsIn(here), await tokenVersions()];
  expect(secrets.length).toBeGreaterThan(MADE.length + 8);
  const there = await environment.namespace('there');
  await move(there);
  await expect.poll(() => namesWith(there, 'Paused=True'), soon).toEqual(ALL);
  expect(await writesIn(there)).toEqual(statusPatches(ALL));

  for (const name of CLUSTERS)
    await client.patch(ClusterKind, { namespace: there, name }, { spec: { paused: false } });
  await expect.poll(() => ready(there), soon).toEqual(MADE);
  await expect.poll(() => namesWith(there, 'Paused=False'), soon).toEqual(ALL);
  expect(await writesIn(there)).toEqual(statusPatches([...ALL, ...ALL].sort()));
  expect(await secretsIn(there)).toEqual(secrets);
  expect(await tokenVersions()).toEqual(tokens);
  for (const name of MADE) {
    const config = await observe(environment, { namespace: there, name }).config();
    expect(config?.status).toMatchObject({
      dataSecretName: name,
      initialization: { dataSecretCreated: true },
      observedGeneration: 1,
    });
  }
});

it('GEN-11: pausing and going on writes one condition each time', async () => {
  const before = (await writesIn(here)).length;
  const [secrets, tokens] = [await secretsIn(here), await tokenVersions()];
  for (const [paused, status] of [
    [true, 'True'],
    [false, 'False'],
  ] as const) {
    for (const name of CLUSTERS)
      await client.patch(ClusterKind, { namespace: here, name }, { spec: { paused } });
    await expect.poll(() => namesWith(here, `Paused=${status}`), soon).toEqual(ALL);
  }
  expect((await writesIn(here)).length - before).toBe(2 * ALL.length);
  expect(await secretsIn(here)).toEqual(secrets);
  expect(await tokenVersions()).toEqual(tokens);
});
