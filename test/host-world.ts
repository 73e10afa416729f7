// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { Cluster, Machine, Secret } from '../api/cluster-api.ts';
import {
  ClusterKind,
  MachineKind,
  SecretKind,
  TSClusterKind,
  TSHostKind,
  TSMachineKind,
} from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL, TSHOST_FINALIZER } from '../api/labels.ts';
import type { HostPreparation } from '../api/preparation.ts';
import { hostProviderID } from '../api/provider-id.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { HostClaim, TSHost } from '../api/tshost.ts';
import type { TSMachine } from '../api/tsmachine.ts';
import { instanceIDOf } from '../backends/host-inventory.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { ownerOf } from '../controllers/host/claim.ts';
import { hostReconciler } from '../controllers/host/reconciler.ts';
import { HOST_INDEXES } from '../controllers/host/watches.ts';
import type { Client } from '../runtime/client.ts';
import type { EventContent } from '../runtime/events.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import type { Cache } from '../runtime/informer.ts';
import { createLogger } from '../runtime/logger.ts';
import { createMetrics } from '../runtime/metrics.ts';
import type { Condition, KubeObject } from '../runtime/object.ts';
import type { Outcome } from '../runtime/result.ts';
import { FakeAPI } from './fake-api.ts';
import { FakeHosts, type Launch } from './fake-hosts.ts';

const NAMESPACE = 'ns';
const INFRASTRUCTURE = 'infrastructure.cluster.x-k8s.io';

/** A manager's TSHost controller: its memory ends with it. */
export interface HostManager {
  /** One pass over a host. `signal` ends it. */
  reconcile(name?: string, signal?: AbortSignal): Promise<Outcome>;
}

/** A Cluster c1 with its TSCluster, hosts and machines as a test makes them, and the TSHost reconciler over fake hosts. */
export class HostWorld {
  readonly api = new FakeAPI();
  readonly clock = new FakeClock();
  readonly hosts = new FakeHosts();
  readonly metrics = createMetrics();
  readonly events: (EventContent & { readonly about: string })[] = [];
  /** The claim that the API server had when a job began. */
  readonly claims: { readonly launch: Launch; readonly claim: HostClaim | undefined }[] = [];
  readonly c1 = { namespace: NAMESPACE, name: 'c1' };
  cleaningPerPool = 2;
  watchFilter = '';
  #manager: HostManager | undefined;

  constructor() {
    this.cluster();
    this.tsCluster();
    this.credentials({ 'ssh-privatekey': 'a private key' });
    this.hosts.launched = (launch) =>
      this.claims.push({ launch, claim: this.host(nameIn(launch.host))?.spec.claim });
  }

  /** A new manager over the same API server and the same hosts; `change` puts another cache or client in front. */
  manager(change: { cache?: Cache; client?: Client } = {}): HostManager {
    const reconcile = hostReconciler({
      client: change.client ?? this.api.client,
      cache: change.cache ?? this.cache(),
      driver: this.hosts.driver,
      clock: this.clock,
      cleaningPerPool: this.cleaningPerPool,
      watchFilter: this.watchFilter,
      metrics: this.metrics,
      events: {
        event: (object, content) => void this.events.push({ ...content, about: object.metadata.name }),
      },
    });
    return {
      reconcile: (name = 'h1', signal = new AbortController().signal) =>
        reconcile(this.ctx(signal), { namespace: NAMESPACE, name }),
    };
  }

  /** One pass over a host with the manager that runs. */
  reconcile(name = 'h1'): Promise<Outcome> {
    this.#manager ??= this.manager();
    return this.#manager.reconcile(name);
  }

  /** The manager is killed; the next pass is a new one's. */
  restart(): void {
    this.#manager = undefined;
  }

