// SPDX-License-Identifier: Apache-2.0
// Plays the machine controller for a backend whose hosts are real: what it stores around a call is what the TSHost controller waits for.
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  MachineKind,
  SecretKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { BootstrapData, CreateIntent, MachineBackend, MachineFacts } from '../../backends/backend.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { isConflict } from '../../runtime/errors.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';

const CLUSTER = 'c1';
const DATA_SECRET = 'bootstrap';

export interface PlayedMachinesOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly data: BootstrapData;
  /** Comes back once the host itself says that it becomes the machine of this providerID. */
  readonly begun: (providerID: string) => Promise<void>;
}

/** TSMachines that no controller serves, and what they belong to. */
export interface PlayedMachines {
  /** The backend as the machine controller uses it. */
  play(backend: MachineBackend): MachineBackend;
  /** Machines for which a create call was answered, and that were not forgotten since. */
  created(): readonly MachineFacts[];
  /** Deletes the objects of all machines. */
  forget(): Promise<void>;
}

/** Makes the Cluster and the Secret that all machines share. */
export async function playMachines(options: PlayedMachinesOptions): Promise<PlayedMachines> {
  await createCluster(options);
  const stored = new Map<string, Promise<TSMachine>>();
  const created = new Map<string, MachineFacts>();

  /** The intent is stored before the first call that may make something; machines never change theirs here. */
  function store(machine: MachineFacts, intent: CreateIntent): Promise<TSMachine> {
    const key = keyOf(machine);
    const object = stored.get(key) ?? createMachine(options, machine, intent);
    stored.set(key, object);
    return object;
  }

  async function asStored(machine: MachineFacts): Promise<MachineFacts> {
    const object = await stored.get(keyOf(machine));
    return { ...machine, uid: object?.metadata.uid ?? machine.uid };
  }

  return {
    play: (backend) => ({
      observe: async (ctx, machine) => backend.observe(ctx, await asStored(machine)),
      destroy: async (ctx, machine) => backend.destroy(ctx, await asStored(machine)),
      async create(ctx, machine, intent, data) {
        await store(machine, intent);
        const known = await asStored(machine);
        const answer = await backend.create(ctx, known, intent, data);
        created.set(keyOf(machine), known);
        if (answer.state === 'deferred') return answer;
        const seen = await backend.observe(ctx, known);
        if (seen.state !== 'absent')
          await options.begun(await nameHost(options.client, machine, seen.providerID));
        return answer;
      },
    }),
    created: () => [...created.values()],
    async forget() {
      const objects = await Promise.all(stored.values());
      stored.clear();
      created.clear();
      for (const name of objects.map(nameOf)) {
        await options.client.delete(TSMachineKind, name);
        await options.client.delete(MachineKind, name);
      }
    },
  };
}

/** Stores the providerID unless one is there already: of two managers, one is the first. Answers which one is stored. */
async function nameHost(client: ApiClient, name: ObjectName, providerID: string): Promise<string> {
  const object = await client.get(TSMachineKind, name);
  if (object?.spec.providerID !== undefined) return object.spec.providerID;
  const { resourceVersion } = object?.metadata ?? {};
  try {
    await client.patch(TSMachineKind, name, { metadata: { resourceVersion }, spec: { providerID } });
    return providerID;
  } catch (error) {
    if (isConflict(error)) return nameHost(client, name, providerID);
    throw error;
  }
}

async function createCluster({ client, namespace, data }: PlayedMachinesOptions): Promise<void> {
  const { apiVersion, kind } = ClusterKind;
  await client.create<Cluster>(ClusterKind, {
    ...{ apiVersion, kind, metadata: { namespace, name: CLUSTER } },
    spec: {
      controlPlaneEndpoint: { host: '127.0.0.1', port: 6443 },
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: 'TSCluster', name: CLUSTER },
    },
  });
  const encoded = (text: string | Buffer) => Buffer.from(text).toString('base64');
  await client.create(SecretKind, {
    ...{ apiVersion: 'v1', kind: 'Secret' },
    metadata: { namespace, name: DATA_SECRET, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    data: { value: encoded(data.value), format: encoded(data.format) },
  });
}

async function createMachine(
  { client }: PlayedMachinesOptions,
  { namespace, name, spec, version }: MachineFacts,
  intent: CreateIntent,
): Promise<TSMachine> {
  const metadata = { namespace, name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } };
  const { apiVersion, kind } = MachineKind;
  const owner = await client.create<Machine>(MachineKind, {
    ...{ apiVersion, kind, metadata },
    spec: {
      clusterName: CLUSTER,
      ...(version !== undefined && { version }),
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: TSMachineKind.kind, name },
      bootstrap: { dataSecretName: DATA_SECRET },
    },
  });
  const ownerReferences = [{ apiVersion, kind, name, uid: owner.metadata.uid ?? '', controller: true }];
  return client.create<TSMachine>(TSMachineKind, {
    apiVersion: TSMachineKind.apiVersion,
    kind: TSMachineKind.kind,
    metadata: { ...metadata, ownerReferences },
    spec: { ...spec, createIntent: intent },
  });
}
