// SPDX-License-Identifier: Apache-2.0
// Inputs with which no machine comes up, each with the field at fault, and inputs that look like it and are right.
import { gzipSync } from 'node:zlib';
import type { ClusterConfiguration } from '../api/bootstrap/cluster-configuration.ts';
import type { InitConfiguration } from '../api/bootstrap/init-configuration.ts';
import type { Discovery, JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import type { File } from '../api/bootstrap/machine-contents.ts';
import type { NodeRegistrationOptions, Taint } from '../api/bootstrap/node-registration.ts';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { checkBootstrapData } from '../kubeadm/checks/bootstrap-data.ts';
import type { Problem } from '../kubeadm/checks/problem.ts';
import { completeDiscovery } from '../kubeadm/complete-discovery.ts';
import type { ClusterFacts, Purpose } from '../kubeadm/machine-contents.ts';
import { machineContents, type RenderInput } from '../kubeadm/render.ts';
import { clusterFacts } from './document-cases.ts';

/** One input. */
export interface CheckCase {
  readonly name: string;
  readonly purpose: Purpose;
  readonly spec: KubeadmConfigSpec;
  readonly cluster?: Partial<ClusterFacts>;
  readonly version?: string;
  /** Where the problem is; absent for an input that is right. */
  readonly field?: string;
}

export const TOKEN = 'abcdef.0123456789abcdef';
export const HASH = `sha256:${'0123456789abcdef'.repeat(4)}`;
const VERSION = 'v1.36.3';

/** What is rendered; what a join does not say of its discovery is filled in. */
export function inputOf({ purpose, spec, cluster, version = VERSION }: Omit<CheckCase, 'name'>): RenderInput {
  const complete =
    purpose === 'init'
      ? spec
      : {
          ...spec,
          joinConfiguration: completeDiscovery(spec.joinConfiguration, {
            purpose,
            endpoint: 'api.example.org:6443',
            clusterCA: undefined,
            newToken: () => TOKEN,
          }),
        };
  return {
    purpose,
    spec: complete,
    cluster: clusterFacts(cluster),
    kubernetesVersion: version,
    certificateFiles: [],
    clusterCA: 'PEM',
    secrets: () => undefined,
    variables: {},
    ignitionVersion: '2.3.0',
  };
}

/** What our checks say. */
export function problemsOf(one: Omit<CheckCase, 'name'>): Problem[] {
  const input = inputOf(one);
  return checkBootstrapData(input, machineContents(input));
}

type Row<T> = readonly [name: string, value: T, field?: string];

function rows<T>(
  purpose: Purpose,
  toCase: (value: T) => Pick<CheckCase, 'spec' | 'cluster'>,
  all: readonly Row<T>[],
): CheckCase[] {
  return all.map(([name, value, field]) => ({
    name,
    purpose,
    ...toCase(value),
    ...(field !== undefined && { field }),
  }));
}

const configuration = (clusterConfiguration: ClusterConfiguration) => ({ spec: { clusterConfiguration } });
const init = (initConfiguration: InitConfiguration) => ({ spec: { initConfiguration } });
const join = (joinConfiguration: JoinConfiguration) => ({ spec: { joinConfiguration } });
const discovery = (given: Discovery) => join({ discovery: given });
const registration = (nodeRegistration: NodeRegistrationOptions) => join({ nodeRegistration });
const etcd = { caFile: '/ca', certFile: '/cert', keyFile: '/key' };
const external = (...endpoints: string[]) => ({ etcd: { external: { ...etcd, endpoints } } });
const token = (given: Partial<NonNullable<InitConfiguration['bootstrapTokens']>[number]>) => ({
  bootstrapTokens: [{ token: TOKEN, ...given }],
});

const CC = 'spec.clusterConfiguration';
const IC = 'spec.initConfiguration';
const JC = 'spec.joinConfiguration';
const PODS = 'Cluster spec.clusterNetwork.pods.cidrBlocks';
const SERVICES = 'Cluster spec.clusterNetwork.services.cidrBlocks';

/** What `kubeadm config validate` refuses too. */
export const KUBEADM_FAULTS: readonly CheckCase[] = [
  ...rows('init', configuration, [
    ['a relative folder of certificates', { certificatesDir: 'pki' }, `${CC}.certificatesDir`],
    ['a relative folder of etcd', { etcd: { local: { dataDir: 'data' } } }, `${CC}.etcd.local.dataDir`],
    [
      'a relative file of etcd',
      { etcd: { external: { ...etcd, caFile: 'ca', endpoints: ['https://e:2379'] } } },
      `${CC}.etcd.external.caFile`,
    ],
    ['etcd without a scheme', external('10.0.0.1:2379'), `${CC}.etcd.external.endpoints[0]`],
    ['etcd by http', external('https://a:2379', 'http://b:2379'), `${CC}.etcd.external.endpoints[1]`],
    ['etcd with a broken port', external('https://a:port'), `${CC}.etcd.external.endpoints[0]`],
    ['etcd with a blank in its host', external('https://a b'), `${CC}.etcd.external.endpoints[0]`],
    [
      'two kinds of etcd',
      { etcd: { local: { dataDir: '/data' }, ...external('https://e').etcd } },
      `${CC}.etcd`,
    ],
    ['a name with an underscore', { apiServer: { certSANs: ['a', 'a_b'] } }, `${CC}.apiServer.certSANs[1]`],
    ['a wildcard inside', { apiServer: { certSANs: ['a.*.b'] } }, `${CC}.apiServer.certSANs[0]`],
    [
      'a name of etcd in capitals',
      { etcd: { local: { serverCertSANs: ['Etcd'] } } },
      `${CC}.etcd.local.serverCertSANs[0]`,
    ],
    [
      'a peer with a zone',
      { etcd: { local: { peerCertSANs: ['fe80::1%eth0'.replace('%', '.')] } } },
      `${CC}.etcd.local.peerCertSANs[0]`,
    ],
    ['an endpoint in capitals', { controlPlaneEndpoint: 'API.example.org' }, `${CC}.controlPlaneEndpoint`],
    ['an endpoint with a scheme', { controlPlaneEndpoint: 'https://a:6443' }, `${CC}.controlPlaneEndpoint`],
    ['an endpoint with a high port', { controlPlaneEndpoint: 'a:65536' }, `${CC}.controlPlaneEndpoint`],
    ['an endpoint in brackets only', { controlPlaneEndpoint: '[fd00::1]' }, `${CC}.controlPlaneEndpoint`],
    ['a registry with a scheme', { imageRepository: 'https://a.example.org' }, `${CC}.imageRepository`],
    ['a registry with a slash behind', { imageRepository: 'a.example.org/' }, `${CC}.imageRepository`],
    ['a path in capitals', { imageRepository: 'a.example.org/K8s' }, `${CC}.imageRepository`],
    ['a tag of DNS', { dns: { imageRepository: 'a.example.org/dns:1' } }, `${CC}.dns.imageRepository`],
    [
      'a digest of etcd',
      { etcd: { local: { imageRepository: 'a.example.org/e d' } } },
      `${CC}.etcd.local.imageRepository`,
    ],
  ]),
  ...rows('init', (podCIDRs: string[]) => ({ spec: {}, cluster: { podCIDRs } }), [
    ['an address in place of a range', ['10.0.0.0'], PODS],
    ['a range with a broken mask', ['10.0.0.0/33'], PODS],
    ['two ranges of one family', ['10.0.0.0/16', '10.1.0.0/16'], PODS],
    ['three ranges', ['10.0.0.0/16', 'fd00::/56', '10.1.0.0/16'], PODS],
    ['a range smaller than a node', ['10.0.0.0/25'], PODS],
    ['a range with too many nodes', ['10.0.0.0/7'], PODS],
    ['an IPv6 range with too many nodes', ['fd00::/40'], PODS],
    ['a range of three addresses', ['10.0.0.0/30'], PODS],
    ['a range of everything', ['0.0.0.0/0'], PODS],
  ]),
  ...rows('init', (serviceCIDRs: string[]) => ({ spec: {}, cluster: { serviceCIDRs } }), [
    ['services in too many addresses', ['10.0.0.0/8'], SERVICES],
    ['services in too few', ['10.0.0.0/29'], SERVICES],
    ['services in a large range of IPv6', ['fd00::/107'], SERVICES],
    ['services in words', ['ten'], SERVICES],
  ]),
  {
    name: 'a range smaller than the nodes get by flag',
    purpose: 'init',
    spec: {
      clusterConfiguration: {
        controllerManager: { extraArgs: [{ name: 'node-cidr-mask-size-ipv4', value: '20' }] },
      },
    },
    cluster: { podCIDRs: ['10.0.0.0/22'] },
    field: PODS,
  },
  {
    name: 'a domain in capitals',
    purpose: 'init',
    spec: {},
    cluster: { serviceDomain: 'Cluster.local' },
    field: 'Cluster spec.clusterNetwork.serviceDomain',
  },
  {
    name: 'the endpoint of the Cluster in capitals',
    purpose: 'init',
    spec: {},
    cluster: { controlPlaneEndpoint: { host: 'LB.example.org', port: 6443 } },
    field: 'Cluster spec.controlPlaneEndpoint',
  },
  ...rows('init', init, [
    ['a token that expires', token({ expires: '2036-01-01T00:00:00Z' }), `${IC}.bootstrapTokens[0].expires`],
    [
      'a token for something else',
      token({ usages: ['authentication', 'sign'] }),
      `${IC}.bootstrapTokens[0].usages[1]`,
    ],
    [
      'a token with groups that are not let in',
      token({ usages: ['signing'] }),
      `${IC}.bootstrapTokens[0].usages`,
    ],
    ['a token of another group', token({ groups: ['system:masters'] }), `${IC}.bootstrapTokens[0].groups[0]`],
    [
      'an address that is none',
      { localAPIEndpoint: { advertiseAddress: '10.0.0.256' } },
      `${IC}.localAPIEndpoint.advertiseAddress`,
    ],
    ['a port that is none', { localAPIEndpoint: { bindPort: 65_536 } }, `${IC}.localAPIEndpoint.bindPort`],
    ['a name of a first node', { nodeRegistration: { name: 'a_b' } }, `${IC}.nodeRegistration.name`],
  ]),
  ...rows('worker-join', discovery, [
    [
      'two ways of discovery',
      {
        bootstrapToken: { token: TOKEN, apiServerEndpoint: 'a:1', unsafeSkipCAVerification: true },
        file: { kubeConfigPath: '/a' },
      },
      `${JC}.discovery`,
    ],
    ['a token that is none', { bootstrapToken: { token: 'abc' } }, `${JC}.discovery.bootstrapToken.token`],
    [
      'a server without a port',
      { bootstrapToken: { apiServerEndpoint: 'a' } },
      `${JC}.discovery.bootstrapToken.apiServerEndpoint`,
    ],
    [
      'an IPv6 server without brackets',
      { bootstrapToken: { apiServerEndpoint: 'fd00::1:6443' } },
      `${JC}.discovery.bootstrapToken.apiServerEndpoint`,
    ],
    [
      'another token that is none',
      { tlsBootstrapToken: 'ABCDEF.0123456789abcdef' },
      `${JC}.discovery.tlsBootstrapToken`,
    ],
    [
      'a kubeconfig by http',
      { file: { kubeConfigPath: 'http://a/k' } },
      `${JC}.discovery.file.kubeConfigPath`,
    ],
  ]),
  ...rows('worker-join', join, [
    ['a relative CA', { caCertPath: 'pki/ca.crt' }, `${JC}.caCertPath`],
    ['a CA that ends otherwise', { caCertPath: '/etc/ca.pem' }, `${JC}.caCertPath`],
  ]),
  ...rows('worker-join', registration, [
    ['a name with a blank', { name: 'a b' }, `${JC}.nodeRegistration.name`],
    ['a name of blanks', { name: '  ' }, `${JC}.nodeRegistration.name`],
    ['a name that is too long', { name: 'a.'.repeat(126) + 'ab' }, `${JC}.nodeRegistration.name`],
    ['a socket of another kind', { criSocket: 'unix-socket' }, `${JC}.nodeRegistration.criSocket`],
    ['a socket with a line break', { criSocket: '/run/a\nb' }, `${JC}.nodeRegistration.criSocket`],
  ]),
  ...rows('control-plane-join', join, [
    [
      'an address of a further API server',
      { controlPlane: { localAPIEndpoint: { advertiseAddress: 'a.example.org' } } },
      `${JC}.controlPlane.localAPIEndpoint.advertiseAddress`,
    ],
  ]),
];

const taint = (given: Partial<Taint>, ...more: Taint[]): NodeRegistrationOptions => ({
  taints: [{ key: 'example.org/a', effect: 'NoSchedule', ...given }, ...more],
});
const TAINT = `${JC}.nodeRegistration.taints[0]`;

/** What the API server refuses of a Node, and the kubelet before it. */
export const TAINT_FAULTS: readonly CheckCase[] = rows('worker-join', registration, [
  ['an unknown effect', taint({ effect: 'NoRun' }), `${TAINT}.effect`],
  ['no effect', taint({ effect: '' }), `${TAINT}.effect`],
  ['no key', taint({ key: '' }), `${TAINT}.key`],
  ['a key with a blank', taint({ key: 'a b' }), `${TAINT}.key`],
  ['a key with two slashes', taint({ key: 'a/b/c' }), `${TAINT}.key`],
  ['a key with a domain in capitals', taint({ key: 'A.org/b' }), `${TAINT}.key`],
  ['a long key', taint({ key: 'a'.repeat(64) }), `${TAINT}.key`],
  ['a value with a slash', taint({ value: 'a/b' }), `${TAINT}.value`],
  [
    'the same taint twice',
    taint({}, { key: 'example.org/a', value: 'b', effect: 'NoSchedule' }),
    `${JC}.nodeRegistration.taints[1]`,
  ],
]);

/** What kubeadm refuses when it runs, before it has done anything. */
export const LATE_FAULTS: readonly CheckCase[] = [
  ...rows('worker-join', discovery, [
    [
      'a hash that is none',
      { bootstrapToken: { caCertHashes: [HASH, 'sha256:abc'] } },
      `${JC}.discovery.bootstrapToken.caCertHashes[1]`,
    ],
    [
      'a hash of another kind',
      { bootstrapToken: { caCertHashes: [HASH.replace('256', '512')] } },
      `${JC}.discovery.bootstrapToken.caCertHashes[0]`,
    ],
  ]),
  ...rows('worker-join', join, [
    ['a phase that cannot be', { skipPhases: ['preflight', 'Addon'] }, `${JC}.skipPhases[1]`],
    [
      'all checks and one more',
      { nodeRegistration: { ignorePreflightErrors: ['ALL', 'Swap'] } },
      `${JC}.nodeRegistration.ignorePreflightErrors`,
    ],
  ]),
  ...['v1.31.0', 'v1.33.5'].map((version): CheckCase => ({
    name: `a curve that ${version} does not know`,
    purpose: 'init',
    spec: { clusterConfiguration: { encryptionAlgorithm: 'ECDSA-P384' } },
    version,
    field: `${CC}.encryptionAlgorithm`,
  })),
];

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');
const files = (...all: Partial<File>[]) => ({
  spec: { files: all.map((file, at) => ({ path: `/${at}`, ...file })) },
});
const command = (...all: string[]) => ({ spec: { preKubeadmCommands: all } });

/** With which cloud-init writes no file behind them, or not what is meant. */
export const FILE_FAULTS: readonly CheckCase[] = [
  ...rows('worker-join', (file: Partial<File>) => files({}, file), [
    ['permissions in letters', { permissions: 'rw-r--r--' }, 'spec.files[1].permissions'],
    ['permissions that are not octal', { permissions: '0680' }, 'spec.files[1].permissions'],
    ['permissions beyond all bounds', { permissions: '7777777777777777' }, 'spec.files[1].permissions'],
    ['an owner of three parts', { owner: 'a:b:c' }, 'spec.files[1].owner'],
    ['base64 that is none', { encoding: 'base64', content: 'abcde' }, 'spec.files[1].encoding'],
    ['base64 with other letters', { encoding: 'base64', content: 'abcdé' }, 'spec.files[1].encoding'],
    ['gzip as text', { encoding: 'gzip', content: 'a' }, 'spec.files[1].encoding'],
    [
      'base64 of what is not gzip',
      { encoding: 'gzip+base64', content: base64('a') },
      'spec.files[1].encoding',
    ],
    [
      'half of a gzip stream',
      { encoding: 'gzip+base64', content: base64(gzipSync('abc').subarray(0, 15)) },
      'spec.files[1].encoding',
    ],
  ]),
  {
    name: 'a mount of seven words',
    purpose: 'worker-join',
    spec: { mounts: [['a', 'b', 'c', 'd', '0', '0', 'x']] },
    field: 'spec.mounts[0]',
  },
  {
    name: 'a partition in words',
    purpose: 'worker-join',
    spec: { diskSetup: { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', partition: 'first' }] } },
    field: 'spec.diskSetup.filesystems[0].partition',
  },
  {
    name: 'a user with a colon',
    purpose: 'worker-join',
    spec: { users: [{ name: 'a:b' }] },
    field: 'spec.users[0].name',
  },
];

/** With which Jinja fails, so that cloud-init drops the whole document. */
export const JINJA_FAULTS: readonly CheckCase[] = [
  ...rows('worker-join', (content: string) => files({}, { content }), [
    ['an if without its end', 'a {% if v1.region %} b', 'spec.files[1]'],
    ['an end without its if', 'a {% endif %} b', 'spec.files[1]'],
    ['an end of something else', '{% if v1.region %}{% endfor %}', 'spec.files[1]'],
    ['an else on its own', '{% else %}', 'spec.files[1]'],
    ['an elif behind else', '{% if a %}{% else %}{% elif b %}{% endif %}', 'spec.files[1]'],
    ['an if without anything', '{% if %}a{% endif %}', 'spec.files[1]'],
    ['a filter of another language', '{{ name | quote }}', 'spec.files[1]'],
    ['a filter of Ansible', '{{ ds.meta_data.local_ipv4 | ipaddr("net") }}', 'spec.files[1]'],
    ['another template', '{% include "header" %}', 'spec.files[1]'],
    ['a base template', '{% extends "base" %}', 'spec.files[1]'],
    ['a block that is set and not ended', '{% set a %} b', 'spec.files[1]'],
  ]),
  ...rows('worker-join', (line: string) => command('true', line), [
    ['a command with half a loop', 'for i in {% for x in y %}', 'spec.preKubeadmCommands[1]'],
    ['a command with a filter', 'echo {{ v1.region | shout }}', 'spec.preKubeadmCommands[1]'],
  ]),
  {
    name: 'a flag with half an if',
    purpose: 'worker-join',
    spec: {
      joinConfiguration: { nodeRegistration: { kubeletExtraArgs: [{ name: 'a', value: '{% if a %}b' }] } },
    },
    field: 'spec',
  },
];

/** Looks wrong and is right. */
export const RIGHT: readonly CheckCase[] = [
  ...rows('init', configuration, [
    [
      'names that kubeadm puts in lower case',
      { apiServer: { certSANs: ['ELB.Example.org', '*.a.org', '010.0.0.1', 'fd00::1'] } },
    ],
    ['an endpoint without a port', { controlPlaneEndpoint: 'api.example.org' }],
    ['an IPv6 endpoint', { controlPlaneEndpoint: '[fd00::1]:6443' }],
    ['an IPv6 endpoint without brackets', { controlPlaneEndpoint: 'fd00::1' }],
    ['a registry with a port', { imageRepository: 'Reg.example.org:5000/k8s__a/b-c' }],
    ['a registry at an IPv6 address', { imageRepository: '[fd00::1]:5000/k8s' }],
    ['a registry alone', { imageRepository: 'localhost' }],
    [
      'etcd in capitals',
      external('HTTPS://etcd-1.example.org:2379', 'https://[fd00::1]:2379', 'https://10.0.0.1'),
    ],
    ['a curve that it knows', { encryptionAlgorithm: 'ECDSA-P384' }],
  ]),
  ...rows('init', (podCIDRs: string[]) => ({ spec: {}, cluster: { podCIDRs } }), [
    ['both families', ['10.244.0.0/16', 'fd00:10:244::/56']],
    ['a range that begins inside', ['10.244.7.0/16']],
    ['a range with leading zeros', ['010.0.0.0/16']],
    ['the largest range', ['10.0.0.0/8']],
  ]),
  ...rows('init', (serviceCIDRs: string[]) => ({ spec: {}, cluster: { serviceCIDRs } }), [
    ['services in both families', ['fd00::/108', '10.96.0.0/12']],
    ['services in sixteen addresses', ['10.96.0.0/28']],
  ]),
  {
    name: 'pods whose ranges nobody hands out',
    purpose: 'init',
    spec: {
      clusterConfiguration: {
        controllerManager: { extraArgs: [{ name: 'allocate-node-cidrs', value: 'false' }] },
      },
    },
    cluster: { podCIDRs: ['10.0.0.0/26'] },
  },
  ...rows('init', init, [
    [
      'a token with all that it may have',
      token({ usages: ['authentication'], groups: ['system:bootstrappers:a:b'], ttlSeconds: 0 }),
    ],
    ['the address of a machine', { localAPIEndpoint: { advertiseAddress: '010.0.0.1', bindPort: 65_535 } }],
  ]),
  ...rows('worker-join', registration, [
    ['a name in capitals', { name: ' Node-1.Example.org ' }],
    ['a name that the instance tells', { name: '{{ ds.meta_data.local_hostname }}' }],
    ['a name that the shell puts in', { name: '$(hostname)' }],
    ['a name that sed puts in', { name: '@@HOSTNAME@@' }],
    ['a socket without a scheme', { criSocket: '/run/containerd/containerd.sock' }],
    ['taints', taint({ value: 'a_b' }, { key: 'a', effect: 'NoExecute' })],
  ]),
  ...rows('worker-join', discovery, [
    ['a kubeconfig by https', { file: { kubeConfigPath: 'https://a.example.org/kubeconfig' } }],
    ['a kubeconfig by a file URL', { file: { kubeConfigPath: 'file:///etc/kubeconfig' } }],
    ['an IPv6 server', { bootstrapToken: { apiServerEndpoint: '[fd00::1]:6443' } }],
    ['hashes', { bootstrapToken: { caCertHashes: [HASH.toUpperCase().replace('SHA', 'sha')] } }],
  ]),
  ...rows('worker-join', (file: Partial<File>) => files(file), [
    ['permissions in words of Python', { permissions: '0o644' }],
    ['permissions with a sticky bit', { permissions: ' 1755' }],
    ['base64 with line breaks', { encoding: 'base64', content: 'YWJj\nZGVm\n' }],
    ['gzip', { encoding: 'gzip+base64', content: base64(gzipSync('abc')) }],
    ['an if with its end', { content: '{% if v1.region == "a" %}b{% elif a %}c{% else %}d{% endif %}' }],
    ['a loop with an else', { content: '{% for i in range(3) %}{{ i }}{% else %}{% endfor %}' }],
    ['filters that there are', { content: '{{ ds.meta_data.local_hostname | default("a|b") | upper }}' }],
    [
      'a filter that is never reached',
      { content: '{% if false %}{{ a | nosuch }}{% endif %}{{ (a | nosuch) if false }}' },
    ],
    [
      'a value that is set',
      { content: '{% set a = "b" | upper %}{% set c, d = 1, 2 %}{{ a }}{% set e %}f{% endset %}{{ e }}' },
    ],
    ['raw braces', { content: '{% raw %}{% if %}{{ a | b }}{% endraw %}' }],
    ['a shell that counts', { content: 'echo ${#a[@]}; printf {%s}' }],
    ['a template of Go', { content: '{{ .Values.a | quote }}{{ end }}' }],
  ]),
  ...rows('worker-join', (all: string[]) => command(...all), [
    ['an if that reaches over commands', ['{% if v1.region %}', 'echo a', '{% endif %}']],
  ]),
  {
    name: 'what the machine puts right itself',
    purpose: 'init',
    spec: {
      clusterConfiguration: { certificatesDir: 'PKI' },
      preKubeadmCommands: ['sed -i s#PKI#/etc/pki# /run/kubeadm/kubeadm.yaml'],
    },
  },
  {
    name: 'six words of a mount',
    purpose: 'worker-join',
    spec: { mounts: [['a', 'b', 'c', 'd', '0', '0']] },
  },
  {
    name: 'a curve that is not told',
    purpose: 'init',
    version: 'v1.30.4',
    spec: { clusterConfiguration: { encryptionAlgorithm: 'ECDSA-P384' } },
  },
];