  /** Every host's own view of what may not be: work that nobody asked for, or work done twice. Empty when all is well. */
  violations(): string[] {
    const unasked = this.claims.flatMap(({ launch, claim }) => unaskedFor(launch, claim));
    const names = this.hosts.launches.map(({ host, jobID }) => `${host} ${jobID}`);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    return [...unasked, ...twice.map((name) => `${name} began twice`)];
  }

  cache(): Cache {
    const ofHosts = Object.entries(HOST_INDEXES).map(([name, values]) => [name, onlyHosts(values)] as const);
    return this.api.cache({ [CLUSTER_INDEX]: byCluster, ...Object.fromEntries(ofHosts) });
  }

  ctx(signal: AbortSignal = new AbortController().signal) {
    return { signal, log: createLogger({ level: 'silent' }), clock: this.clock };
  }

  cluster(spec: Cluster['spec'] = {}): void {
    this.api.put<Cluster>({
      ...ClusterKind,
      metadata: this.c1,
      spec: { infrastructureRef: reference('TSCluster', 'c1'), ...spec },
      status: { initialization: { infrastructureProvisioned: true } },
    });
  }

  tsCluster(spec: TSCluster['spec'] = {}): TSCluster {
    return this.api.put<TSCluster>({
      ...TSClusterKind,
      metadata: { ...this.c1, labels: { [CLUSTER_NAME_LABEL]: 'c1' } },
      spec: { controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 }, ...spec },
    });
  }

  /** The Secret `ssh`, which every host names. */
  credentials(data: Record<string, string>): void {
    this.api.put<Secret>({ ...SecretKind, metadata: { ...this.c1, name: 'ssh' }, data: encoded(data) });
  }

  /** Makes or replaces a TSHost. */
  addHost(
    name = 'h1',
    change: Partial<TSHost['spec']> & { metadata?: object; status?: TSHost['status'] } = {},
  ) {
    const { metadata, status, ...spec } = change;
    return this.api.put<TSHost>({
      ...TSHostKind,
      metadata: { namespace: NAMESPACE, name, ...metadata },
      spec: {
        ssh: {
          address: `${name}.example.org`,
          credentialsRef: { name: 'ssh' },
          hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinned'],
        },
        ...spec,
      },
      ...(status && { status }),
    });
  }

  /** Changes a TSHost as a person would. */
  editHost(name: string, change: (host: TSHost) => void): void {
    const host = this.host(name);
    if (host === undefined) throw new Error(`there is no TSHost ${name}`);
    change(host);
    this.api.put(host);
  }

  host(name = 'h1'): TSHost | undefined {
    return this.api.read(TSHostKind, { namespace: NAMESPACE, name });
  }

  status(name = 'h1'): NonNullable<TSHost['status']> {
    return this.host(name)?.status ?? {};
  }

  condition(type: string, name = 'h1'): Condition | undefined {
    return this.status(name).conditions?.find((one) => one.type === type);
  }

  /** A Machine, its TSMachine with a create intent, and its bootstrap data. The token is `token-<name>`. */
  addMachine(
    name = 'm1',
    change: {
      controlPlane?: boolean;
      version?: string;
      adopt?: boolean;
      preparation?: HostPreparation;
    } = {},
  ): TSMachine {
    const labels = {
      [CLUSTER_NAME_LABEL]: 'c1',
      ...(change.controlPlane === true && { [CONTROL_PLANE_LABEL]: '' }),
    };
    this.api.put<Machine>({
      ...MachineKind,
      metadata: { namespace: NAMESPACE, name, labels },
      spec: {
        clusterName: 'c1',
        version: change.version ?? 'v1.36.3',
        infrastructureRef: reference('TSMachine', name),
        bootstrap: { dataSecretName: `${name}-bootstrap` },
      },
    });
    this.api.put<Secret>({
      ...SecretKind,
      metadata: { namespace: NAMESPACE, name: `${name}-bootstrap` },
      data: encoded({ value: '#cloud-config', format: 'cloud-config' }),
    });
    const owner = {
      apiVersion: 'cluster.x-k8s.io/v1beta2',
      kind: 'Machine',
      name,
      uid: 'u',
      controller: true,
    };
    return this.api.put<TSMachine>({
      ...TSMachineKind,
      metadata: { namespace: NAMESPACE, name, labels, ownerReferences: [owner] },
      spec: {
        host: {
          ...(change.adopt === true && { adopt: true }),
          ...(change.preparation && { preparation: change.preparation }),
        },
        createIntent: { attempt: 1, clientToken: `token-${name}`, requestHash: 'h' },
      },
    });
  }

  machine(name = 'm1'): TSMachine | undefined {
    return this.api.read(TSMachineKind, { namespace: NAMESPACE, name });
  }

  /** What the machine backend does: the host's claim and, unless `agree` is false, the machine's providerID. */
  claim(host = 'h1', name = 'm1', options: { agree?: boolean } = {}): HostClaim {
    const clientToken = `token-${name}`;
    const uid = this.machine(name)?.metadata.uid ?? 'gone';
    const claim: HostClaim = {
      for: 'Machine',
      machine: { namespace: NAMESPACE, name, uid },
      clientToken,
      generation: (this.host(host)?.spec.claim?.generation ?? 0) + 1,
    };
    this.editHost(host, (object) => {
      object.spec.claim = claim;
      object.metadata.finalizers = [TSHOST_FINALIZER];
    });
    if (options.agree !== false) this.agree(host, name);
    return claim;
  }

  /** The machine names the host, too. */
  agree(host = 'h1', name = 'm1'): void {
    const machine = this.machine(name);
    if (machine === undefined) throw new Error(`there is no TSMachine ${name}`);
    const instanceID = instanceIDOf(`token-${name}`);
    machine.spec.providerID = hostProviderID({ namespace: NAMESPACE, name: host, instanceID });
    this.api.put(machine);
  }

  /** What the TSCluster controller does with a host for its load balancer. */
  claimForBalancer(host = 'lb1'): void {
    const uid = this.api.read(TSClusterKind, this.c1)?.metadata.uid ?? 'gone';
    this.editHost(host, (object) => {
      const generation = (object.spec.claim?.generation ?? 0) + 1;
      object.spec.claim = { for: 'LoadBalancer', cluster: { ...this.c1, uid }, generation };
      object.metadata.finalizers = [TSHOST_FINALIZER];
    });
  }

  /** What the machine backend does when its machine is deleted. */
  release(host = 'h1'): void {
    this.editHost(host, ({ spec }) => {
      if (spec.claim !== undefined) spec.claim.releasing = true;
    });
  }

  /** As `clusterctl move` leaves a host: status gone, uid another. */
  move(host = 'h1'): void {
    this.editHost(host, (object) => {
      delete object.status;
      object.metadata.uid = `${object.metadata.uid ?? ''}-moved`;
    });
    this.restart();
  }
}

function reference(kind: string, name: string) {
  return { apiGroup: INFRASTRUCTURE, kind, name };
}

function encoded(data: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}

function nameIn(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

/** The fake cache has one set of indexes for all kinds. */
function onlyHosts(values: (host: TSHost) => readonly string[]) {
  return (object: KubeObject): readonly string[] =>
    object.kind === TSHostKind.kind ? values(object as TSHost) : [];
}

function unaskedFor({ host, jobID, kind, owner }: Launch, claim: HostClaim | undefined): string[] {
  const isReleasing = claim?.releasing === true;
  const inUse = claim?.for !== undefined && !isReleasing;
  if (kind === 'clean') return inUse ? [`${jobID} began on ${host}, which is in use`] : [];
  const isOwner = inUse && isDeepStrictEqual(owner, ownerOf(claim));
  return isOwner ? [] : [`${jobID} began on ${host} for ${owner?.token ?? 'nobody'}, which does not have it`];
}
