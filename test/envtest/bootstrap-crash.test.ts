// SPDX-License-Identifier: Apache-2.0
// kill -9 at any line is safe: the bootstrap manager dies again and again while it makes the data of seventy machines that join and
// of five clusters that begin.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Secret } from '../../api/cluster-api.ts';
import { ConfigMapKind, KubeadmConfigKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfig } from '../../api/kubeadmconfig.ts';
import { pause } from '../../hack/stack/process.ts';
import { BOOTSTRAP_ACCOUNT } from '../../hack/stack/provider.ts';
import { serviceAccountKubeconfig } from '../../hack/stack/service-account.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import {
  createCluster,
  createConfig,
  decoded,
  lockOf,
  observe,
  reportCluster,
  startBootstrap,
  tokensInWorkload,
} from './bootstrap-objects.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { bundleManager } from './manager-bundle.ts';
import { seeded } from './seeded.ts';

const LIVES = 20;
const WORKERS = 60;
const CONTROL_PLANES = 10;
const NEW_CLUSTERS = 5;
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_204);

const JOINED = 'joined';
const soon = { timeout: 120_000, interval: 250 };

let environment: Environment;
let namespace: string;
let kubeconfig: string;
let main: string;
let seen: History;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false, ourBootstrap: true });
  const { stack, apiServer } = environment;
  kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...BOOTSTRAP_ACCOUNT });
  main = await bundleManager(environment.dir);
  namespace = await environment.namespace('crash');
  await createCluster(environment, { namespace, name: JOINED });
  seen = watchHistory(environment, namespace);
});

afterAll(async () => {
  seen?.end();
  await environment?.stop();
});

it(
  `KB-9, KB-10, KB-21: killed ${LIVES} times while ${WORKERS + CONTROL_PLANES} machines join and ${NEW_CLUSTERS} clusters begin, it makes one token and one data Secret for each`,
  { timeout: 400_000 },
  async () => {
    const random = seeded(SEED);
    const lives: Life[] = [];
    for (let count = 0; count < LIVES; count++) lives.push(await live(random, () => addWork(count)));
    await start();
    await expect.poll(() => created(joining), soon).toHaveLength(WORKERS + CONTROL_PLANES);
    await expect.poll(() => created(beginning), soon).toHaveLength(NEW_CLUSTERS);
    report(lives);

    await everyJoinHasItsToken(WORKERS + CONTROL_PLANES);
    const names = (await created(() => true)).map(({ metadata }) => metadata.name).sort();
    expect(dataSecrets(await secrets()), `seed ${SEED}`).toEqual(names);
    for (const cluster of newClusters()) await beganOnce(cluster);
    expect(seen.rewritten(), `seed ${SEED}`).toEqual([]);

    // The kills hit work in progress, or the above says little.
    expect(those(lives, 'writes')).toBeGreaterThan(LIVES / 2);
    expect(those(lives, 'halfDone')).toBeGreaterThan(LIVES / 5);
    expect(those(lives, 'locked')).toBeGreaterThan(0);
  },
);

it('KB-9: once they have a control plane the locks go, and who lost the race joins with a token of its own', async () => {
  const before = seen.count();
  for (const name of newClusters())
    await reportCluster(environment, { namespace, name }, { initialized: true });
  await expect.poll(() => created(beginning), soon).toHaveLength(2 * NEW_CLUSTERS);
  for (const name of newClusters())
    await expect.poll(() => lockOf(environment, { namespace, name }), soon).toBeUndefined();
  await everyJoinHasItsToken(WORKERS + CONTROL_PLANES + NEW_CLUSTERS);
  expect(seen.count()).toBeGreaterThan(before);
  expect(seen.rewritten()).toEqual([]);
});

/** Their names come first: a manager begins with its objects in the order of their names, and is to die with these as well. */
const newClusters = () => Array.from({ length: NEW_CLUSTERS }, (_, index) => `begins-${index}`);
const joining = ({ metadata }: KubeObject) => metadata.name.startsWith(JOINED);
const beginning = (config: KubeObject) => !joining(config);
const tokenOf = ({ spec }: KubeadmConfig) => spec?.joinConfiguration?.discovery?.bootstrapToken?.token;

