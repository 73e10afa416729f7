// SPDX-License-Identifier: Apache-2.0
import { createHash, generateKeyPairSync } from 'node:crypto';
import type { Cluster, ConfigMap, Machine, MachinePool, Secret } from '../api/cluster-api.ts';
import {
  ClusterKind,
  ConfigMapKind,
  KubeadmConfigKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
} from '../api/kinds.ts';
import type { KubeadmConfig, KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../api/labels.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { bootstrapReconciler } from '../controllers/bootstrap/reconciler.ts';
import { type GenerateKey, newCertificateAuthority } from '../kubeadm/certificate-authority.ts';
import { certificateSecretData, type KeyPair } from '../kubeadm/certificates.ts';
import type { Client } from '../runtime/client.ts';
import type { Reconcile } from '../runtime/controller.ts';
import { ApiError } from '../runtime/errors.ts';
import type { EventContent } from '../runtime/events.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import type { Cache } from '../runtime/informer.ts';
import { createLogger } from '../runtime/logger.ts';
import {
  type Condition,
  keyOf,
  type Kind,
  type KubeObject,
  nameOf,
  type ObjectName,
} from '../runtime/object.ts';
import type { Outcome } from '../runtime/result.ts';
import { FakeAPI } from './fake-api.ts';

const NAMESPACE = 'ns';
const TTL_MS = 15 * 60_000;

/** Keys of one kind that is quick to make; which algorithm was asked for is written down. */
export function quickKeys(asked: string[]): GenerateKey {
  return (algorithm) => {
    asked.push(algorithm);
    return Promise.resolve(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  };
}

/** One Cluster c1 whose infrastructure is there, its workload cluster, and the reconciler of KubeadmConfigs. */
export class BootstrapWorld {
  readonly api = new FakeAPI();
  /** The workload cluster's API. */
  readonly workload = new FakeAPI();
  readonly clock = new FakeClock();
  readonly events: EventContent[] = [];
  /** Every request, as `verb Kind name`, to either API server. */
  readonly requests: string[] = [];
  readonly keysAsked: string[] = [];
  readonly c1 = { namespace: NAMESPACE, name: 'c1' };
  readonly ttlMs = TTL_MS;
  watchFilter = '';
  /** The watches on Secrets and ConfigMaps have told nothing yet. */
  watchesAreBehind = false;
  /** What a connection to the workload cluster gives; a test may replace it. */
  connect: () => Promise<Client | undefined> = () =>
    Promise.resolve(this.#counted(this.workload, 'workload'));
  #reconcile: Reconcile | undefined;
  #random = 0;

  constructor() {
    this.cluster({});
  }

  /** A new process: nothing is remembered but what the API servers hold. */
  restart(): void {
    this.#reconcile = undefined;
  }

  /** Replaces the Cluster. */
  cluster(change: {
    spec?: Cluster['spec'];
    infrastructureProvisioned?: boolean;
    controlPlaneInitialized?: boolean;
  }): void {
    const { spec, infrastructureProvisioned = true, controlPlaneInitialized = false } = change;
    const condition = condition_('ControlPlaneInitialized', controlPlaneInitialized);
    this.api.put<Cluster>({
      ...typeOf(ClusterKind),
      metadata: { ...this.c1, uid: 'uid-c1' },
      spec: {
        controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
        infrastructureRef: { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSCluster', name: 'c1' },
        ...spec,
      },
      status: { initialization: { infrastructureProvisioned }, conditions: [condition] },
    });
  }

  /** A control plane that is up, with the Secrets that its provider writes. */
  async controlPlane(spec: Cluster['spec'] = {}): Promise<void> {
    this.cluster({ spec, controlPlaneInitialized: true });
    for (const purpose of ['ca', 'etcd', 'proxy', 'sa']) await this.certificate(purpose);
  }

  /** A certificate Secret as a control plane provider writes it. */
  async certificate(purpose: string, change: Partial<Secret['metadata']> = {}): Promise<KeyPair> {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const serial = Uint8Array.of(1, 2, 3);
    const authority = await newCertificateAuthority({ key, now: new Date(), validityDays: 10, serial });
    const spki = key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const pair = purpose === 'sa' ? { ...authority, certificate: spki } : authority;
    const labels = { [CLUSTER_NAME_LABEL]: 'c1' };
    this.secret(`c1-${purpose}`, { labels, ...change }, certificateSecretData(pair));
    return pair;
  }

  /** Puts a Secret; values are base64 already. */
  secret(name: string, metadata: Partial<Secret['metadata']>, data: Record<string, string>): void {
    this.api.put<Secret>({
      ...typeOf(SecretKind),
      metadata: { namespace: NAMESPACE, name, ...metadata },
      data,
    });
  }

  /** A Machine with its KubeadmConfig of the same name, as core leaves them. */
  machine(
    name: string,
    change: {
      spec?: KubeadmConfigSpec;
      controlPlane?: boolean;
      machine?: Partial<Machine['spec']>;
      status?: Machine['status'];
      annotations?: Record<string, string>;
    } = {},
  ): ObjectName {
    const config = this.config(name, change);
    this.#putMachine(name, change);
    return config;
  }

  /** Changes the Machine only. */
  setMachine(name: string, change: { machine?: Partial<Machine['spec']>; status?: Machine['status'] }): void {
    const labels = this.api.read(MachineKind, { namespace: NAMESPACE, name })?.metadata.labels ?? {};
    this.#putMachine(name, { ...change, controlPlane: CONTROL_PLANE_LABEL in labels });
  }

  #putMachine(
    name: string,
    change: { controlPlane?: boolean; machine?: Partial<Machine['spec']>; status?: Machine['status'] },
  ): void {
    const labels = {
      [CLUSTER_NAME_LABEL]: 'c1',
      ...(change.controlPlane === true && { [CONTROL_PLANE_LABEL]: '' }),
    };
    this.api.put<Machine>({
      ...typeOf(MachineKind),
      metadata: { namespace: NAMESPACE, name, labels },
      spec: {
        clusterName: 'c1',
        version: 'v1.36.3',
        infrastructureRef: { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSMachine', name },
        bootstrap: { configRef: { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: 'KubeadmConfig', name } },
        ...change.machine,
      },
      ...(change.status && { status: change.status }),
    });
  }

  /** A MachinePool with its KubeadmConfig. */
  pool(name: string, change: { replicas?: number; nodes?: number } = {}): ObjectName {
    const { replicas = 1, nodes = 0 } = change;
    const configRef = { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: 'KubeadmConfig', name };
    this.api.put<MachinePool>({
      ...typeOf(MachinePoolKind),
      metadata: { namespace: NAMESPACE, name },
      spec: {
        clusterName: 'c1',
        replicas,
        template: { spec: { version: 'v1.36.3', bootstrap: { configRef } } },
      },
      status: { nodeRefs: Array.from({ length: nodes }, (_, index) => ({ name: `node-${index}` })) },
    });
    const known = this.read(name);
    return known === undefined
      ? this.config(name, { ownerKind: 'MachinePool' })
      : { namespace: NAMESPACE, name };
  }

  /** Puts a KubeadmConfig. */
  config(
    name: string,
    change: {
      spec?: KubeadmConfigSpec;
      ownerKind?: 'Machine' | 'MachinePool';
      annotations?: Record<string, string>;
    } = {},
  ): ObjectName {
    const { ownerKind: kind = 'Machine', spec = {}, annotations } = change;
    const owner = {
      apiVersion: 'cluster.x-k8s.io/v1beta2',
      kind,
      name,
      uid: `uid-${kind}`,
      controller: true,
    };
    this.api.put<KubeadmConfig>({
      ...typeOf(KubeadmConfigKind),
      metadata: {
        namespace: NAMESPACE,
        name,
        uid: `uid-config-${name}`,
        labels: { [CLUSTER_NAME_LABEL]: 'c1' },
        ownerReferences: [owner],
        ...(annotations && { annotations }),
      },
      spec,
    });
    return { namespace: NAMESPACE, name };
  }

  /** One pass, as the controller makes it. */
  reconcile(name: string): Promise<Outcome> {
    this.#reconcile ??= bootstrapReconciler({
      client: this.#counted(this.api, 'management'),
      cache: this.cache(),
      clock: this.clock,
      workloads: { connect: () => this.connect() },
      events: { event: (_object, content) => void this.events.push(content) },
      watchFilter: this.watchFilter,
      tokenTTLMs: TTL_MS,
      generateKey: quickKeys(this.keysAsked),
      randomBytes: (n) => createHash('sha512').update(`${this.#random++}`).digest().subarray(0, n),
    });
    const ctx = {
      signal: new AbortController().signal,
      log: createLogger({ level: 'silent' }),
      clock: this.clock,
    };
    return this.#reconcile(ctx, { namespace: NAMESPACE, name });
  }

  /** What a test does not want to see of the passes before. */
  forget(): void {
    this.requests.length = 0;
    this.events.length = 0;
  }

  read(name: string): KubeadmConfig | undefined {
    return this.api.read(KubeadmConfigKind, { namespace: NAMESPACE, name });
  }

  condition(name: string, type: string): Condition | undefined {
    return this.read(name)?.status?.conditions?.find((one) => one.type === type);
  }

  token(name: string): string | undefined {
    return this.read(name)?.spec?.joinConfiguration?.discovery?.bootstrapToken?.token;
  }

  dataSecret(name: string): Secret | undefined {
    return this.api.read(SecretKind, { namespace: NAMESPACE, name });
  }

  /** The bootstrap data as text; '' when there is none. */
  data(name: string): string {
    return Buffer.from(this.dataSecret(name)?.data?.['value'] ?? '', 'base64').toString('utf8');
  }

  /** Names of the token Secrets in the workload cluster. */
  tokens(): string[] {
    return this.tokenSecrets().map(({ metadata }) => metadata.name);
  }

  tokenSecrets(): Secret[] {
    return [...this.workload.cache().list(SecretKind, 'kube-system')];
  }

  lock(): ConfigMap | undefined {
    return this.api.read(ConfigMapKind, { namespace: NAMESPACE, name: 'c1-lock' });
  }

  remove(kind: Kind, name: string): void {
    this.api.remove(kind, { namespace: NAMESPACE, name });
  }

  /** Reads as informers give them: of Secrets and ConfigMaps only metadata, and only with the cluster's label. */
  cache(): Cache {
    const real = this.api.cache({ [CLUSTER_INDEX]: byCluster });
    const peek = <T extends KubeObject>(kind: Kind<T>, name: ObjectName): T | undefined => {
      const object = real.peek(kind, name);
      if (kind.kind !== 'Secret' && kind.kind !== 'ConfigMap') return object;
      const seen = object?.metadata.labels?.[CLUSTER_NAME_LABEL] !== undefined && !this.watchesAreBehind;
      return seen ? ({ ...typeOf(kind), metadata: object.metadata } as T) : undefined;
    };
    return { ...real, peek };
  }

  /** As an API server answers where the fake is more patient, with every request written down. */
  #counted(api: FakeAPI, target: 'management' | 'workload'): Client {
    const real = api.client;
    const note = (verb: string, kind: Kind, name: string) =>
      void this.requests.push(`${target === 'workload' ? 'workload ' : ''}${verb} ${kind.kind} ${name}`);
    return {
      ...real,
      get: (kind, name) => {
        note('get', kind, name.name);
        return real.get(kind, name);
      },
      create: async (kind, object) => {
        note('create', kind, object.metadata.name);
        if (api.read(kind, nameOf(object)) !== undefined)
          throw new ApiError(409, 'AlreadyExists', `${kind.plural} "${object.metadata.name}" already exists`);
        return real.create(kind, object);
      },
      patch: (kind, name, body, options) => {
        note(options?.subresource === 'status' ? 'patch_status' : 'patch', kind, name.name);
        return real.patch(kind, name, body, options);
      },
      delete: async (kind, name, options) => {
        note('delete', kind, name.name);
        const uid = api.read(kind, name)?.metadata.uid;
        if (options?.uid !== undefined && uid !== undefined && options.uid !== uid)
          throw new ApiError(409, 'Conflict', `${keyOf(name)} is another object`);
        return real.delete(kind, name, options);
      },
    };
  }
}

function condition_(type: string, isTrue: boolean): Condition {
  const status = isTrue ? 'True' : 'False';
  return { type, status, reason: 'Test', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
}

function typeOf(kind: Kind): { apiVersion: string; kind: string } {
  return { apiVersion: kind.apiVersion, kind: kind.kind };
}
