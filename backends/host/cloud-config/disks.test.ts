// SPDX-License-Identifier: Apache-2.0
// The step for disks, run with tools that only say what they were asked: a disk is a file here.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { interpret } from './interpret.ts';

const METADATA = { instance_id: 'i-1', local_hostname: 'n', hostname: 'n', provider_id: 'p' };

let work = '';
let disk = '';

beforeEach(() => {
  work = realpathSync(mkdtempSync(join(tmpdir(), 'disks-')));
  disk = join(work, 'vdb');
  writeFileSync(disk, Buffer.alloc(4 << 20, 'x'));
  mkdirSync(join(work, 'bin'));
});

afterEach(() => rmSync(work, { recursive: true, force: true }));

/** A tool that notes its words and its input, and then runs the rest. */
function tool(name: string, rest = ''): void {
  const file = join(work, 'bin', name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" | sed "s|${work}/||g" >>${work}/calls\n${rest}\n`);
  chmodSync(file, 0o755);
}

interface Disk {
  /** Type of the disk itself. */
  readonly type?: string;
  /** Names of partitions, and their file systems. */
  readonly children?: readonly (readonly [name: string, fs: string])[];
  readonly table?: string;
}

/** What a call changed: the tools that look only are left out. */
function run(
  text: string,
  { type = 'disk', children = [], table = '' }: Disk = {},
): { calls: string[]; code: number } {
  tool('udevadm');
  tool('partprobe');
  tool('wipefs');
  for (const name of ['mkfs.ext4', 'mkfs.xfs', 'mkswap']) tool(name);
  const lines = [`vdb ${type}  `, ...children.map(([name, fs]) => `${name} part ${fs} `)];
  const names = ['vdb', ...children.map(([name]) => name)].join('\\n');
  tool(
    'lsblk',
    `case "$*" in *NAME,TYPE*) printf '${lines.join('\\n')}\\n' ;; *TYPE*) echo ${type} ;; *) printf '${names}\\n' ;; esac`,
  );
  tool('blkid', `case "$*" in *TYPE*vdb1) echo ext4 ;; *LABEL*vdb1) echo one ;; esac`);
  tool('blockdev', 'case "$1" in --getsize64) echo 4194304 ;; --getss) echo 512 ;; esac');
  tool('sfdisk', `case "$1" in --dump) printf '${table}' ;; *) sed "s/^/  /" >>${work}/calls ;; esac`);
  tool('sgdisk', `case "$1" in -p) printf 'Number Start\\n${table}' ;; esac`);
  const script =
    interpret(`#cloud-config\n${text.replaceAll('DISK', disk)}`, METADATA).steps[0]?.script ?? '';
  let code = 0;
  try {
    execFileSync('/bin/sh', ['-s'], {
      input: script,
      env: { PATH: `${join(work, 'bin')}:/usr/bin:/bin` },
      stdio: 'pipe',
    });
  } catch (error) {
    code = (error as { status: number }).status;
  }
  const calls = existsSync(`${work}/calls`)
    ? readFileSync(`${work}/calls`, 'utf8').trimEnd().split('\n')
    : [];
  return {
    calls: calls.filter(
      (line) => !/^(?:udevadm|lsblk|blkid|blockdev|partprobe|sfdisk --dump|sgdisk -p)/.test(line),
    ),
    code,
  };
}

const setup = (rest: string): string => `disk_setup: {DISK: {${rest}}}\n`;
const fs = (rest: string): string => `fs_setup: [{device: DISK, ${rest}}]\n`;

describe('partitions', () => {
  it.each([
    { what: 'the whole disk', text: setup('layout: true'), calls: ['sfdisk --force vdb', '  0,'] },
    {
      what: 'shares, the last one with what is left',
      text: setup('layout: [25, [25, 82], 50]'),
      calls: ['sfdisk --force vdb', '  ,2048,83', '  ,2048,82', '  ,,83'],
    },
    {
      what: 'GPT',
      text: setup('table_type: gpt, layout: [[33.3, 8300], 66]'),
      calls: ['sgdisk -Z vdb', 'sgdisk -n 1:0:+2727 vdb', 'sgdisk -t 1:8300 vdb', 'sgdisk -n 2:0:0 vdb'],
    },
    {
      what: 'GPT as a whole',
      text: setup('table_type: gpt, layout: true'),
      calls: ['sgdisk -Z vdb', 'sgdisk -n 1:0:0 vdb'],
    },
    { what: 'nothing when nothing is said', text: setup('layout: false, overwrite: true'), calls: [] },
  ])('$what', ({ text, calls }) => {
    expect(run(text)).toEqual({ calls, code: 0 });
  });

  const used: Disk = { children: [['vdb1', 'ext4']], table: `start=2048, size=2048, type=83\\n` };

  it('leaves a disk alone that is in use, or as it is wished', () => {
    expect(run(setup('layout: [50, 50]'), used)).toEqual({ calls: [], code: 0 });
    expect(run(setup('layout: [[100, 83]], overwrite: true'), used)).toEqual({ calls: [], code: 0 });
    expect(run(setup('layout: true, overwrite: true'), used)).toEqual({ calls: [], code: 0 });
  });

  it('overwrites one in use if it may', () => {
    expect(run(setup('layout: [[100, 82]], overwrite: true'), used).calls).toEqual([
      'sfdisk --force vdb',
      '  ,,82',
    ]);
  });

  it('removes the table, at both ends', () => {
    expect(run(setup('layout: remove'), used)).toEqual({ calls: ['wipefs --all /dev/vdb1'], code: 0 });
    const bytes = readFileSync(disk);
    expect([bytes[0], bytes[(1 << 20) - 1], bytes[1 << 20], bytes[3 << 20], bytes[(4 << 20) - 1]]).toEqual([
      0, 0, 0x78, 0, 0,
    ]);
  });

  it('touches nothing but disks, and does the others all the same', () => {
    expect(run(setup('layout: true'), { type: 'loop' })).toEqual({ calls: [], code: 1 });
    const two = `disk_setup: {/not/there: {layout: true}, DISK: {layout: true}}\n`;
    expect(run(two)).toEqual({ calls: ['sfdisk --force vdb', '  0,'], code: 1 });
  });
});

describe('file systems', () => {
  it.each([
    {
      what: 'on a free disk',
      text: fs('filesystem: ext4, label: etcd'),
      calls: ['mkfs.ext4 -L etcd -F vdb'],
    },
    { what: 'of xfs', text: fs('filesystem: xfs'), calls: ['mkfs.xfs -f vdb'] },
    {
      what: 'with options',
      text: fs('filesystem: ext4, partition: none, extra_opts: [-E, "lazy_itable_init=1"]'),
      calls: ['mkfs.ext4 -F -E lazy_itable_init=1 vdb'],
    },
    { what: 'for swap', text: fs('filesystem: swap, partition: none'), calls: ['mkswap -f vdb'] },
    {
      what: 'on the first free partition',
      text: fs('filesystem: ext4, label: two'),
      children: [
        ['vdb1', 'xfs'],
        ['vdb2', ''],
      ],
      calls: ['mkfs.ext4 -L two -F /dev/vdb2'],
    },
    {
      what: 'of the same type: any',
      text: fs('filesystem: xfs, label: two'),
      children: [['vdb1', 'xfs']],
      calls: [],
    },
    {
      what: 'of the same type and no label: auto',
      text: fs('filesystem: ext4, label: two, partition: auto'),
      children: [
        ['vdb1', 'ext4'],
        ['vdb2', ''],
      ],
      calls: ['mkfs.ext4 -L two -F /dev/vdb2'],
    },
    {
      what: 'in place of another',
      text: fs('filesystem: ext4, replace_fs: ntfs'),
      children: [['vdb1', 'ntfs']],
      calls: ['mkfs.ext4 -F /dev/vdb1'],
    },
    {
      what: 'nowhere when all is taken',
      text: fs('filesystem: ext4'),
      children: [['vdb1', 'xfs']],
      calls: [],
    },
    { what: 'that is there', text: fs('filesystem: ext4, label: one, partition: 1'), calls: [] },
    {
      what: 'that is there, and may be overwritten',
      text: fs('filesystem: ext4, label: one, partition: 1, overwrite: true'),
      calls: ['mkfs.ext4 -L one -F vdb1'],
    },
    {
      what: 'on a partition by its number',
      text: fs('filesystem: ext4, label: two, partition: 1'),
      calls: ['mkfs.ext4 -L two -F vdb1'],
    },
    {
      what: 'on a partition by the name of the device',
      text: 'fs_setup: [{device: DISK.1, filesystem: xfs}]\n',
      calls: ['mkfs.xfs -f vdb1'],
    },
    {
      what: 'on a disk with another name',
      text: 'device_aliases: {data: DISK}\nfs_setup: [{device: data, filesystem: xfs}]\n',
      calls: ['mkfs.xfs -f vdb'],
    },
  ] as { what: string; text: string; children?: [string, string][]; calls: string[] }[])(
    '$what',
    ({ text, children, calls }) => {
      expect(run(text, children === undefined ? {} : { children })).toEqual({ calls, code: 0 });
    },
  );

  it('fails where the host cannot make it', () => {
    expect(run(fs('filesystem: nosuch'))).toEqual({ calls: [], code: 1 });
  });
});
