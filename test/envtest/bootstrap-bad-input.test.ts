// SPDX-License-Identifier: Apache-2.0
// Input that cannot work: a condition says what is wrong and what to do, nothing is left half-done, nothing spins, and all is well
// once it is mended. Everything goes wrong at the same time, so that one look at the manager judges all of it.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KubeadmConfigKind, MachineKind } from '../../api/kinds.ts';
import { pause } from '../../hack/stack/process.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { KubeObject } from '../../runtime/object.ts';
import {
  bootstrapRequests,
  bootstrapWrites,
  createCluster,
  createConfig,
  lockOf,
  observe,
  startBootstrap,
  tokensInWorkload,
} from './bootstrap-objects.ts';
import { CANARY, CLUSTER, CONFIG, MISTAKES, type Place } from './bootstrap-mistakes.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { conditionText, soon } from './machines.ts';
import { growth, reconciles } from './quiet.ts';

/** A test that waits longer than this has failed. */
const SLOWEST_MS = 70_000;

let environment: Environment;
let provider: Provider;
const places = new Map<string, Place>();

/** Two control plane Machines of a cluster that does not exist yet. */
let racing: string;

beforeAll(async () => {
  environment = await startEnvironment({
    managers: [],
    controllerManager: false,
    ourBootstrap: true,
    auditLog: 'audit.log',
  });
  provider = await startBootstrap(environment, { flags: ['--log-level=debug'] });
  await Promise.all(
    MISTAKES.map(async ({ what, cluster, before }) => {
      const namespace = await environment.namespace('bad');
      const place = { environment, namespace };
      await createCluster(environment, { namespace, name: CLUSTER, ...cluster });
      await before?.(place);
      places.set(what, place);
    }),
  );
  // The watches of the manager have seen it all, or the order in which it sees things would make a difference.
  await pause(1_000);
  await Promise.all(
    MISTAKES.map(({ what, config }) =>
      createConfig(environment, { ...placeOf(what), name: CONFIG, cluster: CLUSTER, ...config }),
    ),
  );
  racing = await environment.namespace('race');
  await createCluster(environment, { namespace: racing, name: CLUSTER, initialized: false });
  await Promise.all(
    ['a', 'b'].map((name) =>
      createConfig(environment, { namespace: racing, name, cluster: CLUSTER, role: 'control-plane' }),
    ),
  );
});

afterAll(() => environment?.stop());

const placeOf = (what: string): Place => {
  const place = places.get(what);
  if (place === undefined) throw new Error(`nobody made ${what}`);
  return place;
};
const configOf = (what: string) => observe(environment, { namespace: placeOf(what).namespace, name: CONFIG });
/** KB-9. */
const LOCK_OF_CONFIG = { 'lock-information': JSON.stringify({ machineName: CONFIG }) };
const isReady = (config: KubeObject) => conditionText(config, 'Ready').startsWith('True');
const spelled = (text: string, namespace: string) => text.replaceAll(namespace, 'NS');

describe('what it says', () => {
  it.each(MISTAKES)('$what', async ({ what, says, condition }) => {
    const { namespace } = placeOf(what);
    const config = configOf(what);
    const seen = async () => spelled(await config.condition(condition), namespace);
    await expect.poll(seen, { ...soon, timeout: 30_000 }).toMatch(says);
    // People look at Ready first, and core shows it on the Machine (BC-7).
    const message = (await seen()).replace(/^\w+ \w+: /, '');
    expect(spelled(await config.condition('Ready'), namespace)).toContain(message);
    expect(await config.isCreated()).toBe(false);
  });

  it('KB-9: of two that want to begin a cluster one does, and the other says who', async () => {
    const both = ['a', 'b'].map((name) => observe(environment, { namespace: racing, name }));
    const text = async () => (await Promise.all(both.map((one) => one.condition()))).sort();
    await expect
      .poll(text, soon)
      .toEqual([
        expect.stringMatching(
          /^False NotAvailable: waiting for the control plane of Cluster .* to be initialized: (Machine .*\/[ab] holds the init lock|another Machine has just taken the init lock .*)$/,
        ),
        'True Available',
      ]);
    const data = await Promise.all(both.map((one) => one.data()));
    expect(data.filter((one) => one.includes('kubeadm init'))).toHaveLength(1);
    expect(data.filter((one) => one === '')).toHaveLength(1);
  });
});

