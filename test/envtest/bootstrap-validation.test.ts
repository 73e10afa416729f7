// SPDX-License-Identifier: Apache-2.0
// What a real API server makes of KubeadmConfig and KubeadmConfigTemplate: ours by schema and rules, and beside it the stock
// provider with its webhooks, which must accept and refuse the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KubeadmConfigKind, KubeadmConfigTemplateKind } from '../../api/kinds.ts';
import { KubeadmConfigSpecSchema } from '../../api/kubeadmconfig.ts';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { installComponents } from '../../hack/stack/install.ts';
import { startManagers } from '../../hack/stack/managers.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { loadKubeConfig } from '../../runtime/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { createTransport, type Exchange } from '../../runtime/transport.ts';
import { EVERYTHING } from './bootstrap-everything.ts';
import { BOOTSTRAP_CASES } from './bootstrap-validation-cases.ts';
import { type Environment, startEnvironment } from './harness.ts';

const NAMESPACE = 'default';

/** The two kinds, and where each keeps a KubeadmConfigSpec. */
const KINDS = [
  { kind: KubeadmConfigKind, wrap: (spec: unknown) => spec },
  { kind: KubeadmConfigTemplateKind, wrap: (spec: unknown) => ({ template: { spec } }) },
] as const;
type KubeadmKind = (typeof KINDS)[number];

/** The stored object, or the API server's words. */
type Ask = (method: 'POST' | 'PATCH', path: string, body: unknown) => Promise<KubeObject | string>;

let environment: Environment;
let ours: Ask;
let stock: Ask;
const endings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false, ourBootstrap: true });
  endings.push(() => environment.stop());
  ours = askOf(environment.apiServer);
  stock = askOf(await startStock());
});

afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** An API server with the stock provider and the one feature gate that ours does not have. */
async function startStock(): Promise<APIServer> {
  const { stack, dir } = environment;
  const apiServer = await startAPIServer({ stack, dir, name: 'stock' });
  endings.push(() => apiServer.stop());
  await installComponents({ stack, apiServer, managers: ['bootstrap'] });
  const managers = await startManagers({
    stack,
    apiServer,
    which: ['bootstrap'],
    featureGates: 'KubeadmBootstrapFormatIgnition=true',
  });
  endings.push(() => managers.stop());
  return apiServer;
}

function askOf(apiServer: APIServer): Ask {
  const source = loadKubeConfig({ path: apiServer.kubeconfig });
  const transport = createTransport({ source, clock: systemClock, onResponse: () => undefined });
  return async (method, path, body) => {
    const type = method === 'POST' ? 'application/json' : 'application/merge-patch+json';
    const exchange: Exchange = {
      method,
      path: `${path}?fieldValidation=Strict`,
      body: JSON.stringify(body),
      headers: { 'content-type': type },
    };
    try {
      return (await (await transport.send(exchange)).body.json()) as KubeObject;
    } catch (error) {
      return errorMessage(error);
    }
  };
}

const collection = ({ kind }: KubeadmKind) =>
  `/apis/${kind.apiVersion}/namespaces/${NAMESPACE}/${kind.plural}`;

const create = (ask: Ask, one: KubeadmKind, name: string, spec: unknown) =>
  ask('POST', collection(one), {
    apiVersion: one.kind.apiVersion,
    kind: one.kind.kind,
    metadata: { name },
    ...(spec === undefined ? {} : { spec }),
  });

const verdict = (answer: KubeObject | string) => (typeof answer === 'string' ? answer : 'accepted');

