// SPDX-License-Identifier: Apache-2.0
// Which Node is whose, and what is written to it.
import { describe, expect, it } from 'vitest';
import type { Node } from '../../api/cluster-api.ts';
import { NodeKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { addressMismatch, linkNodes, nodeChange } from './linking.ts';

const ID = 'tshost://ns/rack-a-07/0123abcd';
const UNINITIALIZED = {
  key: 'node.cloudprovider.kubernetes.io/uninitialized',
  value: 'true',
  effect: 'NoSchedule',
};
const OTHER_TAINT = { key: 'example.org/x', effect: 'NoSchedule' };

function machine(
  name = 'm1',
  change: { id?: string; ip?: string; hostname?: string; zone?: string } = {},
): TSMachine {
  const { id = ID, ip = '10.0.0.7', hostname = 'Worker-0', zone } = change;
  return {
    ...TSMachineKind,
    metadata: { namespace: 'ns', name },
    spec: { host: {}, providerID: id },
    status: {
      addresses: [
        { type: 'InternalIP', address: ip },
        { type: 'Hostname', address: hostname },
      ],
      ...(zone !== undefined && { failureDomain: zone }),
    },
  };
}

function node(
  name = 'worker-0',
  change: { id?: string; ip?: string; taints?: object[]; labels?: Record<string, string> } = {},
): Node {
  const { id, ip = '10.0.0.7', taints, labels } = change;
  return {
    ...NodeKind,
    metadata: { name, resourceVersion: '7', uid: 'u', ...(labels && { labels }) },
    spec: { ...(id !== undefined && { providerID: id }), ...(taints && { taints: taints as [] }) },
    status: { addresses: ip === '' ? [] : [{ type: 'InternalIP', address: ip }] },
  };
}

/** Names of the linked Nodes by machine, and what is said of the others. */
function linked(machines: TSMachine[], nodes: Node[]) {
  const { links, conflicts } = linkNodes(machines, nodes);
  return {
    links: Object.fromEntries(links.map((link) => [link.machine.metadata.name, link.node.metadata.name])),
    conflicts: conflicts.map(({ message }) => message),
  };
}

describe('a machine and its Node', () => {
  it.each<[string, TSMachine[], Node[], Record<string, string>, RegExp[]]>([
    ['by providerID', [machine()], [node('any', { id: ID, ip: '10.9.9.9' })], { m1: 'any' }, []],
    ['by name and address', [machine()], [node()], { m1: 'worker-0' }, []],
    [
      'IPv6 in another spelling',
      [machine('m1', { ip: 'fd00:0::7' })],
      [node('worker-0', { ip: 'fd00::7' })],
      { m1: 'worker-0' },
      [],
    ],
    ['an empty providerID is none', [machine()], [node('worker-0', { id: '' })], { m1: 'worker-0' }, []],
    ['providerID wins over the name', [machine()], [node(), node('other', { id: ID })], { m1: 'other' }, []],
    ['another name', [machine()], [node('worker-1')], {}, []],
    ['no Node', [machine()], [], {}, []],
    ['addresses to come', [machine()], [node('worker-0', { ip: '' })], {}, []],
    [
      'another address',
      [machine()],
      [node('worker-0', { ip: '10.9.9.9' })],
      {},
      [/InternalIP 10\.9\.9\.9 is not of TSMachine ns\/m1/],
    ],
    [
      'another providerID',
      [machine()],
      [node('worker-0', { id: 'tshost://ns/rack-a-07/ffffffff' })],
      {},
      [/has providerID .*ffffffff, not .*0123abcd/],
    ],
    [
      'the same providerID twice',
      [machine()],
      [node('a', { id: ID }), node('b', { id: ID })],
      {},
      [/Nodes a, b all have providerID/],
    ],
    [
      'the same host name twice',
      [machine('m1'), machine('m2', { id: 'tshost://ns/rack-a-08/0123abce' })],
      [node()],
      {},
      [/TSMachines m1, m2 all have its name/, /TSMachines m1, m2 all have its name/],
    ],
    [
      'a namesake that has its Node does not disturb',
      [machine('m1'), machine('m2', { id: 'tshost://ns/rack-a-08/0123abce' })],
      [node(), node('other', { id: 'tshost://ns/rack-a-08/0123abce' })],
      { m1: 'worker-0', m2: 'other' },
      [],
    ],
  ])('%s', (...[, machines, nodes, links, messages]) => {
    const found = linked(machines, nodes);
    expect(found.links).toEqual(links);
    expect(found.conflicts).toHaveLength(messages.length);
    messages.forEach((message, index) => expect(found.conflicts[index]).toMatch(message));
  });
});

describe('what is written', () => {
  const guard = { resourceVersion: '7', uid: 'u' };
  const zone = 'topology.kubernetes.io/zone';
  it.each<[string, TSMachine, Node, object | undefined]>([
    ['nothing', machine(), node('n', { id: ID }), undefined],
    ['the providerID', machine(), node('n'), { metadata: guard, spec: { providerID: ID } }],
    [
      'the zone',
      machine('m', { zone: 'rack-a' }),
      node('n', { id: ID }),
      { metadata: { ...guard, labels: { [zone]: 'rack-a' } }, spec: {} },
    ],
    [
      'not a zone that is set',
      machine('m', { zone: 'rack-a' }),
      node('n', { id: ID, labels: { [zone]: 'x' } }),
      undefined,
    ],
    [
      'the only taint off',
      machine(),
      node('n', { id: ID, taints: [UNINITIALIZED] }),
      { metadata: guard, spec: { taints: null } },
    ],
    [
      'other taints stay',
      machine(),
      node('n', { id: ID, taints: [OTHER_TAINT, UNINITIALIZED] }),
      { metadata: guard, spec: { taints: [OTHER_TAINT] } },
    ],
    ['other taints alone', machine(), node('n', { id: ID, taints: [OTHER_TAINT] }), undefined],
  ])('%s', (_name, of, to, expected) => {
    expect(nodeChange({ machine: of, node: to }, { externalCloudProvider: false })).toEqual(expected);
  });

  it('the taint stays where a cloud controller manager takes it off', () => {
    const link = { machine: machine(), node: node('n', { id: ID, taints: [UNINITIALIZED] }) };
    expect(nodeChange(link, { externalCloudProvider: true })).toBeUndefined();
  });
});

it.each([
  ['10.0.0.7', undefined],
  ['', undefined],
  ['10.9.9.9', 'Node n has the InternalIP 10.9.9.9, which TSMachine ns/m1 has not'],
])('an InternalIP %s', (ip, message) => {
  const told = addressMismatch({ machine: machine(), node: node('n', { id: ID, ip }) });
  if (message === undefined) expect(told).toBeUndefined();
  else expect(told).toContain(message);
});
