// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from '../api/cluster-api.ts';
import { controlPlaneEndpointText } from '../kubeadm/discovery.ts';
import type { ClusterFacts } from '../kubeadm/machine-contents.ts';
import type { Note } from './sources.ts';

type Endpoint = NonNullable<ClusterFacts['controlPlaneEndpoint']>;

/** Stands in for an endpoint that is not known yet. */
const PLACEHOLDER_ENDPOINT: Endpoint = { host: 'control-plane.example', port: 6443 };

/** What rendering takes from the Cluster, or from one that stands in for it. The endpoint is always there. */
export function clusterFacts(
  cluster: Cluster | undefined,
  note: Note,
): ClusterFacts & { readonly controlPlaneEndpoint: Endpoint } {
  const name = cluster?.metadata.name ?? 'example';
  const from = cluster === undefined ? 'a placeholder: give the Cluster with --cluster' : `Cluster ${name}`;
  note('cluster name', name, from);
  const controlPlaneEndpoint = endpointOf(cluster, note);
  return { name, controlPlaneEndpoint, ...networkOf(cluster, note) };
}

function networkOf(cluster: Cluster | undefined, note: Note) {
  const { serviceDomain, services, pods } = cluster?.spec?.clusterNetwork ?? {};
  const from = `Cluster ${cluster?.metadata.name} spec.clusterNetwork`;
  if (serviceDomain !== undefined) note('service domain', serviceDomain, from);
  return {
    serviceDomain,
    serviceCIDRs: noted(services?.cidrBlocks, 'service subnets', (text, value) => note(text, value, from)),
    podCIDRs: noted(pods?.cidrBlocks, 'pod subnets', (text, value) => note(text, value, from)),
  };
}

function noted(
  blocks: readonly string[] | undefined,
  value: string,
  note: (value: string, text: string) => void,
): readonly string[] {
  if (blocks === undefined || blocks.length === 0) return [];
  note(value, blocks.join(','));
  return blocks;
}

function endpointOf(cluster: Cluster | undefined, note: Note): Endpoint {
  const { host = '', port = 0 } = cluster?.spec?.controlPlaneEndpoint ?? {};
  const known = host !== '' && port > 0;
  const endpoint = known ? { host, port } : PLACEHOLDER_ENDPOINT;
  const from = known
    ? `Cluster ${cluster?.metadata.name} spec.controlPlaneEndpoint`
    : 'a placeholder: no Cluster with spec.controlPlaneEndpoint was given';
  note('endpoint', controlPlaneEndpointText(endpoint), from);
  return endpoint;
}
