// SPDX-License-Identifier: Apache-2.0
// Puts all scenarios before one provider at once, waits until it has no more to do, and reads back what it left.
import type { Secret } from '../../api/cluster-api.ts';
import { ClusterKind, ConfigMapKind, KubeadmConfigKind, MachineKind, SecretKind } from '../../api/kinds.ts';
import { KubeadmControlPlaneKind } from '../../hack/stack/kinds.ts';
import { pause } from '../../hack/stack/process.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { type CertificateSource, certificateSecrets } from './certificates.ts';
import {
  clusterManifest,
  clusterNameOf,
  clusterStatus,
  configManifest,
  contentSecret,
  controlPlaneManifest,
  dataSecret,
  joinedStatus,
  LIVING_MACHINE,
  lockManifest,
  type Manifest,
  ownerKind,
  ownerManifest,
  tokenManifest,
  workloadSecret,
} from './objects.ts';
import type { Scenario } from './scenario.ts';
import { NAMESPACE, type World } from './world.ts';

/** How long a world may take for all of them. */
const SETTLE_MS = 600_000;
/** No data Secret has come for so long: those that are missing never will. */
const STUCK_MS = 15_000;
/** Nothing was written for so long: nothing will be. */
const QUIET_MS = 4_000;
/** Asking costs the API server as much as some dozens of writes: not often. */
const POLL_MS = 2_000;
const AT_ONCE = 16;

type Config = KubeObject & { readonly status?: { readonly observedGeneration?: number } };

/** What is there in the end, by name. */
export interface Remains {
  readonly configs: ReadonlyMap<string, Manifest>;
  readonly owners: ReadonlyMap<string, KubeObject>;
  readonly clusters: ReadonlyMap<string, KubeObject>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly configMaps: ReadonlyMap<string, Manifest>;
  /** Token Secrets of the workload cluster. */
  readonly tokens: ReadonlyMap<string, Secret>;
  /** What the API server said to a config that it refused. */
  readonly refused: ReadonlyMap<string, string>;
}

export async function runScenarios(
  world: World,
  source: CertificateSource,
  scenarios: readonly Scenario[],
): Promise<Remains> {
  await createSurroundings(world, source, scenarios);
  const owners = await createOwners(world, scenarios);
  const refused = await createConfigs(world, scenarios, owners);
  await settled(
    world,
    scenarios.filter(({ id }) => !refused.has(id)),
  );
  return { ...(await readBack(world)), owners, refused };
}

async function createSurroundings(
  { client, apiServer }: World,
  source: CertificateSource,
  scenarios: readonly Scenario[],
): Promise<void> {
  const clusters = new Map(scenarios.map((one) => [clusterNameOf(one), one]));
  const secrets: Secret[] = [contentSecret()];
  const locks: Manifest[] = [];
  for (const [name, { cluster }] of clusters) {
    secrets.push(...certificateSecrets(source, name, cluster.certificates));
    if (cluster.initialized && cluster.kubeconfig === undefined)
      secrets.push(workloadSecret(name, apiServer.kubeconfig));
    if (cluster.locked === true) locks.push(lockManifest(name, LIVING_MACHINE));
  }
  for (const { tokens = [] } of scenarios)
    secrets.push(...tokens.map(({ token, lifetimeMs }) => tokenManifest(token, lifetimeMs)));
  secrets.push(...scenarios.filter(({ moved }) => moved === true).map((one) => dataSecret(one)));
  await all(secrets, (secret) => client.create(SecretKind, secret));
  await all(locks, (lock) => client.create<KubeObject>(ConfigMapKind as Kind, lock));
  const versions = new Set(scenarios.map(({ cluster }) => cluster.controlPlane));
  const real = [...versions].filter((version) => version !== 'none' && version !== 'missing');
  await all(real, (version) =>
    client.create<KubeObject>(KubeadmControlPlaneKind as Kind, controlPlaneManifest(version)),
  );
  await all([...clusters], async ([name, scenario]) => {
    await client.create<KubeObject>(ClusterKind, clusterManifest(name, scenario));
    const status = clusterStatus(scenario);
    await client.patch(ClusterKind, { namespace: NAMESPACE, name }, { status }, { subresource: 'status' });
  });
}

async function createOwners(
  { client }: World,
  scenarios: readonly Scenario[],
): Promise<Map<string, KubeObject>> {
  const owners = new Map<string, KubeObject>();
  const holder = scenarios.find(({ cluster }) => cluster.locked === true);
  if (holder !== undefined)
    await client.create<KubeObject>(MachineKind, ownerManifest({ ...holder, id: LIVING_MACHINE }));
  await all(scenarios, async (scenario) => {
    const kind = ownerKind(scenario);
    const owner = await client.create<KubeObject>(kind, ownerManifest(scenario));
    owners.set(scenario.id, owner);
    if (scenario.joined !== true) return;
    const name = { namespace: NAMESPACE, name: scenario.id };
    await client.patch(kind, name, { status: joinedStatus(scenario) }, { subresource: 'status' });
  });
  return owners;
}

