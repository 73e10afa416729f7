// SPDX-License-Identifier: Apache-2.0
// Ignition spec 3: the same things in another shape, each named once, and the root filesystem only.
import { InputError } from '../input-error.ts';
import {
  type ConfigReference,
  type Disk,
  type DiskPartition,
  type IgnitionConfig,
  type IgnitionFilesystem,
  type IgnitionSection,
  type NetworkdUnit,
  type Node,
  type SystemdUnit,
  unlessEmpty,
} from './config-v2.ts';
import {
  mergeDisks,
  mergeFiles,
  mergeFilesystems,
  mergeUnits,
  mergeUsers,
  replaceByKey,
} from './config-v3-merge.ts';
import { dataURL } from './data-url.ts';

/** For what can come from any of the fields. */
const ANYWHERE = 'spec';

/** Only additionalConfig can hold what spec 3 has no place for. */
const FIELD = 'spec.ignition.containerLinuxConfig.additionalConfig';

const SPECIAL_BITS_SINCE = '3.4.0';

/** A file of spec 3. */
export interface FileV3 extends Omit<Node, 'filesystem'> {
  readonly mode?: number | undefined;
  readonly contents?: ResourceV3 | undefined;
  readonly append?: readonly ResourceV3[] | undefined;
}

/** Something to fetch. */
export interface ResourceV3 {
  readonly source: string;
  readonly compression?: string | undefined;
  readonly verification?: { readonly hash: string } | undefined;
}

/** A filesystem of spec 3. */
export type FilesystemV3 = NonNullable<IgnitionFilesystem['mount']>;

/** A unit of spec 3: `enable` is gone. */
export type UnitV3 = Omit<SystemdUnit, 'enable'>;

/** The JSON shape of spec 3.x. Throws InputError for what it has no place for. */
export function documentV3(config: IgnitionConfig, version: string): object {
  const { storage, passwd, systemd, networkd } = config;
  const files = mergeFiles([...storage.files.map(file), ...networkd.units.flatMap(networkdFiles)]);
  const directories = replaceByKey(storage.directories.map(rooted), ({ path }) => path);
  const links = replaceByKey(storage.links.map(rooted), ({ path }) => path);
  if (version < SPECIAL_BITS_SINCE) refuseSpecialBits([...files, ...directories]);
  requireOnce([...files, ...directories, ...links].map(({ path }) => path));
  return {
    ignition: { version, ...ignitionSection(config.ignition) },
    passwd: unlessHollow({
      users: unlessEmpty(mergeUsers(passwd.users)),
      groups: unlessEmpty(replaceByKey(passwd.groups, ({ name }) => name)),
    }),
    storage: {
      disks: unlessEmpty(mergeDisks(storage.disks).map(disk)),
      raid: unlessEmpty(replaceByKey(storage.raid, ({ name }) => name)),
      filesystems: unlessEmpty(mergeFilesystems(storage.filesystems.map(filesystem))),
      files,
      directories: unlessEmpty(directories),
      links: unlessEmpty(links),
    },
    systemd: { units: mergeUnits(systemd.units.map(unit)) },
  };
}

function ignitionSection({ append, replace, certificateAuthorities, timeouts }: IgnitionSection): object {
  const config = { merge: unlessEmpty(append.map(reference)), replace: replace && reference(replace) };
  const tls = { certificateAuthorities: unlessEmpty(certificateAuthorities.map(reference)) };
  return {
    config: unlessHollow(config),
    security: unlessHollow(tls) && { tls },
    timeouts: unlessHollow(timeouts),
  };
}

function reference({ source, verification }: ConfigReference): ResourceV3 {
  return { source, verification: hashOf(verification) };
}

function hashOf({ hash }: ConfigReference['verification']): { hash: string } | undefined {
  return hash === undefined ? undefined : { hash };
}

function file(given: IgnitionConfig['storage']['files'][number]): FileV3 {
  const { append, contents, mode, overwrite, ...node } = rooted(given);
  const { source, compression, verification } = contents;
  const resource = { source, compression, verification: hashOf(verification) };
  if (append === true) return { ...node, mode, append: [resource] };
  // Spec 2 overwrites unless told otherwise, spec 3 the other way round.
  return { ...node, mode, overwrite: overwrite ?? true, contents: resource };
}

/** Spec 3 leaves networkd to files. */
function networkdFiles({ name, contents, dropins = [] }: NetworkdUnit): FileV3[] {
  const path = `/etc/systemd/network/${name}`;
  return [
    ...(contents === undefined ? [] : [networkdFile(path, contents)]),
    ...dropins.map((dropin) => networkdFile(`${path}.d/${dropin.name}`, dropin.contents ?? '')),
  ];
}

function networkdFile(path: string, text: string): FileV3 {
  return { path, mode: 0o644, overwrite: true, contents: { source: dataURL(text) } };
}

function rooted<N extends Node>(given: N): Omit<N, 'filesystem'> {
  const { filesystem: name, ...node } = given;
  // Spec 3 compares paths as text, and so wants each in one way of writing only.
  if (name === 'root') return { ...node, path: simplified(node.path) };
  throw new InputError(
    FIELD,
    `${given.path} is on another filesystem than root, which Ignition 3 cannot write: mount it and use its path, or ask for 2.3.0`,
  );
}

function filesystem({ mount }: IgnitionFilesystem): FilesystemV3 {
  if (mount !== undefined) return mount;
  const wayOut = 'name its device with mount, or ask for 2.3.0';
  throw new InputError(
    FIELD,
    `storage.filesystems has one with path only, which Ignition 3 does not know: ${wayOut}`,
  );
}

/** `/a/b` of `/a//./x/../b/`. */
function simplified(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}

function disk({ partitions, ...given }: Disk): Disk {
  if (partitions === undefined) return given;
  const labels = partitions.map(({ label }) => label).filter((label) => label);
  if (new Set(labels).size < labels.length || labels.some((label) => label?.includes(':'))) {
    const rule = 'Ignition 3 wants labels of partitions to differ and to have no colon';
    throw new InputError(FIELD, `storage.disks ${given.device}: ${rule}`);
  }
  return { ...given, partitions: numbered(partitions) };
}

/** Spec 3 wants a number or a label where spec 2 takes the next free slot: the lowest number that nobody asks for. */
function numbered(partitions: readonly DiskPartition[]): DiskPartition[] {
  const taken = new Set(partitions.map(({ number }) => number));
  return partitions.map((partition) => {
    if (partition.number !== undefined || partition.label) return partition;
    let number = 1;
    while (taken.has(number)) number += 1;
    taken.add(number);
    return { ...partition, number };
  });
}

function unit({ enable, enabled, ...given }: SystemdUnit): UnitV3 {
  return { ...given, enabled: enabled ?? enable };
}

/** Older versions drop these bits without a word. */
function refuseSpecialBits(entries: readonly { path: string; mode?: number | undefined }[]): void {
  for (const { path, mode = 0 } of entries) {
    if (mode <= 0o777) continue;
    throw new InputError(
      ANYWHERE,
      `${path} has setuid, setgid or sticky bits: ask for Ignition 3.4.0 or 2.3.0`,
    );
  }
}

function requireOnce(paths: readonly string[]): void {
  const seen = new Set<string>();
  for (const path of paths) {
    if (seen.has(path)) {
      throw new InputError(ANYWHERE, `${path} is more than one of a file, a directory and a link`);
    }
    seen.add(path);
  }
}

function unlessHollow<T extends object>(object: T): T | undefined {
  return Object.values(object).every((value) => value === undefined) ? undefined : object;
}
