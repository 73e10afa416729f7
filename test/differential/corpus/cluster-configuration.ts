// SPDX-License-Identifier: Apache-2.0
// spec.clusterConfiguration, part by part, in both versions of kubeadm's API.
import type { ClusterConfiguration } from '../../../api/bootstrap/cluster-configuration.ts';
import type { Scenario } from '../scenario.ts';
import { init } from './builders.ts';
import { args, clusterConfiguration, envs, volumes } from './specs.ts';

const PARTS: Readonly<Record<string, ClusterConfiguration>> = {
  'api-server-args': { apiServer: { extraArgs: args() } },
  'api-server-envs': { apiServer: { extraEnvs: envs() } },
  'api-server-volumes': { apiServer: { extraVolumes: volumes() } },
  'api-server-sans': {
    apiServer: { certSANs: ['example.org', '192.0.2.10', 'fd00::1', '*.wild.example.org'] },
  },
  'controller-manager': { controllerManager: { extraArgs: [{ name: 'cloud-provider', value: 'external' }] } },
  scheduler: { scheduler: { extraArgs: [{ name: 'v', value: '10' }], extraVolumes: volumes() } },
  'etcd-local-empty-dir': { etcd: { local: { imageTag: '3.5.0' } } },
  'etcd-local-dir': { etcd: { local: { dataDir: '/data' } } },
  'etcd-local-sans': { etcd: { local: { serverCertSANs: ['a', 'b'], peerCertSANs: ['c'] } } },
  'etcd-local-args': { etcd: { local: { extraArgs: args(), extraEnvs: envs() } } },
  dns: { dns: { imageTag: 'v1.11.1' } },
  'feature-gates': { featureGates: { B: true, A: false } },
  'image-repository': { imageRepository: 'registry.example.org:5000/k8s' },
  'certificates-dir': { certificatesDir: '/var/lib/pki' },
  endpoint: { controlPlaneEndpoint: 'lb.example.org' },
  'validity-periods': { certificateValidityPeriodDays: 1, caCertificateValidityPeriodDays: 36500 },
  'encryption-algorithm': { encryptionAlgorithm: 'ECDSA-P384' },
};

const external: ClusterConfiguration = {
  certificatesDir: '/srv/pki',
  etcd: {
    external: {
      endpoints: ['https://10.0.0.1:2379', 'https://10.0.0.2:2379'],
      caFile: '/etc/etcd/ca.pem',
      certFile: '/etc/etcd/client.pem',
      keyFile: '/etc/etcd/client-key.pem',
    },
  },
};

export const clusterConfigurations: readonly Scenario[] = [
  ...Object.entries(PARTS).flatMap(([name, part]) => [
    init(`cc-${name}`, { clusterConfiguration: part }),
    init(`cc-${name}-v1beta3`, { clusterConfiguration: part }, { version: 'v1.29.4' }),
  ]),
  ...(['v1.36.3', 'v1.28.0'] as const).map((version) =>
    init(
      `cc-external-etcd-${version.replaceAll('.', '-')}`,
      { clusterConfiguration: external },
      { version, cluster: { certificates: 'external-etcd' } },
    ),
  ),
  init('cc-everything-ignition', { clusterConfiguration: clusterConfiguration(), format: 'ignition' }),
];
