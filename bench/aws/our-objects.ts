// SPDX-License-Identifier: Apache-2.0
// Our own infrastructure objects, in the same network as the peer's.
import { TSClusterIdentityKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { CLUSTER } from './objects.ts';
import type { World } from './world.ts';

const IDENTITY = 'bench';

/** The credentials of the manager: its static test credentials. */
export function identityOf({ namespace }: World): TSClusterIdentity {
  return {
    ...typeOf(TSClusterIdentityKind),
    metadata: { name: IDENTITY },
    spec: { aws: { source: 'Manager' }, allowedNamespaces: { names: [namespace] } },
  };
}

/**
 * A network that exists already; its security groups are made by the provider, as the peer's are. The endpoint is given: a load balancer
 * is made once for a cluster, before anything is counted, and workers are no targets of it, neither of ours nor of the peer's.
 */
export function tsClusterOf({ namespace, cloud }: World): TSCluster {
  const { network, region } = cloud;
  return {
    ...typeOf(TSClusterKind),
    metadata: metadataOf(namespace, CLUSTER),
    spec: {
      controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
      controlPlaneLoadBalancer: { type: 'External' },
      aws: {
        region,
        identityRef: { name: IDENTITY },
        network: { vpc: { id: network.vpcID }, subnets: network.subnets.map(({ id }) => ({ id })) },
      },
    },
  };
}

/** A worker of the cluster, of the same type and image as the peer's. */
export function tsMachineOf(name: string, { namespace, cloud }: World): TSMachine {
  return {
    ...typeOf(TSMachineKind),
    metadata: metadataOf(namespace, name),
    spec: { aws: { instanceType: 'm5.large', image: { id: cloud.imageID } } },
  };
}

function metadataOf(namespace: string, name: string) {
  return { namespace, name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } };
}

function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}