describe.each(KINDS)('$kind.kind', (one) => {
  const named = BOOTSTRAP_CASES.map((test, index) => ({ ...test, objectName: `case-${index}` }));

  it.each(named)('$name', async ({ objectName, spec, want }) => {
    const [mine, theirs] = await Promise.all([
      create(ours, one, objectName, one.wrap(spec)),
      create(stock, one, objectName, one.wrap(spec)),
    ]);
    if (want === 'accepted') expect(verdict(mine)).toBe('accepted');
    else expect(verdict(mine)).toMatch(want);
    // The way in of the stock one: nobody who changes over finds a door closed, or a new one open.
    expect(verdict(theirs) === 'accepted', verdict(theirs)).toBe(want === 'accepted');
  });

  const everything = EVERYTHING.map((test, index) => ({ ...test, objectName: `everything-${index}` }));

  it.each(everything)('keeps every byte of: $name', async ({ objectName, spec }) => {
    const sent = one.wrap(spec);
    const [mine, theirs] = await Promise.all([
      create(ours, one, objectName, sent),
      create(stock, one, objectName, sent),
    ]);
    expect(verdict(mine)).toBe('accepted');
    expect(canonical((mine as KubeObject & { spec: unknown }).spec)).toBe(canonical(sent));
    expect(canonical((theirs as KubeObject & { spec: unknown }).spec)).toBe(canonical(sent));
  });

  it('keeps every byte when it is applied, twice', async () => {
    const { apiVersion, kind } = one.kind;
    const [{ spec } = { spec: {} }] = EVERYTHING;
    const object = {
      apiVersion,
      kind,
      metadata: { name: 'applied', namespace: NAMESPACE },
      spec: one.wrap(spec),
    };
    await environment.apply([object]);
    await environment.apply([object]);
    const path = `${collection(one)}/applied`;
    const stored = JSON.parse(await environment.client.getRaw(path)) as typeof object;
    expect(canonical(stored.spec)).toBe(canonical(object.spec));
  });

  it('names the path that is there twice (KB-51)', async () => {
    const files = [{ path: '/b' }, { path: '/a' }, { path: '/b' }];
    const answer = verdict(await create(ours, one, 'path-twice', one.wrap({ files })));
    expect(answer).toContain('/b');
    expect(answer).not.toContain('/a');
  });

  it('may have no spec, as with the stock one', async () => {
    expect(verdict(await create(ours, one, 'no-spec', undefined))).toBe('accepted');
    expect(verdict(await create(stock, one, 'no-spec', undefined))).toBe('accepted');
  });

  it('may be changed (KB-50)', async () => {
    const first = one.wrap({ format: 'cloud-config', verbosity: 1 });
    expect(verdict(await create(ours, one, 'changed', first))).toBe('accepted');
    const change = { spec: one.wrap({ format: 'ignition', verbosity: null }) };
    const answer = await ours('PATCH', `${collection(one)}/changed`, change);
    expect((answer as KubeObject & { spec: unknown }).spec).toEqual(one.wrap({ format: 'ignition' }));
  });

  it('takes null for absent, as the stock one does (KB-41)', async () => {
    const spec = (nodeRegistration: object) =>
      one.wrap({ verbosity: 1, initConfiguration: { nodeRegistration } });
    for (const ask of [ours, stock]) {
      const answer = await create(ask, one, 'nulls', spec({ name: 'a', taints: null }));
      expect(verdict(answer)).toBe('accepted');
      expect((answer as KubeObject & { spec: unknown }).spec).toEqual(spec({ name: 'a' }));
    }
  });

  it('gets the defaults of the stock one and no others (KB-52)', async () => {
    const valueFrom = { configMapKeyRef: { key: 'a' } };
    const fileRef = { fileKeyRef: { volumeName: 'a', path: 'b', key: 'c' } };
    const extraEnvs = [
      { name: 'A', valueFrom },
      { name: 'B', valueFrom: fileRef },
    ];
    const spec = one.wrap({ clusterConfiguration: { scheduler: { extraEnvs } } });
    const [mine, theirs] = [
      await create(ours, one, 'defaults', spec),
      await create(stock, one, 'defaults', spec),
    ];
    expect(mine).toMatchObject({ spec: (theirs as KubeObject & { spec: unknown }).spec });
  });
});

