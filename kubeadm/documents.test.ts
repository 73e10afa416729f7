// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import {
  anyDocumentCase,
  clusterFacts,
  DOCUMENT_TESTDATA,
  type DocumentCase,
  documentFiles,
  documentText,
  VERSIONS,
} from '../test/document-cases.ts';
import { type DocumentInput, initDocuments, joinDocument } from './documents.ts';
import { InputError } from './input-error.ts';

type Json = Record<string, unknown>;

const TAINT = { key: 'node.cluster.x-k8s.io/uninitialized', effect: 'NoSchedule' };

function input(spec: DocumentInput['spec'], given: Partial<DocumentInput> = {}): DocumentInput {
  return { spec, kubernetesVersion: 'v1.36.3', cluster: clusterFacts(), ...given };
}

/** Documents as kubeadm sees them, read by somebody else's parser. */
function documents(text: string): Json[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Json;
  });
}

const initOf = (spec: DocumentInput['spec'], given?: Partial<DocumentInput>) =>
  documents(initDocuments(input(spec, given)));
const joinOf = (
  spec: DocumentInput['spec'],
  purpose: 'control-plane-join' | 'worker-join',
  version = 'v1.36.3',
) => documents(joinDocument(input(spec, { kubernetesVersion: version }), purpose))[0] as Json;

/** Golden files: `vitest run -u` writes them again; read the difference before it is committed. */
describe('golden files', () => {
  const cases = documentFiles().flatMap((file) => VERSIONS.map((version) => ({ ...file, version })));

  it('there are some for each purpose', () => {
    expect(new Set(cases.map(({ purpose }) => purpose)).size).toBe(3);
  });

  it.each(cases)('$name for $version', async ({ name, purpose, version, input }) => {
    const text = documentText({ purpose, input: { ...input, kubernetesVersion: version } });
    await expect(text).toMatchFileSnapshot(join(DOCUMENT_TESTDATA, `${name}.${version}.golden`));
  });
});

describe('initDocuments', () => {
  it('puts both documents one after the other', () => {
    expect(initDocuments(input({}))).toMatch(
      /^---\napiServer: \{\}\n[^]*\nscheduler: \{\}\n\n---\napiVersion: kubeadm\.k8s\.io\/v1beta4\nkind: InitConfiguration\n[^]*taints: null\n$/,
    );
  });

  it.each([
    ['v1.22.0', 'v1beta3'],
    ['1.30.14', 'v1beta3'],
    ['v1.31.0-rc.1', 'v1beta4'],
    ['1.37', 'v1beta4'],
  ])('writes %s as it stands in the Machine, in %s', (kubernetesVersion, api) => {
    const [cluster, init] = initOf({}, { kubernetesVersion });
    expect(cluster).toMatchObject({ kubernetesVersion, apiVersion: `kubeadm.k8s.io/${api}` });
    expect(init).toMatchObject({ apiVersion: `kubeadm.k8s.io/${api}` });
  });

  it.each(['', 'latest', 'v1.21.0'])('refuses version %j', (kubernetesVersion) => {
    expect(() => initDocuments(input({}, { kubernetesVersion }))).toThrow(InputError);
    expect(() => joinDocument(input({}, { kubernetesVersion }), 'worker-join')).toThrow(InputError);
  });

  it('takes name and networking from the Cluster (6.3)', () => {
    const cluster = clusterFacts({
      name: 'c2',
      serviceDomain: 'c2.local',
      serviceCIDRs: ['10.96.0.0/12', 'fd00::/112'],
      podCIDRs: ['10.244.0.0/16'],
    });
    expect(initOf({}, { cluster })[0]).toMatchObject({
      clusterName: 'c2',
      networking: {
        dnsDomain: 'c2.local',
        serviceSubnet: '10.96.0.0/12,fd00::/112',
        podSubnet: '10.244.0.0/16',
      },
    });
    expect(initOf({})[0]).toMatchObject({ networking: {} });
    expect(initOf({})[0]!['networking']).toEqual({});
  });

  it.each([
    [undefined, { host: 'api.example.org', port: 6443 }, 'api.example.org:6443'],
    [undefined, { host: '2001:db8::1', port: 6443 }, '[2001:db8::1]:6443'],
    ['', { host: 'api.example.org', port: 6443 }, 'api.example.org:6443'],
    ['mine:8443', { host: 'api.example.org', port: 6443 }, 'mine:8443'],
    ['mine:8443', undefined, 'mine:8443'],
    [undefined, undefined, undefined],
  ])('endpoint %j of the spec and %j of the Cluster give %j', (given, controlPlaneEndpoint, expected) => {
    const spec = given === undefined ? {} : { clusterConfiguration: { controlPlaneEndpoint: given } };
    const [cluster] = initOf(spec, { cluster: clusterFacts({ controlPlaneEndpoint }) });
    expect(cluster!['controlPlaneEndpoint']).toBe(expected);
  });

  it('does not read joinConfiguration', () => {
    const spec = { joinConfiguration: { caCertPath: '/elsewhere/ca.crt' } };
    expect(initDocuments(input(spec))).toBe(initDocuments(input({})));
  });

  it.each(['abcdef', 'ABCDEF.0123456789abcdef', 'abcdef.0123456789abcdef0'])(
    'refuses the token %s without repeating it',
    (token) => {
      const spec = { initConfiguration: { bootstrapTokens: [{ token }] } };
      const render = () => initDocuments(input(spec));
      expect(render).toThrow('spec.initConfiguration.bootstrapTokens[0].token: is not a bootstrap token');
      expect(render).not.toThrow(token);
    },
  );

  it.each([
    [
      'bootstrapTokens[0].expires',
      { bootstrapTokens: [{ token: 'abcdef.0123456789abcdef', expires: 'soon' }] },
    ],
    [
      'nodeRegistration.taints[1].timeAdded',
      { nodeRegistration: { taints: [TAINT, { ...TAINT, timeAdded: 'soon' }] } },
    ],
  ])('refuses a bad time and names %s', (field, initConfiguration) => {
    expect(() => initDocuments(input({ initConfiguration }))).toThrow(
      `spec.initConfiguration.${field}: is not a time`,
    );
  });
});

