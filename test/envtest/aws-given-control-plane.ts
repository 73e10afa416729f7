// SPDX-License-Identifier: Apache-2.0
import { type Document, parseAllDocuments, stringify } from 'yaml';
import { ClusterClassKind, KubeadmControlPlaneKind } from '../../hack/stack/kinds.ts';
import { TSClusterKind, TSClusterTemplateKind } from '../../api/kinds.ts';
import type { APIServer } from '../../hack/stack/api-server.ts';

/** No machine has a certificate of its own to look up. */
const ANNOTATIONS = { 'machine.cluster.x-k8s.io/certificates-expiry': '2099-01-01T00:00:00Z' };

/** The API server of the test is the endpoint, its etcd the cluster's. Takes a ClusterClass with its templates as well. */
export function withGivenControlPlane(manifest: string, endpoint: APIServer): string {
  const documents = parseAllDocuments(manifest);
  for (const document of documents) CHANGES[String(document.get('kind'))]?.(document, endpoint);
  return documents.map((document) => stringify(document.toJS())).join('---\n');
}

const CHANGES: Readonly<Record<string, (document: Document, endpoint: APIServer) => void>> = {
  [TSClusterKind.kind]: (document, endpoint) => setEndpoint(document, ['spec'], endpoint),
  [TSClusterTemplateKind.kind]: (document, endpoint) =>
    setEndpoint(document, ['spec', 'template', 'spec'], endpoint),
  [KubeadmControlPlaneKind.kind](document, endpoint) {
    document.setIn(['spec', 'machineTemplate', 'metadata'], { annotations: ANNOTATIONS });
    setEtcd(document, ['spec'], endpoint);
  },
  [`${KubeadmControlPlaneKind.kind}Template`]: (document, endpoint) =>
    setEtcd(document, ['spec', 'template', 'spec'], endpoint),
  [ClusterClassKind.kind]: (document) =>
    document.setIn(['spec', 'controlPlane', 'metadata'], { annotations: ANNOTATIONS }),
};

function setEndpoint(document: Document, spec: readonly string[], { port }: APIServer): void {
  document.setIn([...spec, 'controlPlaneEndpoint'], { host: '127.0.0.1', port });
}

function setEtcd(document: Document, spec: readonly string[], { etcd }: APIServer): void {
  const external = {
    endpoints: [etcd.url],
    caFile: '/etc/kubernetes/pki/etcd/ca.crt',
    certFile: '/etc/kubernetes/pki/apiserver-etcd-client.crt',
    keyFile: '/etc/kubernetes/pki/apiserver-etcd-client.key',
  };
  document.setIn([...spec, 'kubeadmConfigSpec', 'clusterConfiguration'], { etcd: { external } });
}
