// SPDX-License-Identifier: Apache-2.0
// What Ignition refuses, said before a machine is started in vain. Each check answers what is wrong, or undefined.

/** One sentence without the value, which may be secret. */
export type Check<T> = (value: T) => string | undefined;

const UNIT_SUFFIXES = [
  ...['service', 'socket', 'device', 'mount', 'automount', 'swap', 'target', 'path', 'timer', 'snapshot'],
  ...['slice', 'scope'],
];
const NETWORKD_SUFFIXES = ['network', 'netdev', 'link'];
const URL_SCHEMES = ['http', 'https', 's3', 'tftp', 'data'];
/** Format -> longest label in bytes. */
const FILESYSTEM_LABELS: Readonly<Record<string, number>> = {
  ext4: 16,
  btrfs: 256,
  xfs: 12,
  vfat: 11,
  swap: 15,
};
const RAID_LEVELS = /^(linear|raid0|0|stripe|raid1|1|mirror|raid4|4|raid5|5|raid6|6|raid10|10)$/;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Either base64, or text with everything but plain characters escaped. */
const DATA_URL =
  /^data:(?:[^,;]*(?:;[^,;=]+=[^,;]*)*;base64,[A-Za-z0-9+/=]*|[^,;]*(?:;[^,;=]+=[^,;]*)*,(?:%[0-9a-f]{2}|[^%\s])*)$/i;
const MAX_PARTITION_LABEL = 36;

export const checkAbsolutePath: Check<string> = (path) =>
  path.startsWith('/') ? undefined : 'must be an absolute path';

export const checkNotEmpty: Check<string> = (text) => (text === '' ? 'must not be empty' : undefined);

export const checkUnitName: Check<string> = (name) => checkSuffix(name, UNIT_SUFFIXES);

export const checkNetworkdName: Check<string> = (name) => checkSuffix(name, NETWORKD_SUFFIXES);

export const checkDropinName: Check<string> = (name) => checkSuffix(name, ['conf']);

/** Permissions as a number, special bits included. */
export const checkMode: Check<number> = (mode) =>
  mode >= 0 && mode <= 0o7777 ? undefined : 'must be between 0 and 07777';

export const checkFilesystemFormat: Check<string> = (format) =>
  Object.hasOwn(FILESYSTEM_LABELS, format)
    ? undefined
    : `must be one of ${Object.keys(FILESYSTEM_LABELS).join(', ')}`;

/** A label too long for the format makes mkfs fail on the machine. */
export function checkFilesystemLabel(label: string, format: string): string | undefined {
  const longest = FILESYSTEM_LABELS[format];
  if (longest === undefined || Buffer.byteLength(label) <= longest) return undefined;
  return `a label of ${format} has at most ${longest} characters`;
}

export const checkRaidLevel: Check<string> = (level) =>
  RAID_LEVELS.test(level) ? undefined : 'must be a level that mdadm knows, such as raid1';

export const checkGUID: Check<string> = (guid) =>
  guid === '' || GUID.test(guid) ? undefined : 'must be a GUID, such as 01234567-89ab-cdef-edcb-a98765432101';

export const checkPartitionLabel: Check<string> = (label) =>
  label.length <= MAX_PARTITION_LABEL ? undefined : `must have at most ${MAX_PARTITION_LABEL} characters`;

export const checkURL: Check<string> = (url) => {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || !URL_SCHEMES.includes(scheme)) {
    return `must be a URL with one of the schemes ${URL_SCHEMES.join(', ')}`;
  }
  if (scheme === 'data') return DATA_URL.test(url) ? undefined : 'must be a data URL (RFC 2397)';
  return URL.canParse(url) ? undefined : 'must be a URL';
};

export const checkCompression: Check<string> = (compression) =>
  compression === '' || compression === 'gzip' ? undefined : 'must be gzip, or absent';

/** The text of a unit: sections in brackets, and `option=value` in them. What stands before the first section counts for nothing. */
export const checkUnitContents: Check<string> = (contents) => {
  const lines = contents
    .replaceAll(/\\\r?\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !/^(?:[#;]|$)/.test(line));
  const first = lines.findIndex((line) => line.includes('['));
  for (const line of first < 0 ? [] : lines.slice(first)) {
    const isSection = line.startsWith('[') || line === lines[first];
    if (isSection && !line.includes(']')) return 'has a section without a closing bracket';
    if (!isSection && !line.includes('=')) return 'has a line in a section that is not option=value';
  }
  return undefined;
};

function checkSuffix(name: string, suffixes: readonly string[]): string | undefined {
  const suffix = /[^/]\.([a-z]+)$/.exec(name)?.[1];
  if (suffix !== undefined && suffixes.includes(suffix) && !name.includes('/')) return undefined;
  return `must end in ${suffixes.map((allowed) => `.${allowed}`).join(', ')}`;
}
