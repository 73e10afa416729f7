// SPDX-License-Identifier: Apache-2.0
// Two bootstrap managers for one namespace and one watch filter: one acts, the other goes on where it died, and what is not theirs
// stays as it is.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KubeadmConfigKind } from '../../api/kinds.ts';
import { WATCH_FILTER_LABEL } from '../../api/labels.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ObjectName } from '../../runtime/object.ts';
import {
  bootstrapWrites,
  createCluster,
  createConfig,
  observe,
  startBootstrap,
  tokensInWorkload,
} from './bootstrap-objects.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { soon } from './machines.ts';
import { bundleManager, scrape } from './manager-bundle.ts';
import { quietFor } from './quiet.ts';

const COUNT = 30;
const FILTER = 'blue';
const NAMES = Array.from({ length: COUNT }, (_, index) => `w-${String(index).padStart(2, '0')}`);

let environment: Environment;
let leader: Provider;
let standby: Provider;
let ours: string;
let foreign: string;

beforeAll(async () => {
  environment = await startEnvironment({
    managers: [],
    controllerManager: false,
    ourBootstrap: true,
    auditLog: 'audit.log',
  });
  ours = await environment.namespace('ours');
  foreign = await environment.namespace('foreign');
  for (const namespace of [ours, foreign]) await createCluster(environment, { namespace, name: 'c' });
  const main = await bundleManager(environment.dir);
  // One config at a time, so that the leader dies in the middle.
  const flags = ['--leader-elect', `--namespace=${ours}`, `--watch-filter=${FILTER}`];
  const one = (name: string) =>
    startBootstrap(environment, { main, name, flags: [...flags, '--kubeadmconfig-concurrency=1'] });
  leader = await one('bootstrap-a');
  standby = await one('bootstrap-b');
});

afterAll(() => environment?.stop());

const leads = async (provider: Provider) =>
  (await scrape(provider)).sum('leader_election_master_status') === 1;
const make = (name: string, namespace = ours, filter: string | undefined = FILTER) =>
  createConfig(environment, {
    ...{ namespace, name, cluster: 'c' },
    labels: filter === '' ? {} : { [WATCH_FILTER_LABEL]: filter },
  });
const created = async () =>
  (await environment.client.list(KubeadmConfigKind, { namespace: ours })).filter(
    ({ status }) => status?.initialization?.dataSecretCreated === true,
  );

it('the leader is killed in the middle of its work, and the standby ends it: one token and one Secret for each', async () => {
  await expect.poll(() => leads(leader), soon).toBe(true);
  await Promise.all([make('red', ours, 'red'), make('plain', ours, ''), make('away', foreign)]);
  const begun = expect.poll(async () => (await created()).length, { ...soon, interval: 10 });
  await Promise.all([...NAMES.slice(0, COUNT / 2).map((name) => make(name)), begun.toBeGreaterThan(0)]);
  expect(await leads(standby)).toBe(false);
  const calls = (await scrape(standby)).by('ts_provider_api_requests_total', ['verb', 'resource']);
  expect(
    [...calls.keys()].filter((call) => !/^(get|list|watch|patch leases|create leases)/.test(call)),
  ).toEqual([]);
  await leader.server.kill();
  await Promise.all(NAMES.slice(COUNT / 2).map((name) => make(name)));

  await expect.poll(() => leads(standby), soon).toBe(true);
  await expect
    .poll(async () => (await created()).map(({ metadata }) => metadata.name).sort(), soon)
    .toEqual(NAMES);
  const recorded = (await created()).map(
    ({ spec }) => spec?.joinConfiguration?.discovery?.bootstrapToken?.token ?? '',
  );
  expect(new Set(recorded).size).toBe(COUNT);
  expect((await tokensInWorkload(environment)).sort()).toEqual(recorded.sort());
});

it('GEN-15: objects without the label, with another one, and in other namespaces are not touched', async () => {
  const writes = () => [...bootstrapWrites(environment, ours), ...bootstrapWrites(environment, foreign)];
  const all = await quietFor(writes, { forMs: 2_000, timeoutMs: 30_000 });
  expect(all.length).toBeGreaterThan(COUNT);
  expect(all.filter((write) => !/ w-\d+$/.test(write))).toEqual([]);
  const names: ObjectName[] = [
    { namespace: ours, name: 'red' },
    { namespace: ours, name: 'plain' },
    { namespace: foreign, name: 'away' },
  ];
  for (const name of names) {
    const config = await observe(environment, name).config();
    expect(config?.metadata.name).toBe(name.name);
    expect(config?.status, name.name).toBeUndefined();
  }
});