describe('taints (PIT-15)', () => {
  const taintsOf = (document: Json) => (document['nodeRegistration'] as Json)['taints'];

  it.each([...VERSIONS])('null, empty and given stay apart for %s', (version) => {
    const both = (nodeRegistration: { taints?: (typeof TAINT)[] }) => [
      taintsOf(initOf({ initConfiguration: { nodeRegistration } }, { kubernetesVersion: version })[1]!),
      taintsOf(joinOf({ joinConfiguration: { nodeRegistration } }, 'control-plane-join', version)),
    ];
    expect(both({})).toEqual([null, null]);
    expect(both({ taints: [] })).toEqual([[], []]);
    expect(both({ taints: [TAINT] })).toEqual([[TAINT], [TAINT]]);
    expect(taintsOf(joinOf({}, 'control-plane-join', version))).toBe(null);
  });

  it.each([
    ['no taints', undefined, [TAINT]],
    ['an empty list', [], [TAINT]],
    ['others', [{ key: 'a', effect: 'NoExecute' }], [{ key: 'a', effect: 'NoExecute' }, TAINT]],
    ['it already', [TAINT, { key: 'a', effect: 'NoExecute' }], [TAINT, { key: 'a', effect: 'NoExecute' }]],
    ['it with a value', [{ ...TAINT, value: 'x' }], [{ ...TAINT, value: 'x' }]],
    [
      'its key with another effect',
      [{ ...TAINT, effect: 'NoExecute' }],
      [{ ...TAINT, effect: 'NoExecute' }, TAINT],
    ],
  ])('a worker with %s', (_, taints, expected) => {
    const spec = { joinConfiguration: { nodeRegistration: { name: 'a', ...(taints && { taints }) } } };
    const before = structuredClone(spec);
    expect(taintsOf(joinOf(spec, 'worker-join'))).toEqual(expected);
    expect(spec).toEqual(before);
  });
});

describe('joinDocument', () => {
  it('begins with --- for a worker only, as the data of the stock provider does', () => {
    expect(joinDocument(input({}), 'worker-join')).toMatch(/^---\napiVersion: /);
    expect(joinDocument(input({}), 'control-plane-join')).toMatch(/^apiVersion: /);
  });

  it.each([...VERSIONS])('makes a control plane Machine join as one for %s', (version) => {
    expect(joinOf({}, 'control-plane-join', version)['controlPlane']).toEqual({ localAPIEndpoint: {} });
    const spec = { joinConfiguration: { controlPlane: { localAPIEndpoint: { bindPort: 8443 } } } };
    expect(joinOf(spec, 'control-plane-join', version)['controlPlane']).toEqual({
      localAPIEndpoint: { bindPort: 8443 },
    });
    expect(joinOf({}, 'worker-join', version)).not.toHaveProperty('controlPlane');
  });

  it('refuses a worker that asks to be a control plane', () => {
    const spec = { joinConfiguration: { controlPlane: {} } };
    expect(() => joinDocument(input(spec), 'worker-join')).toThrow(
      'spec.joinConfiguration.controlPlane: a worker cannot have it',
    );
  });

  it('keeps the kubeconfig of discovery to itself (KB-18)', () => {
    const kubeConfig = { user: { exec: { command: 'get-credentials' } } };
    const spec = { joinConfiguration: { discovery: { file: { kubeConfigPath: '/a', kubeConfig } } } };
    expect(joinOf(spec, 'worker-join')['discovery']).toEqual({ file: { kubeConfigPath: '/a' } });
  });
});

