// SPDX-License-Identifier: Apache-2.0
// Address ranges of the cluster: what kubeadm init accepts of them.
import type { Arg, ClusterConfiguration } from '../../api/bootstrap/cluster-configuration.ts';
import type { ClusterFacts } from '../machine-contents.ts';
import { type CIDR, parseCIDR } from './addresses.ts';
import { check, type Problem } from './problem.ts';
import { dnsDomain, endpoint } from './values.ts';
import { controlPlaneEndpointText } from '../discovery.ts';

const FIELD = 'Cluster spec.clusterNetwork';
const MIN_SERVICE_ADDRESSES = 10;
const MIN_POD_ADDRESSES = 14;
/** Services are kept as a bitmap. */
const MAX_SERVICE_BITS = 20;
/** Between the range of all pods and that of one node. */
const MAX_MASK_DIFFERENCE = 16;
const NODE_MASKS = { IPv4: 24, IPv6: 64 } as const;

/** What kubeadm takes from the Cluster. */
export function checkNetworking(cluster: ClusterFacts, spec: ClusterConfiguration): Problem[] {
  const services = rangesOf(cluster.serviceCIDRs);
  const pods = rangesOf(cluster.podCIDRs);
  return [
    ...check(`${FIELD}.serviceDomain`, cluster.serviceDomain, dnsDomain),
    ...problems('services', services, (ranges) =>
      [
        checkFamilies(ranges),
        ...ranges.map((range) => checkSize(range, MIN_SERVICE_ADDRESSES)),
        ...ranges.map(checkServiceSize),
      ].filter(isText),
    ),
    ...problems('pods', pods, (ranges) =>
      [
        checkFamilies(ranges),
        ...ranges.map((range) => checkSize(range, MIN_POD_ADDRESSES)),
        ...ranges.map((range) => checkNodeMask(range, spec.controllerManager?.extraArgs ?? [])),
      ].filter(isText),
    ),
  ];
}

/** The endpoint that kubeadm init is given: of the configuration, else of the Cluster. */
export function checkControlPlaneEndpoint(cluster: ClusterFacts, spec: ClusterConfiguration): Problem[] {
  const { controlPlaneEndpoint: given = '' } = spec;
  if (given !== '') return check('spec.clusterConfiguration.controlPlaneEndpoint', given, endpoint);
  const { controlPlaneEndpoint } = cluster;
  return check(
    'Cluster spec.controlPlaneEndpoint',
    controlPlaneEndpoint && controlPlaneEndpointText(controlPlaneEndpoint),
    endpoint,
  );
}

type Ranges = readonly (CIDR | undefined)[];

/** kubeadm is given one string. */
function rangesOf(cidrs: readonly string[]): Ranges {
  const all = cidrs.join(',').split(',');
  // An IPv4 address in IPv6's notation is both to Go.
  const isMixed = all.some((cidr) => cidr.includes(':') && cidr.includes('.'));
  return cidrs.length === 0 || isMixed ? [] : all.map(parseCIDR);
}

function problems(
  which: 'services' | 'pods',
  ranges: Ranges,
  find: (ranges: readonly CIDR[]) => readonly string[],
): Problem[] {
  const field = `${FIELD}.${which}.cidrBlocks`;
  if (ranges.length === 0) return [];
  const known = ranges.filter((range) => range !== undefined);
  if (known.length < ranges.length)
    return [{ field, message: 'must be address ranges, such as 10.96.0.0/12 or fd00:10::/112' }];
  return find(known)
    .slice(0, 1)
    .map((message) => ({ field, message }));
}

function checkFamilies(ranges: readonly CIDR[]): string | undefined {
  const right = ranges.length === 1 || (ranges.length === 2 && ranges[0]?.family !== ranges[1]?.family);
  return right ? undefined : 'must be one range, or two of which one is IPv4 and the other IPv6';
}

function checkSize({ prefix, bits }: CIDR, least: number): string | undefined {
  const hostBits = bits - prefix;
  // Go cannot count the addresses of the largest ranges, and takes them for none.
  if (hostBits >= bits - 1) return `must be a smaller range than /${prefix}`;
  return 2 ** hostBits < least ? `must have at least ${least} addresses: /${prefix} is too small` : undefined;
}

function checkServiceSize({ prefix, bits, family }: CIDR): string | undefined {
  const least = bits - MAX_SERVICE_BITS;
  return prefix < least ? `must be /${least} or smaller, with ${family}: /${prefix} is too large` : undefined;
}

/** Each node gets a range of its own out of it, unless nobody hands them out. */
function checkNodeMask({ prefix, family }: CIDR, args: readonly Arg[]): string | undefined {
  if (lastValue(args, 'allocate-node-cidrs') === 'false') return undefined;
  const flag = `node-cidr-mask-size-${family.toLowerCase()}`;
  const text = lastValue(args, flag) || String(NODE_MASKS[family]);
  if (/[^\d]/.test(text)) return undefined;
  const mask = Number(text);
  if (prefix > mask) {
    return `must be at least as large as the /${mask} that each node gets: set the flag ${flag} of the controller manager, or a larger range`;
  }
  return mask - prefix > MAX_MASK_DIFFERENCE
    ? `must be /${mask - MAX_MASK_DIFFERENCE} or smaller while each node gets a /${mask}: set the flag ${flag} of the controller manager, or a smaller range`
    : undefined;
}

/** The last one counts. */
function lastValue(args: readonly Arg[], name: string): string {
  return args.findLast((arg) => arg.name === name)?.value ?? '';
}

function isText(message: string | undefined): message is string {
  return message !== undefined;
}
