// SPDX-License-Identifier: Apache-2.0
// The Secrets with which a user brings the certificates of a cluster whose API server already runs (KB-30).
import { readFileSync } from 'node:fs';
import type { Secret } from '../../api/cluster-api.ts';
import type { PKI } from './pki.ts';

export interface ClusterSecretsOptions {
  readonly namespace: string;
  readonly clusterName: string;
  /** Of the API server that is the cluster's control plane endpoint. */
  readonly pki: PKI;
}

/**
 * `<cluster>-ca`, `-proxy`, `-sa`, and for an etcd that Cluster API does not run `-etcd` (without a key) and `-apiserver-etcd-client`.
 * They are not of Cluster API's own type: the providers use them, and leave them when the cluster goes.
 */
export function clusterSecrets({ namespace, clusterName, pki }: ClusterSecretsOptions): Secret[] {
  const files: Readonly<Record<string, { crt: string; key?: string }>> = {
    ca: { crt: 'ca.crt', key: 'ca.key' },
    proxy: { crt: 'front-proxy-ca.crt', key: 'front-proxy-ca.key' },
    sa: { crt: 'sa.pub', key: 'sa.key' },
    etcd: { crt: 'etcd/ca.crt' },
    'apiserver-etcd-client': { crt: 'apiserver-etcd-client.crt', key: 'apiserver-etcd-client.key' },
  };
  const encoded = (file: string) => Buffer.from(pki.read(file)).toString('base64');
  return Object.entries(files).map(([purpose, { crt, key }]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      namespace,
      name: `${clusterName}-${purpose}`,
      labels: { 'cluster.x-k8s.io/cluster-name': clusterName },
    },
    data: { 'tls.crt': encoded(crt), ...(key === undefined ? {} : { 'tls.key': encoded(key) }) },
  }));
}

/**
 * `<cluster>-kubeconfig`, which the kubeadm control plane provider leaves as it is. Without it that provider makes one, but Cluster
 * API has by then failed to connect and tries again only after 30 seconds, a time that no flag changes: tests bring their own.
 */
export function kubeconfigSecret({ namespace, clusterName, pki }: ClusterSecretsOptions): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      namespace,
      name: `${clusterName}-kubeconfig`,
      labels: { 'cluster.x-k8s.io/cluster-name': clusterName },
    },
    data: { value: readFileSync(pki.adminKubeconfig).toString('base64') },
  };
}
