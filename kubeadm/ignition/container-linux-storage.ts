// SPDX-License-Identifier: Apache-2.0
// The section storage of Container Linux Config, in Ignition's words.
import {
  type Disk,
  type DiskPartition,
  type FileContents,
  type IgnitionFile,
  type IgnitionFilesystem,
  type Node,
  type Raid,
  type Storage,
  unlessEmpty,
} from './config-v2.ts';
import type { ContainerLinuxConfig } from './container-linux-config.ts';
import { verificationOf } from './container-linux-system.ts';
import { dataURL } from './data-url.ts';
import { mebibytes, PARTITION_TYPES } from './partition-units.ts';

type Section = NonNullable<ContainerLinuxConfig['storage']>;
type Item<K extends keyof Section> = NonNullable<Section[K]>[number];

/** Modes of what does not say one. */
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/** Everything about disks and files. */
export function storageSection(section: Section | undefined): Storage {
  const { disks = [], raid = [], filesystems = [], files = [], directories = [], links = [] } = section ?? {};
  return {
    disks: disks.map(disk),
    raid: raid.map(array),
    filesystems: filesystems.map(filesystem),
    files: files.map(file),
    directories: directories.map((given) => ({ ...node(given), mode: given.mode ?? DIRECTORY_MODE })),
    links: links.map((given) => ({
      ...node(given),
      target: given.target ?? '',
      hard: unlessEmpty(given.hard),
    })),
  };
}

function disk({ device = '', wipe_table, partitions }: Item<'disks'>): Disk {
  return {
    device,
    wipeTable: unlessEmpty(wipe_table),
    partitions: unlessEmpty(partitions)?.map(partition),
  };
}

function partition(given: NonNullable<Item<'disks'>['partitions']>[number]): DiskPartition {
  const type = unlessEmpty(given.type_guid);
  return {
    label: given.label,
    number: unlessEmpty(given.number),
    sizeMiB: mebibytes(given.size ?? ''),
    startMiB: mebibytes(given.start ?? ''),
    typeGuid: type && (PARTITION_TYPES[type] ?? type),
    guid: unlessEmpty(given.guid),
  };
}

function array({ name = '', level = '', devices = [], spares, options }: Item<'raid'>): Raid {
  return { name, level, devices, spares: unlessEmpty(spares), options: unlessEmpty(options) };
}

function filesystem({ name, mount, path }: Item<'filesystems'>): IgnitionFilesystem {
  return {
    name: unlessEmpty(name),
    path,
    mount: mount && {
      device: mount.device ?? '',
      format: mount.format ?? '',
      wipeFilesystem: unlessEmpty(mount.wipe_filesystem),
      label: mount.label,
      uuid: mount.uuid,
      options: unlessEmpty(mount.options),
    },
  };
}

function file(given: Item<'files'>): IgnitionFile {
  return {
    ...node(given),
    append: unlessEmpty(given.append),
    contents: contents(given),
    mode: given.mode ?? FILE_MODE,
  };
}

function contents({ contents: given }: Item<'files'>): FileContents {
  const { url, compression, verification } = given?.remote ?? {};
  return {
    source: unlessEmpty(url) ?? dataURL(given?.inline ?? ''),
    compression: unlessEmpty(compression),
    verification: verificationOf(verification),
  };
}

function node({ filesystem, path, overwrite, user, group }: Item<'files' | 'directories' | 'links'>): Node {
  return {
    filesystem: unlessEmpty(filesystem) ?? 'root',
    path: path ?? '',
    overwrite,
    user: user && { id: user.id, name: unlessEmpty(user.name) },
    group: group && { id: group.id, name: unlessEmpty(group.name) },
  };
}
