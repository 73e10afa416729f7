// SPDX-License-Identifier: Apache-2.0
// Inputs of any kind, right and wrong: each field holds a value that is right, one that is nearly so, or anything.
import fc from 'fast-check';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import type { ClusterFacts } from '../kubeadm/machine-contents.ts';
import { type CheckCase, HASH, TOKEN } from './check-cases.ts';

/** Mostly right, so that one fault does not hide the others. */
const mostly = (right: readonly string[], ...wrong: readonly string[]) =>
  fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom(...right) },
    { weight: 2, arbitrary: fc.constantFrom(...wrong) },
    {
      weight: 1,
      arbitrary: fc.stringMatching(/^[a-zA-Z0-9.:/_-]{1,10}$/).filter((text) => !text.includes('__')),
    },
  );

const name = mostly(['node-1', 'Node-1', ' a.b '], 'a_b', 'a b', '-a', 'a..b', 'a.');
const san = mostly(
  ['a.example.org', '*.a.org', '10.0.0.1', '010.0.0.1', 'fd00::1', 'A'],
  'a_b',
  '*',
  '*.',
  'a:1',
  'fd00::g',
  '1.2.3.4.',
);
const path = mostly(['/srv/a', '/', '//a'], 'a', './a', '~/a');
const repository = mostly(
  ['registry.example.org/a', 'localhost:5000', 'a', '[fd00::1]:5000/a/b', 'A.b/c_d'],
  'https://a',
  'a/',
  'A/B',
  'a/b:1',
  'a//b',
  'a/b-',
  'a:port/b',
);
const endpoint = mostly(
  ['api.example.org', 'api.example.org:6443', '10.0.0.1:6443', '[fd00::1]:6443', 'fd00::1', 'a:06443', 'a:'],
  'API',
  'a:0',
  'a:65536',
  'a:port',
  '[fd00::1]',
  ':6443',
  'https://a:6443',
  'a:1:2',
);
const hostPort = mostly(
  ['a:6443', '[fd00::1]:6443', '10.0.0.1:1', 'A_b:x', ':1'],
  'a',
  'fd00::1',
  '[fd00::1]',
  '[a:1',
  'a]:1',
);
const socket = mostly(
  ['/run/a.sock', 'unix:///run/a.sock', 'run/a.sock', 'unix:/run/a'],
  'unix-a',
  'unixa',
  '/a\tb',
  'unix://a:b',
);
const etcdURL = mostly(
  ['https://e:2379', 'https://[fd00::1]:2379', 'HTTPS://e'],
  'http://e:2379',
  'e:2379',
  '10.0.0.1:2379',
  'https://e:p',
  'https://a b',
  '/e',
);
const kubeConfig = mostly(['/etc/kubeconfig', 'https://a/b', 'file:///etc/k'], 'http://a/b', 'ftp://a');
const token = mostly([TOKEN], 'abc', `${TOKEN}0`, TOKEN.toUpperCase());
const address = mostly(
  ['192.0.2.1', '192.0.2.01', '2001:db8::1'],
  '192.0.2.256',
  'a.example.org',
  '192.0.2',
  'fe80::1.2',
);
const port = fc.oneof(
  { weight: 15, arbitrary: fc.integer({ min: 1, max: 65_535 }) },
  { weight: 1, arbitrary: fc.integer({ min: 65_536, max: 70_000 }) },
);

const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 2 });
/** Each field is there or not. */
const some = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { requiredKeys: [] });

const v4 = fc.tuple(fc.constantFrom('10.0.0.0', '10.96.0.0', '010.1.2.0'), fc.integer({ min: 0, max: 34 }));
const v6 = fc.tuple(fc.constantFrom('fd00::', 'fd00:10::1'), fc.integer({ min: 40, max: 129 }));
const anyRange = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('10.244.0.0/16', 'fd00:10::/64', '10.96.0.0/22', 'fd00:20::/112') },
  { weight: 2, arbitrary: fc.oneof(v4, v6).map(([network, mask]) => `${network}/${mask}`) },
  { weight: 1, arbitrary: fc.constantFrom('10.0.0.0', 'ten', '10.0.0.0/a') },
);
const ranges = fc.array(anyRange, { maxLength: 2 });
const masks = fc.constantFrom(
  { name: 'node-cidr-mask-size-ipv4', value: '20' },
  { name: 'node-cidr-mask-size-ipv6', value: '72' },
  { name: 'allocate-node-cidrs', value: 'false' },
);

