// SPDX-License-Identifier: Apache-2.0
// What a machine gets besides kubeadm's documents and files: users, disks, mounts, time servers, commands.
import type { DiskSetup } from '../../../api/bootstrap/disk-setup.ts';
import type { User } from '../../../api/bootstrap/machine-contents.ts';
import type { KubeadmConfigSpec } from '../../../api/kubeadmconfig.ts';
import { CONTENT_SECRET } from '../objects.ts';
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, poolJoin, workerJoin } from './builders.ts';

const USERS: Readonly<Record<string, User>> = {
  name: { name: 'foo' },
  most: {
    name: 'foo',
    gecos: 'Foo B. Ar',
    groups: 'wheel, docker',
    homeDir: '/srv/foo',
    shell: '/bin/bash',
    passwd: '$6$salt$hash',
    primaryGroup: 'staff',
    lockPassword: false,
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    sshAuthorizedKeys: ['ssh-rsa AAAA a@b', 'ssh-ed25519 BBBB c@d'],
  },
  'groups-without-space': { name: 'foo', groups: 'wheel,docker' },
  'password-locked': { name: 'foo', passwd: '$6$salt$hash', lockPassword: true },
  'password-from-secret': { name: 'foo', passwdFrom: { secret: { name: CONTENT_SECRET, key: 'password' } } },
  'no-keys': { name: 'foo', sshAuthorizedKeys: [] },
};

const DISKS: Readonly<Record<string, DiskSetup>> = {
  layout: { partitions: [{ device: '/dev/sdb', layout: true, overwrite: false, tableType: 'gpt' }] },
  'no-layout': { partitions: [{ device: '/dev/sdb', layout: false }] },
  overwrite: { partitions: [{ device: '/dev/sdb', layout: true, overwrite: true }] },
  'disk-layout': {
    partitions: [
      {
        device: '/dev/sdb',
        diskLayout: [
          { percentage: 10, partitionType: 'Linux' },
          { percentage: 10, partitionType: 'LinuxSwap' },
          { percentage: 10, partitionType: 'LinuxRAID' },
          { percentage: 10, partitionType: 'LVM' },
          { percentage: 10, partitionType: 'Fat32' },
          { percentage: 10, partitionType: 'NTFS' },
          { percentage: 10, partitionType: 'LinuxExtended' },
          { percentage: 10, partitionType: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709' },
          { percentage: 20 },
        ],
      },
    ],
  },
  'two-disks': {
    partitions: [
      { device: '/dev/sdb', layout: true },
      { device: '/dev/disk/azure/scsi1/lun0', diskLayout: [{ percentage: 100 }] },
    ],
    filesystems: [
      {
        device: '/dev/sdb1',
        filesystem: 'ext4',
        label: 'one',
        overwrite: true,
        extraOpts: ['-E', 'lazy_itable_init=1'],
      },
      { device: '/dev/sdc', filesystem: 'xfs', label: 'two', overwrite: false },
    ],
  },
  filesystems: { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', label: 'data', overwrite: true }] },
};

/** Not with the stock provider's Ignition, or not with any. */
const CLOUD_INIT_DISKS: Readonly<Record<string, DiskSetup>> = {
  'overwrite-unset': { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', label: 'x', extraOpts: [] }] },
  mbr: { partitions: [{ device: '/dev/sdb', layout: true, tableType: 'mbr' }] },
  'no-label': { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4' }] },
  partition: {
    filesystems: [
      { device: '/dev/sdb', filesystem: 'ext4', label: 'a', partition: '1' },
      { device: '/dev/sdc', filesystem: 'ext4', label: 'b', partition: 'auto|any' },
      { device: '/dev/sdd', filesystem: 'ext4', label: 'c', partition: 'none', replaceFS: 'ntfs' },
    ],
  },
};

/** What both formats take. */
const PARTS: Readonly<Record<string, KubeadmConfigSpec>> = {
  ...named('user', USERS, (user) => ({ users: [user] })),
  'users-two': {
    users: [
      { name: 'a', lockPassword: false },
      { name: 'b', lockPassword: false, sudo: 'ALL=(ALL) ALL' },
    ],
  },
  ...named('disk', DISKS, (diskSetup) => ({ diskSetup })),
  'ntp-enabled': { ntp: { enabled: true, servers: ['a.example.org', '192.0.2.1'] } },
  'ntp-disabled': { ntp: { enabled: false, servers: ['a.example.org'] } },
  'ntp-no-servers': { ntp: { enabled: true } },
  'ntp-only-servers': { ntp: { servers: ['a.example.org'] } },
  commands: {
    preKubeadmCommands: ['echo "pre" && true', `sed -i 's/a\\/b/c/' /etc/x`, 'first\nsecond'],
    postKubeadmCommands: ['echo \\"post\\"', 'echo tab\there', 'echo 100% "${HOME}" `id`'],
  },
  'verbosity-zero': { verbosity: 0 },
  'verbosity-ten': { verbosity: 10 },
  'verbosity-negative': { verbosity: -1 },
};

const MOUNTED: DiskSetup = {
  partitions: [{ device: '/dev/sdb', layout: true, overwrite: true, tableType: 'gpt' }],
  filesystems: [{ device: '/dev/sdb1', filesystem: 'ext4', label: 'etcd_disk', overwrite: false }],
};

export const machines: readonly Scenario[] = [
  ...Object.entries(PARTS).flatMap(([name, spec]) => [
    init(name, spec),
    workerJoin(`ignition-${name}`, { ...spec, format: 'ignition' }, { expect: refusedByIgnition(spec) }),
  ]),
  workerJoin('user-inactive', {
    users: [
      { name: 'foo', inactive: true },
      { name: 'bar', inactive: false },
    ],
  }),
  ...Object.entries(CLOUD_INIT_DISKS).map(([name, diskSetup]) => workerJoin(`disk-${name}`, { diskSetup })),
  workerJoin('ignition-disk-overwrite-unset', {
    format: 'ignition',
    diskSetup: { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', label: 'x' }] },
  }),
  poolJoin('boot-commands', {
    bootCommands: ['cloud-init-per once x mkdir /x', 'echo "b"'],
    format: 'cloud-config',
  }),
  controlPlaneJoin('mounts', {
    diskSetup: MOUNTED,
    mounts: [
      ['LABEL=etcd_disk', '/var/lib/etcddisk'],
      ['tmpfs', '/tmp', 'tmpfs', 'defaults,size=1G', '0', '0'],
    ],
  }),
  controlPlaneJoin('ignition-mounts', {
    format: 'ignition',
    diskSetup: MOUNTED,
    mounts: [
      ['etcd_disk', '/var/lib/etcddisk', 'discard', 'noatime'],
      ['etcd_disk', '/data'],
    ],
  }),
];

/** Ignition cannot divide a disk in percent, and we say so. */
function refusedByIgnition({ diskSetup }: KubeadmConfigSpec): Scenario['expect'] {
  const divided = diskSetup?.partitions?.some(({ diskLayout }) => diskLayout !== undefined) === true;
  return divided ? 'held' : 'data';
}

function named<T>(
  prefix: string,
  parts: Readonly<Record<string, T>>,
  spec: (part: T) => KubeadmConfigSpec,
): Record<string, KubeadmConfigSpec> {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [`${prefix}-${name}`, spec(part)]));
}
