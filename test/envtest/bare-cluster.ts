// SPDX-License-Identifier: Apache-2.0
// A Cluster with Machines as core leaves them, made by the test itself: stories about our manager alone need no other manager.
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  MachineKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { TSCluster, TSClusterSpec } from '../../api/tscluster.ts';
import type { TSMachine, TSMachineSpec } from '../../api/tsmachine.ts';
import { kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import { nameOf } from '../../runtime/object.ts';
import type { Environment } from './harness.ts';

const NAME = 'c1';
const BOOTSTRAP_SECRET = 'bootstrap';

/** As the kubeadm bootstrap provider would write it for a worker, cut down to what a simulated machine reads. */
const WORKER_DATA = `#cloud-config
write_files:
  - path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: JoinConfiguration
      discovery: {}
`;

export interface BareClusterOptions {
  /** The namespace's name begins with it. */
  readonly purpose: string;
  /** Machines join a real API server as Nodes; default false: there is no kubeconfig, and their guests wait for ever. */
  readonly joins?: boolean;
  /** Default: the in-memory backend. */
  readonly infrastructure?: { readonly cluster: TSClusterSpec; readonly machine: TSMachineSpec };
}

/** Machines of one Cluster whose infrastructure is provisioned. */
export interface BareCluster {
  readonly namespace: string;
  /** Makes `count` more Machines, each with its TSMachine; workers as the infrastructure says, unless said otherwise. */
  addMachines(
    count: number,
    options?: { readonly controlPlane?: boolean; readonly spec?: TSMachineSpec },
  ): Promise<void>;
  tsMachines(): Promise<TSMachine[]>;
  /** How many are provisioned. */
  provisioned(): Promise<number>;
  /** Deletes so many of the TSMachines that are not yet deleted, as core does for a Machine that is drained; the oldest, or the newest. */
  deleteTSMachines(count: number, options?: { readonly newest?: boolean }): Promise<void>;
}

/** In a namespace of its own. The environment needs no manager. */
export async function bareCluster(
  environment: Environment,
  options: BareClusterOptions,
): Promise<BareCluster> {
  const { client } = environment;
  const namespace = await environment.namespace(options.purpose);
  const { cluster, machine } = options.infrastructure ?? IN_MEMORY;
  await createCluster(environment, namespace, cluster);
  if (options.joins === true) {
    const { pki } = await environment.workload();
    await client.create(SecretKind, kubeconfigSecret({ namespace, clusterName: NAME, pki }));
  }
  let made = 0;
  const tsMachines = () => client.list(TSMachineKind, { namespace });
  return {
    namespace,
    tsMachines,
    async addMachines(count, { controlPlane = false, spec = machine } = {}) {
      const names = Array.from({ length: count }, () => `m-${String(made++).padStart(3, '0')}`);
      const create = (name: string) =>
        createMachine(environment, { namespace, name }, { spec, controlPlane });
      await Promise.all(names.map(create));
    },
    provisioned: async () => (await tsMachines()).filter(isProvisioned).length,
    async deleteTSMachines(count, { newest = false } = {}) {
      const alive = (await tsMachines()).filter((one) => one.metadata.deletionTimestamp === undefined);
      const some = newest ? alive.slice(-count) : alive.slice(0, count);
      await Promise.all(some.map((one) => client.delete(TSMachineKind, nameOf(one))));
    },
  };
}

function isProvisioned({ status }: TSMachine): boolean {
  return status?.initialization?.provisioned === true;
}

const controlPlaneEndpoint = { host: '127.0.0.1', port: 6443 };

const IN_MEMORY: NonNullable<BareClusterOptions['infrastructure']> = {
  cluster: { controlPlaneEndpoint, inMemory: { bootDelaySeconds: 0 } },
  machine: { inMemory: {} },
};

async function createCluster({ client }: Environment, namespace: string, spec: TSClusterSpec): Promise<void> {
  const metadata = { namespace, name: NAME };
  const cluster = await client.create<Cluster>(ClusterKind, {
    apiVersion: ClusterKind.apiVersion,
    kind: ClusterKind.kind,
    metadata,
    spec: { controlPlaneEndpoint, infrastructureRef: reference(TSClusterKind.kind, NAME) },
  });
  const provisioned = { status: { initialization: { infrastructureProvisioned: true } } };
  await client.patch(ClusterKind, metadata, provisioned, { subresource: 'status' });
  await client.create<TSCluster>(TSClusterKind, {
    apiVersion: TSClusterKind.apiVersion,
    kind: TSClusterKind.kind,
    metadata: ownedBy(cluster, { ...metadata, controller: false }),
    spec,
  });
  const value = Buffer.from(WORKER_DATA).toString('base64');
  const secret = { namespace, name: BOOTSTRAP_SECRET, labels: { [CLUSTER_NAME_LABEL]: NAME } };
  await client.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: secret, data: { value } });
}

async function createMachine(
  { client, stack }: Environment,
  metadata: { namespace: string; name: string },
  { spec, controlPlane }: { readonly spec: TSMachineSpec; readonly controlPlane: boolean },
): Promise<void> {
  const role = controlPlane ? { [CONTROL_PLANE_LABEL]: '' } : {};
  const machine = await client.create<Machine>(MachineKind, {
    apiVersion: MachineKind.apiVersion,
    kind: MachineKind.kind,
    metadata: { ...metadata, labels: { [CLUSTER_NAME_LABEL]: NAME, ...role } },
    spec: {
      clusterName: NAME,
      version: stack.versions.kubernetes,
      infrastructureRef: reference(TSMachineKind.kind, metadata.name),
      bootstrap: { dataSecretName: BOOTSTRAP_SECRET },
    },
  });
  await client.create<TSMachine>(TSMachineKind, {
    apiVersion: TSMachineKind.apiVersion,
    kind: TSMachineKind.kind,
    metadata: ownedBy(machine, { ...metadata, controller: true }),
    spec,
  });
}

function reference(kind: string, name: string) {
  return { apiGroup: INFRASTRUCTURE_GROUP, kind, name };
}

function ownedBy(owner: Cluster | Machine, to: { namespace: string; name: string; controller: boolean }) {
  const { controller, ...names } = to;
  const { apiVersion, kind, metadata } = owner;
  const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller };
  return { ...names, labels: { [CLUSTER_NAME_LABEL]: NAME }, ownerReferences: [reference] };
}
