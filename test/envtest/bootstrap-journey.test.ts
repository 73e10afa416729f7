// SPDX-License-Identifier: Apache-2.0
// The stock kubeadm control plane provider on our bootstrap provider: init, scale up, roll, scale down, delete. No other bootstrap
// provider is installed. The stories follow each other on the same cluster.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  ConfigMapKind,
  KubeadmConfigKind,
  MachineKind,
  NodeKind,
  SecretKind,
} from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import { nextPatch } from '../../hack/demo/cluster.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import { BOOTSTRAP_ACCOUNT, type Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { readAuditLog, userOf } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { conditionText, phaseOf } from './machines.ts';
import { quietFor } from './quiet.ts';

const NAME = 'journey';
const soon = { timeout: 180_000, interval: 250 };
const STORY = { timeout: 200_000 };

let environment: Environment;
let client: ApiClient;
let workload: ApiClient;
let bootstrap: Provider;
let namespace: string;

beforeAll(async () => {
  environment = await startEnvironment({
    managers: ['core', 'control-plane'],
    ourBootstrap: true,
    auditLog: 'audit.log',
  });
  client = environment.client;
  workload = await environment.workloadClient();
  await environment.startProvider();
  bootstrap = await environment.startProvider({ provider: 'bootstrap', flags: ['--leader-elect'] });
  namespace = await environment.namespace(NAME);
  await environment.cluster({ namespace, name: NAME });
});

afterAll(() => environment?.stop());

const WRITES = ['create', 'update', 'patch', 'delete'];
/** Requests of our bootstrap provider to the management API server, without its lease. */
const ourRequests = () =>
  readAuditLog(`${environment.dir}/audit.log`).filter(
    ({ user, resource }) => user === userOf(BOOTSTRAP_ACCOUNT) && resource !== 'leases',
  );
const controlPlane = () => ({ namespace, name: `${NAME}-control-plane` });
const workers = () => ({ namespace, name: `${NAME}-md-0` });
const machines = () => client.list(MachineKind, { namespace });
const isControlPlane = ({ metadata }: Machine) => metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;

/** `control-plane Running v1.36.3` of every Machine, sorted. */
async function fleet(): Promise<string[]> {
  const all = await machines();
  return all
    .map((one) => `${isControlPlane(one) ? 'control-plane' : 'worker'} ${phaseOf(one)} ${one.spec.version}`)
    .sort();
}

function running(
  controlPlanes: number,
  workerCount: number,
  version: string = environment.stack.versions.kubernetes,
) {
  return [
    ...Array.from({ length: controlPlanes }, () => `control-plane Running ${version}`),
    ...Array.from({ length: workerCount }, () => `worker Running ${version}`),
  ];
}

/** `id.secret` of every token that is in a KubeadmConfig, and ids of those in the workload cluster. */
async function tokens() {
  const configs = await client.list(KubeadmConfigKind, { namespace });
  const inSpecs = configs.flatMap(
    ({ spec }) => spec?.joinConfiguration?.discovery?.bootstrapToken?.token ?? [],
  );
  const secrets = await workload.list(SecretKind, { namespace: 'kube-system' });
  const inCluster = secrets.filter(({ type }) => type === 'bootstrap.kubernetes.io/token');
  return { inSpecs, inCluster: inCluster.map(({ metadata }) => metadata.name) };
}

it(
  'KB-9, KB-10: the first control plane Machine initializes the cluster, a worker joins',
  STORY,
  async () => {
    await expect.poll(fleet, soon).toEqual(running(1, 1));
    const configs = await client.list(KubeadmConfigKind, { namespace });
    expect(configs).toHaveLength(2);
    for (const config of configs) {
      expect(conditionText(config, 'Ready')).toMatch(/^True/);
      expect(config.status?.dataSecretName).toBe(config.metadata.name);
    }
    // The lock goes with the first join, at the latest.
    const lock = { namespace, name: `${NAME}-lock` };
    await expect.poll(() => client.get(ConfigMapKind, lock), soon).toBeUndefined();
  },
);

it('scales the control plane from one to three, one token for each machine that joined', STORY, async () => {
  await client.patch(KubeadmControlPlaneKind, controlPlane(), { spec: { replicas: 3 } });
  await expect.poll(fleet, soon).toEqual(running(3, 1));
  const { inSpecs, inCluster } = await tokens();
  expect(new Set(inSpecs).size).toBe(3);
  expect(inCluster.sort()).toEqual(inSpecs.map((token) => `bootstrap-token-${token.split('.')[0]}`).sort());
});

it('writes nothing when all is done, and was never refused anything', { timeout: 90_000 }, async () => {
  await quietFor(() => ourRequests().filter(({ verb }) => WRITES.includes(verb)).length, {
    forMs: 5_000,
    timeoutMs: 60_000,
  });
  expect(ourRequests().filter(({ code }) => code === 403)).toEqual([]);
});

it('rolls the control plane and the workers to another version', STORY, async () => {
  const version = nextPatch(environment.stack.versions.kubernetes);
  await client.patch(KubeadmControlPlaneKind, controlPlane(), { spec: { version } });
  const rolled = async () => (await fleet()).filter((line) => line.startsWith('control-plane'));
  await expect.poll(rolled, soon).toEqual(running(3, 0, version));
  const body = { spec: { template: { spec: { version } } } };
  await client.patch(MachineDeploymentKind, workers(), body);
  await expect.poll(fleet, soon).toEqual(running(3, 1, version));
});

it('scales the control plane down, and what is left of old Machines is nothing', STORY, async () => {
  const version = nextPatch(environment.stack.versions.kubernetes);
  await client.patch(KubeadmControlPlaneKind, controlPlane(), { spec: { replicas: 1 } });
  await expect.poll(fleet, soon).toEqual(running(1, 1, version));
  const names = async () =>
    (await client.list(KubeadmConfigKind, { namespace })).map(({ metadata }) => metadata.name);
  await expect.poll(async () => (await names()).length, soon).toBe(2);
  const dataSecrets = async () => {
    const owned = await client.list(SecretKind, { namespace });
    return owned
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ kind }) => kind === 'KubeadmConfig'))
      .map(({ metadata }) => metadata.name)
      .sort();
  };
  await expect.poll(dataSecrets, soon).toEqual((await names()).sort());
  expect((await workload.list(NodeKind)).length).toBe(2);
});

it('KB-5: the Cluster goes, and all configurations and Secrets of it', STORY, async () => {
  await client.delete(ClusterKind, { namespace, name: NAME });
  await expect.poll(() => client.list(ClusterKind, { namespace }), soon).toEqual([]);
  await expect.poll(() => client.list(KubeadmConfigKind, { namespace }), soon).toEqual([]);
  expect(bootstrap.server.running()).toBe(true);
});
