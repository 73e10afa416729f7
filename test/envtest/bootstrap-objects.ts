// SPDX-License-Identifier: Apache-2.0
// Clusters, their Secrets, Machines and KubeadmConfigs as people, core and the control plane provider leave them, made by the test
// itself: stories about our bootstrap provider alone need no other manager.
import type { Cluster, ConfigMap, Machine, MachinePool, Secret } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  ConfigMapKind,
  INFRASTRUCTURE_GROUP,
  KubeadmConfigKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
} from '../../api/kinds.ts';
import type { KubeadmConfig, KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import { kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import { BOOTSTRAP_ACCOUNT, type Provider } from '../../hack/stack/provider.ts';
import type { Kind, KubeObject, ObjectName } from '../../runtime/object.ts';
import { readAuditLog, type Request, userOf } from './audit.ts';
import type { Environment } from './harness.ts';
import { conditionText, typeOf } from './machines.ts';

/** What matters of a Cluster to who makes bootstrap data. */
export interface ClusterInput extends ObjectName {
  /** It has a control plane, so that machines join it; default true. */
  readonly initialized?: boolean;
  /** Default true. */
  readonly infrastructureProvisioned?: boolean;
  readonly paused?: boolean;
  /** Default: the workload API server of the environment. */
  readonly endpoint?: { readonly host: string; readonly port: number };
  /** Secrets `ca`, `etcd`, `proxy`, `sa` as a control plane provider writes them; default: when it is initialized. */
  readonly certificates?: boolean;
  /** Text of `<cluster>-kubeconfig`; default: the right one. `null` makes no Secret. */
  readonly kubeconfig?: string | null;
}

/** The Cluster with its status, certificates and kubeconfig. */
export async function createCluster(environment: Environment, input: ClusterInput): Promise<void> {
  const { client } = environment;
  const { namespace, name, initialized = true, paused } = input;
  const { port } = await environment.workload();
  if (input.certificates ?? initialized)
    for (const purpose of CERTIFICATES)
      await client.create(SecretKind, await certificate(environment, input, purpose));
  if (input.kubeconfig !== null) await client.create(SecretKind, await kubeconfig(environment, input));
  await client.create<Cluster>(ClusterKind, {
    ...typeOf(ClusterKind),
    metadata: { namespace, name },
    spec: {
      ...(paused !== undefined && { paused }),
      controlPlaneEndpoint: input.endpoint ?? { host: '127.0.0.1', port },
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSCluster', name },
    },
  });
  await reportCluster(environment, input, {
    initialized,
    infrastructureProvisioned: input.infrastructureProvisioned,
  });
}

/** Writes what core reports of a Cluster. */
export async function reportCluster(
  { client }: Environment,
  name: ObjectName,
  {
    initialized,
    infrastructureProvisioned = true,
  }: { initialized: boolean; infrastructureProvisioned?: boolean | undefined },
): Promise<void> {
  const condition = {
    type: 'ControlPlaneInitialized',
    status: initialized ? 'True' : 'False',
    reason: initialized ? 'Initialized' : 'NotInitialized',
    message: '',
    lastTransitionTime: new Date().toISOString(),
  };
  // Core refuses an object without members (IC-6).
  const initialization = infrastructureProvisioned && { initialization: { infrastructureProvisioned } };
  const status = { conditions: [condition], ...initialization };
  await client.patch(ClusterKind, name, { status }, { subresource: 'status' });
}

const CERTIFICATES = ['ca', 'etcd', 'proxy', 'sa'] as const;
type CertificatePurpose = (typeof CERTIFICATES)[number];

const CERTIFICATE_FILES: Readonly<Record<CertificatePurpose, readonly [crt: string, key: string]>> = {
  ca: ['ca.crt', 'ca.key'],
  etcd: ['etcd/ca.crt', 'etcd/ca.key'],
  proxy: ['front-proxy-ca.crt', 'front-proxy-ca.key'],
  sa: ['sa.pub', 'sa.key'],
};

/** A certificate Secret of the workload API server, as a control plane provider would write it (KB-30). */
export async function certificate(
  environment: Environment,
  cluster: ObjectName,
  purpose: CertificatePurpose,
): Promise<Secret> {
  const { pki } = await environment.workload();
  const [crt, key] = CERTIFICATE_FILES[purpose];
  const texts = { 'tls.crt': pki.read(crt), 'tls.key': pki.read(key) };
  return clusterSecret(cluster, purpose, texts);
}

/** `<cluster>-kubeconfig`. */
export async function kubeconfig(
  environment: Environment,
  cluster: ObjectName & { readonly kubeconfig?: string | null },
): Promise<Secret> {
  const { namespace, name } = cluster;
  if (typeof cluster.kubeconfig === 'string')
    return clusterSecret(cluster, 'kubeconfig', { value: cluster.kubeconfig });
  const { pki } = await environment.workload();
  return kubeconfigSecret({ namespace, clusterName: name, pki });
}

/** `<cluster>-<suffix>` with the label of Cluster API. */
export function clusterSecret(
  { namespace, name }: ObjectName,
  suffix: string,
  texts: Readonly<Record<string, string>>,
): Secret {
  return {
    ...secret({ namespace, name: `${name}-${suffix}`, cluster: name }, texts),
    type: 'cluster.x-k8s.io/secret',
  };
}

/** Any Secret; with the cluster's label when it is given one. */
export function secret(
  { namespace, name, cluster }: ObjectName & { readonly cluster?: string },
  texts: Readonly<Record<string, string>>,
): Secret {
  const labels = cluster !== undefined && { labels: { [CLUSTER_NAME_LABEL]: cluster } };
  return { ...typeOf(SecretKind), metadata: { namespace, name, ...labels }, data: secretData(texts) };
}

/** `data` of a Secret. */
export function secretData(texts: Readonly<Record<string, string>>): Record<string, string> {
  const encoded = Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return Object.fromEntries(encoded) as Record<string, string>;
}

/** One machine, or a pool of them, and what it is to be told. */
export interface ConfigInput extends ObjectName {
  readonly cluster: string;
  /** Default `worker`. */
  readonly role?: 'control-plane' | 'worker' | 'pool';
  /** Default: the stack's; `null` for none. */
  readonly version?: string | null;
  readonly spec?: KubeadmConfigSpec;
  /** Of the KubeadmConfig. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Machine or MachinePool, and the KubeadmConfig of the same name that it owns. */
export async function createConfig(environment: Environment, input: ConfigInput): Promise<void> {
  const owner = await createOwner(environment, input);
  const { apiVersion, kind, metadata } = owner;
  const { namespace, name, cluster, spec, labels } = input;
  await environment.client.create<KubeadmConfig>(KubeadmConfigKind, {
    ...typeOf(KubeadmConfigKind),
    metadata: {
      namespace,
      name,
      labels: { [CLUSTER_NAME_LABEL]: cluster, ...labels },
      ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }],
    },
    ...(spec && { spec }),
  });
}

function createOwner({ client, stack }: Environment, input: ConfigInput): Promise<KubeObject> {
  const { namespace, name, cluster, role } = input;
  const version = input.version === undefined ? stack.versions.kubernetes : input.version;
  const machine: Machine['spec'] = {
    clusterName: cluster,
    ...(version !== null && { version }),
    infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSMachine', name },
    bootstrap: { configRef: { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: KubeadmConfigKind.kind, name } },
  };
  const labels = {
    [CLUSTER_NAME_LABEL]: cluster,
    ...(role === 'control-plane' && { [CONTROL_PLANE_LABEL]: '' }),
  };
  const metadata = { namespace, name, labels };
  if (role !== 'pool')
    return client.create<Machine>(MachineKind, { ...typeOf(MachineKind), metadata, spec: machine });
  const spec = { clusterName: cluster, replicas: 1, template: { spec: machine } };
  return client.create<MachinePool>(MachinePoolKind, { ...typeOf(MachinePoolKind), metadata, spec });
}

/** Reads about one KubeadmConfig, for `expect.poll`. */
export function observe({ client, ...environment }: Environment, name: ObjectName) {
  const config = () => client.get(KubeadmConfigKind, name);
  const dataSecret = () => client.get(SecretKind, name);
  const token = async () => (await config())?.spec?.joinConfiguration?.discovery?.bootstrapToken?.token;
  return {
    config,
    dataSecret,
    token,
    /** `False NotAvailable: why`; '' without such a condition. */
    condition: async (type = 'DataSecretAvailable') => conditionText(await config(), type),
    /** Whether core may use the data. */
    isCreated: async () => (await config())?.status?.initialization?.dataSecretCreated === true,
    /** The bootstrap data as text; '' without. */
    data: async () => decoded(await dataSecret(), 'value'),
    /** The token's Secret in the workload cluster. */
    tokenSecret: async () => {
      const id = (await token())?.split('.')[0];
      return id === undefined
        ? undefined
        : (await environment.workloadClient()).get(SecretKind, tokenName(id));
    },
  };
}

/** One text of a Secret; '' when it is not there. */
export function decoded(secret: Secret | undefined, key: string): string {
  return Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8');
}

/** Where a workload cluster keeps a bootstrap token (KB-21). */
export function tokenName(id: string): ObjectName {
  return { namespace: 'kube-system', name: `bootstrap-token-${id}` };
}

/** `id.secret` of every bootstrap token in the workload cluster. */
export async function tokensInWorkload(environment: Environment): Promise<string[]> {
  const secrets = await (await environment.workloadClient()).list(SecretKind, { namespace: 'kube-system' });
  return secrets
    .filter(({ type }) => type === 'bootstrap.kubernetes.io/token')
    .map((one) => `${decoded(one, 'token-id')}.${decoded(one, 'token-secret')}`);
}

/** The init lock of a cluster (KB-9). */
export function lockOf(
  { client }: Environment,
  { namespace, name }: ObjectName,
): Promise<ConfigMap | undefined> {
  return client.get(ConfigMapKind, { namespace, name: `${name}-lock` });
}

/** Status of the owner, as core writes it. */
export async function reportOwner(
  { client }: Environment,
  kind: Kind,
  name: ObjectName,
  status: object,
): Promise<void> {
  await client.patch(kind, name, { status }, { subresource: 'status' });
}

/** Our bootstrap manager, with flags added. */
export function startBootstrap(
  environment: Environment,
  options: {
    main?: string;
    name?: string;
    flags?: readonly string[];
    waitReady?: boolean;
    kubeconfig?: string;
  } = {},
): Promise<Provider> {
  return environment.startProvider({ provider: 'bootstrap', ...options });
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Requests of our bootstrap manager to the management API server in a namespace, in their order; needs the audit log `audit.log`. */
export function bootstrapRequests({ dir }: Environment, namespace?: string): Request[] {
  return readAuditLog(`${dir}/audit.log`).filter(
    (one) =>
      one.user === userOf(BOOTSTRAP_ACCOUNT) && (namespace === undefined || one.namespace === namespace),
  );
}

/** Its writes, as `patch kubeadmconfigs/status name`; events and the lease left out. */
export function bootstrapWrites(environment: Environment, namespace: string): string[] {
  return bootstrapRequests(environment, namespace)
    .filter(({ verb, resource }) => WRITES.has(verb) && resource !== 'events' && resource !== 'leases')
    .map(({ verb, resource, name }) => `${verb} ${resource} ${name}`);
}
