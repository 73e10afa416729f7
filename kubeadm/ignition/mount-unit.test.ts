// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { InputError } from '../input-error.ts';
import { escapePath, mountUnit } from './mount-unit.ts';

describe('escapePath', () => {
  it.each([
    ['/', '-'],
    ['/var/lib/etcd', 'var-lib-etcd'],
    ['/var/lib/my-data', String.raw`var-lib-my\x2ddata`],
    ['/data/', 'data'],
    ['//a/./b//', 'a-b'],
    ['/.hidden/.x', String.raw`\x2ehidden-.x`],
    ['/a b/ü', String.raw`a\x20b-\xc3\xbc`],
    ['/a:b_c.d', 'a:b_c.d'],
  ])('%s is what systemd-escape makes of it', (path, escaped) => {
    expect(escapePath(path)).toBe(escaped);
  });
});

describe('mountUnit', () => {
  const filesystems = [
    { device: '/dev/sda', filesystem: 'ext4', label: 'other' },
    { device: '/dev/sdb', filesystem: 'ext4', label: 'data' },
  ];
  const lines = (mount: string[]) => mountUnit(mount, filesystems, 'f').contents?.split('\n') ?? [];

  it.each([
    ['a label of diskSetup', 'data', '/dev/sdb'],
    ['a device', '/dev/sdc', '/dev/sdc'],
    ['a label of the image', 'logs', '/dev/disk/by-label/logs'],
    ['a tag of fstab', 'LABEL=logs', '/dev/disk/by-label/logs'],
    ['another tag of fstab', 'UUID=1-2', '/dev/disk/by-uuid/1-2'],
  ])('finds the device of %s', (_what, source, device) => {
    expect(lines([source, '/x'])).toContain(`What=${device}`);
  });

  it('takes what follows as options', () => {
    expect(lines(['data', '/x', 'noatime', 'ro'])).toContain('Options=noatime,ro');
    expect(lines(['data', '/x'])).toContain('Options=');
  });

  it('knows the type of a filesystem from an option', () => {
    expect(lines(['data', '/x', 'ext4', 'noatime'])).toEqual(
      expect.arrayContaining(['Type=ext4', 'Options=noatime']),
    );
    expect(lines(['data', '/x', 'noatime']).join()).not.toContain('Type=');
  });

  it('is named after where it mounts, and enabled', () => {
    expect(mountUnit(['data', '/var/lib/x'], [], 'f')).toMatchObject({
      name: 'var-lib-x.mount',
      enabled: true,
    });
  });

  it.each([
    [[], 'f[0]'],
    [['', '/x'], 'f[0]'],
    [['data'], 'f[1]'],
    [['data', 'none'], 'f[1]'],
  ])('refuses %j', (mount, field) => {
    const attempt = () => mountUnit(mount, filesystems, 'f');
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(field);
  });
});
