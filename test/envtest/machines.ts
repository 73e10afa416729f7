// SPDX-License-Identifier: Apache-2.0
// Clusters and Machines as a person writes them who uses core and our provider and no other: up in a few seconds.
import type { Machine, Secret } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  MachineKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { InMemoryMachineSpec } from '../../api/inmemory.ts';
import type { TSClusterSpec } from '../../api/tscluster.ts';
import { kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import type { Condition, Kind, KubeObject, ObjectName } from '../../runtime/object.ts';
import type { Environment } from './harness.ts';

/** How often, and for how long, a story asks before it has failed. Two cores may serve several of them. */
export const soon = { timeout: 90_000, interval: 200 };

/** The bootstrap configs of these stories: the test itself is the bootstrap provider. */
export const BootstrapConfigKind: Kind<KubeObject & { spec?: object }> = {
  apiVersion: 'bootstrap.cluster.x-k8s.io/v1beta2',
  kind: 'KubeadmConfig',
  plural: 'kubeadmconfigs',
  namespaced: true,
};

export interface PlainCluster {
  readonly namespace: string;
  readonly name: string;
  /** Default: the endpoint of the environment's workload API server, which is started for it. */
  readonly infrastructure?: TSClusterSpec;
  /** Of the TSCluster. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly paused?: boolean;
  /** Text of the kubeconfig Secret's `value`; default: the right one. `null` makes no Secret. */
  readonly kubeconfig?: string | null;
}

/** Cluster, TSCluster and kubeconfig Secret; no control plane provider. */
export async function createCluster(environment: Environment, cluster: PlainCluster): Promise<void> {
  const { client } = environment;
  const { namespace, name, labels = {}, annotations = {} } = cluster;
  const endpoint = await environment.workload();
  const secret = kubeconfigSecret({ namespace, clusterName: name, pki: endpoint.pki });
  if (cluster.kubeconfig !== null) {
    const data = cluster.kubeconfig === undefined ? secret.data : { value: base64(cluster.kubeconfig) };
    await client.create(SecretKind, { ...secret, ...(data && { data }) });
  }
  const spec = cluster.infrastructure ?? {
    controlPlaneEndpoint: { host: '127.0.0.1', port: endpoint.port },
  };
  await client.create(TSClusterKind, {
    ...typeOf(TSClusterKind),
    metadata: { namespace, name, labels, annotations },
    spec,
  });
  await client.create(ClusterKind, {
    ...typeOf(ClusterKind),
    metadata: { namespace, name },
    spec: {
      ...(cluster.paused === undefined ? {} : { paused: cluster.paused }),
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSCluster', name },
    },
  });
}

/** What the Machine finds as its bootstrap data. */
export type Bootstrap =
  /** A kubeadm join that works. */
  | 'given'
  /** A KubeadmConfig that nobody serves: see {@link giveBootstrapData}. */
  | 'awaited'
  /** A Secret that does not exist. */
  | 'missing'
  /** Keys of the Secret. */
  | Readonly<Record<string, string>>;

export interface PlainMachine extends ObjectName {
  readonly cluster: string;
  readonly inMemory?: InMemoryMachineSpec;
  /** Default `given`. */
  readonly bootstrap?: Bootstrap;
  readonly failureDomain?: string;
  readonly controlPlane?: boolean;
  /** Of the TSMachine. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Machine, TSMachine and what its bootstrap data comes from, all of one name. */
export async function createMachine({ client, stack }: Environment, machine: PlainMachine): Promise<void> {
  const { namespace, name, bootstrap = 'given', labels = {}, annotations = {} } = machine;
  if (bootstrap === 'awaited') {
    await client.create(BootstrapConfigKind, {
      ...typeOf(BootstrapConfigKind),
      metadata: { namespace, name },
      spec: { format: 'cloud-config' },
    });
  } else if (bootstrap !== 'missing') {
    await client.create(SecretKind, bootstrapSecret(machine, bootstrap === 'given' ? {} : bootstrap));
  }
  await client.create(TSMachineKind, {
    ...typeOf(TSMachineKind),
    metadata: {
      namespace,
      name,
      labels: { [CLUSTER_NAME_LABEL]: machine.cluster, ...labels },
      annotations,
    },
    spec: { inMemory: machine.inMemory ?? { bootDelaySeconds: 0 } },
  });
  await client.create(MachineKind, machineObject(machine, stack.versions.kubernetes));
}

function machineObject(machine: PlainMachine, version: string): Machine {
  const { namespace, name, failureDomain } = machine;
  const configRef = { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: BootstrapConfigKind.kind, name };
  return {
    ...typeOf(MachineKind),
    metadata: {
      namespace,
      name,
      labels: {
        [CLUSTER_NAME_LABEL]: machine.cluster,
        ...(machine.controlPlane === true && { [CONTROL_PLANE_LABEL]: '' }),
      },
    },
    spec: {
      clusterName: machine.cluster,
      version,
      ...(failureDomain !== undefined && { failureDomain }),
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSMachine', name },
      bootstrap: machine.bootstrap === 'awaited' ? { configRef } : { dataSecretName: secretName(name) },
    },
  };
}

/** Does for an awaited KubeadmConfig what its provider would (BC): the Secret, then the status that names it. */
export async function giveBootstrapData({ client }: Environment, machine: PlainMachine): Promise<void> {
  await client.create(SecretKind, bootstrapSecret(machine, {}));
  const status = {
    dataSecretName: secretName(machine.name),
    initialization: { dataSecretCreated: true },
  };
  await client.patch(BootstrapConfigKind, machine, { status }, { subresource: 'status' });
}

/** The bootstrap data Secret of a machine; without keys, a kubeadm join that works. */
export function bootstrapSecret(
  { namespace, name, cluster }: PlainMachine,
  keys: Readonly<Record<string, string>> = {},
): Secret {
  const given = Object.keys(keys).length > 0 ? keys : { value: joinConfig(), format: 'cloud-config' };
  const data = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, base64(value)]));
  return {
    ...typeOf(SecretKind),
    type: 'cluster.x-k8s.io/secret',
    metadata: { namespace, name: secretName(name), labels: { [CLUSTER_NAME_LABEL]: cluster } },
    data,
  };
}

