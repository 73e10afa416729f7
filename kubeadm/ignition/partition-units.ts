// SPDX-License-Identifier: Apache-2.0
// How Container Linux Config writes the size and the type of a partition.

const MIB = 2 ** 20;

/** Powers of two, whichever way they are written. */
const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 2 ** 10,
  KiB: 2 ** 10,
  MB: MIB,
  MiB: MIB,
  GB: 2 ** 30,
  GiB: 2 ** 30,
  TB: 2 ** 40,
  TiB: 2 ** 40,
  PB: 2 ** 50,
  PiB: 2 ** 50,
};

/** Names that Container Linux Config has for partition types -> GUID. */
export const PARTITION_TYPES: Readonly<Record<string, string>> = {
  linux_filesystem_data: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  raid_partition: 'a19d880f-05fc-4d3b-a006-743f0f84911e',
  swap_partition: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  raid_containing_root: 'be9067b9-ea49-4f15-b4f6-f36f8c9e1818',
};

/** MiB of a size such as `1GiB`, `1.5GiB` or `1GiB512MiB`; undefined for anything else, and for a fraction of a MiB. */
export function mebibytes(size: string): number | undefined {
  if (size === '0') return 0;
  if (!/^\+?(?:(?:\d+\.?\d*|\.\d+)[KMGTP]?i?B)+$/.test(size)) return undefined;
  let total = 0;
  for (const [, number, unit = ''] of size.matchAll(/([\d.]+)([A-Za-z]+)/g)) {
    total += Number(number) * (UNITS[unit] ?? Number.NaN);
  }
  return Number.isInteger(total / MIB) ? total / MIB : undefined;
}

/** For `size` and `start`: empty means not set. */
export function checkPartitionSize(size: string): string | undefined {
  if (size === '' || mebibytes(size) !== undefined) return undefined;
  return 'must be a size of whole MiB with its unit, such as 512MiB or 1.5GiB';
}
