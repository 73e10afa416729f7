// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { renderCloudConfig } from './cloud-init.ts';
import type { MachineContents } from './machine-contents.ts';

const EMPTY: MachineContents = {
  purpose: 'worker-join',
  kubeadmConfig: '---\nkind: JoinConfiguration\n',
  files: [],
  users: [],
  bootCommands: [],
  preKubeadmCommands: [],
  postKubeadmCommands: [],
  mounts: [],
  diskSetup: undefined,
  ntp: undefined,
  verbosity: undefined,
};

interface Document {
  write_files: Record<string, unknown>[];
  runcmd: string[];
  [key: string]: unknown;
}

function read(contents: Partial<MachineContents>): Document {
  return parse(renderCloudConfig({ ...EMPTY, ...contents }), { version: '1.1' }) as Document;
}

describe('6.9: the document', () => {
  it('reads as written here', () => {
    const text = renderCloudConfig({
      ...EMPTY,
      purpose: 'init',
      kubeadmConfig: '---\nkind: ClusterConfiguration\n\n---\nkind: InitConfiguration\n',
      files: [
        { path: '/etc/a', owner: 'root:root', permissions: '0640', content: 'a\n' },
        { path: '/etc/b', encoding: 'base64', append: true, content: 'aGk=' },
      ],
      bootCommands: ['echo "boot"'],
      preKubeadmCommands: ['before'],
      postKubeadmCommands: ['after'],
      ntp: { enabled: true, servers: ['192.0.2.1'] },
      users: [{ name: 'u', lockPassword: false, sshAuthorizedKeys: ['ssh-ed25519 AAAA u@h'] }],
      diskSetup: {
        partitions: [{ device: '/dev/sdb', layout: true, overwrite: false, tableType: 'gpt' }],
        filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', label: 'data', extraOpts: ['-F'] }],
      },
      mounts: [['LABEL=data', '/data', 'ext4', 'defaults', '0', '2']],
      verbosity: 5,
    });
    expect(text).toBe(`## template: jinja
#cloud-config

write_files:
  - path: "/etc/a"
    owner: "root:root"
    permissions: "0640"
    content: |
      a
  - path: "/etc/b"
    encoding: "base64"
    append: true
    content: |
      aGk=
  - path: "/run/kubeadm/kubeadm.yaml"
    owner: "root:root"
    permissions: "0640"
    content: |
      ---
      kind: ClusterConfiguration

      ---
      kind: InitConfiguration
  - path: "/run/cluster-api/placeholder"
    owner: "root:root"
    permissions: "0640"
    content: |
      Here so that this folder is.
bootcmd:
  - "echo \\"boot\\""
runcmd:
  - "before"
  - "kubeadm init --config /run/kubeadm/kubeadm.yaml --v 5 && echo success > /run/cluster-api/bootstrap-success.complete"
  - "after"
ntp:
  enabled: true
  servers:
    - "192.0.2.1"
users:
  - name: "u"
    lock_passwd: false
    ssh_authorized_keys:
      - "ssh-ed25519 AAAA u@h"
disk_setup:
  "/dev/sdb":
    table_type: "gpt"
    layout: true
    overwrite: false
fs_setup:
  - label: "data"
    filesystem: "ext4"
    device: "/dev/sdb"
    extra_opts:
      - "-F"
mounts:
  - ["LABEL=data", "/data", "ext4", "defaults", "0", "2"]
`);
  });

  it('has no key that would be empty', () => {
    const nothing = { ntp: {}, diskSetup: { partitions: [], filesystems: [] }, mounts: [[]] };
    expect(Object.keys(read(nothing))).toEqual(['write_files', 'runcmd']);
    expect(read({ ntp: { enabled: false, servers: [] } })['ntp']).toEqual({ enabled: false });
  });

  it.each([
    ['init', 'kubeadm init --config /run/kubeadm/kubeadm.yaml '],
    ['control-plane-join', 'kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml '],
    ['worker-join', 'kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml '],
  ] as const)('%s runs kubeadm and leaves the sentinel (BC-9)', (purpose, command) => {
    const { runcmd, write_files: files } = read({ purpose, kubeadmConfig: 'a: b\n' });
    expect(runcmd).toEqual([`${command} && echo success > /run/cluster-api/bootstrap-success.complete`]);
    const config = {
      path: command.split(' ')[3],
      owner: 'root:root',
      permissions: '0640',
      content: 'a: b\n',
    };
    expect(files[0]).toEqual(config);
    expect(files[1]).toMatchObject({ path: '/run/cluster-api/placeholder' });
  });

  it('keeps strings that YAML would read as something else (PIT-16)', () => {
    const user = {
      name: '123',
      gecos: 'yes',
      groups: 'on',
      shell: '~',
      passwd: '1.30',
      primaryGroup: '0640',
      homeDir: '/h',
    };
    const [file] = read({
      files: [{ path: '~', owner: 'null', permissions: '0640', content: 'no' }],
    }).write_files;
    expect(file).toEqual({ path: '~', owner: 'null', permissions: '0640', content: 'no\n' });
    expect(read({ users: [{ ...user, inactive: false }] })['users']).toEqual([
      {
        name: '123',
        gecos: 'yes',
        groups: 'on',
        shell: '~',
        passwd: '1.30',
        primary_group: '0640',
        homedir: '/h',
        inactive: false,
      },
    ]);
    expect(read({ mounts: [['1', '/a', 'on']] })['mounts']).toEqual([['1', '/a', 'on']]);
    expect(read({ bootCommands: ['true'], ntp: { servers: ['1.2'] } })).toMatchObject({
      bootcmd: ['true'],
      ntp: { servers: ['1.2'] },
    });
  });

  it.each([
    ['false', false],
    ['No', false],
    ['null', false],
    ['ALL=(ALL) NOPASSWD:ALL', 'ALL=(ALL) NOPASSWD:ALL'],
  ])('sudo %s is %j', (sudo, value) => {
    expect(read({ users: [{ name: 'u', sudo }] })['users']).toEqual([{ name: 'u', sudo: value }]);
  });

  it('a mount point of null stays one: it takes away what the image mounts', () => {
    expect(read({ mounts: [['ephemeral0', 'null']] })['mounts']).toEqual([['ephemeral0', null]]);
  });
});

