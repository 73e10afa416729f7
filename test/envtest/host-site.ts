// SPDX-License-Identifier: Apache-2.0
// Simulated hosts as TSHosts, and machines on them as core leaves them: stories about hosts need no other manager.
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  MachineKind,
  SecretKind,
  TSClusterKind,
  TSHostKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine, TSMachineSpec } from '../../api/tsmachine.ts';
import type { SshdAddress } from '../../hack/ssh-hosts/sshd.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';

const CLUSTER = 'c1';
const SSH_SECRET = 'ssh';
const DATA_SECRET = 'bootstrap';

/** In the bootstrap data of every machine, where a real one has its token; and in the key of every host. */
export const CANARY = 'canary-52c8-join-token';

/** As the kubeadm bootstrap provider writes it for a worker, cut down. */
const WORKER_DATA = `## template: jinja
#cloud-config
write_files:
- path: /run/kubeadm/kubeadm-join-config.yaml
  owner: root:root
  permissions: '0640'
  content: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: JoinConfiguration
    discovery:
      bootstrapToken:
        token: ${CANARY}
    nodeRegistration:
      name: '{{ ds.meta_data.local_hostname }}'
- path: /run/cluster-api/placeholder
  content: x
runcmd:
- "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml && echo success > /run/cluster-api/bootstrap-success.complete"
`;

/** A host as an inventory lists it. */
export interface SiteHost extends SshdAddress {
  readonly name: string;
}

export interface SiteOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Version of the Machines. */
  readonly kubernetes: string;
  /** With which all hosts let in. */
  readonly privateKey: string;
}

/** What a TSHost has besides its address. */
export type HostChange = Partial<Omit<TSHost['spec'], 'ssh'>> & {
  readonly ssh?: Partial<TSHost['spec']['ssh']>;
  readonly labels?: Readonly<Record<string, string>>;
};

/** One Cluster, its hosts and its machines, in one namespace. */
export interface HostSite {
  readonly namespace: string;
  readonly cluster: ObjectName;
  addHost(host: SiteHost, change?: HostChange): Promise<void>;
  /** A Machine and its TSMachine; without a `spec`, on any host. */
  addMachine(name: string, spec?: NonNullable<TSMachineSpec['host']>): Promise<void>;
  host(name: string): Promise<TSHost>;
  hosts(): Promise<TSHost[]>;
  machine(name: string): Promise<TSMachine | undefined>;
  machines(): Promise<TSMachine[]>;
  /** Deletes a TSMachine, as core does once its Machine is drained. */
  deleteMachine(name: string): Promise<void>;
  /** A merge patch, as a person would make it. */
  edit(host: string, patch: unknown): Promise<void>;
}

/** Makes the Cluster and its Secrets in a namespace that exists. */
export async function hostSite(options: SiteOptions): Promise<HostSite> {
  const { client, namespace } = options;
  await createCluster(client, namespace);
  await createSecret(client, { namespace, name: SSH_SECRET }, { 'ssh-privatekey': options.privateKey });
  const data = { value: WORKER_DATA, format: 'cloud-config' };
  await createSecret(client, { namespace, name: DATA_SECRET }, data);
  const at = (name: string): ObjectName => ({ namespace, name });
  return {
    namespace,
    cluster: at(CLUSTER),
    addHost: (host, change) => createHost(client, at(host.name), { host, change }),
    addMachine: (name, spec = {}) => createMachine(options, name, { host: spec }),
    async host(name) {
      const found = await client.get(TSHostKind, at(name));
      if (found === undefined) throw new Error(`TSHost ${keyOf(at(name))} does not exist`);
      return found;
    },
    hosts: () => client.list(TSHostKind, { namespace }),
    machine: (name) => client.get(TSMachineKind, at(name)),
    machines: () => client.list(TSMachineKind, { namespace }),
    async deleteMachine(name) {
      await client.delete(TSMachineKind, at(name));
    },
    async edit(host, patch) {
      await client.patch(TSHostKind, at(host), patch);
    },
  };
}

/** In which state each host is, by name. */
export async function statesOf(site: HostSite): Promise<Record<string, string>> {
  const hosts = await site.hosts();
  return Object.fromEntries(hosts.map((host) => [nameOf(host).name, host.status?.state ?? '']));
}

/** How many machines are provisioned. */
export async function provisionedOf(site: HostSite): Promise<number> {
  const machines = await site.machines();
  return machines.filter(({ status }) => status?.initialization?.provisioned === true).length;
}

async function createHost(
  client: ApiClient,
  name: ObjectName,
  { host, change = {} }: { readonly host: SiteHost; readonly change: HostChange | undefined },
): Promise<void> {
  const { labels = {}, ssh = {}, ...spec } = change;
  const { apiVersion, kind } = TSHostKind;
  const address = { address: '127.0.0.1', port: host.port, credentialsRef: { name: SSH_SECRET } };
  await client.create<TSHost>(TSHostKind, {
    apiVersion,
    kind,
    metadata: { ...name, labels },
    spec: { ssh: { ...address, hostKeys: [host.hostKey], ...ssh }, ...spec },
  });
}

async function createCluster(client: ApiClient, namespace: string): Promise<void> {
  const metadata = { namespace, name: CLUSTER };
  const controlPlaneEndpoint = { host: '127.0.0.1', port: 6443 };
  const cluster = await client.create<Cluster>(ClusterKind, {
    apiVersion: ClusterKind.apiVersion,
    kind: ClusterKind.kind,
    metadata,
    spec: { controlPlaneEndpoint, infrastructureRef: reference(TSClusterKind.kind, CLUSTER) },
  });
  const provisioned = { status: { initialization: { infrastructureProvisioned: true } } };
  await client.patch(ClusterKind, metadata, provisioned, { subresource: 'status' });
  await client.create<TSCluster>(TSClusterKind, {
    apiVersion: TSClusterKind.apiVersion,
    kind: TSClusterKind.kind,
    metadata: ownedBy(cluster, { ...metadata, controller: false }),
    spec: { controlPlaneEndpoint },
  });
}

/** Every Secret of a namespace may carry it: the manager watches those of clusters only. */
async function createSecret(
  client: ApiClient,
  name: ObjectName,
  texts: Readonly<Record<string, string>>,
): Promise<void> {
  const encoded = Object.entries(texts).map(([key, text]): [string, string] => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  const metadata = { ...name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } };
  await client.create(SecretKind, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: Object.fromEntries(encoded),
  });
}

async function createMachine(
  { client, namespace, kubernetes }: SiteOptions,
  name: string,
  spec: TSMachineSpec,
): Promise<void> {
  const metadata = { namespace, name };
  const machine = await client.create<Machine>(MachineKind, {
    apiVersion: MachineKind.apiVersion,
    kind: MachineKind.kind,
    metadata: { ...metadata, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    spec: {
      clusterName: CLUSTER,
      version: kubernetes,
      infrastructureRef: reference(TSMachineKind.kind, name),
      bootstrap: { dataSecretName: DATA_SECRET },
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

function ownedBy(owner: Cluster | Machine, to: ObjectName & { readonly controller: boolean }) {
  const { controller, namespace = '', name } = to;
  const { apiVersion, kind, metadata } = owner;
  const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller };
  return { namespace, name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER }, ownerReferences: [reference] };
}
