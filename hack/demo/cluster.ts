// SPDX-License-Identifier: Apache-2.0
// The demo cluster: its certificates, its manifest, and the changes that the demo makes to it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterKind, SecretKind } from '../../api/kinds.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import { type APIServer, startAPIServer } from '../stack/api-server.ts';
import type { Stack } from '../stack/build.ts';
import { clusterSecrets } from '../stack/cluster-secrets.ts';
import { applyText } from '../stack/install.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../stack/kinds.ts';
import { type ManagementCluster, startManagementCluster } from '../stack/management-cluster.ts';
import { CLUSTER, NAMESPACE } from './snapshot.ts';

export const CONTROL_PLANE_MACHINES = 3;
export const WORKER_MACHINES = 5;

export interface Demo {
  readonly stack: Stack;
  readonly dir: string;
  readonly management: ManagementCluster;
  /** The demo cluster's own API server, on its control plane endpoint. */
  readonly workload: APIServer;
  readonly client: ApiClient;
  readonly workloadClient: ApiClient;
}

const NAMES = { controlPlane: `${CLUSTER}-control-plane`, workers: `${CLUSTER}-md-0` };

/** Starts everything up to an empty management cluster. `owned` gets what has to be stopped, in the order of starting. */
export async function startDemo(options: {
  stack: Stack;
  dir: string;
  /** Who serves KubeadmConfig: our bootstrap provider, or the stock one. */
  bootstrap: 'ts-provider' | 'kubeadm';
  say: (line: string) => void;
  owned: (() => Promise<void>)[];
}): Promise<Demo> {
  const { stack, dir, bootstrap, say, owned } = options;
  const management = await startManagementCluster({ stack, dir, bootstrap, say });
  owned.push(() => management.stop());
  const workload = await startAPIServer({ stack, dir, name: CLUSTER });
  owned.push(() => workload.stop());
  say(`API server ${workload.url}, the control plane endpoint of cluster ${CLUSTER}`);
  return {
    stack,
    dir,
    management,
    workload,
    client: clientOf(management.apiServer),
    workloadClient: clientOf(workload),
  };
}

/** What a user does: bring the certificates, generate the manifest, apply it. Gives the command line for people. */
export async function createCluster({ stack, management, workload, client }: Demo): Promise<string> {
  for (const secret of clusterSecrets({ namespace: NAMESPACE, clusterName: CLUSTER, pki: workload.pki })) {
    await client.create(SecretKind, secret);
  }
  const command = [
    ...['generate', 'cluster', CLUSTER, '--flavor=in-memory'],
    `--kubernetes-version=${stack.versions.kubernetes}`,
    `--control-plane-machine-count=${CONTROL_PLANE_MACHINES}`,
    `--worker-machine-count=${WORKER_MACHINES}`,
  ];
  const manifest = await management.clusterctl.run(command, management.apiServer, {
    CONTROL_PLANE_ENDPOINT_HOST: '127.0.0.1',
    CONTROL_PLANE_ENDPOINT_PORT: String(workload.port),
    ETCD_ENDPOINT: workload.etcd.url,
  });
  await applyText({ stack, apiServer: management.apiServer }, manifest);
  return `clusterctl ${command.join(' ')}`;
}

/** The kubeconfig that the control plane provider made, in a file. */
export async function writeKubeconfig({ management, dir }: Demo): Promise<string> {
  const file = join(dir, `${CLUSTER}.kubeconfig`);
  const text = await management.clusterctl.run(['get', 'kubeconfig', CLUSTER], management.apiServer);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

export async function scaleWorkers({ client }: Demo, replicas: number): Promise<void> {
  await client.patch(
    MachineDeploymentKind,
    { namespace: NAMESPACE, name: NAMES.workers },
    { spec: { replicas } },
  );
}

export async function upgradeControlPlane({ client }: Demo, version: string): Promise<void> {
  await client.patch(
    KubeadmControlPlaneKind,
    { namespace: NAMESPACE, name: NAMES.controlPlane },
    { spec: { version } },
  );
}

/** Ten at a time, where the default is one. */
export async function upgradeWorkers({ client }: Demo, version: string): Promise<void> {
  const rollout = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 10 } } };
  const body = { spec: { rollout, template: { spec: { version } } } };
  await client.patch(MachineDeploymentKind, { namespace: NAMESPACE, name: NAMES.workers }, body);
}

export async function deleteCluster({ client }: Demo): Promise<void> {
  await client.delete(ClusterKind, { namespace: NAMESPACE, name: CLUSTER });
}

/** The patch release after `version`: simulated machines run any. */
export function nextPatch(version: string): string {
  const [major, minor, patch] = version.split('.');
  return `${major}.${minor}.${Number(patch) + 1}`;
}

function clientOf(apiServer: APIServer): ApiClient {
  return createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
}
