// SPDX-License-Identifier: Apache-2.0
// Everything that can be wrong around a KubeadmConfig: how it comes about, what is said, what a person does about it.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ClusterKind, ConfigMapKind, KubeadmConfigKind, MachineKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { Kind } from '../../runtime/object.ts';
import {
  certificate,
  type ClusterInput,
  type ConfigInput,
  createConfig,
  kubeconfig,
  reportCluster,
  secret,
  secretData,
} from './bootstrap-objects.ts';
import type { Environment } from './harness.ts';
import { typeOf } from './machines.ts';

/** The Cluster and the KubeadmConfig of each mistake have these names, in a namespace of its own. */
export const CLUSTER = 'c';
export const CONFIG = 'm';

/** Where a mistake is made. */
export interface Place {
  readonly environment: Environment;
  readonly namespace: string;
}

export interface Mistake {
  readonly what: string;
  /** Changes to a Cluster that machines can join. */
  readonly cluster?: Partial<ClusterInput>;
  /** Changes to a worker that asks for nothing special. */
  readonly config?: Partial<ConfigInput>;
  /** Done after the Cluster is made and before the config is. */
  readonly before?: (place: Place) => Promise<unknown>;
  /** Which condition says it; default DataSecretAvailable. */
  readonly condition?: 'CertificatesAvailable' | 'DataSecretAvailable';
  /** `NS` stands for the namespace. */
  readonly says: RegExp;
  readonly mend: (place: Place) => Promise<unknown>;
  /** After which time at the latest the data are there; the machine that tests may be slow, so that this is not what a user waits. */
  readonly withinMs: number;
  /** The token is in the workload cluster before the mistake is found. */
  readonly leavesToken?: boolean;
}

/** A watch tells, or the back-off has not grown yet. */
const AT_ONCE_MS = 15_000;
/** Nobody tells: it is looked at every 30 s, at most 20 % later. */
const SOON_MS = 50_000;

/** Stands in every secret of these mistakes; no message may repeat it. */
export const CANARY = `canary${randomBytes(12).toString('hex')}`;

const configName = ({ namespace }: Place) => ({ namespace, name: CONFIG });
const secretName = ({ namespace }: Place, name: string) => ({ namespace, name });

function patch({ environment, namespace }: Place, kind: Kind, name: string, body: object) {
  return environment.client.patch(kind, { namespace, name }, body);
}

const patchSpec = (spec: object) => (place: Place) => patch(place, KubeadmConfigKind, CONFIG, { spec });
const patchMachine = (spec: object) => (place: Place) => patch(place, MachineKind, CONFIG, { spec });

/** A Secret that files and users take content from; with the cluster's label it is watched. */
const content = (texts: Record<string, string>, labelled: 'labelled' | 'unlabelled') => (place: Place) =>
  place.environment.client.create(
    SecretKind,
    secret({ ...secretName(place, 'content'), ...(labelled === 'labelled' && { cluster: CLUSTER }) }, texts),
  );

/** Brings the right content into a certificate Secret of the cluster. */
const mendCertificate = (purpose: 'ca' | 'sa') => async (place: Place) => {
  const { data } = await certificate(place.environment, { ...place, name: CLUSTER }, purpose);
  return patch(place, SecretKind, `${CLUSTER}-${purpose}`, { data });
};

/** Damages a certificate Secret; `null` takes a key away. */
const damage = (purpose: 'ca' | 'sa', texts: Record<string, string | null>) => (place: Place) => {
  const data = Object.entries(texts).map(([key, text]) => [
    key,
    text === null ? null : secretData({ key: text })['key'],
  ]);
  return patch(place, SecretKind, `${CLUSTER}-${purpose}`, { data: Object.fromEntries(data) as object });
};

async function mendKubeconfig(place: Place): Promise<unknown> {
  const { data } = await kubeconfig(place.environment, { ...place, name: CLUSTER });
  return patch(place, SecretKind, `${CLUSTER}-kubeconfig`, { data });
}

/** The kubeconfig that works, changed. */
const brokenKubeconfig = (change: (text: string, port: number) => string) => async (place: Place) => {
  const { pki, port } = await place.environment.workload();
  const value = change(readFileSync(pki.adminKubeconfig, 'utf8'), port);
  return patch(place, SecretKind, `${CLUSTER}-kubeconfig`, { data: secretData({ value }) });
};

