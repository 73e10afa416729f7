// SPDX-License-Identifier: Apache-2.0
// Spec 2 lets a later entry stand beside an earlier one of the same name; spec 3 wants one entry, so the two become one.
import type { Disk, DiskPartition, PasswdUser } from './config-v2.ts';
import type { FilesystemV3, FileV3, UnitV3 } from './config-v3.ts';

/** One entry per key, where its first stood: `combine` lays a later entry over an earlier one. */
function mergeByKey<T>(
  entries: readonly T[],
  keyOf: (entry: T) => string,
  combine: (earlier: T, later: T) => T,
): T[] {
  const merged = new Map<string, T>();
  for (const entry of entries) {
    const earlier = merged.get(keyOf(entry));
    merged.set(keyOf(entry), earlier === undefined ? entry : combine(earlier, entry));
  }
  return [...merged.values()];
}

/** Later entries win as a whole. */
export function replaceByKey<T>(entries: readonly T[], keyOf: (entry: T) => string): T[] {
  return mergeByKey(entries, keyOf, (_earlier, later) => later);
}

/** What is appended to a file joins that file; any other file of the same path takes its place. */
export function mergeFiles(files: readonly FileV3[]): FileV3[] {
  return mergeByKey(
    files,
    ({ path }) => path,
    (earlier, later) =>
      later.append === undefined
        ? later
        : { ...earlier, ...present(later), append: [...(earlier.append ?? []), ...later.append] },
  );
}

/** Drop-ins and settings of a unit add up: this is how additionalConfig changes kubeadm.service. */
export function mergeUnits(units: readonly UnitV3[]): UnitV3[] {
  return mergeByKey(
    units,
    ({ name }) => name,
    (earlier, later) => {
      const dropins = [...(earlier.dropins ?? []), ...(later.dropins ?? [])];
      const unit = { ...earlier, ...present(later) };
      return dropins.length === 0 ? unit : { ...unit, dropins };
    },
  ).map(({ dropins, ...unit }) =>
    dropins === undefined ? unit : { ...unit, dropins: replaceByKey(dropins, ({ name }) => name) },
  );
}

/** Groups and keys of a user add up, the rest is the later's where it has it. */
export function mergeUsers(users: readonly PasswdUser[]): PasswdUser[] {
  return mergeByKey(
    users,
    ({ name }) => name,
    (earlier, later) => ({
      ...earlier,
      ...present(later),
      groups: union(earlier.groups, later.groups),
      sshAuthorizedKeys: union(earlier.sshAuthorizedKeys, later.sshAuthorizedKeys),
    }),
  );
}

/** Partitions of a disk add up; one of the same number is the later's. */
export function mergeDisks(disks: readonly Disk[]): Disk[] {
  return mergeByKey(
    disks,
    ({ device }) => device,
    (earlier, later) => {
      const partitions = [...(earlier.partitions ?? []), ...(later.partitions ?? [])];
      const disk = { ...earlier, ...present(later) };
      return partitions.length === 0 ? disk : { ...disk, partitions: mergePartitions(partitions) };
    },
  );
}

function mergePartitions(partitions: readonly DiskPartition[]): DiskPartition[] {
  const keys = partitions.map(({ number }, index) => (number === undefined ? `next ${index}` : `${number}`));
  const merged = new Map<string, DiskPartition>();
  partitions.forEach((partition, index) => {
    const key = keys[index] ?? '';
    merged.set(key, { ...merged.get(key), ...present(partition) });
  });
  return [...merged.values()];
}

/** A later filesystem on the same device lays its settings over the earlier's. */
export function mergeFilesystems(filesystems: readonly FilesystemV3[]): FilesystemV3[] {
  return mergeByKey(
    filesystems,
    ({ device }) => device,
    (earlier, later) => ({ ...earlier, ...present(later) }),
  );
}

/** Without members that are undefined, which would hide those of an earlier entry. */
function present<T extends object>(entry: T): T {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as T;
}

function union(
  earlier: readonly string[] | undefined,
  later: readonly string[] | undefined,
): string[] | undefined {
  if (earlier === undefined && later === undefined) return undefined;
  return [...new Set([...(earlier ?? []), ...(later ?? [])])];
}