describe('v1beta3 (KB-43)', () => {
  const kubernetesVersion = 'v1.30.0';
  const timeouts = {
    controlPlaneComponentHealthCheckSeconds: 100,
    tlsBootstrapSeconds: 90,
    discoverySeconds: 80,
  };

  it('has the last of several arguments of one name', () => {
    const extraArgs = [
      { name: 'v', value: '1' },
      { name: 'b', value: '' },
      { name: 'v', value: '2' },
    ];
    const clusterConfiguration = { apiServer: { extraArgs } };
    expect(initOf({ clusterConfiguration }, { kubernetesVersion })[0]!['apiServer']).toEqual({
      extraArgs: { b: '', v: '2' },
    });
    expect(initOf({ clusterConfiguration })[0]!['apiServer']).toEqual({ extraArgs });
  });

  it('has two of the timeouts, in their old places', () => {
    const [cluster, init] = initOf({ initConfiguration: { timeouts } }, { kubernetesVersion });
    expect(cluster!['apiServer']).toEqual({ timeoutForControlPlane: '1m40s' });
    expect(init).not.toHaveProperty('timeouts');
    const join = joinOf({ joinConfiguration: { timeouts } }, 'worker-join', kubernetesVersion);
    expect(join['discovery']).toEqual({ timeout: '1m30s' });
    expect(join).not.toHaveProperty('timeouts');
  });
});

describe('any spec', { timeout: 30_000 }, () => {
  const forAll = (check: (one: DocumentCase, text: string) => void) =>
    fc.assert(
      fc.property(anyDocumentCase, (one) => {
        check(one, documentText(one));
      }),
      { seed: 42, numRuns: 150 },
    );

  it('is one or two documents in the API version of its Kubernetes', () => {
    forAll(({ purpose, input: { kubernetesVersion } }, text) => {
      const api = Number(kubernetesVersion.split('.')[1]) < 31 ? 'v1beta3' : 'v1beta4';
      const kinds =
        purpose === 'init' ? ['ClusterConfiguration', 'InitConfiguration'] : ['JoinConfiguration'];
      expect(documents(text).map(({ apiVersion, kind }) => [apiVersion, kind])).toEqual(
        kinds.map((kind) => [`kubeadm.k8s.io/${api}`, kind]),
      );
    });
  });

  it('has sorted keys', () => {
    forAll((_, text) => {
      const keys = parseAllDocuments(text, { version: '1.1' }).flatMap((document) =>
        keysOfMaps(document.toJS({ mapAsMap: true })),
      );
      expect(keys).toEqual(keys.map((ofOne) => [...ofOne].sort()));
    });
  });

  it('gives the same bytes whatever the order of its members', () => {
    forAll((one, text) => {
      expect(documentText(reversed(one))).toBe(text);
    });
  });

  it('holds no undefined, NaN or infinity, and null for taints only', () => {
    forAll((_, text) => {
      const wrong = leaves(documents(text)).filter(([path, leaf]) => {
        if (leaf === null) return !path.endsWith('.nodeRegistration.taints');
        return leaf === undefined || (typeof leaf === 'number' && !Number.isSafeInteger(leaf));
      });
      expect(wrong).toEqual([]);
    });
  });

  it('has nothing of v1beta4 in v1beta3', () => {
    const added =
      /\.(extraEnvs|imagePullSerial|encryptionAlgorithm|certificateValidityPeriod|caCertificateValidityPeriod|timeouts|proxy)\b/;
    forAll(({ input: { kubernetesVersion } }, text) => {
      if (Number(kubernetesVersion.split('.')[1]) >= 31) return;
      const paths = leaves(documents(text)).map(([path]) => path);
      expect(paths.filter((path) => added.test(path))).toEqual([]);
    });
  });

  it('keeps every text of the spec as it is', () => {
    forAll(({ purpose, input: { spec } }, text) => {
      const given = (purpose === 'init' ? spec.initConfiguration : spec.joinConfiguration)?.nodeRegistration;
      const found = documents(text).at(-1)!['nodeRegistration'] as Json;
      expect(found['name']).toBe(given?.name);
      expect(found['ignorePreflightErrors']).toEqual(given?.ignorePreflightErrors);
      expect(asMap(found['kubeletExtraArgs'])).toEqual(asMap(given?.kubeletExtraArgs));
    });
  });
});

/** Arguments of either API version as a map. */
function asMap(args: unknown): unknown {
  if (!Array.isArray(args)) return args ?? {};
  return Object.fromEntries(
    (args as { name: string; value: string }[]).map(({ name, value }) => [name, value]),
  );
}

/** The keys of each map, in their order. */
function keysOfMaps(value: unknown): unknown[][] {
  if (Array.isArray(value)) return value.flatMap(keysOfMaps);
  return value instanceof Map ? [[...value.keys()], ...[...value.values()].flatMap(keysOfMaps)] : [];
}

/** Each value that is no collection with something in it, with its path. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return [[path, value]];
  return Object.entries(value).flatMap(([key, member]) => leaves(member, `${path}.${key}`));
}

function reversed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(reversed) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed<unknown>(member)]),
  ) as T;
}