/** What is added to the world while a manager starts. Every fourth time a cluster begins, with two machines that want to be first. */
async function addWork(count: number): Promise<void> {
  const name = (what: string, index: number) => `${JOINED}-${what}-${count}-${index}`;
  const one = (what: string, role: 'worker' | 'control-plane') => (_: unknown, index: number) =>
    createConfig(environment, { namespace, name: name(what, index), cluster: JOINED, role });
  const workers = Array.from({ length: WORKERS / LIVES }, one('w', 'worker'));
  const controlPlanes = Array.from({ length: count % 2 }, one('cp', 'control-plane'));
  await Promise.all([...workers, ...controlPlanes, ...(count % 4 === 0 ? [newCluster(count / 4)] : [])]);
}

async function newCluster(index: number): Promise<void> {
  const cluster = { namespace, name: `begins-${index}`, initialized: false };
  await createCluster(environment, cluster);
  const spec = { clusterConfiguration: { encryptionAlgorithm: 'ECDSA-P256' as const } };
  await Promise.all(
    ['a', 'b'].map((which) =>
      createConfig(environment, {
        ...{ namespace, name: `${cluster.name}-${which}`, cluster: cluster.name },
        ...{ role: 'control-plane', spec },
      }),
    ),
  );
}

/** The configs whose data core may use, of those that `which` chooses. */
async function created(which: (config: KubeadmConfig) => boolean): Promise<KubeadmConfig[]> {
  const configs = await environment.client.list(KubeadmConfigKind, { namespace });
  return configs.filter((one) => which(one) && one.status?.initialization?.dataSecretCreated === true);
}

function secrets(): Promise<Secret[]> {
  return environment.client.list(SecretKind, { namespace });
}

/** Names of the Secrets with bootstrap data. */
function dataSecrets(all: readonly Secret[]): string[] {
  return all
    .filter(({ data }) => data?.['format'] !== undefined)
    .map(({ metadata }) => metadata.name)
    .sort();
}

/** The token in the spec, in the data and in the workload cluster is one and the same, and there is no other. */
async function everyJoinHasItsToken(count: number): Promise<void> {
  const configs = (await created(() => true)).filter((one) => tokenOf(one) !== undefined);
  const recorded = configs.map((one) => tokenOf(one) ?? '');
  expect(new Set(recorded).size, `seed ${SEED}`).toBe(count);
  expect((await tokensInWorkload(environment)).sort(), `seed ${SEED}`).toEqual(recorded.sort());
  const all = new Map((await secrets()).map((one) => [one.metadata.name, one]));
  for (const config of configs) {
    const data = decoded(all.get(config.metadata.name), 'value');
    const inData = [...data.matchAll(/\btoken: (\S+)/g)].map(([, token]) => token);
    expect(inData, config.metadata.name).toEqual([tokenOf(config)]);
  }
}

/** One machine of two was told to run `kubeadm init`, with the CA that the cluster has. */
async function beganOnce(cluster: string): Promise<void> {
  const names = ['a', 'b'].map((which) => ({ namespace, name: `${cluster}-${which}` }));
  const data = await Promise.all(names.map((name) => observe(environment, name).data()));
  const told = data.filter((one) => one.includes('kubeadm init'));
  expect(told, `seed ${SEED}, ${cluster}`).toHaveLength(1);
  expect(
    data.filter((one) => one !== ''),
    `seed ${SEED}, ${cluster}`,
  ).toHaveLength(1);
  const ca = await environment.client.get(SecretKind, { namespace, name: `${cluster}-ca` });
  const body = decoded(ca, 'tls.crt').split('\n')[3] ?? 'no CA';
  expect(told[0]).toContain(body);
  const lock = await lockOf(environment, { namespace, name: cluster });
  const winner = names[data.findIndex((one) => one !== '')]?.name;
  expect(lock?.data?.['lock-information']).toBe(JSON.stringify({ machineName: winner }));
}

/** What one manager got done before it was killed, and how it left things. */
interface Life {
  readonly writes: number;
  /** Configs that have a token or a data Secret, and whose status does not say so. */
  readonly halfDone: number;
  /** Clusters whose lock is taken, and no data Secret is there. */
  readonly locked: number;
}

