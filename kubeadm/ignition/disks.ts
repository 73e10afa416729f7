// SPDX-License-Identifier: Apache-2.0
// spec.diskSetup for Ignition. What it cannot do is refused by name (KB 6.10) rather than left out.
import type { DiskSetup, Filesystem, Partition } from '../../api/bootstrap/machine-contents.ts';
import { InputError } from '../input-error.ts';
import { checkAbsolutePath, checkFilesystemFormat, checkFilesystemLabel } from './checks.ts';
import { type Disk, type IgnitionFilesystem, unlessEmpty } from './config-v2.ts';

/** Throws InputError. */
export function disks(setup: DiskSetup | undefined): Disk[] {
  return (setup?.partitions ?? []).map((partition, index) =>
    disk(partition, `spec.diskSetup.partitions[${index}]`),
  );
}

/** Throws InputError. */
export function filesystems(setup: DiskSetup | undefined): IgnitionFilesystem[] {
  const given = setup?.filesystems ?? [];
  const labels = given.map(({ label }) => label);
  return given.map((filesystem, index) => {
    const field = `spec.diskSetup.filesystems[${index}]`;
    // A mount finds its device by the label.
    const isTaken = Boolean(filesystem.label) && labels.indexOf(filesystem.label) < index;
    if (isTaken) refuse(`${field}.label`, 'another filesystem has this label: choose a second one');
    return formatted(filesystem, field);
  });
}

function disk(partition: Partition, field: string): Disk {
  const { device, tableType, diskLayout, layout, overwrite } = partition;
  refuse(`${field}.device`, checkAbsolutePath(device));
  if (tableType !== undefined && tableType !== 'gpt') {
    refuse(`${field}.tableType`, 'Ignition writes gpt tables only: use gpt, or leave it out');
  }
  if (diskLayout !== undefined && diskLayout.length > 0) {
    const wayOut = 'list them with their size under storage.disks of additionalConfig';
    refuse(`${field}.diskLayout`, `Ignition cannot divide a disk in percent: ${wayOut}`);
  }
  return { device, wipeTable: unlessEmpty(overwrite), partitions: layout === true ? [{}] : undefined };
}

function formatted(given: Filesystem, field: string): IgnitionFilesystem {
  const { device, filesystem: format, label = '', overwrite, extraOpts } = given;
  refuse(`${field}.device`, checkAbsolutePath(device));
  refuse(`${field}.filesystem`, checkFilesystemFormat(format));
  refuse(`${field}.label`, checkFilesystemLabel(label, format));
  const { partition, replaceFS } = given;
  if (partition) refuse(`${field}.partition`, 'Ignition has no such choice: name the partition in device');
  if (replaceFS)
    refuse(`${field}.replaceFS`, 'Ignition has no such choice: set overwrite to wipe what is there');
  return {
    name: unlessEmpty(label),
    mount: {
      device,
      format,
      wipeFilesystem: unlessEmpty(overwrite),
      label: unlessEmpty(label),
      options: unlessEmpty(extraOpts),
    },
  };
}

function refuse(field: string, problem: string | undefined): void {
  if (problem !== undefined) throw new InputError(field, problem);
}