async function createConfigs(
  { client }: World,
  scenarios: readonly Scenario[],
  owners: ReadonlyMap<string, KubeObject>,
): Promise<Map<string, string>> {
  const kind = KubeadmConfigKind as Kind;
  const refused = new Map<string, string>();
  await all(scenarios, async (scenario) => {
    const { id } = scenario;
    const owner = owners.get(id);
    if (owner === undefined) throw new Error(`${id} has no owner`);
    const manifest = configManifest(scenario, owner);
    try {
      if (scenario.created === undefined) await client.create<KubeObject>(kind, manifest);
      else {
        // Without an owner it is nobody's business, so that the status can be written in peace.
        const { ownerReferences, ...metadata } = manifest.metadata;
        const config = await client.create<KubeObject>(kind, { ...manifest, metadata });
        if (scenario.created === 'there') await client.create(SecretKind, dataSecret(scenario, config));
        const name = { namespace: NAMESPACE, name: id };
        const status = { dataSecretName: id, initialization: { dataSecretCreated: true } };
        await client.patch(kind, name, { status }, { subresource: 'status' });
        await client.patch(kind, name, { metadata: { ownerReferences } });
      }
    } catch (error) {
      refused.set(id, error instanceof Error ? error.message : String(error));
    }
  });
  return refused;
}

/** Every data Secret that is expected is there, or no more come; and the configs have not been written for a while. */
async function settled({ client }: World, scenarios: readonly Scenario[]): Promise<void> {
  const options = { namespace: NAMESPACE, metadataOnly: true };
  const expected = scenarios.filter(({ expect, created }) => expect === 'data' && created !== 'there');
  const waiting = new Set(expected.map(({ id }) => id));
  const data = async () => {
    // Metadata alone: the configs are large, and asking must not slow down what it waits for.
    const { items } = await client.snapshot(SecretKind, options);
    for (const { metadata } of items) waiting.delete(metadata.name);
    return String(waiting.size);
  };
  const versions = async () => {
    const { items } = await client.snapshot(KubeadmConfigKind, options);
    return items.map(({ metadata }) => metadata.resourceVersion).join();
  };
  // On a machine with much else to do a provider pauses for longer than that before its last words.
  let isCaughtUp = false;
  const ids = new Set(expected.map(({ id }) => id));
  const behind = async () => {
    const configs = await client.list<Config>(KubeadmConfigKind, { namespace: NAMESPACE });
    const late = configs.filter(
      ({ metadata, status }) => ids.has(metadata.name) && status?.observedGeneration !== metadata.generation,
    );
    isCaughtUp = late.length === 0;
    return late.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).join();
  };
  await quiet(data, { forMs: STUCK_MS, until: () => waiting.size === 0 });
  await quiet(versions, { forMs: QUIET_MS, until: () => false });
  await quiet(behind, { forMs: STUCK_MS, until: () => isCaughtUp });
}

/** Asks until `until`, or until the answer has been the same for `forMs`. A server that is too busy to answer is not quiet. */
async function quiet(
  ask: () => Promise<string>,
  { forMs, until }: { forMs: number; until: () => boolean },
): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  let last = '';
  let since = Date.now();
  while (Date.now() - since < forMs) {
    const now = await ask().catch((error: unknown) => `${Date.now()} ${String(error)}`);
    if (until()) return;
    if (now !== last) [last, since] = [now, Date.now()];
    if (since > deadline)
      throw new Error(`something still changes after ${SETTLE_MS / 1000} s: ${last.slice(0, 200)}`);
    await pause(POLL_MS);
  }
}

async function readBack({ client }: World): Promise<Omit<Remains, 'owners' | 'refused'>> {
  const [configs, clusters, secrets, configMaps, tokens] = await Promise.all([
    client.list(KubeadmConfigKind as Kind, { namespace: NAMESPACE }),
    client.list(ClusterKind, { namespace: NAMESPACE }),
    client.list(SecretKind, { namespace: NAMESPACE }),
    client.list(ConfigMapKind as Kind, { namespace: NAMESPACE }),
    client.list(SecretKind, { namespace: 'kube-system' }),
  ]);
  return {
    configs: byName(configs),
    clusters: byName(clusters),
    secrets: byName(secrets),
    configMaps: byName(configMaps),
    tokens: byName(tokens.filter(({ type }) => type === 'bootstrap.kubernetes.io/token')),
  };
}

function byName<T extends KubeObject>(objects: readonly T[]): ReadonlyMap<string, T> {
  return new Map(objects.map((object) => [object.metadata.name, object]));
}

/** Some at a time, in order. */
async function all<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
