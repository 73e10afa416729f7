// SPDX-License-Identifier: Apache-2.0
// What the security groups that we make let in.
import type { AWSIngressRule, AWSNetwork, NLBSpec } from '../../../api/aws/cluster.ts';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { isEverywhere, isIPv6Block } from './cidr.ts';
import { ourDescription, type Peer, type Permission } from './permissions.ts';

/** The port of API servers where the cluster says none. */
const DEFAULT_API_PORT = 6443;
const ETCD_PORTS = [2379, 2380] as const;
const KUBELET_PORT = 10_250;
const NODE_PORTS = [30_000, 32_767] as const;

/** Security groups by role: ids, made by us or given. */
export interface RoleGroups {
  readonly controlPlane: readonly string[];
  readonly nodes: readonly string[];
  readonly loadBalancer: readonly string[];
}

/** A role that machines or the load balancer have. */
export type GroupRole = keyof RoleGroups;

/** What rules depend on. */
export interface RuleInput {
  readonly spec: TSClusterSpec;
  readonly network: AWSNetwork;
  readonly groups: RoleGroups;
  /** Of the VPC. */
  readonly cidrBlocks: readonly string[];
  /** Public addresses behind which machines of private subnets are. */
  readonly natAddresses: readonly string[];
}

/** Rules of every role: what comes in. Everything may go out. */
export function ingressRules(input: RuleInput): Record<GroupRole, Permission[]> {
  return {
    controlPlane: [...controlPlaneRules(input), ...amongMachines(input)],
    nodes: [...nodeRules(input), ...amongMachines(input)],
    loadBalancer: loadBalancerRules(input),
  };
}

/** As AWS gives it to a new group. */
export const EGRESS_RULES: readonly Permission[] = [
  { protocol: '-1', peer: { cidr: '0.0.0.0/0' }, description: '' },
];

/** Whether who may call the API server is limited, so that machines which call it from outside have to be let in by address. */
export function isRestricted({ controlPlaneLoadBalancer }: TSClusterSpec): boolean {
  const allowed = controlPlaneLoadBalancer?.nlb?.allowedCIDRBlocks;
  return allowed !== undefined && !allowed.some((block) => isEverywhere(block) && !isIPv6Block(block));
}

function controlPlaneRules(input: RuleInput): Permission[] {
  const { groups } = input;
  const machines = machinesOf(groups);
  const api = [apiPort(input.spec), apiPort(input.spec)] as const;
  return [
    ...tcp('API server, from machines', api, machines),
    ...tcp('API server, from the load balancer', api, balancerOf(input)),
    ...tcp('etcd', ETCD_PORTS, groupPeers(groups.controlPlane)),
    ...tcp('kubelet', [KUBELET_PORT, KUBELET_PORT], machines),
  ];
}

/**
 * What a control plane machine sees of calls through the load balancer. Its security group is enough as a source, whether the address of
 * the client is preserved or not; where it has none of ours (one that exists already, or endpoints that somebody else makes) the
 * addresses of the VPC are, which needs an NLB that does not preserve the client's address.
 */
function balancerOf({ spec, groups, cidrBlocks }: RuleInput): Peer[] {
  const isOurs =
    spec.controlPlaneLoadBalancer?.type === 'NLB' && !isExisting(spec.controlPlaneLoadBalancer.nlb);
  return isOurs ? groupPeers(groups.loadBalancer) : blockPeers(cidrBlocks);
}

function isExisting(nlb: NLBSpec | undefined): boolean {
  return nlb?.name !== undefined;
}

function nodeRules({ network, groups }: RuleInput): Permission[] {
  const outside = blockPeers(network.nodePortCIDRBlocks ?? []);
  return [
    ...tcp('kubelet', [KUBELET_PORT, KUBELET_PORT], machinesOf(groups)),
    ...tcp('NodePort services', NODE_PORTS, outside),
    ...permissions({ protocol: 'udp', ports: NODE_PORTS, description: 'NodePort services' }, outside),
  ];
}

const EVERYTHING: readonly AWSIngressRule[] = [{ description: 'everything among machines', protocol: 'all' }];

/** Without rules for the network plugin machines say to each other what they like. */
function amongMachines({ network, groups }: RuleInput): Permission[] {
  const machines = machinesOf(groups);
  return (network.ingressRules ?? EVERYTHING).flatMap((rule) => {
    const peers = rule.cidrBlocks === undefined ? machines : blockPeers(rule.cidrBlocks);
    return permissions(
      { protocol: PROTOCOLS[rule.protocol], ...portsOf(rule), description: rule.description },
      peers,
    );
  });
}

/** AWS knows these by name, the others by their number. */
const PROTOCOLS: Record<AWSIngressRule['protocol'], string> = {
  tcp: 'tcp',
  udp: 'udp',
  icmp: 'icmp',
  ipip: '4',
  esp: '50',
  all: '-1',
};

function portsOf({ fromPort, toPort }: AWSIngressRule): { ports?: readonly [number, number] } {
  return fromPort === undefined || toPort === undefined ? {} : { ports: [fromPort, toPort] };
}

/**
 * Machines call the API server through the load balancer, too: an internal one sees their groups, an internet-facing one the address of
 * the NAT gateway that they are behind. A machine with a public address of its own has to be in allowedCIDRBlocks.
 */
function loadBalancerRules(input: RuleInput): Permission[] {
  const { spec, groups, cidrBlocks, natAddresses } = input;
  const api = [apiPort(spec), apiPort(spec)] as const;
  const nlb = spec.controlPlaneLoadBalancer?.nlb;
  const anybody = nlb?.scheme === 'Internal' ? cidrBlocks : ['0.0.0.0/0'];
  const behindNAT = isRestricted(spec) && nlb?.scheme !== 'Internal' ? natAddresses : [];
  return [
    ...tcp('API server, from clients', api, blockPeers(nlb?.allowedCIDRBlocks ?? anybody)),
    ...tcp('API server, from machines', api, machinesOf(groups)),
    ...tcp(
      'API server, from machines behind NAT',
      api,
      blockPeers(behindNAT.map((address) => `${address}/32`)),
    ),
  ];
}

/** The port of API servers, and of the load balancer before them. */
function apiPort(spec: TSClusterSpec): number {
  return spec.controlPlaneEndpoint?.port ?? DEFAULT_API_PORT;
}

function machinesOf({ controlPlane, nodes }: RoleGroups): Peer[] {
  return groupPeers([...new Set([...controlPlane, ...nodes])]);
}

function groupPeers(groups: readonly string[]): Peer[] {
  return groups.map((group) => ({ group }));
}

function blockPeers(blocks: readonly string[]): Peer[] {
  return blocks.map((cidr) => ({ cidr }));
}

function tcp(description: string, ports: readonly [number, number], peers: readonly Peer[]): Permission[] {
  return permissions({ protocol: 'tcp', ports, description }, peers);
}

function permissions(rule: Omit<Permission, 'peer'>, peers: readonly Peer[]): Permission[] {
  return peers.map((peer) => ({
    ...rule,
    // ICMP of IPv6 is another protocol.
    protocol: rule.protocol === 'icmp' && 'cidr' in peer && isIPv6Block(peer.cidr) ? 'icmpv6' : rule.protocol,
    description: ourDescription(rule.description),
    peer,
  }));
}
