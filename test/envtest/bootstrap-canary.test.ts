// SPDX-License-Identifier: Apache-2.0
// Invariant 10: canaries planted in every secret that the bootstrap provider meets are found where they belong, and nowhere else.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KubeadmConfigKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import {
  clusterSecret,
  createCluster,
  createConfig,
  decoded,
  kubeconfig,
  observe,
  secret,
  startBootstrap,
  tokensInWorkload,
} from './bootstrap-objects.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { soon } from './machines.ts';

const EventKind: Kind = { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events', namespaced: true };

/** In what a person wrote into the spec or a Secret. */
const CANARIES = {
  file: 'canary-4f1a-inline-file',
  secretFile: 'canary-77c0-file-of-a-secret',
  passwd: 'canary-0b6d-password-hash',
  secretPasswd: 'canary-91e2-password-of-a-secret',
  command: 'canary-5d3e-command',
  brokenKey: 'canary-28aa-broken-key',
  template: 'canary-c9f4-template',
  kubeconfig: 'canary-6e07-kubeconfig',
  bearer: 'canary-f2b8-bearer-token',
} as const;

const SPEC: KubeadmConfigSpec = {
  files: [
    { path: '/etc/inline', content: CANARIES.file },
    { path: '/etc/secret', contentFrom: { secret: { name: 'site', key: 'file' } } },
  ],
  users: [
    { name: 'a', passwd: CANARIES.passwd },
    { name: 'b', passwdFrom: { secret: { name: 'site', key: 'passwd' } } },
  ],
  preKubeadmCommands: [`echo ${CANARIES.command}`],
};

let environment: Environment;
let provider: Provider;
let namespace: string;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false, ourBootstrap: true });
  provider = await startBootstrap(environment, { flags: ['--log-level=debug'] });
  namespace = await environment.namespace('canary');
  const { client } = environment;
  const texts = { file: CANARIES.secretFile, passwd: CANARIES.secretPasswd };
  await client.create(SecretKind, secret({ namespace, name: 'site' }, texts));
  await createCluster(environment, { namespace, name: 'good' });
  await createConfig(environment, { namespace, name: 'worker', cluster: 'good', spec: SPEC });
  await createConfig(environment, {
    namespace,
    name: 'cp',
    cluster: 'good',
    role: 'control-plane',
    spec: SPEC,
  });
  await createCluster(environment, { namespace, name: 'new', initialized: false });
  await createConfig(environment, {
    namespace,
    name: 'first',
    cluster: 'new',
    role: 'control-plane',
    spec: SPEC,
  });
  await createFailing();
  await settled();
});

afterAll(() => environment?.stop());

/** Every one of them meets its canary in an error. */
async function createFailing(): Promise<void> {
  const { client } = environment;
  const { port } = await environment.workload();
  await createCluster(environment, { namespace, name: 'keyless', certificates: false });
  const broken = `-----BEGIN CERTIFICATE-----\n${CANARIES.brokenKey}\n-----END CERTIFICATE-----\n`;
  await client.create(
    SecretKind,
    clusterSecret({ namespace, name: 'keyless' }, 'ca', { 'tls.crt': broken, 'tls.key': broken }),
  );
  await createConfig(environment, { namespace, name: 'broken-ca', cluster: 'keyless' });

  const content = `{{ printf "${CANARIES.template}" }}`;
  const files = [{ path: '/etc/t', content, contentFormat: 'Template' as const }];
  await createConfig(environment, { namespace, name: 'broken-template', cluster: 'good', spec: { files } });

  await createCluster(environment, { namespace, name: 'garbled', kubeconfig: `{${CANARIES.kubeconfig}: [` });
  await createConfig(environment, { namespace, name: 'broken-kubeconfig', cluster: 'garbled' });

  const { data } = await kubeconfig(environment, { namespace, name: 'good' });
  const ca = /certificate-authority-data: *(\S+)/.exec(
    Buffer.from(data?.['value'] ?? '', 'base64').toString('utf8'),
  )?.[1];
  const refused = [
    'apiVersion: v1',
    'kind: Config',
    'current-context: c',
    'contexts: [{name: c, context: {cluster: c, user: u}}]',
    `clusters: [{name: c, cluster: {server: "https://127.0.0.1:${port}", certificate-authority-data: ${ca}}}]`,
    `users: [{name: u, user: {token: ${CANARIES.bearer}}}]`,
  ];
  await createCluster(environment, { namespace, name: 'refused', kubeconfig: refused.join('\n') });
  await createConfig(environment, { namespace, name: 'broken-credentials', cluster: 'refused' });
}

