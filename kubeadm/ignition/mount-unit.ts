// SPDX-License-Identifier: Apache-2.0
import type { Filesystem } from '../../api/bootstrap/machine-contents.ts';
import { InputError } from '../input-error.ts';
import type { SystemdUnit } from './config-v2.ts';

/** Types that people write third, as cloud-init wants it. None is a mount option, so that where it stands says what it is. */
const FILESYSTEM_TYPES = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'nfs', 'nfs4', 'tmpfs']);
/** fstab's names for a device -> where udev links it. */
const DEVICE_LINKS: Readonly<Record<string, string>> = {
  LABEL: 'by-label',
  UUID: 'by-uuid',
  PARTLABEL: 'by-partlabel',
  PARTUUID: 'by-partuuid',
};

/**
 * A systemd unit for one entry of `spec.mounts`: what, where, then options. What is a device or the label of a filesystem.
 * Throws InputError naming `field`.
 */
export function mountUnit(
  mount: readonly string[],
  filesystems: readonly Filesystem[],
  field: string,
): SystemdUnit {
  const [what = '', where = '', ...rest] = mount;
  if (what === '') throw new InputError(`${field}[0]`, 'name a device or the label of a filesystem');
  if (!where.startsWith('/')) {
    throw new InputError(
      `${field}[1]`,
      'name the absolute path of a directory; Ignition mounts nothing else',
    );
  }
  const [type, options] = FILESYSTEM_TYPES.has(rest[0] ?? '') ? [rest[0], rest.slice(1)] : ['', rest];
  const contents = [
    '[Unit]',
    `Description = Mount ${what}`,
    '',
    '[Mount]',
    `What=${device(what, filesystems)}`,
    `Where=${where}`,
    ...(type ? [`Type=${type}`] : []),
    `Options=${options.join(',')}`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
  return { name: `${escapePath(where)}.mount`, enabled: true, contents };
}

function device(what: string, filesystems: readonly Filesystem[]): string {
  const labelled = filesystems.find(({ label }) => label === what);
  if (labelled !== undefined) return labelled.device;
  if (what.startsWith('/')) return what;
  const [, tag = 'LABEL', name = ''] = /^(?:([A-Z]+)=)?(.*)$/s.exec(what) ?? [];
  const link = DEVICE_LINKS[tag];
  return link === undefined ? what : `/dev/disk/${link}/${name}`;
}

/** The name that systemd insists on for a unit that mounts `path`: what `systemd-escape --path` prints. */
export function escapePath(path: string): string {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return names.length === 0 ? '-' : names.map((name, index) => escapeName(name, index === 0)).join('-');
}

function escapeName(name: string, first: boolean): string {
  let escaped = '';
  for (const [index, byte] of Buffer.from(name).entries()) {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9:_.]/.test(character) && !(first && index === 0 && character === '.');
    escaped += plain ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}