/** A worker's cloud-config. `secret` is put where a real one carries its token. */
export function joinConfig(secret = 'abcdef.0123456789abcdef'): string {
  return `#cloud-config
write_files:
  - path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: JoinConfiguration
      discovery:
        bootstrapToken:
          token: ${secret}
      nodeRegistration: {}
runcmd:
  - kubeadm join
`;
}

/** Name of the bootstrap data Secret of a machine. */
export function secretName(machine: string): string {
  return `${machine}-bootstrap`;
}

/** `True Ready`, `False InstanceFailed: why`; '' while there is no such condition. */
export function conditionText(object: KubeObject | undefined, type: string): string {
  const found = conditionsOf(object).find((condition) => condition.type === type);
  if (found === undefined) return '';
  return `${found.status} ${found.reason}${found.message === '' ? '' : `: ${found.message}`}`;
}

/** The conditions of any object, in their order. */
export function conditionsOf(object: KubeObject | undefined): readonly Condition[] {
  return (object as { status?: { conditions?: Condition[] } } | undefined)?.status?.conditions ?? [];
}

/** `status.phase` of a core object. */
export function phaseOf(object: KubeObject | undefined): string {
  return (object as { status?: { phase?: string } } | undefined)?.status?.phase ?? '';
}

/** Asks for one condition of one object, for `expect.poll`. */
export function conditionOf(
  { client }: Environment,
  kind: Kind,
  name: ObjectName,
  type = 'Ready',
): () => Promise<string> {
  return async () => conditionText(await client.get(kind, name), type);
}

/** `apiVersion` and `kind`, for a new object. */
export function typeOf({ apiVersion, kind }: Kind): { apiVersion: string; kind: string } {
  return { apiVersion, kind };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
