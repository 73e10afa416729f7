// SPDX-License-Identifier: Apache-2.0
// spec.joinConfiguration: what joins, and how it finds the control plane.
import type { Discovery, FileDiscovery } from '../../../api/bootstrap/discovery.ts';
import type { JoinConfiguration } from '../../../api/bootstrap/join-configuration.ts';
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, joinOfEach, poolJoin, workerJoin } from './builders.ts';
import { nodeRegistration, timeouts } from './specs.ts';

const HASH = `sha256:${'0123456789abcdef'.repeat(4)}`;

const PARTS: Readonly<Record<string, JoinConfiguration>> = {
  'node-registration': { nodeRegistration: nodeRegistration() },
  'ca-cert-path': { caCertPath: '/srv/ca.crt' },
  'skip-phases': { skipPhases: ['preflight', 'kubelet-start'] },
  patches: { patches: { directory: '/patches' } },
  timeouts: { timeouts: timeouts() },
  'tls-bootstrap-timeout': { timeouts: { tlsBootstrapSeconds: 90 } },
};

/** A new token each: they are Secrets of one workload cluster. */
let made = 0;
const token = () => `given${made}.${String(made++).padStart(16, '0')}`;

const tokenDiscoveries = (): Readonly<Record<string, Discovery>> => ({
  'given-token': { bootstrapToken: { token: token() } },
  'given-endpoint': { bootstrapToken: { apiServerEndpoint: 'other.example.org:8443' } },
  'given-hashes': { bootstrapToken: { caCertHashes: [HASH, HASH.replace('0', '1')] } },
  'unsafe-with-hashes': { bootstrapToken: { unsafeSkipCAVerification: true } },
  'safe-said': { bootstrapToken: { unsafeSkipCAVerification: false } },
  'all-given': {
    bootstrapToken: { token: token(), apiServerEndpoint: '192.0.2.1:6443', caCertHashes: [HASH] },
    tlsBootstrapToken: token(),
  },
});

const CA = Buffer.from('-----BEGIN CERTIFICATE-----\nZ2l2ZW4=\n-----END CERTIFICATE-----\n').toString(
  'base64',
);

const kubeConfigs: Readonly<Record<string, NonNullable<FileDiscovery['kubeConfig']>>> = {
  exec: {
    user: {
      exec: {
        command: '/usr/local/bin/aws-iam-authenticator',
        args: ['token', '-i', 'c1'],
        env: [{ name: 'AWS_PROFILE', value: 'default' }],
        apiVersion: 'client.authentication.k8s.io/v1beta1',
        provideClusterInfo: true,
      },
    },
  },
  'exec-short': { user: { exec: { command: 'login', provideClusterInfo: false } } },
  'auth-provider': {
    user: { authProvider: { name: 'oidc', config: { 'idp-issuer-url': 'https://id.example.org' } } },
  },
  'auth-provider-short': { user: { authProvider: { name: 'azure' } } },
  'whole-cluster': {
    cluster: {
      server: 'https://lb.example.org:6443',
      tlsServerName: 'kubernetes',
      insecureSkipTLSVerify: true,
      certificateAuthorityData: CA,
      proxyURL: 'http://proxy.example.org:3128',
    },
    user: { exec: { command: 'login' } },
  },
  'part-of-cluster': {
    cluster: { server: 'https://lb.example.org:6443', insecureSkipTLSVerify: false },
    user: { exec: { command: 'login' } },
  },
};

const fileDiscovery = (kubeConfig?: FileDiscovery['kubeConfig']): JoinConfiguration => ({
  discovery: {
    file: {
      kubeConfigPath: '/etc/kubernetes/discovery.conf',
      ...(kubeConfig !== undefined && { kubeConfig }),
    },
  },
});

export const joinConfigurations: readonly Scenario[] = [
  ...joinOfEach('nothing', { verbosity: 0 }),
  ...joinOfEach('nothing-v1beta3', { verbosity: 0 }, { version: 'v1.29.0' }),
  ...Object.entries(PARTS).flatMap(([name, joinConfiguration]) => [
    ...joinOfEach(`jc-${name}`, { joinConfiguration }),
    workerJoin(`jc-${name}-v1beta3`, { joinConfiguration }, { version: 'v1.30.0' }),
    controlPlaneJoin(`jc-${name}-v1beta3`, { joinConfiguration }, { version: 'v1.28.0' }),
  ]),
  controlPlaneJoin('local-endpoint', {
    joinConfiguration: {
      controlPlane: { localAPIEndpoint: { advertiseAddress: '10.0.0.7', bindPort: 443 } },
    },
  }),
  controlPlaneJoin(
    'local-endpoint-v1beta3',
    { joinConfiguration: { controlPlane: { localAPIEndpoint: { bindPort: 443 } } } },
    { version: 'v1.28.0' },
  ),
  controlPlaneJoin('empty-control-plane', { joinConfiguration: { controlPlane: {} } }),
  ...Object.entries(tokenDiscoveries()).map(([name, discovery]) =>
    controlPlaneJoin(`discovery-${name}`, { joinConfiguration: { discovery } }),
  ),
  ...Object.entries(tokenDiscoveries()).map(([name, discovery]) =>
    workerJoin(`discovery-${name}`, { joinConfiguration: { discovery } }),
  ),
  ...Object.entries(tokenDiscoveries()).map(([name, discovery]) =>
    workerJoin(`discovery-${name}-v1beta3`, { joinConfiguration: { discovery } }, { version: 'v1.30.1' }),
  ),
  ...joinOfEach('file', { joinConfiguration: fileDiscovery() }),
  ...Object.entries(kubeConfigs).flatMap(([name, kubeConfig]) => [
    workerJoin(`file-${name}`, { joinConfiguration: fileDiscovery(kubeConfig) }),
    controlPlaneJoin(`file-${name}`, { joinConfiguration: fileDiscovery(kubeConfig), format: 'ignition' }),
  ]),
  poolJoin('file-exec', { joinConfiguration: fileDiscovery(kubeConfigs['exec']) }, { version: 'v1.30.0' }),
  controlPlaneJoin(
    'external-etcd',
    {
      clusterConfiguration: {
        etcd: {
          external: {
            endpoints: ['https://10.0.0.1:2379'],
            caFile: '/etc/etcd/ca.pem',
            certFile: '/etc/etcd/client.pem',
            keyFile: '/etc/etcd/client-key.pem',
          },
        },
      },
    },
    { cluster: { certificates: 'external-etcd' } },
  ),
  controlPlaneJoin('certificates-dir', { clusterConfiguration: { certificatesDir: '/srv/pki' } }),
];
