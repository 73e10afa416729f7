// SPDX-License-Identifier: Apache-2.0
// Inputs for kubeadm's documents: those under kubeadm/testdata/documents, and generated ones.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import type {
  Arg,
  ClusterConfiguration,
  ControlPlaneComponent,
  EnvVar,
} from '../api/bootstrap/cluster-configuration.ts';
import type { BootstrapToken, InitConfiguration } from '../api/bootstrap/init-configuration.ts';
import type { Discovery, JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import type { NodeRegistrationOptions, Taint, Timeouts } from '../api/bootstrap/node-registration.ts';
import { type DocumentInput, initDocuments, joinDocument } from '../kubeadm/documents.ts';
import type { ClusterFacts, Purpose } from '../kubeadm/machine-contents.ts';

/** Where the files are. */
export const DOCUMENT_TESTDATA = resolve(import.meta.dirname, '..', 'kubeadm', 'testdata', 'documents');

/** An input for each version of kubeadm's API. */
export const VERSIONS = ['v1.30.4', 'v1.36.3'] as const;

/** What one input is for. */
export interface DocumentCase {
  readonly purpose: Purpose;
  readonly input: DocumentInput;
}

/** A file of testdata, to be rendered for any version. */
export interface DocumentFile extends Omit<DocumentCase, 'input'> {
  readonly name: string;
  readonly input: Omit<DocumentInput, 'kubernetesVersion'>;
}

const NO_FACTS: ClusterFacts = {
  name: 'c1',
  controlPlaneEndpoint: undefined,
  serviceDomain: undefined,
  serviceCIDRs: [],
  podCIDRs: [],
};

/** Facts of a Cluster that says nothing but what is given. */
export function clusterFacts(given: Partial<ClusterFacts> = {}): ClusterFacts {
  return { ...NO_FACTS, ...given };
}

/** The inputs under testdata, by name. */
export function documentFiles(): DocumentFile[] {
  return readdirSync(DOCUMENT_TESTDATA)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => {
      const { purpose, cluster, spec } = parse(readFileSync(join(DOCUMENT_TESTDATA, file), 'utf8')) as {
        purpose: Purpose;
        cluster: Partial<ClusterFacts>;
        spec: DocumentInput['spec'];
      };
      return { name: file.replace('.yaml', ''), purpose, input: { spec, cluster: clusterFacts(cluster) } };
    });
}

/** What kubeadm gets on a machine. */
export function documentText({ purpose, input }: DocumentCase): string {
  return purpose === 'init' ? initDocuments(input) : joinDocument(input, purpose);
}

