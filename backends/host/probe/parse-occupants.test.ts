// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { probeLines } from './lines.ts';
import { parseOccupants, parseOwner } from './parse-occupants.ts';

function told(text: string): string[] {
  return parseOccupants(probeLines(text)).map(
    ({ kind, what, running }) => `${running ? '! ' : ''}${kind} ${what}`,
  );
}

describe('occupants', () => {
  it('are none on a prepared host', () => {
    expect(
      told('hostname a\nversion kubeadm v1.36.3\nservice systemd\nnic eth0 physical x\nend of probe\n'),
    ).toEqual([]);
  });

  it.each([
    ['process 812 kubelet', '! process kubelet (pid 812)'],
    ['process 9 kube-controller', '! process kube-controller-manager (pid 9)'],
    ['process 9 containerd-shim', '! process containerd-shim (k8s.io) (pid 9)'],
    ['port 00000000:192B', '! port *:6443'],
    ['port 0100007F:094B', '! port 127.0.0.1:2379'],
    ['port 0700000A:094C', '! port 10.0.0.7:2380'],
    ['port 00000000000000000000000000000000:280A', '! port *:10250'],
    ['port 0000000000000000FFFF00000700000A:280A', '! port 10.0.0.7:10250'],
    ['port B80D0120000000000000000007000000:192B', '! port [b80d0120000000000000000007000000]:6443'],
    ['unit kubelet', '! unit kubelet.service is active'],
    ['balancer haproxy', '! unit haproxy serves what ts-provider gave it'],
    ['container 0123456789abcdef0123456789abcdef', 'container container 0123456789abc of namespace k8s.io'],
    ['mount /var/lib/kubelet/pods/a\\040b', 'mount /var/lib/kubelet/pods/a b'],
    ['file /etc/kubernetes/admin.conf', 'file /etc/kubernetes/admin.conf'],
    ['network cni0', 'network link cni0'],
    ['network cni-0f3c', 'network network namespace cni-0f3c'],
    ['early file /etc/keepalived/keepalived.conf', 'file /etc/keepalived/keepalived.conf'],
    ['early unit keepalived holds the address', '! unit keepalived holds the address'],
    ['early network address 10.0.0.100', '! network address 10.0.0.100'],
    ['rule nft table ip kube-proxy', 'rule nft table ip kube-proxy'],
    ['ipvs TCP 0A600001:01BB', 'rule IPVS tcp 10.96.0.1:443'],
    [
      'unseen rule neither nft nor iptables is there: install nftables',
      'rule rules of netfilter cannot be looked at: neither nft nor iptables is there: install nftables',
    ],
    [
      'unseen container containerd does not answer',
      'container containers of Kubernetes cannot be looked at: containerd does not answer',
    ],
  ])('are read: %s', (line, expected) => {
    expect(told(`${line}\nend of probe\n`)).toEqual([expected]);
  });

  it('are ours from before a bootstrap, where the probe says so', () => {
    const found = parseOccupants(probeLines('early file /a\nfile /b\n'));
    expect(found.map(({ what, early }) => [what, early])).toEqual([
      ['/a', true],
      ['/b', undefined],
    ]);
  });

  it('are told once each, what runs first, and never more than a status can hold', () => {
    const text = [
      'file /a',
      'file /a',
      'process 5 kubelet',
      'process 5 kubelet',
      ...Array.from({ length: 400 }, (_, index) => `container ${String(index).padStart(13, '0')}`),
    ].join('\n');
    const all = told(text);
    expect(all[0]).toBe('! process kubelet (pid 5)');
    expect(all).toHaveLength(200);
    expect(new Set(all).size).toBe(200);
  });
});

it.each([
  ['owner 0a1b2c3d 12', { token: '0a1b2c3d', generation: 12 }],
  ['owner', undefined],
  ['owner $(reboot) 1', undefined],
  ['owner 0a1b2c3d x', undefined],
  ['hostname a', undefined],
])('%s', (line, owner) => {
  expect(parseOwner(probeLines(line))).toEqual(owner);
});