const registration = some({
  name,
  criSocket: socket,
  imagePullPolicy: fc.constantFrom('Always' as const, 'Never' as const),
});
const local = some({ advertiseAddress: address, bindPort: port });
const etcd = fc.oneof(
  fc.record({
    local: some({
      dataDir: path,
      imageRepository: repository,
      serverCertSANs: few(san),
      peerCertSANs: few(san),
    }),
  }),
  fc.record({
    external: fc.record({ endpoints: few(etcdURL), caFile: path, certFile: path, keyFile: path }),
  }),
);
const clusterConfiguration = some({
  certificatesDir: path,
  imageRepository: repository,
  dns: some({ imageRepository: repository }),
  controlPlaneEndpoint: endpoint,
  apiServer: some({ certSANs: few(san) }),
  controllerManager: fc.record({ extraArgs: few(masks) }),
  etcd,
});
const usages = fc.array(mostly(['signing', 'authentication'], 'sign'), { maxLength: 2 });
const groups = few(
  mostly(
    ['system:bootstrappers:a', 'system:bootstrappers:a:b-c'],
    'a',
    'system:bootstrappers:',
    'system:bootstrappers:A',
  ),
);
const bootstrapToken = fc.record(
  { token: fc.constant(TOKEN), ttlSeconds: fc.nat(1000), usages, groups },
  { requiredKeys: ['token'] },
);
const initConfiguration = some({
  nodeRegistration: registration,
  localAPIEndpoint: local,
  bootstrapTokens: few(bootstrapToken),
});
const discovery = fc.oneof(
  some({
    bootstrapToken: some({
      token,
      apiServerEndpoint: hostPort,
      caCertHashes: fc.constant([HASH]),
      unsafeSkipCAVerification: fc.boolean(),
    }),
    tlsBootstrapToken: token,
  }),
  fc.record(
    { file: fc.record({ kubeConfigPath: kubeConfig }), tlsBootstrapToken: token },
    { requiredKeys: ['file'] },
  ),
  fc.constant({
    file: { kubeConfigPath: '/a' },
    bootstrapToken: { token: TOKEN, apiServerEndpoint: 'a:1', caCertHashes: [HASH] },
  }),
);
const caCertPath = mostly(['/a.crt', '/a/.crt'], '/a.pem', 'a.crt', '/a.crt.');

type Generated = Omit<CheckCase, 'name'>;
const clusterFacts: fc.Arbitrary<Partial<ClusterFacts>> = fc.record({
  serviceCIDRs: ranges,
  podCIDRs: ranges,
  serviceDomain: mostly(['cluster.local', 'a'], 'Cluster.local', 'a_b', '.a'),
  controlPlaneEndpoint: fc.record({
    host: mostly(['a.example.org', 'fd00::1', '10.0.0.1'], 'LB.example.org', 'a b'),
    port,
  }),
});
const init = fc
  .record({ spec: some({ clusterConfiguration, initConfiguration }), cluster: clusterFacts })
  .map((one): Generated => ({
    purpose: 'init',
    ...(one as { spec: KubeadmConfigSpec; cluster: Partial<ClusterFacts> }),
  }));
const joinFields = { nodeRegistration: registration, discovery, caCertPath };
const joining = fc.oneof(
  fc
    .record({ joinConfiguration: some(joinFields) })
    .map((spec): Generated => ({ purpose: 'worker-join', spec: spec as KubeadmConfigSpec })),
  fc
    .record({ joinConfiguration: some({ ...joinFields, controlPlane: some({ localAPIEndpoint: local }) }) })
    .map((spec): Generated => ({ purpose: 'control-plane-join', spec: spec as KubeadmConfigSpec })),
);

/** Of each purpose; about half of them are wrong. */
export const anyFaultyCase: fc.Arbitrary<Generated> = fc.oneof(init, joining);