describe('6.9: disks', () => {
  it.each([
    ['Linux', [40, 83]],
    ['LinuxSwap', [40, 82]],
    ['LinuxRAID', [40, 'fd']],
    ['LVM', [40, '8e']],
    ['Fat32', [40, '0c']],
    ['NTFS', [40, 7]],
    ['LinuxExtended', [40, 85]],
    ['0fc63daf-8483-4772-8e79-3d69d8477de4', [40, '0fc63daf-8483-4772-8e79-3d69d8477de4']],
    [undefined, 40],
  ])('a partition of the type %s', (partitionType, share) => {
    const spec = partitionType === undefined ? { percentage: 40 } : { percentage: 40, partitionType };
    const partitions = [{ device: '/dev/sdb', diskLayout: [spec, { percentage: 60 }] }];
    expect(read({ diskSetup: { partitions } })['disk_setup']).toEqual({
      '/dev/sdb': { layout: [share, 60] },
    });
  });

  it('the last one of a device counts, and one that says nothing is empty', () => {
    const partitions = [{ device: 'a: b', layout: true }, { device: 'c' }, { device: 'a: b', layout: false }];
    expect(read({ diskSetup: { partitions } })['disk_setup']).toEqual({ 'a: b': { layout: false }, c: {} });
  });

  it.each([
    ['1', 1],
    ['0', 0],
    ['01', '01'],
    ['auto', 'auto'],
    ['auto|any', 'auto|any'],
    ['none', 'none'],
  ])('the partition %j of a file system is %j', (partition, value) => {
    const filesystems = [
      { device: 'd', filesystem: 'xfs', label: '', partition, replaceFS: 'ntfs', overwrite: true },
    ];
    expect(read({ diskSetup: { filesystems } })['fs_setup']).toEqual([
      { device: 'd', filesystem: 'xfs', partition: value, replace_fs: 'ntfs', overwrite: true },
    ]);
  });
});

describe('PIT-17: Jinja', () => {
  it('sees what is meant for it, wherever it stands', () => {
    const name = '{{ ds.meta_data.local_hostname }}';
    const text = renderCloudConfig({
      ...EMPTY,
      kubeadmConfig: `nodeRegistration:\n  name: '${name}'\n`,
      files: [{ path: `/etc/${name}`, content: `${name}\n` }],
      preKubeadmCommands: [`hostname "${name}"`, 'echo {{ ds["meta_data"] }}'],
    });
    expect(text.split(name)).toHaveLength(5);
    expect(text).toContain('  - |-\n    echo {{ ds["meta_data"] }}\n');
  });

  it('does not see what is not', () => {
    const text = renderCloudConfig({
      ...EMPTY,
      kubeadmConfig: 'a: "{{ .b }}"\nname: {{ ds.c }}\n',
      files: [{ path: '/a', content: 'for x in ${#y[@]}; do\n' }],
      preKubeadmCommands: ["docker ps --format '{{.ID}}'"],
    });
    expect(text.match(/\{[{%#][^}]*/g)).toEqual(['{{ ds.c ']);
    expect(parse(text)).toMatchObject({
      write_files: [
        { content: 'for x in ${#y[@]}; do\n' },
        { content: 'a: "{{ .b }}"\nname: {{ ds.c }}\n' },
        {},
      ],
      runcmd: ["docker ps --format '{{.ID}}'", {}],
    });
  });
});
