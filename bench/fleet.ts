// SPDX-License-Identifier: Apache-2.0
// Clusters with many machines, as Cluster API would have written them: the bench plays core, no manager of it runs.
import type { Cluster, Machine, Secret } from '../api/cluster-api.ts';
import { ClusterKind, MachineKind, SecretKind, TSClusterKind, TSMachineKind } from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL, TSMACHINE_FINALIZER } from '../api/labels.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { TSMachine, TSMachineSpec } from '../api/tsmachine.ts';
import type { ApiClient } from '../runtime/client.ts';
import type { KubeObject } from '../runtime/object.ts';

/** A machine of the fleet, before it exists. */
export interface MachinePlan {
  readonly namespace: string;
  readonly name: string;
  readonly clusterName: string;
}

export interface FleetPlan {
  readonly namespace: string;
  readonly clusters: readonly string[];
  readonly machines: readonly MachinePlan[];
}

const MACHINES_PER_CLUSTER = 100;
const VERSION = 'v1.36.3';

/** Clusters of a hundred machines each; the last one has what is left. */
export function planFleet(namespace: string, machines: number): FleetPlan {
  const clusters = Array.from(
    { length: Math.ceil(machines / MACHINES_PER_CLUSTER) },
    (_, index) => `c${String(index).padStart(4, '0')}`,
  );
  const plans = Array.from({ length: machines }, (_, index) => {
    const clusterName = clusters[Math.floor(index / MACHINES_PER_CLUSTER)] ?? '';
    return { namespace, clusterName, name: `${clusterName}-${String(index).padStart(5, '0')}` };
  });
  return { namespace, clusters, machines: plans };
}

/** What a worker's bootstrap data look like, cut to what the simulated guest reads. One Secret serves a whole cluster. */
const BOOTSTRAP_DATA = `## template: jinja
#cloud-config

write_files:
  - path: /run/kubeadm/kubeadm-join-config.yaml
    owner: root:root
    permissions: '0640'
    content: |
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: JoinConfiguration
      discovery: {}
      nodeRegistration:
        name: '{{ ds.meta_data.local_hostname }}'
runcmd:
  - "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml"
`;

/** The same, as a backend gets it. */
export const bootstrapData = { format: 'cloud-config', value: Buffer.from(BOOTSTRAP_DATA) } as const;

const PARALLEL = 64;

/** Runs `work` over all items, so many at once. The first failure ends it. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/** Clusters whose infrastructure is provisioned, and their Secrets. `kubeconfig` is the text for the workload cluster's API server. */
export async function createClusters(
  client: ApiClient,
  plan: FleetPlan,
  kubeconfig: string | undefined,
): Promise<void> {
  await inParallel(plan.clusters, async (name) => {
    const cluster = await client.create<Cluster>(ClusterKind, clusterOf(plan.namespace, name));
    const status = { initialization: { infrastructureProvisioned: true } };
    await client.patch(
      ClusterKind,
      { namespace: plan.namespace, name },
      { status },
      { subresource: 'status' },
    );
    await client.create(TSClusterKind, tsClusterOf(cluster));
    await client.create(SecretKind, secretOf(plan.namespace, `${name}-bootstrap`, BOOTSTRAP_DATA));
    if (kubeconfig !== undefined)
      await client.create(SecretKind, secretOf(plan.namespace, `${name}-kubeconfig`, kubeconfig));
  });
}

/** Machines that wait for their infrastructure, and their TSMachines. */
export async function createMachines(client: ApiClient, plan: FleetPlan): Promise<void> {
  await inParallel(plan.machines, async (machine) => {
    const owner = await client.create(MachineKind, machineOf(machine));
    await client.create(TSMachineKind, tsMachineOf(machine, owner, {}));
  });
}

