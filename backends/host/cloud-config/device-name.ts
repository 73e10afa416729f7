// SPDX-License-Identifier: Apache-2.0
// Names of disks as cloud-init has them: a path, a short name (vdb1), an alias, each with `.2` behind it for a partition.
import { type Field, textOfField } from './fields.ts';
import { InterpretError } from './interpret-error.ts';

/** Names that stand for disks. */
export type Aliases = ReadonlyMap<string, string>;

/** `path` is '' for what is none: a server, a label, a file system without a device. */
export interface DeviceName {
  readonly path: string;
  /** Behind the dot; else ''. */
  readonly partition: string;
}

/** device_aliases. */
export function aliasesOf(field: Field | undefined): Aliases {
  if (field === undefined || field.value === null) return new Map();
  if (!(field.value instanceof Map)) throw new InterpretError(field.path, 'is not a mapping');
  const aliases = [...field.value].map(([name, value]): [string, string] => {
    const path = `${field.path}.${name}`;
    const device = textOfField({ path, value });
    if (!device?.startsWith('/')) throw new InterpretError(path, 'is not the path of a disk');
    return [name, device];
  });
  return new Map(aliases);
}

/** Names that only a cloud knows are refused. */
export function deviceName({ path, value }: { path: string; value: string }, aliases: Aliases): DeviceName {
  if (/^.+:/.test(value)) return { path: '', partition: '' };
  const [, name = value, partition = ''] = /^(.*)\.([^.]*)$/.exec(value) ?? [];
  const device = aliases.get(name) ?? name;
  if (/^(?:ami|root|swap)$|^(?:ephemeral|ebs)[^:]*$/.test(device))
    throw new InterpretError(path, 'names a disk that only a cloud knows: give its path');
  if (/^(?:x?[shv]d[a-z][0-9]*|sr[0-9]+)$/.test(value)) return { path: `/dev/${device}`, partition };
  if (!device.startsWith('/')) return { path: '', partition: '' };
  return { path: device, partition };
}
