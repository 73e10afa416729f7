// SPDX-License-Identifier: Apache-2.0
import { parseAllDocuments, stringify } from 'yaml';
import { TSClusterKind } from '../../api/kinds.ts';
import type { APIServer } from '../../hack/stack/api-server.ts';
import { KubeadmControlPlaneKind } from '../../hack/stack/kinds.ts';

/** The API server of the test is the endpoint, its etcd the cluster's, and no machine has a certificate of its own to look up. */
export function withGivenControlPlane(manifest: string, endpoint: APIServer): string {
  const documents = parseAllDocuments(manifest);
  for (const document of documents) {
    const kind = document.get('kind');
    if (kind === TSClusterKind.kind) {
      document.setIn(['spec', 'controlPlaneEndpoint'], { host: '127.0.0.1', port: endpoint.port });
    }
    if (kind !== KubeadmControlPlaneKind.kind) continue;
    const expiry = { 'machine.cluster.x-k8s.io/certificates-expiry': '2099-01-01T00:00:00Z' };
    document.setIn(['spec', 'machineTemplate', 'metadata'], { annotations: expiry });
    const external = {
      endpoints: [endpoint.etcd.url],
      caFile: '/etc/kubernetes/pki/etcd/ca.crt',
      certFile: '/etc/kubernetes/pki/apiserver-etcd-client.crt',
      keyFile: '/etc/kubernetes/pki/apiserver-etcd-client.key',
    };
    document.setIn(['spec', 'kubeadmConfigSpec', 'clusterConfiguration'], { etcd: { external } });
  }
  return documents.map((document) => stringify(document.toJS())).join('---\n');
}