/** Machines that run, with the status that core gives them, and their TSMachines with an identity and no status. */
export async function createRunningMachines(
  client: ApiClient,
  plan: FleetPlan,
  identities: ReadonlyMap<string, Partial<TSMachineSpec>>,
): Promise<void> {
  await inParallel(plan.machines, async (machine) => {
    const identity = identities.get(machine.name) ?? {};
    const owner = await client.create(MachineKind, machineOf(machine, identity.providerID));
    const status = runningStatus(machine.name, new Date().toISOString());
    await client.patch(MachineKind, machine, { status }, { subresource: 'status' });
    await client.create(TSMachineKind, tsMachineOf(machine, owner, identity));
  });
}

function clusterOf(namespace: string, name: string): Cluster {
  return {
    ...typeOf(ClusterKind),
    metadata: { namespace, name, labels: { [CLUSTER_NAME_LABEL]: name } },
    spec: {
      infrastructureRef: reference('TSCluster', name),
      controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
    },
  };
}

function tsClusterOf(cluster: Cluster): TSCluster {
  const { namespace = '', name } = cluster.metadata;
  return {
    ...typeOf(TSClusterKind),
    metadata: {
      namespace,
      name,
      labels: { [CLUSTER_NAME_LABEL]: name },
      ownerReferences: [ownerOf(cluster)],
    },
    spec: {
      controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
      inMemory: { bootDelaySeconds: 0 },
    },
  };
}

function machineOf({ namespace, name, clusterName }: MachinePlan, providerID?: string): Machine {
  return {
    ...typeOf(MachineKind),
    metadata: { namespace, name, labels: { [CLUSTER_NAME_LABEL]: clusterName } },
    spec: {
      clusterName,
      version: VERSION,
      ...(providerID !== undefined && { providerID }),
      infrastructureRef: reference('TSMachine', name),
      bootstrap: { dataSecretName: `${clusterName}-bootstrap` },
    },
  };
}

const MACHINE_CONDITIONS = [
  'Available',
  'Ready',
  'UpToDate',
  'BootstrapConfigReady',
  'InfrastructureReady',
  'NodeHealthy',
  'NodeReady',
  'Updating',
  'Deleting',
  'Paused',
];

/** As large as the status of a real Machine: most of what a manager that caches Machines gets to hold. */
function runningStatus(name: string, now: string) {
  return {
    phase: 'Running',
    initialization: { infrastructureProvisioned: true, bootstrapDataSecretCreated: true },
    lastUpdated: now,
    addresses: [{ type: 'Hostname', address: name }],
    nodeRef: { name },
    nodeInfo: {
      architecture: 'amd64',
      operatingSystem: 'linux',
      osImage: 'ts-provider in-memory machine',
      kernelVersion: '0.0.0-inmemory',
      containerRuntimeVersion: 'inmemory://0.0.0',
      kubeletVersion: VERSION,
      kubeProxyVersion: '',
      machineID: name,
      systemUUID: name,
      bootID: name,
    },
    conditions: MACHINE_CONDITIONS.map((type) => ({
      type,
      status: 'True',
      reason: `${type}Reason`,
      message: '',
      lastTransitionTime: now,
      observedGeneration: 1,
    })),
  };
}

function tsMachineOf(plan: MachinePlan, owner: Machine, spec: Partial<TSMachineSpec>): TSMachine {
  const { namespace, name, clusterName } = plan;
  return {
    ...typeOf(TSMachineKind),
    metadata: {
      namespace,
      name,
      labels: { [CLUSTER_NAME_LABEL]: clusterName },
      ownerReferences: [ownerOf(owner)],
      ...(spec.createIntent !== undefined && { finalizers: [TSMACHINE_FINALIZER] }),
    },
    spec: { inMemory: {}, ...spec },
  };
}

function secretOf(namespace: string, name: string, value: string): Secret {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  const data = { value: encoded(value), format: encoded(bootstrapData.format) };
  return { ...typeOf(SecretKind), metadata: { namespace, name }, type: 'cluster.x-k8s.io/secret', data };
}

function ownerOf({ apiVersion, kind, metadata }: KubeObject) {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

function reference(kind: string, name: string) {
  return { apiGroup: 'infrastructure.cluster.x-k8s.io', kind, name };
}

function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}
