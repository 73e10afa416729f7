// SPDX-License-Identifier: Apache-2.0
// One MachinePool p1 with its TSMachinePool, the reconciler, a group that exists in memory only, and what core and the machine controller
// do around them.
import type { Cluster, Machine, MachinePool, Secret } from '../api/cluster-api.ts';
import {
  ClusterKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
  TSMachinePoolKind,
} from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL, POOL_NAME_LABEL } from '../api/labels.ts';
import type { TSMachine } from '../api/tsmachine.ts';
import type { TSMachinePool } from '../api/tsmachinepool.ts';
import {
  type MachinePoolBackend,
  type PoolFacts,
  type PoolInstance,
  poolMachineName,
} from '../backends/machine-pool-backend.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { machinePoolReconciler } from '../controllers/machinepool/reconciler.ts';
import { ApiError } from '../runtime/errors.ts';
import type { Client } from '../runtime/client.ts';
import type { Reconcile } from '../runtime/controller.ts';
import type { EventContent } from '../runtime/events.ts';
import type { Cache } from '../runtime/informer.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import { createLogger } from '../runtime/logger.ts';
import { type Condition, nameOf } from '../runtime/object.ts';
import type { Outcome } from '../runtime/result.ts';
import { FakeAPI } from './fake-api.ts';

const namespace = 'ns';
const labels = { [CLUSTER_NAME_LABEL]: 'c1' };

/** A group of instances that run at once; by the rules of the port. */
export class PlayedGroup {
  /** `undefined`: there is none. */
  instances: { id: string; template: string; state: PoolInstance['state'] }[] | undefined;
  desired = 0;
  template = '';
  /** Verbs that were called. */
  readonly calls: string[] = [];
  /** Called by `ensure` when it is done; throw to crash after the side effect. */
  afterEnsure: () => void = () => {};
  #count = 0;

  readonly backend: MachinePoolBackend = {
    place: () => Promise.resolve({ region: 'r', identity: 'i', account: 'a' }),
    observe: async (_ctx, pool) => {
      this.calls.push('observe');
      if (this.instances === undefined) return { state: 'absent' };
      const instances = this.instances.map((one) => instanceOf(pool, one));
      return { state: 'present', providerID: 'group', instances, desired: this.desired, native: undefined };
    },
    ensure: async (_ctx, pool, seen, data) => {
      this.calls.push('ensure');
      this.instances ??= [];
      this.template = data.value.toString();
      if (!pool.isSizedElsewhere || seen.state === 'absent') this.desired = pool.replicas;
      this.fill();
      this.afterEnsure();
      return { template: this.template, pollMs: 60_000 };
    },
    close: async () => {
      this.calls.push('close');
      this.desired = 0;
    },
    remove: async () => {
      this.calls.push('remove');
      if (this.instances === undefined) return { state: 'gone' };
      this.instances = undefined;
      return { state: 'inProgress', message: 'the group goes' };
    },
    size: async () => ({ capacity: { cpu: '2' }, architecture: 'amd64', operatingSystem: 'linux' }),
  };

  /** As many as it is to have. */
  fill(): void {
    while (this.instances !== undefined && this.instances.length < this.desired)
      this.instances.push({ id: `i-${++this.#count}`, template: this.template, state: 'running' });
  }

  /** An instance ends, and is replaced where the group is to have as many. */
  end(id: string): void {
    this.instances = this.instances?.filter((one) => one.id !== id);
    this.fill();
  }
}

function instanceOf(
  pool: PoolFacts,
  { id, template, state }: { id: string; template: string; state: PoolInstance['state'] },
): PoolInstance {
  const createIntent = { attempt: 1, clientToken: `token-${id}`, requestHash: template };
  const providerID = `cloud:///${id}`;
  const machine = { providerID, createIntent };
  return { name: poolMachineName(pool.name, id), providerID, state, machine };
}

export class MachinePoolWorld {
  readonly api = new FakeAPI();
  readonly clock = new FakeClock();
  readonly group = new PlayedGroup();
  readonly events: EventContent[] = [];
  readonly p1 = { namespace, name: 'p1' };
  /** Core makes no Machines while this is false. */
  coreRuns = true;
  /** What the cache knows of Machines while it is behind. */
  cachedMachines: readonly Machine[] | undefined;

  constructor() {
    this.api.put<Cluster>({
      ...ClusterKind,
      metadata: { namespace, name: 'c1' },
      spec: { infrastructureRef: { apiGroup: 'g', kind: 'TSCluster', name: 'c1' } },
      status: { initialization: { infrastructureProvisioned: true } },
    });
    this.api.put({
      ...TSClusterKind,
      metadata: { namespace, name: 'c1', labels },
      spec: { infrastructureID: 'c1-x' },
    });
    this.machinePool({});
    this.bootstrapData('join');
    const owner = {
      apiVersion: 'cluster.x-k8s.io/v1beta2',
      kind: 'MachinePool',
      name: 'p1',
      uid: 'u',
      controller: true,
    };
    this.api.put<TSMachinePool>({
      ...TSMachinePoolKind,
      metadata: { ...this.p1, labels, ownerReferences: [owner] },
      spec: { aws: { instanceType: 'm5.large', image: { id: 'ami-1' } } },
    });
  }

  /** Replaces the MachinePool: three machines unless said otherwise. */
  machinePool(change: Partial<MachinePool['spec']>, annotations: Record<string, string> = {}): void {
    this.api.put<MachinePool>({
      ...MachinePoolKind,
      metadata: { ...this.p1, annotations },
      spec: {
        clusterName: 'c1',
        replicas: 3,
        template: { spec: { version: 'v1.36.3', bootstrap: { dataSecretName: 'p1-bootstrap' } } },
        ...change,
      },
    });
  }