/**
 * From start to SIGKILL. Every fifth dies at any moment, also while it starts; of the others half die within 40 ms after their first
 * write, where the steps follow one another, and half within 400 ms.
 */
async function live(random: () => number, work: () => Promise<void>): Promise<Life> {
  const before = seen.count();
  await work();
  const first = seen.next();
  const { server } = await start({ waitReady: false });
  const kind = random();
  if (kind < 0.2) await pause(50 + random() * 1_950);
  else {
    await Promise.race([first, pause(30_000)]);
    await pause(kind < 0.6 ? random() * 40 : random() * 400);
  }
  await server.kill();
  return { writes: seen.count() - before, ...(await unfinished()) };
}

async function unfinished(): Promise<Pick<Life, 'halfDone' | 'locked'>> {
  const configs = await environment.client.list(KubeadmConfigKind, { namespace });
  const published = new Set(dataSecrets(await secrets()));
  const begun = configs.filter((one) => tokenOf(one) !== undefined || published.has(one.metadata.name));
  const halfDone = begun.filter(({ status }) => status?.initialization?.dataSecretCreated !== true);
  const locks = (await environment.client.list(ConfigMapKind, { namespace })).filter(({ metadata }) =>
    metadata.name.endsWith('-lock'),
  );
  const locked = locks.filter(({ metadata }) => {
    const cluster = metadata.name.slice(0, -'-lock'.length);
    return !published.has(`${cluster}-a`) && !published.has(`${cluster}-b`);
  });
  return { halfDone: halfDone.length, locked: locked.length };
}

/** Few workers: a machine is prepared at a time, so that a kill comes in the middle. */
function start({ waitReady = true }: { waitReady?: boolean } = {}) {
  const flags = [`--namespace=${namespace}`, '--kubeadmconfig-concurrency=2'];
  return startBootstrap(environment, { kubeconfig, main, flags, waitReady });
}

interface History {
  /** Writes of our manager. */
  count(): number;
  /** Settles with the next one. */
  next(): Promise<void>;
  /** Secrets that have had more than one content. */
  rewritten(): string[];
  end(): void;
}

/** Follows what our manager writes: the test itself creates KubeadmConfigs, and changes no Secret. */
function watchHistory({ client }: Environment, where: string): History {
  const abort = new AbortController();
  const contents = new Map<string, Set<string>>();
  let count = 0;
  let waiting: (() => void)[] = [];
  const wrote = () => {
    count++;
    for (const tell of waiting.splice(0)) tell();
  };
  const follow = async <T extends KubeObject>(kind: Kind<T>, see: (type: string, object: T) => void) => {
    const { resourceVersion } = await client.snapshot(kind, { namespace: where });
    const from = { namespace: where, resourceVersion, timeoutSeconds: 3_600 };
    for await (const { type, object } of client.watch(kind, from, abort.signal))
      if (type !== 'BOOKMARK') see(type, object);
  };
  // Aborted at the end; a watch that ends earlier shows as lives without writes.
  const quietly = (following: Promise<void>) => void following.catch(() => undefined);
  quietly(
    follow(KubeadmConfigKind, (type) => {
      if (type === 'MODIFIED') wrote();
    }),
  );
  quietly(
    follow(ConfigMapKind, (type) => {
      if (type !== 'MODIFIED') wrote();
    }),
  );
  quietly(
    follow(SecretKind, (_type, { metadata, data }) => {
      const digest = createHash('sha256').update(JSON.stringify(data)).digest('hex');
      contents.set(metadata.name, (contents.get(metadata.name) ?? new Set()).add(digest));
    }),
  );
  return {
    count: () => count,
    next: () => new Promise((resolve) => void (waiting = [...waiting, resolve])),
    rewritten: () => [...contents].filter(([, had]) => had.size > 1).map(([name]) => name),
    end: () => abort.abort(),
  };
}

/** In how many lives this is more than none. */
function those(lives: readonly Life[], what: keyof Life): number {
  return lives.filter((life) => life[what] > 0).length;
}

function report(lives: readonly Life[]): void {
  const counts = lives.map(({ writes, halfDone, locked }) => `${writes}/${halfDone}/${locked}`);
  console.log(`seed ${SEED}; writes/half done/locked at each kill: ${counts.join(' ')}`);
}