const GOOD = ['worker', 'cp', 'first'];
const FAILING = ['broken-ca', 'broken-template', 'broken-kubeconfig', 'broken-credentials'];

async function settled(): Promise<void> {
  const done = async (name: string) => observe(environment, { namespace, name }).isCreated();
  const told = async (name: string) => {
    const config = await environment.client.get(KubeadmConfigKind, { namespace, name });
    return (config?.status?.conditions ?? []).some(({ message }) => message !== '');
  };
  const all = async () =>
    [...(await Promise.all(GOOD.map(done))), ...(await Promise.all(FAILING.map(told)))].every(Boolean);
  await waitUntil(all, { what: 'data, or what stands in their way', timeoutMs: 90_000 });
}

/** Canaries of a person, lines of the private keys, whole tokens and their secret halves. */
async function canaries(): Promise<string[]> {
  const secrets = await environment.client.list(SecretKind, { namespace });
  const keys = secrets.flatMap((one) => keyLines(decoded(one, 'tls.key')));
  const tokens = await tokensInWorkload(environment);
  const halves = tokens.map((token) => token.split('.')[1] ?? '');
  expect(keys.length).toBeGreaterThan(20);
  expect(tokens.length).toBeGreaterThan(1);
  return [...Object.values(CANARIES), ...keys, ...halves];
}

function keyLines(pem: string): string[] {
  return pem.split('\n').filter((line) => line.length > 40 && !line.startsWith('-----'));
}

/** Which of them a text holds, in plain or as base64 of a whole line. */
function found(text: string, all: readonly string[]): string[] {
  return all.filter((one) => text.includes(one) || text.includes(Buffer.from(one).toString('base64')));
}

it('data that are made again are told of in an Event', { timeout: 60_000 }, async () => {
  const { dataSecret, data } = observe(environment, { namespace, name: 'worker' });
  const before = await dataSecret();
  await environment.client.delete(SecretKind, { namespace, name: 'worker' });
  const again = async () => (await dataSecret())?.metadata.uid ?? before?.metadata.uid;
  await expect.poll(again, soon).not.toBe(before?.metadata.uid);
  expect(await data()).toBe(decoded(before, 'value'));
  const reasons = async () =>
    (await environment.client.list(EventKind, { namespace })).map(
      (one) => (one as { reason?: string }).reason,
    );
  await expect.poll(reasons, soon).toContain('DataSecretLost');
});

it('the data of the machines hold what was planted', async () => {
  for (const name of GOOD) {
    const data = await observe(environment, { namespace, name }).data();
    for (const planted of ['file', 'secretFile', 'passwd', 'secretPasswd', 'command'] as const)
      expect(data, `${name}: ${planted}`).toContain(CANARIES[planted]);
  }
});

it.each(FAILING)('%s says what is wrong', async (name) => {
  const config = await environment.client.get(KubeadmConfigKind, { namespace, name });
  const messages = (config?.status?.conditions ?? []).map(({ message }) => message);
  expect(messages.join('')).toMatch(/Secret|template|API server|spec\.files/);
});

it('no log line, no Event, no condition and no metric holds one', { timeout: 60_000 }, async () => {
  const all = await canaries();
  const log = readFileSync(provider.server.logFile, 'utf8');
  const metrics = await (await fetch(`${provider.metricsURL}/metrics`)).text();
  const events = JSON.stringify(await environment.client.list(EventKind));
  const configs: KubeObject[] = await environment.client.list(KubeadmConfigKind, { namespace });
  const statuses = JSON.stringify(configs.map((one) => (one as { status?: unknown }).status));
  expect([log, metrics, statuses].map((text) => text.length > 1_000)).toEqual([true, true, true]);
  expect(events).toContain('DataSecretLost');
  expect({
    log: found(log, all),
    metrics: found(metrics, all),
    events: found(events, all),
    statuses: found(statuses, all),
  }).toEqual({ log: [], metrics: [], events: [], statuses: [] });
});

it('what is not Secret holds the token of its machine at most', async () => {
  const all = (await canaries()).filter((one) => !(Object.values(CANARIES) as string[]).includes(one));
  const tokens = (await tokensInWorkload(environment)).map((token) => token.split('.')[1] ?? '');
  for (const config of await environment.client.list(KubeadmConfigKind, { namespace })) {
    const own = config.spec?.joinConfiguration?.discovery?.bootstrapToken?.token?.split('.')[1];
    const others = all.filter((one) => !tokens.includes(one) || one !== own);
    expect(found(JSON.stringify(config), others), config.metadata.name).toEqual([]);
  }
});
