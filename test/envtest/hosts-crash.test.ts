// SPDX-License-Identifier: Apache-2.0
// kill -9 at any line is safe for hosts, and so are two managers at once: the hosts' own records say what was done to them. Both stories
// run at once, each with managers that serve its namespace only.
import { afterAll, beforeAll, it } from 'vitest';
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
/** A machine for each. */
const LIVES = MACHINES;
/** Another seed is another course of events; a failure names the one that showed it. */
const SEED = Number(process.env['CRASH_SEED'] ?? 20_261_121);

let environment: Environment;
let stories: HostStories;
let kubeconfig: string;
let main: string;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  stories = hostStories(environment);
  const { stack, apiServer } = environment;
  kubeconfig = await serviceAccountKubeconfig({ stack, apiServer, ...PROVIDER_ACCOUNT });
  main = await bundleManager(environment.dir);
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

it.concurrent(
  `invariants 1 to 5: killed ${LIVES} times while ${MACHINES} machines are made and as often while they are given back`,
  { timeout: 180_000 },
  async ({ expect }) => {
    const random = seeded(SEED);
    const story = await begin('crash');
    const making = NAMES.map((name) => () => story.site.addMachine(name));
    const made = await lives(story, random, making);
    const survivor = await start(story);
    await becomes('provisioned', () => provisionedOf(story.site), MACHINES);
    report('made', made);
    expect(story.violations(), `seed ${SEED}`).toEqual([]);
    const begun = story.hosts.records().map(({ jobs, owners }) => [jobs.length, owners.length]);
    expect(begun.filter(([jobs]) => jobs === 1)).toHaveLength(MACHINES);
    expect(begun.every(([jobs, owners]) => jobs === owners && (jobs ?? 0) <= 1)).toBe(true);
    const providerIDs = (await story.site.machines()).map(({ spec }) => spec.providerID);
    expect(new Set(providerIDs).size).toBe(MACHINES);
    await survivor.server.kill();

    const leaving = NAMES.map((name) => () => story.site.deleteMachine(name));
    const removed = await lives(story, random, leaving);
    await start(story);
    await becomes('machines', async () => (await story.site.machines()).length, 0);
    await allAvailable(story);
    report('given back', removed);
    expect(story.violations(), `seed ${SEED}`).toEqual([]);
    for (const { jobs } of story.hosts.records()) expect(jobs.length === 0 || jobs.length === 2).toBe(true);

    // The kills hit work in progress, or the above says little.
    expect(made.filter((sessions) => sessions > 0).length).toBeGreaterThan(LIVES / 2);
    expect(removed.filter((sessions) => sessions > 0).length).toBeGreaterThan(LIVES / 2);
  },
);

it.concurrent(
  'two managers at once, without a leader: nothing is begun twice, and no host has two owners',
  async ({ expect }) => {
    const story = await begin('two');
    await Promise.all([start(story), start(story)]);
    await each(NAMES, story.site.addMachine);
    await becomes('provisioned', () => provisionedOf(story.site), MACHINES);
    const jobs = story.hosts.records().flatMap((record) => record.jobs);
    expect(jobs).toHaveLength(MACHINES);
    await each(NAMES, story.site.deleteMachine);
    await becomes('machines', async () => (await story.site.machines()).length, 0);
    await allAvailable(story);
    expect(story.violations()).toEqual([]);
  },
);

async function allAvailable({ site }: HostStory): Promise<void> {
  await becomes('states', async () => [...new Set(Object.values(await statesOf(site)))], ['Available']);
}

function each(names: readonly string[], act: (name: string) => Promise<void>): Promise<unknown> {
  return Promise.all(names.map((name) => act(name)));
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
    const [{ server }] = await Promise.all([start(story, { waitReady: false }), work()]);
    await becomes('scripts', () => sessions() > before, true, 5_000).catch(() => undefined);
    await pause(random() < 0.5 ? random() * 150 : random() * 900);
    await server.kill();
    found.push(sessions() - before);
  }
  return found;
}

let started = 0;

function start({ site }: HostStory, options: { readonly waitReady?: boolean } = {}): Promise<Provider> {
  const flags = [`--namespace=${site.namespace}`];
  return environment.startProvider({ main, kubeconfig, flags, name: `m-${started++}`, ...options });
}

function report(what: string, sessions: readonly number[]): void {
  console.log(`${what}, seed ${SEED}; scripts on hosts in each life: ${sessions.join(' ')}`);
}
