// SPDX-License-Identifier: Apache-2.0
// What an API server does to its clients in the field: restarts, absence, tokens that end, a history that is cut off, foreign writers.
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { SecretKind, TSMachineKind } from '../../api/kinds.ts';
import type { InMemoryCloud } from '../../backends/inmemory/cloud.ts';
import { openInMemoryCloud } from '../../backends/inmemory/sqlite-cloud.ts';
import { type APIServer, kubeconfigText } from '../../hack/stack/api-server.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { type Provider, PROVIDER_ACCOUNT } from '../../hack/stack/provider.ts';
import { createClient, loadKubeConfig } from '../../runtime/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import { nameOf } from '../../runtime/object.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { bundleManager, scrape } from './manager-bundle.ts';
import { growth, quietFor } from './quiet.ts';

const soon = { timeout: 120_000, interval: 200 };
const atOnce = { timeout: 60_000, interval: 5 };

let environment: Environment;
/** Has an API server of its own, with other flags. */
let busy: Environment | undefined;
let main: string;
let scene: Scene;

interface Scene {
  readonly cluster: BareCluster;
  readonly cloud: InMemoryCloud;
  readonly provider: Provider;
}

interface SceneOptions {
  readonly purpose: string;
  readonly flags?: readonly string[];
  readonly kubeconfig?: string;
}

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  main = await bundleManager(environment.dir);
});

afterAll(async () => {
  await busy?.stop();
  await environment?.stop();
});

afterEach(async () => {
  // One and the same process has come through the whole story.
  expect(scene.provider.server.running()).toBe(true);
  scene.cloud.close();
  await scene.provider.server.stop();
});

async function play({ purpose, flags = [], ...rest }: SceneOptions, on = environment): Promise<Scene> {
  const cluster = await bareCluster(on, { purpose });
  const database = `${on.dir}/${purpose}.sqlite`;
  const provider = await on.startProvider({
    ...rest,
    main,
    name: purpose,
    database,
    flags: [`--namespace=${cluster.namespace}`, ...flags],
  });
  const cloud = openInMemoryCloud({ path: database, clock: systemClock });
  return { cluster, cloud, provider };
}

/** One machine at a time: what the test does next comes in the middle. */
const SLOWLY = ['--tsmachine-concurrency=1'];

/** Makes machines and comes back when some instances exist and the others do not. */
async function underWay({ cluster, cloud }: Scene, count: number): Promise<void> {
  await cluster.addMachines(count);
  const made = cloud.counts().instancesMade;
  await expect.poll(() => cloud.counts().instancesMade, atOnce).toBeGreaterThan(made);
}

async function requests(code: string): Promise<number> {
  return (await scrape(scene.provider)).sum('rest_client_requests_total', { code, target: 'management' });
}

/** How many more of them come within a time. */
async function refusals(code: string, overMs: number): Promise<number> {
  return (await growth(async () => ({ count: await requests(code) }), overMs))['count'] ?? 0;
}

it.each(['stop', 'kill'] as const)(
  'machines in the making survive a restart of the API server (%s)',
  async (how) => {
    scene = await play({ purpose: `restart-${how}`, flags: SLOWLY });
    const { cluster, cloud } = scene;
    await underWay(scene, 40);
    await environment.apiServer.restart({ how });
    expect(await requests('<error>')).toBeGreaterThan(0);
    await expect.poll(() => cluster.provisioned(), soon).toBe(40);
    expect(cloud.counts().instancesMade).toBe(40);
    // The watches are back as well: what is made and deleted from now on is seen.
    await cluster.deleteTSMachines(40);
    await cluster.addMachines(1);
    await expect.poll(() => cluster.provisioned(), soon).toBe(1);
    await expect.poll(() => cluster.tsMachines(), soon).toHaveLength(1);
  },
);