  bootstrapData(value: string): void {
    const metadata = { namespace, name: 'p1-bootstrap' };
    this.api.put<Secret>({
      ...SecretKind,
      metadata,
      data: { value: Buffer.from(value).toString('base64') },
    });
  }

  #reconciler: Reconcile | undefined;

  /** What the manager remembers is gone. */
  restart(): void {
    this.#reconciler = undefined;
  }

  /** One pass, as the controller makes it. */
  reconcile(): Promise<Outcome> {
    this.#reconciler ??= this.#start();
    const ctx = {
      signal: new AbortController().signal,
      log: createLogger({ level: 'silent' }),
      clock: this.clock,
    };
    return this.#reconciler(ctx, this.p1);
  }

  #start(): Reconcile {
    const cache = this.#cache();
    const events = { event: (_object: unknown, content: EventContent) => void this.events.push(content) };
    const backends = { for: () => this.group.backend };
    return machinePoolReconciler({ client: this.client, cache, backends, events });
  }

  #cache(): Cache {
    const cache = this.api.cache({ [CLUSTER_INDEX]: byCluster });
    const peek: Cache['peek'] = (kind, name) =>
      this.cachedMachines === undefined || kind.kind !== MachineKind.kind
        ? cache.peek(kind, name)
        : (this.cachedMachines.find(({ metadata }) => metadata.name === name.name) as never);
    return { ...cache, peek };
  }

  /** Passes of all who take part, and time in between, until nobody has anything to do. */
  async settle(rounds = 12): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.reconcile();
      this.core();
      this.machineController();
      await this.clock.advance(10_000);
    }
  }

  /** Passes of the controller alone, ten seconds between them. */
  async looks(count: number): Promise<void> {
    for (let look = 0; look < count; look++) {
      if (look > 0) await this.clock.advance(10_000);
      await this.reconcile();
    }
  }

  /** What the controller of a TSMachine says of its instance. */
  instanceReady(name: string, reason: string): void {
    const object = this.api.read(TSMachineKind, { namespace, name })!;
    const status = reason === 'InstanceRunning' ? 'True' : 'False';
    const condition = { type: 'InstanceReady', status, reason, message: '', lastTransitionTime: '' } as const;
    this.api.put<TSMachine>({ ...object, status: { ...object.status, conditions: [condition] } });
  }

  /** A Machine for each TSMachine; one that is deleted takes its TSMachine along. New ones have joined in the next round. */
  core(): void {
    if (!this.coreRuns) return;
    for (const machine of this.machines()) {
      const tsMachine = this.api.read(TSMachineKind, nameOf(machine));
      if (machine.metadata.deletionTimestamp !== undefined) {
        if (tsMachine !== undefined) this.api.remove(TSMachineKind, nameOf(machine));
        else this.api.put({ ...machine, metadata: { ...machine.metadata, finalizers: [] } });
        if (tsMachine === undefined) this.api.remove(MachineKind, nameOf(machine));
      } else if (machine.status === undefined) this.join(machine);
    }
    for (const { metadata } of this.tsMachines())
      if (this.api.read(MachineKind, { namespace, name: metadata.name }) === undefined)
        this.api.put<Machine>({
          ...MachineKind,
          metadata: {
            ...{ namespace, name: metadata.name, finalizers: ['core'] },
            labels: { ...labels, [POOL_NAME_LABEL]: 'p1' },
          },
          spec: {
            clusterName: 'c1',
            infrastructureRef: { apiGroup: 'g', kind: 'TSMachine', name: metadata.name },
          },
        });
  }

  /** It has a Node, which is ready unless said otherwise. */
  join(machine: Machine, status: Condition['status'] = 'True'): void {
    const ready = { type: 'Ready', status, reason: 'r', message: '', lastTransitionTime: '' };
    const nodeRef = { name: machine.metadata.name };
    this.api.put<Machine>({ ...machine, status: { nodeRef, conditions: [ready] } });
  }

  /** Ends the instances of TSMachines that are deleted. */
  machineController(): void {
    for (const one of this.tsMachines()) {
      if (one.metadata.deletionTimestamp === undefined) continue;
      this.group.end((one.spec.providerID ?? '').replace('cloud:///', ''));
      this.api.put({ ...one, metadata: { ...one.metadata, finalizers: [] } });
      this.api.remove(TSMachineKind, nameOf(one));
    }
  }

  pool(): TSMachinePool | undefined {
    return this.api.read(TSMachinePoolKind, this.p1);
  }

  condition(type: string): Condition | undefined {
    return this.pool()?.status?.conditions?.find((one) => one.type === type);
  }

  tsMachines(): TSMachine[] {
    return this.api.cache().list(TSMachineKind) as TSMachine[];
  }

  machines(): Machine[] {
    return this.api.cache().list(MachineKind) as Machine[];
  }

  /** Names of machines that nobody has deleted, sorted. */
  names(): string[] {
    const staying = this.machines().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return staying.map(({ metadata }) => metadata.name).sort();
  }

  private get client(): Client {
    const { client } = this.api;
    return {
      ...client,
      create: async (kind, object, signal) => {
        if (this.api.read(kind, nameOf(object)) !== undefined)
          throw new ApiError(409, 'AlreadyExists', `${object.metadata.name} already exists`);
        const creationTimestamp = this.clock.now().toISOString();
        return client.create(
          kind,
          { ...object, metadata: { ...object.metadata, creationTimestamp } },
          signal,
        );
      },
    };
  }
}
