// SPDX-License-Identifier: Apache-2.0
// A cluster on hosts from our own template, with what these hosts need, and the ways to look at it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Machine, Node } from '../../api/cluster-api.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { ClusterKind, MachineKind, NodeKind, SecretKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { ApiObject } from '../../api/meta.ts';
import { podNetwork } from '../../hack/hosts/pod-network.ts';
import { runProgram, waitUntil } from '../../hack/stack/process.ts';
import { type ApiClient, createClient, kubeConfigFromString } from '../../runtime/client.ts';
import { type Management, NAMESPACE, type Site } from './site.ts';

export const CLUSTER = 'c1';

/** A kernel that is shared cannot be configured by one of its hosts, and its cgroups are of the first version. */
const EXTRA = [
  {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    // Without it kubelets sign for themselves, and nobody has to approve anything.
    serverTLSBootstrap: true,
  },
  {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    conntrack: { maxPerCore: 0, min: 0 },
  },
];
const EXTRA_FILE = '/etc/kubernetes-extra.yaml';

/** What every machine of these hosts is told besides. */
export function machineConfig(spec: KubeadmConfigSpec = {}): KubeadmConfigSpec {
  const network = podNetwork();
  const nodeRegistration = { ignorePreflightErrors: ['SystemVerification'] };
  return {
    ...spec,
    initConfiguration: { nodeRegistration },
    joinConfiguration: { nodeRegistration },
    files: [
      ...network.files,
      {
        path: EXTRA_FILE,
        owner: 'root:root',
        permissions: '0644',
        content: EXTRA.map((one) => `---\n${stringify(one)}`).join(''),
      },
    ],
    preKubeadmCommands: [
      ...network.preKubeadmCommands,
      `[ ! -f /run/kubeadm/kubeadm.yaml ] || cat ${EXTRA_FILE} >>/run/kubeadm/kubeadm.yaml`,
      ...(spec.preKubeadmCommands ?? []),
    ],
  };
}

interface Templated extends ApiObject {
  spec: { kubeadmConfigSpec?: KubeadmConfigSpec; template?: { spec: KubeadmConfigSpec } };
}

/** `clusterctl generate cluster --flavor hosts`, with what these hosts need. */
export async function clusterManifest(
  { stack, management }: Site,
  counts: Size,
  roles: { readonly controlPlane: string; readonly worker: string },
): Promise<string> {
  const flags = [
    '--flavor=hosts',
    `--kubernetes-version=${stack.versions.kubernetes}`,
    `--control-plane-machine-count=${counts.controlPlanes}`,
    `--worker-machine-count=${counts.workers}`,
  ];
  const text = await management.cluster.clusterctl.run(
    ['generate', 'cluster', CLUSTER, ...flags],
    management.cluster.apiServer,
    { CONTROL_PLANE_ROLE: roles.controlPlane, WORKER_ROLE: roles.worker },
  );
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Templated);
  for (const object of objects) {
    if (object.kind === 'KubeadmControlPlane') object.spec.kubeadmConfigSpec = machineConfig();
    if (object.kind === 'KubeadmConfigTemplate') object.spec.template!.spec = machineConfig();
  }
  return objects.map((object) => `---\n${stringify(object)}`).join('');
}

/** The workload cluster, as its administrator sees it. */
export interface Workload {
  readonly client: ApiClient;
  kubectl(...args: string[]): Promise<string>;
  apply(manifest: string): Promise<void>;
}

/** Once the control plane provider has written the kubeconfig. */
export async function workload({ stack, dir }: Site, at: Management): Promise<Workload> {
  let text = '';
  await waitUntil(
    async () => {
      const secret = await at.client.get(SecretKind, {
        namespace: NAMESPACE,
        name: `${CLUSTER}-kubeconfig`,
      });
      text = Buffer.from(secret?.data?.['value'] ?? '', 'base64').toString('utf8');
      return text !== '';
    },
    { what: `the kubeconfig of ${CLUSTER}`, timeoutMs: 120_000 },
  );
  const file = join(dir, `${CLUSTER}.kubeconfig`);
  writeFileSync(file, text, { mode: 0o600 });
  const run = (args: readonly string[], input?: string) =>
    runProgram(stack.binaries.kubectl, [`--kubeconfig=${file}`, ...args], {
      ...(input !== undefined && { input }),
    });
  return {
    client: createClient({ kubeConfig: kubeConfigFromString(text) }),
    kubectl: (...args) => run(args),
    apply: async (manifest) => void (await run(['apply', '-f', '-'], manifest)),
  };
}

/** Nodes by name. */
export async function nodes({ client }: Workload): Promise<Node[]> {
  const items = await client.list(NodeKind, {});
  return [...items].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

export function isReady({ status }: Node): boolean {
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** How many Machines of each kind there shall be. */
export interface Size {
  readonly controlPlanes: number;
  readonly workers: number;
}

/** Until there are exactly so many Machines and Nodes, each Node Ready and each Machine with one of them. */
export async function untilNodes(
  at: Management,
  cluster: Workload,
  size: Size,
  timeoutMs = 300_000,
): Promise<Node[]> {
  let seen: Node[] = [];
  await waitUntil(
    async () => {
      seen = await nodes(cluster);
      const machines = await machinesOf(at);
      const controlPlanes = machines.filter(isControlPlane).length;
      const whole =
        controlPlanes === size.controlPlanes &&
        machines.length === size.controlPlanes + size.workers &&
        machines.every(({ status }) => status?.nodeRef !== undefined) &&
        seen.length === machines.length &&
        seen.every(isReady);
      if (whole) return true;
      const lines = seen.map((node) => `${node.metadata.name} ${isReady(node) ? 'Ready' : 'not ready'}`);
      throw new Error(`Nodes: ${lines.join(', ')}; Machines: ${machines.map(machineLine).join('; ')}`);
    },
    {
      what: `${size.controlPlanes} control planes and ${size.workers} workers to be Ready`,
      timeoutMs,
      pollMs: 500,
    },
  );
  return seen;
}

function isControlPlane({ metadata }: Machine): boolean {
  return metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
}

/** Machines of the cluster. */
export async function machinesOf({ client }: Management): Promise<readonly Machine[]> {
  return client.list(MachineKind, { namespace: NAMESPACE });
}

function machineLine({ metadata, status }: Machine): string {
  const ready = status?.conditions?.find(({ type }) => type === 'InfrastructureReady');
  return `${metadata.name}: ${status?.nodeRef?.name ?? `no Node, ${ready?.reason ?? ''} ${ready?.message ?? ''}`}`;
}

/** Deletes the Cluster and waits until nothing of it is left in the management cluster. */
export async function deleteCluster(at: Management, timeoutMs = 300_000): Promise<void> {
  await at.kubectl('delete', 'cluster', CLUSTER, `--namespace=${NAMESPACE}`, '--wait=false');
  await waitUntil(
    async () => {
      if ((await at.client.get(ClusterKind, { namespace: NAMESPACE, name: CLUSTER })) === undefined)
        return true;
      throw new Error((await machinesOf(at)).map(machineLine).join('; '));
    },
    { what: `Cluster ${CLUSTER} to be gone`, timeoutMs, pollMs: 500 },
  );
}