/** Text that is easily misread next to ordinary text. */
const WORDS = [
  'yes',
  'n',
  'null',
  '1.30',
  '0640',
  '12:30',
  '2026-01-31',
  'a: b',
  'a #b',
  ' a',
  '-',
  '{a}',
  'x\ny\n',
  '\t',
  'é',
  '😀',
];
const anyText = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' }),
  fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
  fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom(...'-_:#.?,0179 xea\n') }),
);
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const path = name.map((text) => `/srv/${text}`);
const listOf = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 });
const seconds = fc.oneof(fc.nat(100_000), fc.constant(2 ** 31 - 1));
const timestamp = fc
  .date({ min: new Date('2001-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());
const token = fc.stringMatching(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);

/** An object in which something is set, as the schema asks for. */
function some<T extends object>(fields: {
  [K in keyof T]-?: fc.Arbitrary<Exclude<T[K], undefined>>;
}): fc.Arbitrary<T> {
  return fc
    .record(fields as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [] })
    .filter((value) => Object.keys(value).length > 0) as fc.Arbitrary<T>;
}

const args: fc.Arbitrary<Arg[]> = fc.uniqueArray(
  fc.record({ name, value: fc.oneof(fc.constant(''), anyText) }),
  { minLength: 1, maxLength: 4, selector: (arg) => arg.name },
);
const envs: fc.Arbitrary<EnvVar[]> = listOf(
  fc.oneof(
    fc.record({ name, value: anyText }),
    fc.record({ name, valueFrom: fc.record({ fieldRef: fc.record({ fieldPath: anyText }) }) }),
    fc.record({
      name,
      valueFrom: fc.record({ secretKeyRef: fc.record({ name, key: name, optional: fc.boolean() }) }),
    }),
    fc.record({ name, valueFrom: fc.record({ resourceFieldRef: fc.record({ resource: anyText }) }) }),
  ),
);
const volumes = listOf(
  fc.record(
    { name, hostPath: path, mountPath: path, readOnly: fc.boolean(), pathType: fc.constantFrom('', 'File') },
    { requiredKeys: ['name', 'hostPath', 'mountPath'] },
  ),
);
const componentFields = { extraArgs: args, extraEnvs: envs, extraVolumes: volumes };
const component = some<ControlPlaneComponent>(componentFields);
const taints: fc.Arbitrary<Taint[]> = fc.array(
  fc.record(
    { key: anyText, value: anyText, effect: name, timeAdded: timestamp },
    { requiredKeys: ['key', 'effect'] },
  ),
  { maxLength: 3 },
);
const registration = some<NodeRegistrationOptions>({
  name: anyText,
  criSocket: path,
  taints,
  kubeletExtraArgs: args,
  ignorePreflightErrors: listOf(anyText),
  imagePullPolicy: fc.constantFrom('Always', 'IfNotPresent', 'Never'),
  imagePullSerial: fc.boolean(),
});
const timeouts = some<Timeouts>({
  controlPlaneComponentHealthCheckSeconds: seconds,
  kubeletHealthCheckSeconds: seconds,
  kubernetesAPICallSeconds: seconds,
  etcdAPICallSeconds: seconds,
  tlsBootstrapSeconds: seconds,
  discoverySeconds: seconds,
});
const endpoint = some<{ advertiseAddress?: string; bindPort?: number }>({
  advertiseAddress: fc.constantFrom('192.0.2.1', '2001:db8::1'),
  bindPort: fc.integer({ min: 1, max: 65_535 }),
});
const shared = {
  skipPhases: listOf(anyText),
  patches: some<{ directory?: string }>({ directory: path }),
  timeouts,
};

const clusterConfiguration = some<ClusterConfiguration>({
  etcd: fc.oneof(
    fc.record({
      local: some<NonNullable<NonNullable<ClusterConfiguration['etcd']>['local']>>({
        imageRepository: anyText,
        imageTag: anyText,
        dataDir: path,
        extraArgs: args,
        extraEnvs: envs,
        serverCertSANs: listOf(anyText),
        peerCertSANs: listOf(anyText),
      }),
    }),
    fc.record({
      external: fc.record({ endpoints: listOf(anyText), caFile: path, certFile: path, keyFile: path }),
    }),
  ),
  controlPlaneEndpoint: anyText,
  apiServer: some<NonNullable<ClusterConfiguration['apiServer']>>({
    ...componentFields,
    certSANs: listOf(anyText),
  }),
  controllerManager: component,
  scheduler: component,
  dns: some<NonNullable<ClusterConfiguration['dns']>>({ imageRepository: anyText, imageTag: anyText }),
  certificatesDir: path,
  imageRepository: anyText,
  featureGates: fc.dictionary(name, fc.boolean(), { maxKeys: 3 }),
  certificateValidityPeriodDays: fc.integer({ min: 1, max: 1095 }),
  caCertificateValidityPeriodDays: fc.integer({ min: 1, max: 36_500 }),
  encryptionAlgorithm: fc.constantFrom('ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096'),
});
const initConfiguration = some<InitConfiguration>({
  bootstrapTokens: listOf(
    fc.record(
      {
        token,
        description: anyText,
        ttlSeconds: seconds,
        expires: timestamp,
        usages: listOf(anyText),
        groups: listOf(anyText),
      },
      { requiredKeys: ['token'] },
    ) as fc.Arbitrary<BootstrapToken>,
  ),
  nodeRegistration: registration,
  localAPIEndpoint: endpoint,
  ...shared,
});
const discovery = some<Discovery>({
  bootstrapToken: some<NonNullable<Discovery['bootstrapToken']>>({
    token: anyText,
    apiServerEndpoint: anyText,
    caCertHashes: listOf(anyText),
    unsafeSkipCAVerification: fc.boolean(),
  }),
  file: fc.record({ kubeConfigPath: path }),
  tlsBootstrapToken: anyText,
});
const joinFields = { nodeRegistration: registration, caCertPath: path, discovery, ...shared };
const controlPlane = fc.record({ localAPIEndpoint: endpoint }, { requiredKeys: [] });

const facts: fc.Arbitrary<ClusterFacts> = fc.record({
  name,
  controlPlaneEndpoint: fc.option(
    fc.record({
      host: fc.constantFrom('10.0.0.1', '2001:db8::1', 'a.example.org'),
      port: fc.integer({ min: 1, max: 65_535 }),
    }),
    { nil: undefined },
  ),
  serviceDomain: fc.option(anyText, { nil: undefined }),
  serviceCIDRs: fc.array(anyText, { maxLength: 2 }),
  podCIDRs: fc.array(anyText, { maxLength: 2 }),
});
const version = fc.constantFrom(...Array.from({ length: 16 }, (_, index) => `v1.${index + 22}.0`));

/** Inputs that the schema accepts, of each purpose, for Kubernetes 1.22 to 1.37. */
export const anyDocumentCase: fc.Arbitrary<DocumentCase> = fc.oneof(
  caseOf('init', fc.record({ clusterConfiguration, initConfiguration }, { requiredKeys: [] })),
  caseOf(
    'control-plane-join',
    fc.record(
      { joinConfiguration: some<JoinConfiguration>({ ...joinFields, controlPlane }) },
      { requiredKeys: [] },
    ),
  ),
  caseOf(
    'worker-join',
    fc.record(
      { joinConfiguration: some<Omit<JoinConfiguration, 'controlPlane'>>(joinFields) },
      { requiredKeys: [] },
    ),
  ),
);

function caseOf(purpose: Purpose, spec: fc.Arbitrary<DocumentInput['spec']>): fc.Arbitrary<DocumentCase> {
  return fc.record({ spec, kubernetesVersion: version, cluster: facts }).map((input) => ({ purpose, input }));
}