describe('metadata of a template', () => {
  const [, template] = KINDS;

  it.each<[string, object, RegExp | 'accepted']>([
    [
      'labels and annotations',
      { labels: { a: 'b', 'x.y/z': '' }, annotations: { 'x.y/z': 'any thing' } },
      'accepted',
    ],
    ['nothing', {}, /metadata.*at least 1/],
    ['a label with a value that labels cannot have', { labels: { a: 'b c' } }, /labels\.a.*should match/],
    ['a label with a value that is too long', { labels: { a: 'b'.repeat(64) } }, /labels\.a.*Too long/],
  ])('%s', async (name, metadata, want) => {
    const objectName = objectNameOf('metadata', name);
    const spec = { template: { metadata } };
    const [mine, theirs] = [
      await create(ours, template, objectName, spec),
      await create(stock, template, objectName, spec),
    ];
    if (want === 'accepted') expect(verdict(mine)).toBe('accepted');
    else expect(verdict(mine)).toMatch(want);
    expect(verdict(theirs) === 'accepted', verdict(theirs)).toBe(want === 'accepted');
  });
});

describe('status', () => {
  const [config] = KINDS;
  const status = (name: string, content: object) =>
    ours('PATCH', `${collection(config)}/${name}/status`, { status: content });

  it.each<[string, object, RegExp | 'accepted']>([
    [
      'what the controller writes',
      { initialization: { dataSecretCreated: true }, dataSecretName: 'a' },
      'accepted',
    ],
    [
      'an empty name, which core could not use (BC-2)',
      { dataSecretName: '' },
      /dataSecretName.*at least 1 chars/,
    ],
    ['an empty initialization (IC-6)', { initialization: {} }, /initialization.*at least 1/],
    ['a terminal failure (GEN-14)', { failureReason: 'a' }, /unknown field "status\.failureReason"/],
  ])('%s', async (name, content, want) => {
    const objectName = objectNameOf('status', name);
    expect(verdict(await create(ours, config, objectName, { verbosity: 1 }))).toBe('accepted');
    const answer = verdict(await status(objectName, content));
    if (want === 'accepted') expect(answer).toBe('accepted');
    else expect(answer).toMatch(want);
  });
});

describe('the specs of everything', () => {
  it('hold every field of the schema', () => {
    const used = new Set(EVERYTHING.flatMap(({ spec }) => pathsOf(spec, '')));
    const missing = fieldsOf(KubeadmConfigSpecSchema as Schema, '').filter((path) => !used.has(path));
    expect(missing).toEqual([]);
  });
});

describe('kubectl', () => {
  const kubectl = (...args: string[]) =>
    runProgram(environment.stack.binaries.kubectl, [
      `--kubeconfig=${environment.apiServer.kubeconfig}`,
      `--namespace=${NAMESPACE}`,
      ...args,
    ]);

  it('shows of a config the cluster, whether the data is there, and its age', async () => {
    const [config] = KINDS;
    await create(ours, config, 'columns', { verbosity: 1 });
    await ours('PATCH', `${collection(config)}/columns`, {
      metadata: { labels: { 'cluster.x-k8s.io/cluster-name': 'c1' } },
    });
    const created = { status: { initialization: { dataSecretCreated: true } } };
    await ours('PATCH', `${collection(config)}/columns/status`, created);
    const [head = '', row = ''] = (await kubectl('get', 'kubeadmconfigs', 'columns')).split('\n');
    expect(head.split(/\s{2,}/)).toEqual(['NAME', 'CLUSTER', 'DATA SECRET CREATED', 'AGE']);
    expect(row.split(/\s{2,}/).slice(0, 3)).toEqual(['columns', 'c1', 'true']);
  });

  it('explains every field that a person may set', async () => {
    expect(await kubectl('explain', 'kubeadmconfig.spec.joinConfiguration.discovery')).toContain(
      'bootstrapToken',
    );
    expect(await kubectl('explain', 'kubeadmconfigtemplate.spec.template.spec.files')).toContain(
      'contentFrom',
    );
  });
});

/** A name for an object out of the words of a test. */
function objectNameOf(prefix: string, words: string): string {
  return `${prefix}-${words.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}x`;
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** Every field of a schema; list items are `[]`. */
function fieldsOf(schema: Schema, path: string): string[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => [
    `${path}.${name}`,
    ...fieldsOf(one, `${path}.${name}`),
  ]);
  return schema.items === undefined ? inner : [...inner, ...fieldsOf(schema.items, `${path}[]`)];
}

function pathsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => [
    `${path}.${name}`,
    ...pathsOf(one, `${path}.${name}`),
  ]);
}

/** JSON with sorted keys, as the API server stores it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