const fileFrom = (key: string): KubeadmConfigSpec => ({
  files: [{ path: '/etc/motd', contentFrom: { secret: { name: 'content', key } } }],
});

/** More than a Secret holds, however it is packed. */
const LARGE = randomBytes(450_000).toString('base64');

const files: readonly Mistake[] = [
  {
    what: 'a file from a Secret that does not exist, and that nobody watches',
    config: { spec: fileFrom('motd') },
    says: /^False NotAvailable: Failed to prepare spec\.files: Secret NS\/content \(spec\.files\[0\]\S*\) does not exist: create it with the key "motd"$/,
    mend: content({ motd: 'hello' }, 'unlabelled'),
    withinMs: SOON_MS,
  },
  {
    what: 'a file from a key that its Secret, which is watched, does not have',
    before: content({ other: CANARY }, 'labelled'),
    config: { spec: fileFrom('motd') },
    says: /^False NotAvailable: Failed to prepare spec\.files: Secret NS\/content has no key "motd" \(spec\.files\[0\]\S*\): add it$/,
    mend: (place) => patch(place, SecretKind, 'content', { data: secretData({ motd: 'hello' }) }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a password from a Secret that does not exist',
    config: { spec: { users: [{ name: 'ops', passwdFrom: { secret: { name: 'content', key: 'hash' } } }] } },
    says: /^False NotAvailable: Failed to prepare spec\.users: Secret NS\/content \(spec\.users\[0\]\S*\) does not exist: create it with the key "hash"$/,
    mend: content({ hash: '$6$x$y' }, 'labelled'),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a template with a function that there is not',
    config: {
      spec: { files: [{ path: '/a', contentFormat: 'Template', content: `${CANARY} {{ env "HOME" }}` }] },
    },
    says: /^False NotAvailable: Failed to prepare spec\.files: spec\.files\[0\]\S* .*env/,
    mend: patchSpec({ files: [{ path: '/a', contentFormat: 'Template', content: '{{ "x" }}' }] }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a template with an unknown function, in a Secret that nobody watches',
    before: content({ motd: `${CANARY} {{ env "HOME" }}` }, 'unlabelled'),
    config: {
      spec: {
        files: [
          {
            path: '/a',
            contentFormat: 'Template',
            contentFrom: { secret: { name: 'content', key: 'motd' } },
          },
        ],
      },
    },
    says: /^False NotAvailable: Failed to prepare spec\.files: spec\.files\[0\]\S* .*env/,
    mend: (place) => patch(place, SecretKind, 'content', { data: secretData({ motd: 'hello' }) }),
    withinMs: SOON_MS,
  },
  {
    what: 'more data than a Secret holds',
    before: content({ large: LARGE }, 'labelled'),
    config: {
      spec: {
        files: ['/a', '/b', '/c'].map((path) => ({
          path,
          contentFrom: { secret: { name: 'content', key: 'large' } },
        })),
      },
    },
    says: /^False NotAvailable: .* 1800\d{3} bytes .*largest files are \/a 600000, .*smaller/,
    mend: patchSpec({ files: [{ path: '/a', content: 'small' }] }),
    withinMs: AT_ONCE_MS,
  },
];

const owners: readonly Mistake[] = [
  {
    what: 'a worker that is to be a control plane',
    config: { spec: { format: 'cloud-config', joinConfiguration: { controlPlane: {} } } },
    says: /^False NotAvailable: spec\.joinConfiguration\.controlPlane is set, and Machine NS\/m is a worker: remove it$/,
    mend: patchSpec({ joinConfiguration: null }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a version that is none',
    config: { version: 'latest' },
    says: /^False NotAvailable: .*[Vv]ersion.*"?latest/,
    mend: patchMachine({ version: 'v1.36.0' }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a Machine without a version',
    config: { version: null },
    says: /^False NotAvailable: Machine NS\/m has no spec\.version, .*: set it$/,
    mend: patchMachine({ version: 'v1.36.0' }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a Cluster whose infrastructure is not there yet',
    cluster: { infrastructureProvisioned: false },
    says: /^False NotAvailable: waiting for Cluster NS\/c: its infrastructure is not provisioned yet \(see TSCluster NS\/c\)$/,
    mend: ({ environment, namespace }) =>
      reportCluster(environment, { namespace, name: CLUSTER }, { initialized: true }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a worker before its cluster has a control plane',
    cluster: { initialized: false, certificates: true },
    says: /^False NotAvailable: waiting for the control plane of Cluster NS\/c to be initialized$/,
    mend: ({ environment, namespace }) =>
      reportCluster(environment, { namespace, name: CLUSTER }, { initialized: true }),
    withinMs: AT_ONCE_MS,
  },
  ...(['labelled', 'unlabelled'] as const).map((labelled): Mistake => ({
    what: `a Secret of somebody else where the data are to be, ${labelled}`,
    before: ({ environment, namespace }) => {
      const controller = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        name: 'web',
        uid: 'u-1',
        controller: true,
      };
      const theirs = secret(
        { ...{ namespace, name: CONFIG }, ...(labelled === 'labelled' && { cluster: CLUSTER }) },
        {
          password: CANARY,
        },
      );
      const metadata = { ...theirs.metadata, ownerReferences: [controller] };
      return environment.client.create(SecretKind, { ...theirs, metadata });
    },
    says: /^False NotAvailable: Secret NS\/m is controlled by Deployment web: delete the Secret, or name the KubeadmConfig differently$/,
    mend: (place) => place.environment.client.delete(SecretKind, configName(place)),
    withinMs: labelled === 'labelled' ? AT_ONCE_MS : SOON_MS,
    // Nobody sees that one before the data are to be stored: the token is recorded, and the one that is used in the end.
    ...(labelled === 'unlabelled' && { leavesToken: true }),
  })),
];

const certificates: readonly Mistake[] = [
  {
    what: 'a CA that is not there',
    cluster: { certificates: false },
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: waiting for Secret NS\/c-ca \(key tls\.crt\): .* writes it/,
    mend: async ({ environment, namespace }) =>
      environment.client.create(
        SecretKind,
        await certificate(environment, { namespace, name: CLUSTER }, 'ca'),
      ),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a CA without its key, for a control plane',
    before: damage('ca', { 'tls.key': null }),
    config: { role: 'control-plane' },
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: Secret c-ca data\["tls\.key"\]: is missing or empty: .*Add the private key$/,
    mend: mendCertificate('ca'),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a CA that is something else',
    before: damage('ca', { 'tls.crt': CANARY }),
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: Secret c-ca data\["tls\.crt"\]: .*(PEM|certificate)/,
    mend: mendCertificate('ca'),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a CA whose PEM ends too early',
    before: async (place) => {
      const { pki } = await place.environment.workload();
      return damage('ca', { 'tls.crt': pki.read('ca.crt').slice(0, 500) })(place);
    },
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: Secret c-ca data\["tls\.crt"\]: .*(PEM|certificate)/,
    mend: mendCertificate('ca'),
    withinMs: AT_ONCE_MS,
  },
  {
    what: "a user's CA, without the cluster's label, whose PEM ends too early",
    cluster: { certificates: false },
    before: async (place) => {
      const { pki } = await place.environment.workload();
      const texts = { 'tls.crt': pki.read('ca.crt').slice(0, 500) };
      await place.environment.client.create(SecretKind, secret(secretName(place, 'c-ca'), texts));
    },
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: Secret c-ca data\["tls\.crt"\]: .*(PEM|certificate)/,
    mend: mendCertificate('ca'),
    withinMs: SOON_MS,
  },
  {
    what: 'a service account key that belongs to another',
    before: async (place) => {
      const { pki } = await place.environment.workload();
      return damage('sa', { 'tls.key': pki.read('ca.key') })(place);
    },
    config: { role: 'control-plane' },
    condition: 'CertificatesAvailable',
    says: /^Unknown InternalError: Secret c-sa data\["tls\.key"\]: does not belong to what is in tls\.crt: store the two that were made together$/,
    mend: mendCertificate('sa'),
    withinMs: AT_ONCE_MS,
  },
];

/** As if an operator had pasted something else into the Secret. */
const BROKEN_KUBECONFIG = `apiVersion: v1\nkind: Config\nusers:\n- user: {token: ${CANARY}\n  name: "x`;

const workloads: readonly Mistake[] = [
  {
    what: 'a kubeconfig that is not there',
    cluster: { kubeconfig: null },
    says: /^False NotAvailable: waiting for Secret NS\/c-kubeconfig: the control plane provider writes it$/,
    mend: async ({ environment, namespace }) =>
      environment.client.create(SecretKind, await kubeconfig(environment, { namespace, name: CLUSTER })),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a kubeconfig that is no YAML',
    cluster: { kubeconfig: BROKEN_KUBECONFIG },
    says: /^False NotAvailable: Secret NS\/c-kubeconfig is not a usable kubeconfig: .*write a kubeconfig under its key "value"$/,
    mend: mendKubeconfig,
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'an API server that is not there',
    // Nobody listens on the port of the discard service.
    before: brokenKubeconfig((text, port) => text.replace(`:${port}`, ':9')),
    says: /^False NotAvailable: the API server of cluster NS\/c does not answer: /,
    mend: mendKubeconfig,
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'an API server that does not know who asks',
    before: brokenKubeconfig((text) =>
      text.replace(/client-certificate-data: .*\n *client-key-data: .*/, `token: ${CANARY}`),
    ),
    says: /^False NotAvailable: the API server of cluster NS\/c refuses the credentials in Secret NS\/c-kubeconfig: .*Delete the Secret to have the control plane provider make it again$/,
    mend: mendKubeconfig,
    withinMs: AT_ONCE_MS,
  },
];

const LOCK_KEY = 'lock-information';

const lock = (information: string) => (place: Place) =>
  place.environment.client.create(ConfigMapKind, {
    ...typeOf(ConfigMapKind),
    metadata: { ...secretName(place, `${CLUSTER}-lock`), labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    data: { [LOCK_KEY]: information },
  });

const locks: readonly Mistake[] = [
  {
    what: 'a Machine that holds the init lock, and is deleted',
    cluster: { initialized: false },
    config: { role: 'control-plane' },
    before: async (place) => {
      const holder = { ...secretName(place, 'holder'), cluster: CLUSTER, role: 'control-plane' as const };
      await createConfig(place.environment, { ...holder, spec: fileFrom('nowhere') });
      await lock(JSON.stringify({ machineName: 'holder' }))(place);
    },
    says: /^False NotAvailable: waiting for the control plane of Cluster NS\/c to be initialized: Machine NS\/holder holds the init lock$/,
    mend: ({ environment, namespace }) =>
      environment.client.delete(MachineKind, { namespace, name: 'holder' }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'an init lock that says nothing',
    cluster: { initialized: false },
    config: { role: 'control-plane' },
    before: lock('{}'),
    says: /^False NotAvailable: waiting for the control plane of Cluster NS\/c to be initialized: the init lock, ConfigMap NS\/c-lock, does not name its Machine under "lock-information": delete it$/,
    mend: (place) => place.environment.client.delete(ConfigMapKind, secretName(place, `${CLUSTER}-lock`)),
    withinMs: SOON_MS,
  },
  {
    what: 'a new cluster whose first machine has a template that cannot be rendered',
    cluster: { initialized: false },
    config: {
      role: 'control-plane',
      spec: { files: [{ path: '/a', contentFormat: 'Template', content: '{{ env "HOME" }}' }] },
    },
    says: /^False NotAvailable: Failed to prepare spec\.files: spec\.files\[0\]\S* .*env/,
    mend: patchSpec({ files: [{ path: '/a', content: 'x' }] }),
    withinMs: AT_ONCE_MS,
  },
  {
    what: 'a Cluster that nobody has given an endpoint',
    before: (place) => patch(place, ClusterKind, CLUSTER, { spec: { controlPlaneEndpoint: null } }),
    says: /^False NotAvailable: waiting for Cluster NS\/c: it has no spec\.controlPlaneEndpoint yet$/,
    mend: (place) =>
      patch(place, ClusterKind, CLUSTER, {
        spec: { controlPlaneEndpoint: { host: '127.0.0.1', port: 6443 } },
      }),
    withinMs: AT_ONCE_MS,
  },
];

/** Every mistake, to be made in a namespace of its own. */
export const MISTAKES: readonly Mistake[] = [...files, ...owners, ...certificates, ...workloads, ...locks];
