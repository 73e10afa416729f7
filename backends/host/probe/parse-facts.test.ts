// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { probeLines } from './lines.ts';
import { parseFacts, quantity } from './parse-facts.ts';

const DEBIAN = `clock 1795284918
hostname rack-a-07
kernel 6.1.0-28-amd64
machine x86_64
cpus 16
memory 65783412
boot 5f8c0a15-8afd-43d5-a778-8fb058bb1cdf
os PRETTY_NAME="x"
os VERSION_ID="12"
os ID=debian
service systemd
disk sdb 7814037168
disk nvme0n1 1875385008
disk loop0 8
disk ram0 8192
disk zram0 8192
disk dm-0 1875380000
disk sr0 2097151
disk sdc 0
nic lo virtual 00:00:00:00:00:00
nic eno1 physical 3c:ec:ef:00:11:22
nic eno2 physical 3c:ec:ef:00:11:23
nic bond0 virtual 3c:ec:ef:00:11:22
nic br-3fa9 virtual 02:42:00:00:00:01
nic docker0 virtual 02:42:00:00:00:02
nic cni0 virtual 02:42:00:00:00:03
nic flannel.1 virtual 02:42:00:00:00:04
nic cali0123456789a virtual ee:ee:ee:ee:ee:ee
nic veth11223344 virtual 02:42:00:00:00:05
nic bond1 virtual 3c:ec:ef:00:11:24
address bond0 2001:db8::7/64
address bond0 10.0.0.7/24
address docker0 172.17.0.1/16
address cni0 10.244.0.1/24
address eno2@if4 192.168.3.7/24
version kubeadm v1.36.3
version kubelet Kubernetes v1.36.3
version containerd containerd github.com/containerd/containerd/v2 v2.2.3 77c84241c7cbdd9b4eca2591793e3d4f4317c590
end of probe
`;

describe('facts', () => {
  it('are those of a server with Debian, its disks and its ways in', () => {
    expect(parseFacts(probeLines(DEBIAN), 5)).toEqual({
      hostname: 'rack-a-07',
      hardware: {
        architecture: 'amd64',
        cpus: 16,
        memory: '65783412Ki',
        disks: [
          { name: 'nvme0n1', size: '937692504Ki' },
          { name: 'sdb', size: '3907018584Ki' },
        ],
        nics: [
          { name: 'bond0', mac: '3c:ec:ef:00:11:22', addresses: ['10.0.0.7', '2001:db8::7'] },
          { name: 'eno1', mac: '3c:ec:ef:00:11:22', addresses: [] },
          { name: 'eno2', mac: '3c:ec:ef:00:11:23', addresses: ['192.168.3.7'] },
        ],
      },
      operatingSystem: { id: 'debian', family: 'debian', version: '12', kernel: '6.1.0-28-amd64' },
      software: { kubeadm: 'v1.36.3', kubelet: 'v1.36.3', containerd: 'v2.2.3', serviceManager: 'systemd' },
      bootID: '5f8c0a15-8afd-43d5-a778-8fb058bb1cdf',
      clockSkewSeconds: 5,
    });
  });

  it.each([
    [
      ['ID=ubuntu', 'ID_LIKE=debian', 'VERSION_ID="24.04"'],
      { id: 'ubuntu', family: 'debian', version: '24.04' },
    ],
    [
      ['ID="rocky"', 'ID_LIKE="rhel centos fedora"', 'VERSION_ID="9.4"'],
      { id: 'rocky', family: 'rhel', version: '9.4' },
    ],
    [['ID="almalinux"', 'ID_LIKE="rhel centos fedora"'], { id: 'almalinux', family: 'rhel' }],
    [['ID="centos"', "ID_LIKE='rhel fedora'"], { id: 'centos', family: 'rhel' }],
    [['ID="rhel"', 'ID_LIKE="fedora"'], { id: 'rhel', family: 'rhel' }],
    [['ID=linuxmint', 'ID_LIKE="ubuntu debian"'], { id: 'linuxmint', family: 'debian' }],
    [['ID="opensuse-leap"', 'ID_LIKE="suse opensuse"'], { id: 'opensuse-leap', family: 'suse' }],
    [['ID=flatcar', 'ID_LIKE=coreos'], { id: 'flatcar', family: 'flatcar' }],
    [['ID=alpine'], { id: 'alpine', family: 'alpine' }],
    [[], {}],
  ])('tell the family of the system: %j', (release, expected) => {
    const lines = probeLines(release.map((line) => `os ${line}\n`).join(''));
    expect(parseFacts(lines, 0).operatingSystem).toEqual(expected);
  });

  it.each([
    ['x86_64', 'amd64'],
    ['aarch64', 'arm64'],
    ['s390x', 's390x'],
    ['ppc64le', 'ppc64le'],
    ['riscv64', 'riscv64'],
    ['armv7l', 'arm'],
  ])('name the processor %s as Go does', (machine, architecture) => {
    expect(parseFacts(probeLines(`machine ${machine}\n`), 0).hardware.architecture).toBe(architecture);
  });

  it.each([
    ['kubeadm v1.37.0-alpha.1', { kubeadm: 'v1.37.0-alpha.1' }],
    [
      'containerd containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3',
      { containerd: 'v1.6.20~ds1' },
    ],
    ['containerd containerd containerd.io v2.1.4 abcdef', { containerd: 'v2.1.4' }],
    ['kubelet', { kubelet: 'unknown' }],
    ['sshd 1.2.3', {}],
  ])('read the version of %j', (line, software) => {
    expect(parseFacts(probeLines(`version ${line}\n`), 0).software).toEqual(software);
  });

  it('are absent, not wrong, where nothing was measured', () => {
    expect(parseFacts(probeLines('cpus\nmemory x\nmachine\n'), 0)).toMatchObject({
      hostname: '',
      hardware: { disks: [], nics: [] },
      operatingSystem: {},
      software: {},
    });
  });

  it('hold no control characters and no endless line, whatever a host says', () => {
    const { hostname } = parseFacts(probeLines(`hostname a\u0007b\u001b[2J${'x'.repeat(9999)}\n`), 0);
    expect(hostname).toMatch(/^a b \[2Jx+$/);
    expect(hostname.length).toBeLessThan(1025);
  });
});

it.each([
  [0n, '0'],
  [512n, '512'],
  [1024n, '1Ki'],
  [68719476736n, '64Gi'],
  [1099511627776n, '1Ti'],
  [1536n * 1024n, '1536Ki'],
])('a quantity of %d bytes is %s', (bytes, text) => {
  expect(quantity(bytes)).toBe(text);
});
