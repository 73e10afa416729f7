// SPDX-License-Identifier: Apache-2.0
// disk_setup and fs_setup: what a document says of disks, read and checked. What is done is in disks-script.ts.
import type { Step } from '../job/job.ts';
import { quote } from '../job/shell.ts';
import { type Aliases, deviceName } from './device-name.ts';
import { DISK_FUNCTIONS } from './disks-script.ts';
import { type Field, fieldsOf, flagOf, itemsOf, textOfField, wordOf } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { stepOf } from './prelude.ts';
import { PyFloat } from './yaml-document.ts';

const PARTITION_KEYS = ['table_type', 'layout', 'overwrite'];
const FILESYSTEM_KEYS = [
  'label',
  'filesystem',
  'device',
  'partition',
  'overwrite',
  'replace_fs',
  'extra_opts',
];

/** Disks first, then file systems; one that cannot be made keeps none of the others from being made. */
export function diskSteps(
  disks: Field | undefined,
  filesystems: Field | undefined,
  aliases: Aliases,
): Step[] {
  const calls = [
    ...partitionCalls(disks, aliases),
    ...itemsOf(filesystems).map((item) => filesystemCall(item, aliases)),
  ];
  if (calls.length === 0) return [];
  const lines = calls.map((call) => `( ${call} ) || code=1\n`).join('');
  return [
    stepOf('disk_setup', 'disk_setup', `${DISK_FUNCTIONS}code=0\n${lines}exit "$code"\n`, {
      repeatable: false,
    }),
  ];
}

function partitionCalls(disks: Field | undefined, aliases: Aliases): string[] {
  if (disks === undefined || disks.value === null) return [];
  if (!(disks.value instanceof Map)) throw new InterpretError(disks.path, 'is not a mapping');
  return [...disks.value].flatMap(([name, value]) => {
    const path = `${disks.path}.${name}`;
    const fields = fieldsOf({ path, value }, PARTITION_KEYS);
    const table = textOfField(fields.get('table_type')) ?? 'mbr';
    if (table !== 'mbr' && table !== 'gpt')
      throw new InterpretError(`${path}.table_type`, 'is neither mbr nor gpt');
    const layout = layoutOf(fields.get('layout'), table);
    if (layout === undefined) return [];
    const words = [
      diskPath(path, name, aliases),
      table,
      flagOf(fields.get('overwrite'), false) ? 'yes' : 'no',
      ...layout,
    ];
    return [`partition ${words.map(quote).join(' ')}`];
  });
}

function diskPath(path: string, name: string, aliases: Aliases): string {
  const device = deviceName({ path, value: name }, aliases);
  if (device.path === '') throw new InterpretError(path, 'is not the path of a disk');
  return device.path;
}

/** `whole`, `remove`, or shares as `<percent>:<type>`, where a type may be missing. */
function layoutOf(field: Field | undefined, table: string): string[] | undefined {
  if (field === undefined || field.value === null || field.value === false) return undefined;
  if (field.value === true) return ['whole'];
  if (typeof field.value === 'string' && field.value.toLowerCase() === 'remove') return ['remove'];
  const parts = itemsOf(field);
  if (parts.length === 0) return undefined;
  if (table === 'mbr' && parts.length > 4)
    throw new InterpretError(field.path, 'has more than four partitions: use gpt');
  return parts.map((part) => {
    const [share, type, ...more] = Array.isArray(part.value) ? itemsOf(part) : [part];
    if (share === undefined || more.length > 0 || (Array.isArray(part.value) && type === undefined))
      throw new InterpretError(part.path, 'is neither a share nor a share with a type');
    return `${percentOf(share)}:${type === undefined ? '' : typeOf(type)}`;
  });
}

function percentOf({ path, value }: Field): string {
  const percent = value instanceof PyFloat ? value.value : typeof value === 'string' ? Number(value) : value;
  if (typeof percent === 'number' && percent > 0 && percent <= 100) return String(percent);
  throw new InterpretError(path, 'is not a share of the disk in percent');
}

function typeOf(field: Field): string {
  const type = wordOf(field);
  if (/^[\w-]{1,36}$/.test(type)) return type;
  throw new InterpretError(field.path, 'is not the type of a partition');
}

/** Words: device, partition (`N`, `auto`, `any`, `none`), type, label, overwrite, replaced type, options. */
function filesystemCall(item: Field, aliases: Aliases): string {
  const fields = fieldsOf(item, FILESYSTEM_KEYS);
  const device = textOfField(fields.get('device'));
  if (device === undefined) throw new InterpretError(`${item.path}.device`, 'is missing');
  const named = deviceName({ path: `${item.path}.device`, value: device }, aliases);
  if (named.path === '') throw new InterpretError(`${item.path}.device`, 'is not the path of a disk');
  const type = textOfField(fields.get('filesystem'));
  if (type === undefined || !/^[\w.-]{1,30}$/.test(type))
    throw new InterpretError(`${item.path}.filesystem`, 'is not the type of a file system');
  const words = [
    named.path,
    named.partition === '' ? partitionOf(fields.get('partition')) : named.partition,
    type,
    textOfField(fields.get('label')) ?? '',
    flagOf(fields.get('overwrite'), false) ? 'yes' : 'no',
    replacedOf(fields.get('replace_fs')),
    ...optionsOf(fields.get('extra_opts')),
  ];
  return `filesystem ${words.map((word) => (word === '' ? "''" : quote(word))).join(' ')}`;
}

function partitionOf(field: Field | undefined): string {
  if (field === undefined) return 'any';
  if (field.value === null) return 'none';
  const word = wordOf(field).toLowerCase();
  if (/^(?:\d{1,3}|auto|any|none)$/.test(word)) return word;
  throw new InterpretError(field.path, 'is none of auto, any, none and a number');
}

function replacedOf(field: Field | undefined): string {
  return field?.value === false ? '' : (textOfField(field) ?? '');
}

function optionsOf(field: Field | undefined): string[] {
  return typeof field?.value === 'string' ? [wordOf(field)] : itemsOf(field).map(wordOf);
}