it('an API server that is away for twenty seconds is not hammered, and then everything is finished', async () => {
  scene = await play({ purpose: 'away', flags: SLOWLY });
  const { cluster, cloud, provider } = scene;
  await underWay(scene, 30);
  await environment.apiServer.process().kill();
  const early = await refusals('<error>', 10_000);
  const late = await refusals('<error>', 10_000);
  expect((await fetch(`${provider.healthURL}/healthz`)).status).toBe(200);
  await environment.apiServer.restart();
  await expect.poll(() => cluster.provisioned(), soon).toBe(30);
  expect(cloud.counts().instancesMade).toBe(30);
  // Each watch and each machine tries again, with growing pauses.
  expect(early).toBeGreaterThan(0);
  expect(late).toBeLessThan(early / 2);
});

it('a token that ends is followed by the one that its file holds then', async () => {
  const { apiServer } = environment;
  const tokenFile = `${environment.dir}/token`;
  const first = await boundToken('first');
  writeFileSync(tokenFile, first.token);
  const kubeconfig = `${environment.dir}/token-file.kubeconfig`;
  writeFileSync(kubeconfig, tokenFileKubeconfig(apiServer, tokenFile));
  scene = await play({ purpose: 'token', kubeconfig });
  const { cluster, cloud } = scene;
  await cluster.addMachines(5);
  await expect.poll(() => cluster.provisioned(), soon).toBe(5);

  await first.end();
  await cluster.addMachines(20);
  await expect.poll(() => requests('401'), soon).toBeGreaterThan(0);
  const early = await refusals('401', 5_000);
  const late = await refusals('401', 5_000);
  expect(late).toBeLessThan(early);
  expect(await cluster.provisioned()).toBe(5);

  writeFileSync(tokenFile, (await boundToken('second')).token);
  await expect.poll(() => cluster.provisioned(), soon).toBe(25);
  expect(cloud.counts().instancesMade).toBe(25);
});

it('a history that was cut off (410 Gone) is read anew, and what happened meanwhile is seen', async () => {
  scene = await play({ purpose: 'gone', flags: ['--log-level=debug'] });
  const { cluster, cloud, provider } = scene;
  await cluster.addMachines(6);
  await expect.poll(() => cluster.provisioned(), soon).toBe(6);
  const tokens = (await cluster.tsMachines()).map(({ spec }) => spec.createIntent!.clientToken);

  process.kill(provider.server.pid, 'SIGSTOP');
  await cluster.deleteTSMachines(2);
  await cluster.addMachines(4);
  await compact(environment.apiServer);
  await environment.apiServer.restart({ how: 'kill' });
  process.kill(provider.server.pid, 'SIGCONT');

  await expect.poll(() => cluster.provisioned(), soon).toBe(8);
  await expect.poll(() => cluster.tsMachines(), soon).toHaveLength(8);
  expect(provider.server.tail(2_000)).toMatch(
    /too old resource version|required revision has been compacted/,
  );
  expect(cloud.counts().instancesMade).toBe(10);
  const states = tokens.map((clientToken) => cloud.find({ clientToken })?.state);
  expect(states.filter((state) => state === 'terminated')).toHaveLength(2);
});

it('GEN-19: somebody who writes to every TSMachine all the time costs some conflicts and no machine', async () => {
  scene = await play({ purpose: 'storm' });
  const { cluster, cloud } = scene;
  await cluster.addMachines(30);
  const storm = startStorm(cluster);
  try {
    await expect.poll(() => cluster.provisioned(), soon).toBe(30);
  } finally {
    await storm.end();
  }
  expect(cloud.counts().instancesMade).toBe(30);
  expect(storm.touches()).toBeGreaterThan(30);
  // A conflict needs a foreign write: there are not more of them, and when it ends so do they.
  const conflicts = await requests('409');
  expect(conflicts).toBeLessThanOrEqual(storm.touches());
  await quietFor(reconcilesAndConflicts, { forMs: 5_000, timeoutMs: 60_000 });
  console.log(`storm: ${storm.touches()} foreign writes, ${conflicts} conflicts`);
});

