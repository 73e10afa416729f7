// SPDX-License-Identifier: Apache-2.0
import { parse, stringify } from 'yaml';
import type { Node } from '../../api/cluster-api.ts';
import type { Kind } from '../../api/kinds.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists, TerminalError } from '../../runtime/errors.ts';
import { addons } from './addons.ts';
import type { Guest } from './guest.ts';
import { COMPONENTS, type PodFacts, staticPod, staticPodName, staticPodStatus } from './static-pods.ts';
import type { WorkloadAPI } from './workload.ts';

/** Label and taint of control plane nodes. */
export const CONTROL_PLANE_ROLE = 'node-role.kubernetes.io/control-plane';

interface ConfigMap extends ApiObject {
  data?: Record<string, string>;
}

const ConfigMapKind: Kind<ConfigMap> = kind('v1', 'ConfigMap', 'configmaps');
const PodKind = kind('v1', 'Pod', 'pods');

const KUBEADM_CONFIG = { namespace: 'kube-system', name: 'kubeadm-config' };
const CLUSTER_CONFIGURATION = 'ClusterConfiguration';

/** What kubeadm knows of the cluster it initializes or joins. */
export interface ClusterFacts {
  /** With a leading `v`. */
  readonly kubernetesVersion: string;
  readonly imageRepository: string;
  /** etcd runs as a static pod beside the API server. */
  readonly stackedEtcd: boolean;
  /** The completed ClusterConfiguration. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

/**
 * From the bootstrap data on init, else from kubeadm-config; `undefined` while that does not exist. A worker whose version is
 * known needs nothing of it and saves the request.
 */
export async function readClusterFacts(ctx: Ctx, guest: Guest): Promise<ClusterFacts | undefined> {
  const { boot, instance } = guest;
  if (boot.clusterConfiguration !== undefined) return clusterFacts(guest, boot.clusterConfiguration);
  if (boot.role === 'workerJoin' && instance.version !== undefined) return clusterFacts(guest, {});
  const config = await guest.api.get(ConfigMapKind, KUBEADM_CONFIG, ctx.signal);
  if (config === undefined) return undefined;
  return clusterFacts(guest, parse(config.data?.[CLUSTER_CONFIGURATION] ?? '{}') as Record<string, unknown>);
}

function clusterFacts({ boot, instance }: Guest, given: Readonly<Record<string, unknown>>): ClusterFacts {
  const version = instance.version ?? given['kubernetesVersion'];
  if (typeof version !== 'string') {
    const message =
      'Neither the Machine nor the ClusterConfiguration says a Kubernetes version; set spec.version of the Machine';
    throw new TerminalError('VersionMissing', message);
  }
  const etcd = given['etcd'] as { external?: unknown } | undefined;
  const repository = given['imageRepository'];
  return {
    kubernetesVersion: version.startsWith('v') ? version : `v${version}`,
    imageRepository: typeof repository === 'string' && repository !== '' ? repository : 'registry.k8s.io',
    stackedEtcd: etcd?.external === undefined,
    configuration: boot.role === 'init' ? { ...given, kubernetesVersion: version } : given,
  };
}

/** The mirror pods of the control plane's static pods. */
export async function runStaticPods(
  ctx: Ctx,
  guest: Guest,
  cluster: ClusterFacts,
  node: Node,
): Promise<void> {
  const facts: PodFacts = {
    node,
    internalIP: guest.instance.internalIP,
    bindPort: guest.boot.bindPort,
    imageRepository: cluster.imageRepository,
    version: cluster.kubernetesVersion,
    now: ctx.clock.now().toISOString(),
  };
  const components = COMPONENTS.filter((component) => component !== 'etcd' || cluster.stackedEtcd);
  await Promise.all(
    components.map(async (component) => {
      const pod = staticPod(component, facts);
      await createMissing(ctx, guest.api, PodKind, pod);
      // The API server makes every new pod Pending: its kubelet tells the rest.
      const status = staticPodStatus(component, facts);
      const name = { namespace: 'kube-system', name: pod.metadata.name };
      await guest.api.patch(PodKind, name, { status }, { subresource: 'status', signal: ctx.signal });
    }),
  );
}

/** Takes the mirror pods away. They carry no grace period, because there is no kubelet to end one. */
export async function removeStaticPods(ctx: Ctx, api: WorkloadAPI, nodeName: string): Promise<void> {
  const names = COMPONENTS.map((component) => ({
    namespace: 'kube-system',
    name: staticPodName(component, nodeName),
  }));
  await Promise.all(names.map((name) => api.delete(PodKind, name, { signal: ctx.signal })));
}

/** What `kubeadm init` leaves in the cluster and the kubeadm control plane provider looks for (KCP-6, KCP-11, KCP-15). */
export async function initCluster(ctx: Ctx, guest: Guest, cluster: ClusterFacts): Promise<void> {
  await Promise.all(addons(cluster).map(([of, object]) => createMissing(ctx, guest.api, of, object)));
  await createMissing(ctx, guest.api, ConfigMapKind, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...KUBEADM_CONFIG },
    data: { [CLUSTER_CONFIGURATION]: stringify(completed(cluster), { sortMapEntries: true }) },
  });
}

/** kubeadm writes its defaults down; whoever reads the ConfigMap counts on them. */
function completed(cluster: ClusterFacts): Record<string, unknown> {
  const { configuration } = cluster;
  const networking = configuration['networking'] as Record<string, unknown> | undefined;
  const etcd = configuration['etcd'] as Record<string, unknown> | undefined;
  const local = etcd?.['local'] as Record<string, unknown> | undefined;
  return {
    apiServer: {},
    caCertificateValidityPeriod: '87600h0m0s',
    certificateValidityPeriod: '8760h0m0s',
    certificatesDir: '/etc/kubernetes/pki',
    controllerManager: {},
    dns: {},
    encryptionAlgorithm: 'RSA-2048',
    proxy: {},
    scheduler: {},
    ...configuration,
    kind: CLUSTER_CONFIGURATION,
    imageRepository: cluster.imageRepository,
    kubernetesVersion: cluster.kubernetesVersion,
    networking: { dnsDomain: 'cluster.local', serviceSubnet: '10.96.0.0/12', ...networking },
    etcd: cluster.stackedEtcd
      ? { local: { ...local, dataDir: local?.['dataDir'] || '/var/lib/etcd' } }
      : etcd,
  };
}

/** What is there stays as it is: it may have been changed since, by an upgrade for one. */
async function createMissing<T extends ApiObject>(
  ctx: Ctx,
  api: WorkloadAPI,
  of: Kind<T>,
  object: T,
): Promise<void> {
  try {
    await api.create(of, object, ctx.signal);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

function kind<T extends ApiObject>(apiVersion: string, name: string, plural: string): Kind<T> {
  return { apiVersion, kind: name, plural, namespaced: true };
}
