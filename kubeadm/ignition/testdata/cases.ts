// SPDX-License-Identifier: Apache-2.0
// Machines for the tests of Ignition: between them they use every field that Ignition honours.
import type { MachineContents } from '../../machine-contents.ts';

export interface IgnitionCase {
  readonly name: string;
  readonly contents: MachineContents;
  readonly additionalConfig?: string;
  readonly strict?: boolean;
}

const KUBEADM = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n';

/** A worker without wishes, or with those given. */
export function machine(wishes: Partial<MachineContents> = {}): MachineContents {
  return {
    purpose: 'worker-join',
    kubeadmConfig: KUBEADM,
    files: [],
    users: [],
    bootCommands: [],
    preKubeadmCommands: [],
    postKubeadmCommands: [],
    mounts: [],
    diskSetup: undefined,
    ntp: undefined,
    verbosity: undefined,
    ...wishes,
  };
}

/** Each renders in every version of the specification. */
export const IGNITION_CASES: readonly IgnitionCase[] = [
  { name: 'worker', contents: machine() },
  {
    name: 'init',
    contents: machine({
      purpose: 'init',
      kubeadmConfig: '---\nkind: ClusterConfiguration\n---\nkind: InitConfiguration\n',
      verbosity: 5,
      files: [
        {
          path: '/etc/kubernetes/pki/ca.crt',
          owner: 'root:root',
          permissions: '0640',
          content: '-----BEGIN CERTIFICATE-----\nAA+/==\n-----END CERTIFICATE-----\n',
        },
      ],
    }),
  },
  {
    name: 'commands',
    contents: machine({
      purpose: 'control-plane-join',
      preKubeadmCommands: [
        'systemctl start containerd',
        'cat <<EOF > /etc/modules-load.d/k8s.conf\noverlay\n\n  br_netfilter\nEOF\n',
      ],
      postKubeadmCommands: ['echo "done: 100%" && true', 'a\r\nb\n\n'],
    }),
  },
  {
    name: 'files',
    contents: machine({
      files: [
        { path: '/etc/plain', permissions: '0600', content: 'no line break at the end' },
        { path: '/etc/empty', permissions: '0644', content: '' },
        { path: '/etc/indented', permissions: '0644', content: 'a:\n  b: "ü €"\n\n    c: 1\n' },
        { path: '/etc/user', permissions: '0644', owner: 'core', content: 'x\n' },
        { path: '/etc/group', permissions: '0644', owner: ':core', content: 'x\n' },
        { path: '/etc/both', permissions: '0o755', owner: 'nobody : nogroup', content: 'x\n' },
        { path: '/etc/binary', permissions: '0400', encoding: 'base64', content: '//79AAFoaQ==' },
      ],
    }),
  },
  {
    name: 'users',
    contents: machine({
      users: [
        {
          name: 'ada',
          gecos: 'Ada L.',
          groups: 'sudo, docker',
          homeDir: '/home/ada',
          shell: '/bin/bash',
          passwd: '$6$salt$hash/.',
          primaryGroup: 'staff',
          lockPassword: false,
          sudo: 'ALL=(ALL) NOPASSWD:ALL',
          sshAuthorizedKeys: ['ssh-ed25519 AAAA ada@example', 'ssh-rsa BBBB'],
        },
        { name: 'bob', lockPassword: false },
        { name: 'eve', lockPassword: true },
      ],
    }),
  },
  {
    name: 'disks',
    contents: machine({
      diskSetup: {
        partitions: [
          { device: '/dev/disk/azure/scsi1/lun0', layout: true, overwrite: true, tableType: 'gpt' },
          { device: '/dev/sdc' },
        ],
        filesystems: [
          {
            device: '/dev/disk/azure/scsi1/lun0',
            filesystem: 'ext4',
            label: 'etcd_disk',
            overwrite: true,
            extraOpts: ['-F', '-E', 'lazy_itable_init=1'],
          },
          { device: '/dev/sdc', filesystem: 'xfs', overwrite: false },
        ],
      },
      mounts: [['etcd_disk', '/var/lib/etcddisk', 'noatime', 'nofail']],
      ntp: { enabled: true, servers: ['time1.example', '2001:db8::1'] },
    }),
  },
  {
    name: 'additional',
    strict: true,
    contents: machine({ ntp: { enabled: true } }),
    additionalConfig: `
systemd:
  units:
  - name: kubeadm.service
    dropins:
    - name: 10-flatcar.conf
      contents: |
        [Unit]
        Requires=containerd.service
        After=containerd.service
  - {name: old.service, enable: yes}
  - name: new.service
    enabled: false
    mask: on
    contents: |
      [Service]
      ExecStart=/bin/sh -c \\
        true
      [Install]
      WantedBy=multi-user.target
networkd:
  units:
  - name: 00-eth.network
    contents: |
      [Match]
      Name=eth*
    dropins:
    - {name: mtu.conf, contents: "[Link]\\nMTUBytes=9000"}
passwd:
  users:
  - {name: core, password_hash: 123, ssh_authorized_keys: [k], uid: 500, no_create_home: true, groups: [a]}
  groups:
  - {name: g, gid: 0x10, system: true}
storage:
  disks:
  - device: /dev/sdz
    wipe_table: true
    partitions:
    - {label: ROOT, number: 1, size: 1.5GiB, start: 1MiB, type_guid: raid_containing_root}
    - {label: SWAP, number: 2, size: 0, type_guid: 0657FD6D-A4AB-43C4-84E5-0933C84B4F4F}
  raid:
  - {name: md, level: raid1, devices: [/dev/a, /dev/b], spares: 1, options: [-x]}
  filesystems:
  - name: data
    mount: {device: /dev/md/md, format: btrfs, wipe_filesystem: true, label: d, uuid: u-1, options: [-q]}
  files:
  - path: /opt/remote
    mode: 0755
    user: {id: 0}
    group: {name: wheel}
    overwrite: false
    contents:
      remote:
        url: https://example.com/x
        compression: gzip
        verification: {hash: {function: sha512, sum: ${'0'.repeat(128)}}}
  - {path: /opt/inline, filesystem: root, mode: 420, contents: {inline: 'exactly this'}}
  - {path: /opt/bytes, mode: 0600, contents: {inline: !!binary /w==}}
  - {path: /etc/hosts, mode: 0644, append: true, contents: {inline: "127.0.0.1 x\\n"}}
  directories:
  - {path: /opt/d, mode: 0700, overwrite: true, user: {name: core}}
  links:
  - {path: /opt/l, target: ../x, hard: true}
ignition:
  config:
    append: [{source: "https://example.com/more"}]
  timeouts: {http_response_headers: 20, http_total: 0}
  security: {tls: {certificate_authorities: [{source: "https://example.com/ca"}]}}
`,
  },
];
