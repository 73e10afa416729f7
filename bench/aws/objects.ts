// SPDX-License-Identifier: Apache-2.0
// The objects of one cluster with many workers, but for those of its infrastructure: the same for every candidate.
import type { Cluster, Machine, Secret } from '../../api/cluster-api.ts';
import { ClusterKind, INFRASTRUCTURE_GROUP, MachineKind, SecretKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import { VERSIONS } from '../../hack/stack/versions.ts';

export const CLUSTER = 'bench';

/** One Secret serves all machines: none of them ever boots. */
export const BOOTSTRAP_SECRET = 'bench-bootstrap';

/** What a worker's bootstrap data look like, in their size: about 2 KB. */
const BOOTSTRAP_DATA = `#cloud-config
write_files:
  - path: /run/kubeadm/kubeadm-join-config.yaml
    owner: root:root
    permissions: '0640'
    content: |
${'      # The discovery file, the token and the node registration of a real one are here.\n'.repeat(20)}
runcmd:
  - "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml"
`;

/** `bench-0000`, `bench-0001`, ... */
export function machineNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${CLUSTER}-${String(index).padStart(4, '0')}`);
}

/** A Cluster without a control plane of ours: the endpoint is the load balancer's, behind which nobody listens. */
export function clusterOf(namespace: string, infrastructureKind: string): Cluster {
  return {
    ...typeOf(ClusterKind),
    metadata: { namespace, name: CLUSTER, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    spec: { infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: infrastructureKind, name: CLUSTER } },
  };
}

export function bootstrapSecret(namespace: string): Secret {
  return {
    ...typeOf(SecretKind),
    type: 'cluster.x-k8s.io/secret',
    metadata: { namespace, name: BOOTSTRAP_SECRET, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    data: {
      format: Buffer.from('cloud-config').toString('base64'),
      value: Buffer.from(BOOTSTRAP_DATA).toString('base64'),
    },
  };
}

/** A worker whose bootstrap data are there; its infrastructure object has the same name. */
export function machineOf(namespace: string, name: string, infrastructureKind: string): Machine {
  return {
    ...typeOf(MachineKind),
    metadata: { namespace, name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } },
    spec: {
      clusterName: CLUSTER,
      version: VERSIONS.kubernetes,
      bootstrap: { dataSecretName: BOOTSTRAP_SECRET },
      infrastructureRef: { apiGroup: INFRASTRUCTURE_GROUP, kind: infrastructureKind, name },
    },
  };
}

function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}
