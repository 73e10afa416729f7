// SPDX-License-Identifier: Apache-2.0
// What kubeadm init accepts of a ClusterConfiguration. Feature gates are left to it: which there are changes with its version.
import type {
  ClusterConfiguration,
  Etcd,
  ExternalEtcd,
  LocalEtcd,
} from '../../api/bootstrap/cluster-configuration.ts';
import type { KubernetesVersion } from '../version.ts';
import { check, checkEach, type Problem } from './problem.ts';
import { absolutePath, apiServerName, certificateName, etcdEndpoint, imageRepository } from './values.ts';

const FIELD = 'spec.clusterConfiguration';

/** The kubeadm that first knows the curve. */
const P384_MINOR = 34;
/** The kubeadm that first has a field for the algorithm; older ones are not told. */
const ALGORITHM_MINOR = 31;

/** The part that does not depend on the Cluster. */
export function checkClusterConfiguration(spec: ClusterConfiguration, version: KubernetesVersion): Problem[] {
  return [
    ...checkEach(`${FIELD}.apiServer.certSANs`, spec.apiServer?.certSANs, apiServerName),
    ...check(`${FIELD}.certificatesDir`, spec.certificatesDir, absolutePath),
    ...check(`${FIELD}.imageRepository`, spec.imageRepository, imageRepository),
    ...check(`${FIELD}.dns.imageRepository`, spec.dns?.imageRepository, imageRepository),
    ...checkEtcd(spec.etcd ?? {}),
    ...checkAlgorithm(spec, version),
  ];
}

function checkEtcd({ local, external }: Etcd): Problem[] {
  const field = `${FIELD}.etcd`;
  const both = local !== undefined && external !== undefined;
  return [
    ...(both ? [{ field, message: 'must have local or external, not both: remove one of them' }] : []),
    ...checkLocalEtcd(`${field}.local`, local),
    ...checkExternalEtcd(`${field}.external`, external),
  ];
}

function checkLocalEtcd(field: string, etcd: LocalEtcd | undefined): Problem[] {
  return [
    ...check(`${field}.dataDir`, etcd?.dataDir, absolutePath),
    ...check(`${field}.imageRepository`, etcd?.imageRepository, imageRepository),
    ...checkEach(`${field}.serverCertSANs`, etcd?.serverCertSANs, certificateName),
    ...checkEach(`${field}.peerCertSANs`, etcd?.peerCertSANs, certificateName),
  ];
}

function checkExternalEtcd(field: string, etcd: ExternalEtcd | undefined): Problem[] {
  return [
    ...checkEach(`${field}.endpoints`, etcd?.endpoints, etcdEndpoint),
    ...check(`${field}.caFile`, etcd?.caFile, absolutePath),
    ...check(`${field}.certFile`, etcd?.certFile, absolutePath),
    ...check(`${field}.keyFile`, etcd?.keyFile, absolutePath),
  ];
}

function checkAlgorithm(
  { encryptionAlgorithm }: ClusterConfiguration,
  { major, minor }: KubernetesVersion,
): Problem[] {
  const refuses = major === 1 && minor >= ALGORITHM_MINOR && minor < P384_MINOR;
  if (encryptionAlgorithm !== 'ECDSA-P384' || !refuses) return [];
  const message = `must be another one than ECDSA-P384, which kubeadm knows from Kubernetes 1.${P384_MINOR} on`;
  return [{ field: `${FIELD}.encryptionAlgorithm`, message }];
}
