// SPDX-License-Identifier: Apache-2.0
// Which host becomes the load balancer of a cluster. Pure: two managers that see the same choose the same.
import type { TSCluster } from '../../api/tscluster.ts';
import { countedReasons, type InventoryHost, unavailability } from '../../backends/host-inventory.ts';

/** A host, or one line that counts why there is none. */
export type Choice = { readonly host: InventoryHost } | { readonly none: string };

/** The hosts that a TSCluster has claimed: by its name, since a move gives it another UID. The one that its endpoint names comes first. */
export function heldBy({ metadata, spec }: TSCluster, hosts: readonly InventoryHost[]): InventoryHost[] {
  const endpoint = spec.controlPlaneEndpoint?.host;
  return hosts
    .filter(({ claim }) => claim?.for === 'LoadBalancer')
    .filter(
      ({ claim }) => claim?.cluster?.name === metadata.name && claim.cluster.namespace === metadata.namespace,
    )
    .sort((a, b) => rank(a, endpoint) - rank(b, endpoint) || byName(a, b));
}

function rank({ address, claim }: InventoryHost, endpoint: string | undefined): number {
  if (address === endpoint) return 0;
  return claim?.releasing === true ? 2 : 1;
}

/**
 * The first by name of those that carry the labels and are free. An endpoint that is a host's own address can be served by that host
 * only; any other is a name in front of whichever host it is.
 */
export function chooseHost({ metadata, spec }: TSCluster, hosts: readonly InventoryHost[]): Choice {
  const labels = spec.controlPlaneLoadBalancer?.hostSelector?.matchLabels ?? {};
  const endpoint = spec.controlPlaneEndpoint?.host;
  const bound = hosts.some(({ address }) => address === endpoint) ? endpoint : undefined;
  const reasons = hosts.map((host) => unfit(host, { labels, address: bound }) ?? unavailability(host));
  const [host] = hosts.filter((_host, index) => reasons[index] === undefined).sort(byName);
  if (host !== undefined) return { host };
  const wanted = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const counted =
    hosts.length === 0
      ? `no TSHost in namespace ${metadata.namespace}`
      : countedReasons(reasons.filter((reason) => reason !== undefined));
  return { none: `${counted}; add or free a TSHost with the labels ${wanted.sort().join(',')}` };
}

function unfit(
  host: InventoryHost,
  wanted: { readonly labels: Readonly<Record<string, string>>; readonly address: string | undefined },
): string | undefined {
  if (Object.entries(wanted.labels).some(([name, value]) => host.labels[name] !== value))
    return 'with other labels';
  if (host.adopt) return 'for adoption only';
  if (wanted.address !== undefined && wanted.address !== host.address)
    return `without the endpoint's address ${wanted.address}`;
  return undefined;
}

function byName(a: InventoryHost, b: InventoryHost): number {
  return a.name < b.name ? -1 : 1;
}
