// SPDX-License-Identifier: Apache-2.0
// What the Cluster says: endpoint, networks, certificates, locks.
import type { EncryptionAlgorithm } from '../../../api/bootstrap/cluster-configuration.ts';
import type { CertificateSet, ClusterShape, Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, joinOfEach, poolJoin, workerJoin } from './builders.ts';

const SHAPES: Readonly<Record<string, Partial<ClusterShape>>> = {
  ipv6: { endpoint: { host: 'fd00::10', port: 6443 } },
  'dns-endpoint': { endpoint: { host: 'api.c1.example.org', port: 443 } },
  network: {
    network: { serviceDomain: 'c1.local', services: ['10.128.0.0/12'], pods: ['192.168.0.0/16'] },
  },
  'dual-stack': {
    network: { services: ['10.0.0.0/16', 'fd00:1::/108'], pods: ['10.1.0.0/16', 'fd00:2::/64'] },
  },
  'pods-only': { network: { pods: ['10.1.0.0/16'] } },
};

const CERTIFICATES: readonly CertificateSet[] = ['ecdsa', 'bundle', 'user-supplied'];
const ALGORITHMS: readonly EncryptionAlgorithm[] = [
  'ECDSA-P256',
  'ECDSA-P384',
  'RSA-2048',
  'RSA-3072',
  'RSA-4096',
];

/** A Cluster without a control plane provider, whose certificates the bootstrap provider makes. */
const alone = { certificates: 'none', controlPlane: 'none' } as const;

export const clusters: readonly Scenario[] = [
  ...Object.entries(SHAPES).flatMap(([name, cluster]) => [
    init(`cluster-${name}`, { verbosity: 0 }, { cluster }),
    init(`cluster-${name}-v1beta3`, { verbosity: 0 }, { cluster, version: 'v1.28.5' }),
    workerJoin(`cluster-${name}`, { verbosity: 0 }, { cluster }),
  ]),
  init('cluster-no-endpoint', { verbosity: 0 }, { cluster: { endpoint: null } }),
  init(
    'cluster-endpoint-in-spec',
    { clusterConfiguration: { controlPlaneEndpoint: '[fd00::1]:6443' } },
    { cluster: { endpoint: null } },
  ),
  workerJoin(
    'cluster-endpoint-in-spec',
    { joinConfiguration: { discovery: { bootstrapToken: { apiServerEndpoint: '10.9.9.9:6443' } } } },
    { cluster: { endpoint: null } },
  ),
  ...CERTIFICATES.flatMap((certificates) => [
    init(`certificates-${certificates}`, { verbosity: 0 }, { cluster: { certificates } }),
    ...joinOfEach(`certificates-${certificates}`, { verbosity: 0 }, { cluster: { certificates } }),
  ]),
  init('certificates-none-yet', { verbosity: 0 }, { cluster: { certificates: 'none' } }),
  init('certificates-ca-only', { verbosity: 0 }, { cluster: { certificates: 'ca-only' } }),
  workerJoin('certificates-ca-only', { verbosity: 0 }, { cluster: { certificates: 'ca-only' } }),
  ...ALGORITHMS.map((encryptionAlgorithm) =>
    init(
      `generated-${encryptionAlgorithm.toLowerCase()}`,
      { clusterConfiguration: { encryptionAlgorithm } },
      { cluster: alone },
    ),
  ),
  init('generated-default', { verbosity: 0 }, { cluster: alone }),
  init(
    'generated-validity',
    {
      clusterConfiguration: {
        encryptionAlgorithm: 'ECDSA-P256',
        caCertificateValidityPeriodDays: 30,
        certificateValidityPeriodDays: 10,
        certificatesDir: '/srv/pki',
      },
      format: 'ignition',
    },
    { cluster: alone },
  ),
  init(
    'generated-beside-user-ca',
    { clusterConfiguration: { encryptionAlgorithm: 'ECDSA-P256' } },
    { cluster: { certificates: 'ca-only', controlPlane: 'none' } },
  ),
  init(
    'generated-beside-external-etcd',
    {
      clusterConfiguration: {
        encryptionAlgorithm: 'ECDSA-P256',
        etcd: { external: { endpoints: ['https://e'], caFile: '/ca', certFile: '/crt', keyFile: '/key' } },
      },
    },
    { cluster: { certificates: 'external-etcd', controlPlane: 'none' } },
  ),
  workerJoin('no-control-plane-ref', { verbosity: 0 }, { cluster: { controlPlane: 'none' } }),
  controlPlaneJoin('no-control-plane-ref', { verbosity: 0 }, { cluster: { controlPlane: 'none' } }),
  workerJoin('ca-without-key', { verbosity: 0 }, { cluster: { certificates: 'ca-without-key' } }),
  init('control-plane-missing', { verbosity: 0 }, { cluster: { controlPlane: 'missing' } }),
  workerJoin('leftover-lock', { verbosity: 0 }, { cluster: { locked: true, controlPlane: 'v1.35.0' } }),
  poolJoin('older-than-control-plane', { verbosity: 0 }, { version: 'v1.30.0' }),
];