describe('what it costs', () => {
  it('nothing is half-done: no data, no token, and nobody waits for a lock of one that cannot go on', async () => {
    const tokens = await tokensInWorkload(environment);
    for (const { what, leavesToken = false } of MISTAKES) {
      const config = configOf(what);
      const secret = await config.dataSecret();
      const owners = secret?.metadata.ownerReferences ?? [];
      const controllers = owners.map(({ kind }) => kind);
      expect(controllers, `data of ${what}`).not.toContain(KubeadmConfigKind.kind);
      expect(tokens.includes((await config.token()) ?? ''), `token of ${what}`).toBe(leavesToken);
      const lock = await lockOf(environment, { ...placeOf(what), name: CLUSTER });
      expect(lock?.data, what).not.toEqual(LOCK_OF_CONFIG);
    }
  });

  it('a mistake is looked at now and then, and written about once', async () => {
    expect(provider.server.running()).toBe(true);
    const sample = async () => ({
      ...(await reconciles(provider.metricsURL)),
      writes: MISTAKES.flatMap(({ what }) => bootstrapWrites(environment, placeOf(what).namespace)).length,
      requests: bootstrapRequests(environment).length,
    });
    const grown = await growth(sample, 10_000);
    // Some look every 30 s, who waits for a kubeconfig every 5 s, and two have an API server that does not work.
    expect(grown['kubeadmconfig']).toBeLessThanOrEqual(MISTAKES.length);
    expect(grown['requests']).toBeLessThanOrEqual(MISTAKES.length);
    expect(grown['writes']).toBe(0);
  });
});

describe('when it is mended', () => {
  /** From the mending of everything at once to the data of each, in milliseconds. */
  const took = new Map<string, number>();

  beforeAll(async () => {
    await Promise.all(MISTAKES.map(({ what, mend }) => mend(placeOf(what))));
    const mendedAt = Date.now();
    const waiting = new Set(MISTAKES.map(({ what }) => what));
    while (waiting.size > 0 && Date.now() - mendedAt < SLOWEST_MS) {
      const configs = await environment.client.list(KubeadmConfigKind);
      const ready = new Set(configs.filter(isReady).map(({ metadata }) => metadata.namespace));
      for (const what of waiting) {
        if (!ready.has(placeOf(what).namespace)) continue;
        waiting.delete(what);
        took.set(what, Date.now() - mendedAt);
      }
      await pause(200);
    }
  });

  it.each(MISTAKES)('$what: the data are there by themselves', async ({ what, withinMs }) => {
    const config = configOf(what);
    expect(await config.condition('Ready')).toBe('True Ready');
    expect(took.get(what)).toBeLessThan(withinMs);
    expect(await config.data()).toMatch(/kubeadm (init|join)/);
  });

  it('KB-9: a Machine that began and goes leaves the cluster to the next one', async () => {
    const names = ['a', 'b'].map((name) => ({ namespace: racing, name }));
    const isFirst = await Promise.all(names.map((name) => observe(environment, name).isCreated()));
    const [winner, loser] = isFirst[0] === true ? names : names.reverse();
    const { client } = environment;
    await client.delete(KubeadmConfigKind, winner!);
    await client.delete(MachineKind, winner!);
    await expect.poll(() => observe(environment, loser!).condition(), soon).toBe('True Available');
    const lock = await lockOf(environment, { namespace: racing, name: CLUSTER });
    expect(lock?.data?.['lock-information']).toBe(JSON.stringify({ machineName: loser!.name }));
  });
});

describe('afterwards', () => {
  it('invariant 10: what stands in the Secrets stands in no log line, Event or condition', async () => {
    const configs = await environment.client.list(KubeadmConfigKind);
    const said = {
      log: readFileSync(provider.server.logFile, 'utf8'),
      events: await environment.client.getRaw('/apis/events.k8s.io/v1/events'),
      conditions: JSON.stringify(configs.map(({ status }) => status)),
    };
    const encoded = Buffer.from(CANARY).toString('base64').slice(0, 16);
    for (const [where, text] of Object.entries(said))
      expect(text.includes(CANARY) || text.includes(encoded), `a secret stands in the ${where}`).toBe(false);
    expect(said.log.length).toBeGreaterThan(10_000);
  });

  it('nothing was asked that the service account may not', () => {
    const refused = bootstrapRequests(environment).filter(({ code }) => code === 401 || code === 403);
    expect(refused.map(({ verb, group, resource }) => `${verb} ${resource}.${group}`)).toEqual([]);
  });
});
