// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { AWSNetwork, NLBSpec } from '../../../api/aws/cluster.ts';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { changeOf, type Permission } from './permissions.ts';
import { ingressRules, type RuleInput } from './rules.ts';

const GROUPS = { controlPlane: ['sg-cp'], nodes: ['sg-node'], loadBalancer: ['sg-lb'] };

function input(
  network: AWSNetwork = { managed: {} },
  nlb: NLBSpec = {},
  more: Partial<TSClusterSpec> = {},
): RuleInput {
  return {
    spec: { controlPlaneLoadBalancer: { type: 'NLB', nlb }, ...more },
    network,
    groups: GROUPS,
    cidrBlocks: ['10.0.0.0/16'],
    natAddresses: ['203.0.113.7'],
  };
}

/** `tcp 6443 sg-lb`, each once. */
function written(permissions: readonly Permission[]): string[] {
  const each = changeOf(permissions, []).add.map(({ protocol, ports, peer }) => {
    const from = 'cidr' in peer ? peer.cidr : 'group' in peer ? peer.group : peer.prefixList;
    const range = ports === undefined ? [] : [ports[0] === ports[1] ? `${ports[0]}` : ports.join('-')];
    return [protocol, ...range, from].join(' ');
  });
  return each.sort();
}

describe('rules of a cluster with a load balancer of its own', () => {
  const rules = ingressRules(input());

  it('let machines say everything to each other', () => {
    expect(written(rules.controlPlane)).toEqual([
      '-1 sg-cp',
      '-1 sg-node',
      'tcp 10250 sg-cp',
      'tcp 10250 sg-node',
      'tcp 2379-2380 sg-cp',
      'tcp 6443 sg-cp',
      'tcp 6443 sg-lb',
      'tcp 6443 sg-node',
    ]);
    expect(written(rules.nodes)).toEqual(['-1 sg-cp', '-1 sg-node', 'tcp 10250 sg-cp', 'tcp 10250 sg-node']);
  });

  it('let everybody and machines to the load balancer', () => {
    expect(written(rules.loadBalancer)).toEqual(['tcp 6443 0.0.0.0/0', 'tcp 6443 sg-cp', 'tcp 6443 sg-node']);
  });

  it('are all marked as ours', () => {
    const all = Object.values(rules).flat();
    expect(all.filter(({ description }) => !description.startsWith('ts-provider: '))).toEqual([]);
  });
});

it('an internal load balancer is for the VPC', () => {
  const { loadBalancer } = ingressRules(input(undefined, { scheme: 'Internal' }));
  expect(written(loadBalancer)).toEqual(['tcp 6443 10.0.0.0/16', 'tcp 6443 sg-cp', 'tcp 6443 sg-node']);
});

it('machines behind NAT get through where who may call is limited', () => {
  const { loadBalancer } = ingressRules(input(undefined, { allowedCIDRBlocks: ['198.51.100.0/24', '::/0'] }));
  expect(written(loadBalancer)).toEqual([
    'tcp 6443 198.51.100.0/24',
    'tcp 6443 203.0.113.7/32',
    'tcp 6443 ::/0',
    'tcp 6443 sg-cp',
    'tcp 6443 sg-node',
  ]);
});

it.each<[string, NLBSpec, Partial<TSClusterSpec>]>([
  ['an existing load balancer', { name: 'shared' }, {}],
  ['an external endpoint', {}, { controlPlaneLoadBalancer: { type: 'External' } }],
])('%s reaches API servers from the VPC', (_what, nlb, more) => {
  const { controlPlane } = ingressRules(input(undefined, nlb, more));
  expect(written(controlPlane)).toContain('tcp 6443 10.0.0.0/16');
  expect(written(controlPlane)).not.toContain('tcp 6443 sg-lb');
});

it('the port of the endpoint is that of the API servers', () => {
  const { controlPlane, loadBalancer } = ingressRules(
    input(undefined, {}, { controlPlaneEndpoint: { port: 443 } }),
  );
  expect(written(controlPlane)).toContain('tcp 443 sg-lb');
  expect(written(loadBalancer)).toContain('tcp 443 0.0.0.0/0');
  expect(written([...controlPlane, ...loadBalancer]).join()).not.toContain('6443');
});

it('rules for the network plugin take the place of everything', () => {
  const { controlPlane, nodes } = ingressRules(
    input({
      managed: {},
      ingressRules: [
        { description: 'VXLAN', protocol: 'udp', fromPort: 4789, toPort: 4789 },
        { description: 'IP in IP', protocol: 'ipip' },
        { description: 'ping', protocol: 'icmp', cidrBlocks: ['10.0.0.0/8', '2001:db8::/32'] },
      ],
    }),
  );
  expect(written(nodes)).toEqual([
    '4 sg-cp',
    '4 sg-node',
    'icmp 10.0.0.0/8',
    'icmpv6 2001:db8::/32',
    'tcp 10250 sg-cp',
    'tcp 10250 sg-node',
    'udp 4789 sg-cp',
    'udp 4789 sg-node',
  ]);
  expect(written(controlPlane)).not.toContain('-1 sg-node');
  expect(written(controlPlane)).toContain('udp 4789 sg-node');
});

it('no rules for the network plugin are none', () => {
  const { nodes } = ingressRules(input({ managed: {}, ingressRules: [] }));
  expect(written(nodes)).toEqual(['tcp 10250 sg-cp', 'tcp 10250 sg-node']);
});

it('NodePort services are reached from where the spec says', () => {
  const { nodes, controlPlane } = ingressRules(
    input({ managed: {}, nodePortCIDRBlocks: ['198.51.100.0/24'] }),
  );
  expect(written(nodes)).toEqual(
    expect.arrayContaining(['tcp 30000-32767 198.51.100.0/24', 'udp 30000-32767 198.51.100.0/24']),
  );
  expect(written(controlPlane).join()).not.toContain('30000');
});
