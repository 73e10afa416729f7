// SPDX-License-Identifier: Apache-2.0
// Clusters, Machines and KubeadmConfigs as Cluster API would have written them: the bench plays core and the control plane provider.
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import type { KubeadmConfig, KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  KubeadmConfigKind,
  MachineKind,
  SecretKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { APIServer } from '../../hack/stack/api-server.ts';
import { clusterSecrets, kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { inParallel } from '../fleet.ts';

/** A KubeadmConfig, before it exists; its Machine and its data Secret have the same name. */
export interface ConfigPlan {
  readonly name: string;
  readonly clusterName: string;
}

/** What is unpaused at once. */
export interface Plan {
  readonly namespace: string;
  /** `workers` join a control plane that is there; `new-clusters` have one control plane Machine each, which is to make it. */
  readonly kind: 'workers' | 'new-clusters';
  readonly clusters: readonly string[];
  readonly configs: readonly ConfigPlan[];
}

/** Worker KubeadmConfigs of one cluster that is ready. */
export function workers(namespace: string, count: number): Plan {
  const configs = names('worker', count).map((name) => ({ name, clusterName: 'ready' }));
  return { namespace, kind: 'workers', clusters: ['ready'], configs };
}

/** Clusters without a control plane provider, so that the bootstrap provider makes their keys (6.3). */
export function newClusters(namespace: string, count: number): Plan {
  const clusters = names('new', count);
  const configs = clusters.map((clusterName) => ({ name: `${clusterName}-0`, clusterName }));
  return { namespace, kind: 'new-clusters', clusters, configs };
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(4, '0')}`);
}

/** Makes all objects of a plan; each Cluster is paused, and its infrastructure is provisioned. */
export async function createPaused(client: ApiClient, plan: Plan, workload: APIServer): Promise<void> {
  const { namespace } = plan;
  await inParallel(plan.clusters, async (clusterName) => {
    const identity = { namespace, clusterName, pki: workload.pki };
    const secrets = plan.kind === 'workers' ? [...clusterSecrets(identity), kubeconfigSecret(identity)] : [];
    for (const secret of secrets) await client.create(SecretKind, secret);
    await client.create<Cluster>(ClusterKind, clusterOf(plan, clusterName, workload.port));
    const status = clusterStatus(plan.kind);
    await client.patch(ClusterKind, { namespace, name: clusterName }, { status }, { subresource: 'status' });
  });
  await inParallel(plan.configs, async (config) => {
    const machine = await client.create<Machine>(MachineKind, machineOf(plan, config));
    await client.create<KubeadmConfig>(KubeadmConfigKind, configOf(plan, machine));
  });
}

/** Unpauses all clusters of a plan. */
export async function unpause(client: ApiClient, { namespace, clusters }: Plan): Promise<void> {
  await inParallel(clusters, async (name) => {
    await client.patch(ClusterKind, { namespace, name }, { spec: { paused: false } });
  });
}

function clusterOf({ namespace }: Plan, name: string, port: number): Cluster {
  return {
    ...typeOf(ClusterKind),
    metadata: { namespace, name, labels: { [CLUSTER_NAME_LABEL]: name } },
    spec: {
      paused: true,
      controlPlaneEndpoint: { host: '127.0.0.1', port },
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSCluster', name },
    },
  };
}

function clusterStatus(kind: Plan['kind']) {
  const ready = kind === 'workers';
  const condition = {
    type: 'ControlPlaneInitialized',
    status: ready ? 'True' : 'False',
    reason: ready ? 'Initialized' : 'NotInitialized',
    message: '',
    lastTransitionTime: new Date().toISOString(),
  };
  return {
    initialization: { infrastructureProvisioned: true, controlPlaneInitialized: ready },
    conditions: [condition],
  };
}

const VERSION = 'v1.36.3';

function machineOf({ namespace, kind }: Plan, { name, clusterName }: ConfigPlan): Machine {
  const labels = {
    [CLUSTER_NAME_LABEL]: clusterName,
    ...(kind === 'new-clusters' && { [CONTROL_PLANE_LABEL]: '' }),
  };
  return {
    ...typeOf(MachineKind),
    metadata: { namespace, name, labels },
    spec: {
      clusterName,
      version: VERSION,
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSMachine', name },
      bootstrap: {
        configRef: { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: KubeadmConfigKind.kind, name },
      },
    },
  };
}

function configOf({ kind }: Plan, machine: Machine): KubeadmConfig {
  const { namespace = '', name, uid = '' } = machine.metadata;
  const owner = { apiVersion: machine.apiVersion, kind: machine.kind, name, uid, controller: true };
  return {
    ...typeOf(KubeadmConfigKind),
    metadata: {
      namespace,
      name,
      labels: { [CLUSTER_NAME_LABEL]: machine.spec.clusterName },
      ownerReferences: [owner],
    },
    spec: { ...COMMON, ...(kind === 'workers' ? WORKER : CONTROL_PLANE) },
  };
}

const NODE_REGISTRATION = {
  name: '{{ ds.meta_data.local_hostname }}',
  kubeletExtraArgs: [{ name: 'cloud-provider', value: 'external' }],
};

/** About what a real template holds. */
const COMMON: KubeadmConfigSpec = {
  files: [
    { path: '/etc/modules-load.d/k8s.conf', content: 'overlay\nbr_netfilter\n' },
    {
      path: '/etc/sysctl.d/99-kubernetes.conf',
      owner: 'root:root',
      permissions: '0644',
      content: 'net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n',
    },
  ],
  preKubeadmCommands: ['modprobe overlay', 'sysctl --system', 'systemctl restart containerd'],
  users: [{ name: 'admin', sudo: 'ALL=(ALL) NOPASSWD:ALL', sshAuthorizedKeys: ['ssh-ed25519 AAAA admin'] }],
};

const WORKER: KubeadmConfigSpec = { joinConfiguration: { nodeRegistration: NODE_REGISTRATION } };

const CONTROL_PLANE: KubeadmConfigSpec = {
  clusterConfiguration: { apiServer: { certSANs: ['localhost'] } },
  initConfiguration: { nodeRegistration: NODE_REGISTRATION },
};

function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}
