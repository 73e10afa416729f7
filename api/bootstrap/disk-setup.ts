// SPDX-License-Identifier: Apache-2.0
// Partitions and file systems: `spec.diskSetup` of a KubeadmConfig.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { atomicList, filled, flag, integer, text } from './fields.ts';

const PARTITION_TYPES = ['Linux', 'LinuxSwap', 'LinuxRAID', 'LVM', 'Fat32', 'NTFS', 'LinuxExtended'] as const;
const GUID = '[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}';

const PartitionSpecSchema = Type.Object(
  {
    percentage: integer('Percentage of the disk, 1 to 100.', { minimum: 1, maximum: 100 }),
    partitionType: Type.Optional(
      Type.String({
        description: `Kind of partition: one of ${PARTITION_TYPES.join(', ')}, or a GUID of GPT. Linux when absent.`,
        minLength: 1,
        maxLength: 36,
        ...rules({
          rule: `self.matches('^(${PARTITION_TYPES.join('|')}|${GUID})$')`,
          message: `partitionType must be one of ${PARTITION_TYPES.join(', ')}, or a whole GPT partition GUID`,
        }),
      }),
    ),
  },
  { description: 'One partition.' },
);

/** One partition of a `diskLayout`. */
export type PartitionSpec = Static<typeof PartitionSpecSchema>;

const PartitionSchema = Type.Object(
  {
    device: text('Path of the device.', 256),
    layout: Type.Optional(
      flag(
        'True: one partition over the whole device. False: leave the device as it is. Not together with diskLayout.',
      ),
    ),
    diskLayout: Type.Optional(
      Type.Array(PartitionSpecSchema, {
        description:
          'Partitions in their order on the device, together at most 100 percent. Not together with layout.',
        minItems: 1,
        maxItems: 100,
        'x-kubernetes-list-type': 'atomic',
        ...rules({
          rule: 'self.map(x, x.percentage).sum() <= 100',
          message: 'the percentages in diskLayout come to more than 100: make partitions smaller',
        }),
      }),
    ),
    overwrite: Type.Optional(flag('Whether partitions and file systems that are there may be destroyed.')),
    tableType: Type.Optional(
      Type.Enum(['mbr', 'gpt'], {
        description: 'Kind of partition table; mbr when absent, always gpt with format ignition.',
      }),
    ),
  },
  {
    description: 'How one device is partitioned.',
    ...rules({
      rule: 'has(self.layout) != has(self.diskLayout)',
      message: 'set exactly one of layout and diskLayout of a partition',
    }),
  },
);

/** How one device is partitioned: by `layout` or by `diskLayout`. */
export type Partition = Static<typeof PartitionSchema>;

const FilesystemSchema = Type.Object(
  {
    device: text('Path of the device.', 256),
    filesystem: text('Kind of file system, such as ext4.', 128),
    label: Type.Optional(text('Label of the file system.')),
    partition: Type.Optional(
      text('Which partition: a number, "auto", "any", "auto|any" or "none". Not with format ignition.', 128),
    ),
    overwrite: Type.Optional(flag('Whether a file system that is there may be destroyed.')),
    replaceFS: Type.Optional(
      text('Kind of file system that is replaced on Microsoft Azure. Not with format ignition.', 128),
    ),
    extraOpts: Type.Optional(
      atomicList(text('One option.', 256), 'Options of the command that makes the file system.', {
        maxItems: 100,
      }),
    ),
  },
  { description: 'One file system.' },
);

/** One file system. */
export type Filesystem = Static<typeof FilesystemSchema>;

/** Schema of {@link DiskSetup}. */
export const DiskSetupSchema = filled(
  {
    partitions: Type.Optional(atomicList(PartitionSchema, 'Devices to partition.', { maxItems: 100 })),
    filesystems: Type.Optional(atomicList(FilesystemSchema, 'File systems to make.', { maxItems: 100 })),
  },
  'Partitions and file systems to make.',
);

/** Partitions and file systems to make. */
export type DiskSetup = Static<typeof DiskSetupSchema>;
