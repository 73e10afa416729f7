// SPDX-License-Identifier: Apache-2.0
// kill -9 at any line is safe for hosts, and so are two managers at once: the hosts' own records say what was done to them.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { pause } from '../../hack/stack/process.ts';
import { PROVIDER_ACCOUNT, type Provider } from '../../hack/stack/provider.ts';
import { serviceAccountKubeconfig } from '../../hack/stack/service-account.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { provisionedOf, statesOf } from './host-site.ts';
import { becomes, type HostStories, hostStories, type HostStory } from './host-story.ts';
import { bundleManager } from './manager-bundle.ts';
import { seeded } from './seeded.ts';

const MACHINES = 10;
const HOSTS = 12;
const LIVES = 12;
const DELETE_LIVES = 8;
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_121);

let environment: Environment;
let stories: HostStories;
let kubeconfig: string;
let main: string;
const managers: Provider[] = [];

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  stories = hostStories(environment);
  const { stack, apiServer } = environment;
  kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...PROVIDER_ACCOUNT });
  main = await bundleManager(environment.dir);
});

afterEach(async () => {
  for (const { server } of managers.splice(0)) await server.kill();
});

afterAll(async () => {
  await stories?.close();
  await environment?.stop();
});

/** Ten machines and two hosts more, on which everything takes some time. */
function begin(purpose: string): Promise<HostStory> {
  const all = {
    bootstrapMs: [300, 1_200],
    cleanMs: [300, 1_200],
    latencyMs: [1, 20],
    breaks: 0.02,
  } as const;
  return stories.begin({ purpose, count: HOSTS, plan: { all }, seed: SEED });
}

const NAMES = Array.from({ length: MACHINES }, (_, index) => `m${index}`);

it(
  `invariants 1 to 5: killed ${LIVES} times while ${MACHINES} machines are made and ${DELETE_LIVES} times while they are given back`,
  { timeout: 180_000 },
  async () => {
    const random = seeded(SEED);
    const story = await begin('crash');
    const making = split(NAMES, LIVES).map((names) => () => each(names, story.site.addMachine));
    const made = await lives(story, random, making);
    const survivor = await start();
    await becomes('provisioned', () => provisionedOf(story.site), MACHINES);
    report('made', made);
    expect(story.violations(), `seed ${SEED}`).toEqual([]);
    const begun = story.hosts.records().map(({ jobs, owners }) => [jobs.length, owners.length]);
    expect(begun.filter(([jobs]) => jobs === 1)).toHaveLength(MACHINES);
    expect(begun.every(([jobs, owners]) => jobs === owners && (jobs ?? 0) <= 1)).toBe(true);
    const providerIDs = (await story.site.machines()).map(({ spec }) => spec.providerID);
    expect(new Set(providerIDs).size).toBe(MACHINES);
    await survivor.server.kill();

    const leaving = split(NAMES, DELETE_LIVES).map((names) => () => each(names, story.site.deleteMachine));
    const removed = await lives(story, random, leaving);
    await start();
    await becomes('machines', async () => (await story.site.machines()).length, 0);
    await allAvailable(story);
    report('given back', removed);
    expect(story.violations(), `seed ${SEED}`).toEqual([]);
    for (const { jobs } of story.hosts.records()) expect(jobs.length === 0 || jobs.length === 2).toBe(true);

    // The kills hit work in progress, or the above says little.
    expect(made.filter((sessions) => sessions > 0).length).toBeGreaterThan(LIVES / 2);
    expect(removed.filter((sessions) => sessions > 0).length).toBeGreaterThan(DELETE_LIVES / 2);
  },
);

it('two managers at once, without a leader: nothing is begun twice, and no host has two owners', async () => {
  const story = await begin('two');
  await Promise.all([start(), start()]);
  await each(NAMES, story.site.addMachine);
  await becomes('provisioned', () => provisionedOf(story.site), MACHINES);
  const jobs = story.hosts.records().flatMap((record) => record.jobs);
  expect(jobs).toHaveLength(MACHINES);
  await each(NAMES, story.site.deleteMachine);
  await becomes('machines', async () => (await story.site.machines()).length, 0);
  await allAvailable(story);
  expect(story.violations()).toEqual([]);
});

async function allAvailable({ site }: HostStory): Promise<void> {
  await becomes('states', async () => [...new Set(Object.values(await statesOf(site)))], ['Available']);
}

function each(names: readonly string[], act: (name: string) => Promise<void>): Promise<unknown> {
  return Promise.all(names.map((name) => act(name)));
}

/** As many parts as there are lives; some are empty. */
function split(names: readonly string[], parts: number): string[][] {
  return Array.from({ length: parts }, (_, part) => names.filter((_, index) => index % parts === part));
}

/** One manager after the other, each killed a moment after it has begun to work on hosts. Answers the scripts that each of them ran. */
async function lives(
  story: HostStory,
  random: () => number,
  works: readonly (() => Promise<unknown>)[],
): Promise<number[]> {
  const sessions = () => story.hosts.records().reduce((sum, record) => sum + record.sessions, 0);
  const found: number[] = [];
  for (const work of works) {
    const before = sessions();
    const [{ server }] = await Promise.all([start({ waitReady: false }), work()]);
    await becomes('scripts', () => sessions() > before, true, 5_000).catch(() => undefined);
    await pause(random() < 0.5 ? random() * 150 : random() * 900);
    await server.kill();
    found.push(sessions() - before);
  }
  return found;
}

let started = 0;

async function start(options: { readonly waitReady?: boolean } = {}): Promise<Provider> {
  const manager = await environment.startProvider({ main, kubeconfig, name: `m-${started++}`, ...options });
  managers.push(manager);
  return manager;
}

function report(what: string, sessions: readonly number[]): void {
  console.log(`${what}, seed ${SEED}; scripts on hosts in each life: ${sessions.join(' ')}`);
}
