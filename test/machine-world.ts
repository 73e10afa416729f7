// SPDX-License-Identifier: Apache-2.0
import type { Cluster, Machine, Secret } from '../api/cluster-api.ts';
import { ClusterKind, MachineKind, SecretKind, TSClusterKind, TSMachineKind } from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../api/labels.ts';
import type { TSCluster } from '../api/tscluster.ts';
import type { TSMachine } from '../api/tsmachine.ts';
import type { Backends } from '../backends/backend.ts';
import { openInMemoryCloud } from '../backends/inmemory/sqlite-cloud.ts';
import { createInMemoryBackend } from '../backends/inmemory/machine-backend.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { createHostInventory } from '../controllers/host/inventory.ts';
import type { CloudCluster } from '../controllers/cluster/scope.ts';
import { clusterReconciler } from '../controllers/cluster/reconciler.ts';
import { createLostInstances } from '../controllers/machine/lost.ts';
import { machineReconciler } from '../controllers/machine/reconciler.ts';
import type { EventContent } from '../runtime/events.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import { createLogger } from '../runtime/logger.ts';
import type { Condition } from '../runtime/object.ts';
import type { Outcome } from '../runtime/result.ts';
import { FakeAPI } from './fake-api.ts';

const NAMESPACE = 'ns';

/** One Cluster c1 with one Machine m1, both reconcilers, and the in-memory backend over an instance database in memory. */
export class MachineWorld {
  readonly api = new FakeAPI();
  readonly clock = new FakeClock();
  readonly cloud = openInMemoryCloud({ path: ':memory:', clock: this.clock });
  readonly events: EventContent[] = [];
  readonly m1 = { namespace: NAMESPACE, name: 'm1' };
  readonly c1 = { namespace: NAMESPACE, name: 'c1' };
  /** What reconcilers use; a test may put something in front of it. */
  backend: ReturnType<Backends['for']> = createInMemoryBackend(this.cloud);
  /** Who makes networks and load balancers; a test may put somebody here. */
  cloudCluster: CloudCluster | undefined;
  watchFilter = '';
  log = createLogger({ level: 'silent' });
  readonly lost = createLostInstances(this.api);

  constructor() {
    this.cluster({});
    this.machine({});
    this.api.put(tsCluster());
    this.api.put(tsMachine());
    this.api.put(bootstrapSecret());
  }

  /** Replaces the Cluster; infrastructure is provisioned unless said otherwise. */
  cluster(change: { spec?: Cluster['spec']; provisioned?: boolean }): void {
    this.api.put<Cluster>({
      ...ClusterKind,
      metadata: this.c1,
      spec: { infrastructureRef: reference('TSCluster', 'c1'), ...change.spec },
      status: { initialization: { infrastructureProvisioned: change.provisioned ?? true } },
    });
  }

  /** Replaces the Machine; its bootstrap data is there unless said otherwise. */
  machine(change: { spec?: Partial<Machine['spec']>; labels?: Record<string, string> }): void {
    this.api.put<Machine>({
      ...MachineKind,
      metadata: { ...this.m1, ...(change.labels && { labels: change.labels }) },
      spec: {
        clusterName: 'c1',
        version: 'v1.36.3',
        infrastructureRef: reference('TSMachine', 'm1'),
        bootstrap: { dataSecretName: 'm1-bootstrap', configRef: reference('KubeadmConfig', 'm1') },
        ...change.spec,
      },
    });
  }

  /** One pass over m1, as the controller makes it. */
  reconcile(): Promise<Outcome> {
    const cache = this.api.cache({ [CLUSTER_INDEX]: byCluster });
    const deps = { client: this.api.client, cache, watchFilter: this.watchFilter };
    const backends = { for: () => this.backend };
    const events = { event: (_object: unknown, content: EventContent) => void this.events.push(content) };
    return machineReconciler({ ...deps, backends, events, lost: this.lost })(this.ctx(), this.m1);
  }

  /** One pass over c1, as the controller makes it. */
  reconcileCluster(): Promise<Outcome> {
    const cache = this.api.cache({ [CLUSTER_INDEX]: byCluster });
    const { client } = this.api;
    const inventory = createHostInventory({ client, cache });
    return clusterReconciler({
      ...{ client, cache, inventory, watchFilter: this.watchFilter },
      cloudOf: () => this.cloudCluster,
    })(this.ctx(), this.c1);
  }

  /** One look at instances whose TSMachines are gone, as the ticker has it. */
  lookAtLost(): Promise<void> {
    return this.lost.tick(this.ctx());
  }

  tsMachine(): TSMachine | undefined {
    return this.api.read(TSMachineKind, this.m1);
  }

  tsCluster(): TSCluster | undefined {
    return this.api.read(TSClusterKind, this.c1);
  }

  condition(type: string): Condition | undefined {
    return this.tsMachine()?.status?.conditions?.find((one) => one.type === type);
  }

  /** Lets machines boot that are due. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.cloud.advance();
  }

  /** Until m1 is provisioned. */
  async provision(): Promise<void> {
    await this.reconcile();
    await this.pass(5_000);
    await this.reconcile();
  }

  deleteTSMachine(): void {
    this.api.remove(TSMachineKind, this.m1);
  }

  private ctx() {
    return {
      signal: new AbortController().signal,
      log: this.log,
      clock: this.clock,
    };
  }
}

function reference(kind: string, name: string) {
  return { apiGroup: 'infrastructure.cluster.x-k8s.io', kind, name };
}

/** A TSMachine as core leaves it: owned by its Machine, labelled with its Cluster. */
export function tsMachine(change: Partial<TSMachine['metadata']> = {}): TSMachine {
  const owner = {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'Machine',
    name: 'm1',
    uid: 'u',
    controller: true,
  };
  const labels = { [CLUSTER_NAME_LABEL]: 'c1' };
  return {
    ...TSMachineKind,
    metadata: { namespace: NAMESPACE, name: 'm1', labels, ownerReferences: [owner], ...change },
    spec: { inMemory: {} },
  };
}

/** A TSCluster as core leaves it: owned and labelled by its Cluster. */
export function tsCluster(change: Partial<TSCluster> = {}): TSCluster {
  const owner = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Cluster', name: 'c1', uid: 'u' };
  return {
    ...TSClusterKind,
    metadata: {
      namespace: NAMESPACE,
      name: 'c1',
      labels: { [CLUSTER_NAME_LABEL]: 'c1' },
      ownerReferences: [owner],
    },
    spec: {
      controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
      inMemory: { bootDelaySeconds: 5 },
    },
    ...change,
  };
}

/** Bootstrap data as the kubeadm bootstrap provider makes it, cut short. */
export function bootstrapSecret(
  data: Record<string, string> = { value: '#cloud-config', format: 'cloud-config' },
): Secret {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return {
    ...SecretKind,
    metadata: { namespace: NAMESPACE, name: 'm1-bootstrap' },
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}
