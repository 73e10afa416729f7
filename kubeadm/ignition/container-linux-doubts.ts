// SPDX-License-Identifier: Apache-2.0
// What no single key shows: keys that contradict each other, and what is likely not meant.
import { checkFilesystemLabel } from './checks.ts';
import type { ContainerLinuxConfig } from './container-linux-config.ts';
import { mebibytes } from './partition-units.ts';
import type { Finding } from './shape-reader.ts';

type Storage = NonNullable<ContainerLinuxConfig['storage']>;
type Item<K extends keyof Storage> = NonNullable<Storage[K]>[number];
type Unit = NonNullable<NonNullable<ContainerLinuxConfig['systemd']>['units']>[number];

/** Problem -> whether it is there. */
type Found = readonly (readonly [Finding['severity'], string, boolean])[];

/** Paths without a line: these are about several keys. */
export function doubts({ storage, systemd }: ContainerLinuxConfig): Finding[] {
  const filesystems = storage?.filesystems ?? [];
  const names = new Set(['root', ...filesystems.map(({ name }) => name)]);
  return [
    ...each('storage.disks', storage?.disks, diskDoubts),
    ...each('storage.raid', storage?.raid, raidDoubts),
    ...each('storage.filesystems', filesystems, filesystemDoubts),
    ...each('storage.files', storage?.files, (file) => [...nodeDoubts(file, names), ...fileDoubts(file)]),
    ...each('storage.directories', storage?.directories, (directory) => [
      ...nodeDoubts(directory, names),
      ['warning', 'has no mode; it gets 0755', directory.mode === undefined],
    ]),
    ...each('storage.links', storage?.links, (link) => nodeDoubts(link, names)),
    ...each('systemd.units', systemd?.units, unitDoubts),
  ];
}

function each<T>(path: string, items: readonly T[] | undefined, doubtsOf: (item: T) => Found): Finding[] {
  return (items ?? []).flatMap((item, index) =>
    doubtsOf(item)
      .filter(([, , isThere]) => isThere)
      .map(([severity, problem]) => ({ severity, path: `${path}[${index}]`, line: undefined, problem })),
  );
}

function diskDoubts({ partitions = [] }: Item<'disks'>): Found {
  const numbers = partitions.map(({ number }) => number).filter((number) => number);
  const colon = partitions.some(({ label }) => label?.includes(':'));
  return [
    ['error', 'gives two partitions the same number', new Set(numbers).size < numbers.length],
    ['error', 'has partitions that overlap', overlap(partitions)],
    ['warning', 'has a partition label that will end before its colon', colon],
  ];
}

/** Only of those that say both where they start and how large they are. */
function overlap(partitions: NonNullable<Item<'disks'>['partitions']>): boolean {
  const spans = partitions
    .map(({ start = '', size = '' }) => ({ from: mebibytes(start) ?? 0, size: mebibytes(size) ?? 0 }))
    .filter(({ from, size }) => from > 0 && size > 0)
    .sort((a, b) => a.from - b.from);
  return spans.some(({ from, size }, index) => from + size > (spans[index + 1]?.from ?? Infinity));
}

function raidDoubts({ level = '', spares }: Item<'raid'>): Found {
  const noSpares = ['linear', 'raid0', '0', 'stripe'].includes(level);
  return [['error', 'has spares, which its level does not use', noSpares && Boolean(spares)]];
}

function filesystemDoubts({ mount, path }: Item<'filesystems'>): Found {
  const label = checkFilesystemLabel(mount?.label ?? '', mount?.format ?? '');
  return [
    ['error', 'needs mount or path', mount === undefined && path === undefined],
    ['error', 'has both mount and path', mount !== undefined && path !== undefined],
    ['error', `has a mount.label that is too long: ${label}`, label !== undefined],
  ];
}

function nodeDoubts(
  { filesystem, user, group }: Item<'files' | 'directories' | 'links'>,
  names: ReadonlySet<string | undefined>,
): Found {
  const both = [user, group].some((owner) => owner?.id !== undefined && Boolean(owner.name));
  return [
    ['error', 'has an owner with both id and name', both],
    ['warning', 'is on a filesystem that is not listed here', Boolean(filesystem) && !names.has(filesystem)],
  ];
}

function fileDoubts({ mode, append, overwrite, contents }: Item<'files'>): Found {
  const twice = contents?.inline !== undefined && Boolean(contents.remote?.url);
  return [
    ['error', 'has both append and overwrite', append === true && overwrite === true],
    ['error', 'has both contents.inline and contents.remote.url', twice],
    ['warning', 'has no mode; it gets 0644', mode === undefined],
  ];
}

function unitDoubts({ enable, enabled, contents }: Unit): Found {
  const idle = (enable || enabled) && Boolean(contents) && !/^\[Install\]/m.test(contents ?? '');
  return [['warning', 'is enabled, but has no [Install] section and so is never started', idle === true]];
}
