// SPDX-License-Identifier: Apache-2.0
// Spec 3 wants each thing once; people add to what we write.
import { describe, expect, it } from 'vitest';
import { InputError } from '../input-error.ts';
import type { MachineContents } from '../machine-contents.ts';
import { type IgnitionVersion, renderIgnition } from './render.ts';
import { machine } from './testdata/cases.ts';

interface Options {
  readonly contents?: Partial<MachineContents>;
  readonly version?: IgnitionVersion;
}

interface ConfigV3 {
  readonly passwd?: { readonly users: object[] };
  readonly storage: Record<'disks' | 'filesystems' | 'files' | 'directories', { readonly path?: string }[]>;
  readonly systemd: { readonly units: { readonly name: string }[] };
}

function rendered(additionalConfig: string, { contents, version = '3.3.0' }: Options = {}): ConfigV3 {
  const text = renderIgnition(machine(contents), { version, additionalConfig, strict: false });
  return JSON.parse(text) as ConfigV3;
}

describe('one entry of what is named twice', () => {
  it('a unit gets drop-ins and settings', () => {
    const { units } = rendered(
      'systemd: {units: [{name: kubeadm.service, enabled: false, dropins: [{name: a.conf}, {name: a.conf, contents: "[A]"}]}]}',
    ).systemd;
    expect(units).toEqual([
      {
        name: 'kubeadm.service',
        enabled: false,
        contents: expect.stringContaining('ExecStart=/bin/bash /etc/kubeadm.sh') as string,
        dropins: [{ name: 'a.conf', contents: '[A]' }],
      },
    ]);
  });

  it('a file is replaced where it stands', () => {
    const { files } = rendered(
      'storage: {files: [{path: /etc//kubeadm.sh, mode: 0755, contents: {inline: x}}]}',
    ).storage;
    expect(files.map(({ path }) => path)).toEqual(['/etc/kubeadm.sh', '/etc/kubeadm.yml']);
    expect(files[0]).toMatchObject({ mode: 0o755, contents: { source: 'data:,x' } });
  });

  it('what is appended to a file joins it', () => {
    const contents = { files: [{ path: '/a', permissions: '0600', owner: 'core', content: '1\n' }] };
    const yaml = 'storage: {files: [{path: /a, mode: 0600, append: true, contents: {inline: "2"}}]}';
    expect(rendered(yaml, { contents }).storage.files[0]).toEqual({
      path: '/a',
      overwrite: true,
      mode: 0o600,
      user: { name: 'core' },
      contents: { source: 'data:,1%0A' },
      append: [{ source: 'data:,2' }],
    });
  });

  it('a user gets the keys of both, and the rest from the later', () => {
    const contents = { users: [{ name: 'u', shell: '/a', gecos: 'g', sshAuthorizedKeys: ['1', '2'] }] };
    const yaml = 'passwd: {users: [{name: u, shell: /b, ssh_authorized_keys: ["2", "3"]}]}';
    expect(rendered(yaml, { contents }).passwd?.users).toEqual([
      { name: 'u', shell: '/b', gecos: 'g', sshAuthorizedKeys: ['1', '2', '3'] },
    ]);
  });

  it('a disk gets the partitions of both, each with a number of its own', () => {
    const contents = { diskSetup: { partitions: [{ device: '/dev/a', layout: true }] } };
    const yaml =
      'storage: {disks: [{device: /dev/a, wipe_table: true, partitions: [{number: 1, size: 1MiB}, {label: x}, {size: 2MiB}]}]}';
    expect(rendered(yaml, { contents }).storage.disks).toEqual([
      {
        device: '/dev/a',
        wipeTable: true,
        partitions: [{ number: 2 }, { number: 1, sizeMiB: 1 }, { label: 'x' }, { number: 3, sizeMiB: 2 }],
      },
    ]);
  });

  it('a filesystem is one of its device', () => {
    const contents = {
      diskSetup: { filesystems: [{ device: '/dev/a', filesystem: 'ext4', label: 'l', overwrite: true }] },
    };
    const yaml = 'storage: {filesystems: [{mount: {device: /dev/a, format: xfs}}]}';
    expect(rendered(yaml, { contents }).storage.filesystems).toEqual([
      { device: '/dev/a', format: 'xfs', label: 'l', wipeFilesystem: true },
    ]);
  });
});

it('a disk of spec.diskSetup has one partition with a number', () => {
  const contents = { diskSetup: { partitions: [{ device: '/dev/a', layout: true }] } };
  expect(rendered('', { contents }).storage.disks).toEqual([
    { device: '/dev/a', partitions: [{ number: 1 }] },
  ]);
});

describe('what spec 3 has no place for is refused', () => {
  const special = { files: [{ path: '/a', permissions: '04755', content: 'x' }] };
  it.each<[string, string, Options]>([
    ['setuid bits before 3.4.0', '', { contents: special }],
    ['a named filesystem', 'storage: {files: [{path: /a, filesystem: x}]}', {}],
    ['a filesystem with a path only', 'storage: {filesystems: [{name: x, path: /sysroot}]}', {}],
    ['a path that is a file and a directory', 'storage: {directories: [{path: /etc/kubeadm.sh/}]}', {}],
    ['a label with a colon', 'storage: {disks: [{device: /dev/a, partitions: [{label: "a:b"}]}]}', {}],
    ['a label twice', 'storage: {disks: [{device: /dev/a, partitions: [{label: a}, {label: a}]}]}', {}],
  ])('%s', (_what, yaml, options) => {
    expect(() => rendered(yaml, options)).toThrow(InputError);
    expect(() => rendered(yaml, { ...options, version: '2.3.0' })).not.toThrow();
  });

  it('setuid bits are written from 3.4.0 on', () => {
    const { files } = rendered('', { contents: special, version: '3.4.0' }).storage;
    expect(files[0]).toMatchObject({ mode: 0o4755 });
  });
});
