// SPDX-License-Identifier: Apache-2.0
// Certificates that a cluster finds, made once by kubeadm: both providers see the same bytes, so what they write can be compared as it is.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Secret } from '../../api/cluster-api.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { Stack } from '../../hack/stack/build.ts';
import { ADVERTISED } from '../../hack/stack/pki.ts';
import { runProgram } from '../../hack/stack/process.ts';
import type { CertificateSet } from './scenario.ts';
import { NAMESPACE } from './world.ts';

/** Text of a file of kubeadm's certificate folder, such as `etcd/ca.crt`. */
type Read = (file: string) => string;

export interface CertificateSource {
  readonly rsa: Read;
  readonly ecdsa: Read;
}

/** Has kubeadm make one set of each kind under `dir`. */
export async function certificateSource(stack: Stack, dir: string): Promise<CertificateSource> {
  const [rsa, ecdsa] = await Promise.all([
    made(stack, join(dir, 'rsa'), 'RSA-2048'),
    made(stack, join(dir, 'ecdsa'), 'ECDSA-P256'),
  ]);
  return { rsa, ecdsa };
}

async function made(stack: Stack, dir: string, encryptionAlgorithm: string): Promise<Read> {
  mkdirSync(dir, { recursive: true });
  const config = join(dir, 'kubeadm.yaml');
  const apiVersion = 'kubeadm.k8s.io/v1beta4';
  const documents = [
    {
      apiVersion,
      kind: 'ClusterConfiguration',
      certificatesDir: dir,
      encryptionAlgorithm,
      kubernetesVersion: stack.versions.kubernetes,
    },
    { apiVersion, kind: 'InitConfiguration', localAPIEndpoint: { advertiseAddress: ADVERTISED } },
  ];
  writeFileSync(config, documents.map((one) => stringify(one)).join('---\n'));
  await runProgram(stack.binaries.kubeadm, ['init', 'phase', 'certs', 'all', '--config', config]);
  return (file) => readFileSync(join(dir, file), 'utf8');
}

interface Pair {
  readonly crt?: string;
  readonly key?: string;
}

/** The Secrets of a cluster (KB-30). */
export function certificateSecrets(
  source: CertificateSource,
  clusterName: string,
  set: CertificateSet,
): Secret[] {
  const userSupplied = set === 'user-supplied';
  return Object.entries(pairsOf(source, set)).map(([purpose, pair]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: userSupplied ? 'kubernetes.io/tls' : 'cluster.x-k8s.io/secret',
    metadata: {
      namespace: NAMESPACE,
      name: `${clusterName}-${purpose}`,
      ...(userSupplied ? {} : { labels: { [CLUSTER_NAME_LABEL]: clusterName } }),
    },
    data: dataOf(pair),
  }));
}

function pairsOf({ rsa, ecdsa }: CertificateSource, set: CertificateSet): Record<string, Pair> {
  const crt = rsa('ca.crt');
  const key = rsa('ca.key');
  const sets: Readonly<Record<CertificateSet, () => Record<string, Pair>>> = {
    none: () => ({}),
    rsa: () => complete(rsa),
    'user-supplied': () => complete(rsa),
    ecdsa: () => complete(ecdsa),
    bundle: () => ({ ...complete(rsa), ca: { crt: crt + ecdsa('ca.crt'), key } }),
    'external-etcd': () => ({
      ...complete(rsa),
      etcd: { crt: rsa('etcd/ca.crt') },
      'apiserver-etcd-client': {
        crt: rsa('apiserver-etcd-client.crt'),
        key: rsa('apiserver-etcd-client.key'),
      },
    }),
    'ca-only': () => ({ ca: { crt, key } }),
    'ca-without-key': () => ({ ca: { crt } }),
    'ca-without-certificate': () => ({ ca: { key } }),
    'truncated-ca': () => ({ ca: { crt: crt.slice(0, crt.length / 2), key } }),
  };
  return sets[set]();
}

function complete(read: Read): Record<string, Pair> {
  return {
    ca: { crt: read('ca.crt'), key: read('ca.key') },
    etcd: { crt: read('etcd/ca.crt'), key: read('etcd/ca.key') },
    proxy: { crt: read('front-proxy-ca.crt'), key: read('front-proxy-ca.key') },
    sa: { crt: read('sa.pub'), key: read('sa.key') },
  };
}

function dataOf({ crt, key }: Pair): Record<string, string> {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  return {
    ...(crt === undefined ? {} : { 'tls.crt': encoded(crt) }),
    ...(key === undefined ? {} : { 'tls.key': encoded(key) }),
  };
}