it('429: an API server that takes one request at a time gets them one after the other', async () => {
  busy = await startEnvironment({
    managers: [],
    controllerManager: false,
    apiServerFlags: [
      '--enable-priority-and-fairness=false',
      '--max-requests-inflight=1',
      '--max-mutating-requests-inflight=1',
    ],
  });
  scene = await play({ purpose: 'busy' }, busy);
  const { cluster, cloud } = scene;
  await cluster.addMachines(40);
  await expect.poll(() => cluster.provisioned(), soon).toBe(40);
  expect(cloud.counts().instancesMade).toBe(40);
  const [refused, answered] = [await requests('429'), await requests('200')];
  console.log(`429: ${refused} refused, ${answered} answered`);
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(answered * 10);
});

async function reconcilesAndConflicts(): Promise<Record<string, number>> {
  const now = await scrape(scene.provider);
  return {
    reconciles: now.sum('controller_runtime_reconcile_total'),
    conflicts: now.sum('rest_client_requests_total', { code: '409' }),
  };
}

/** Touches the annotations of all TSMachines of a cluster, one round after the other. */
function startStorm(cluster: BareCluster): { touches(): number; end(): Promise<void> } {
  const { client } = environment;
  let [going, touches] = [true, 0];
  const storm = (async () => {
    while (going) {
      const machines = await cluster.tsMachines();
      const metadata = { annotations: { 'example.org/touched': String(touches) } };
      await Promise.all(machines.map((one) => client.patch(TSMachineKind, nameOf(one), { metadata })));
      touches += machines.length;
    }
  })();
  return {
    touches: () => touches,
    async end() {
      going = false;
      await storm;
    },
  };
}

/** A token of our service account that is good for as long as a Secret exists. */
async function boundToken(name: string): Promise<{ token: string; end(): Promise<void> }> {
  const { client, stack, apiServer } = environment;
  const secret = { namespace: PROVIDER_ACCOUNT.namespace, name: `token-${name}` };
  const made = await client.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: secret });
  const bound = ['--bound-object-kind=Secret', `--bound-object-name=${secret.name}`];
  const token = await runProgram(stack.binaries.kubectl, [
    `--kubeconfig=${apiServer.kubeconfig}`,
    `--namespace=${secret.namespace}`,
    'create',
    'token',
    PROVIDER_ACCOUNT.name,
    ...bound,
    `--bound-object-uid=${made.metadata.uid}`,
  ]);
  const text = kubeconfigText({ server: apiServer.url, caPem: apiServer.caPem, token: token.trim() });
  const file = `${environment.dir}/token-${name}.kubeconfig`;
  writeFileSync(file, text, { mode: 0o600 });
  const owner = createClient({ kubeConfig: loadKubeConfig({ path: file }) });
  return {
    token: token.trim(),
    async end() {
      await client.delete(SecretKind, secret);
      // The API server remembers for ten seconds that it was good.
      await expect.poll(() => owner.getRaw('/api').catch(String), soon).toMatch(/Unauthorized/);
    },
  };
}

/** As a Pod has it: the token in a file of its own, which somebody keeps fresh. */
function tokenFileKubeconfig({ url, caPem }: APIServer, tokenFile: string): string {
  const text = kubeconfigText({ server: url, caPem, token: 'TOKEN' });
  return text.replace('token: TOKEN', `tokenFile: ${tokenFile}`);
}

/** Makes etcd forget every version of every object but the last. */
async function compact({ etcd, pki }: APIServer): Promise<void> {
  const call = (path: string, body: object) =>
    new Promise<string>((resolve, reject) => {
      const tls = {
        ca: pki.read('etcd/ca.crt'),
        cert: pki.read('apiserver-etcd-client.crt'),
        key: pki.read('apiserver-etcd-client.key'),
      };
      const sent = request(`${etcd.url}${path}`, { method: 'POST', ...tls }, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.once('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
      });
      sent.once('error', reject);
      sent.end(JSON.stringify(body));
    });
  const key = Buffer.from('/').toString('base64');
  const { header } = JSON.parse(await call('/v3/kv/range', { key })) as { header: { revision: string } };
  await call('/v3/kv/compaction', { revision: header.revision, physical: true });
}
