// SPDX-License-Identifier: Apache-2.0
// The document that cloud-init acts on (6.9): what a machine finds and runs when it boots. Every string of a person is quoted: YAML
// never gets to read `0640`, `on` or `1.30` as something else (PIT-16).
import type { Filesystem, Partition } from '../api/bootstrap/machine-contents.ts';
import { content, quoted, scalar } from './cloud-init-scalar.ts';
import type { MachineContents, Purpose, ResolvedFile, ResolvedUser } from './machine-contents.ts';

/** Jinja first: names of nodes are written as `{{ ds.meta_data.local_hostname }}`. */
const HEADER = '## template: jinja\n#cloud-config\n\n';

/** Providers look for it to know that the machine has joined (BC-9). */
const SENTINEL = '/run/cluster-api/bootstrap-success.complete';

const KUBEADM: Readonly<Record<Purpose, { file: string; verb: string }>> = {
  init: { file: '/run/kubeadm/kubeadm.yaml', verb: 'init' },
  'control-plane-join': { file: '/run/kubeadm/kubeadm-join-config.yaml', verb: 'join' },
  'worker-join': { file: '/run/kubeadm/kubeadm-join-config.yaml', verb: 'join' },
};

const ROOT_ONLY = { owner: 'root:root', permissions: '0640' };

/** Makes the folder of the sentinel, on systems that have no `mkdir -p` too. */
const PLACEHOLDER: ResolvedFile = {
  path: '/run/cluster-api/placeholder',
  ...ROOT_ONLY,
  content: 'Here so that this folder is.\n',
};

/** Codes of partition types as sfdisk and sgdisk know them. A GUID stands for itself. */
const PARTITION_CODES: Readonly<Record<string, number | string>> = {
  Linux: 83,
  LinuxSwap: 82,
  LinuxRAID: 'fd',
  LVM: '8e',
  Fat32: '0c',
  NTFS: 7,
  LinuxExtended: 85,
};

/** Where the lines of a block begin: of an item of a list, and of a value inside of one. */
const ITEM = '    ';
const INNER = '      ';

/** What YAML reads as "no" and as "nothing". */
const NULL = /^(?:~|null|Null|NULL)$/;
const NO = /^(?:~|null|Null|NULL|no|No|NO|false|False|FALSE|off|Off|OFF)$/;

/** The whole document. It is YAML whatever the strings hold. */
export function renderCloudConfig(contents: MachineContents): string {
  const { diskSetup } = contents;
  const sections = [
    section('write_files', filesOf(contents).map(file)),
    section('bootcmd', contents.bootCommands.map(command)),
    section('runcmd', runCommandsOf(contents).map(command)),
    section('ntp', ntp(contents)),
    section('users', contents.users.map(user)),
    section('disk_setup', partitions(diskSetup?.partitions ?? [])),
    section('fs_setup', (diskSetup?.filesystems ?? []).map(filesystem)),
    section('mounts', contents.mounts.filter((mount) => mount.length > 0).map(mountPoint)),
  ];
  return HEADER + sections.join('');
}

/** Nothing at all when it would be empty: an empty key is null to YAML, which no module of cloud-init asks for. */
function section(name: string, items: readonly string[]): string {
  return items.length === 0 ? '' : `${name}:\n${items.map((item) => `  ${item}\n`).join('')}`;
}

function filesOf({ purpose, files, kubeadmConfig }: MachineContents): ResolvedFile[] {
  return [...files, { path: KUBEADM[purpose].file, ...ROOT_ONLY, content: kubeadmConfig }, PLACEHOLDER];
}

function file({ path, encoding, owner, permissions, append, content: text }: ResolvedFile): string {
  return entry([
    ['path', scalar(path, INNER)],
    ['encoding', encoding && quoted(encoding)],
    ['owner', owner && scalar(owner, INNER)],
    ['permissions', permissions && scalar(permissions, INNER)],
    ['append', append],
    ['content', content(text, INNER)],
  ]);
}

/** What follows runs whatever kubeadm answers; only the sentinel says that it went well. */
function runCommandsOf({
  purpose,
  verbosity,
  preKubeadmCommands,
  postKubeadmCommands,
}: MachineContents): string[] {
  const { file, verb } = KUBEADM[purpose];
  const kubeadm = `kubeadm ${verb} --config ${file} ${verbosity === undefined ? '' : `--v ${verbosity}`}`;
  return [...preKubeadmCommands, `${kubeadm} && echo success > ${SENTINEL}`, ...postKubeadmCommands];
}

function command(line: string): string {
  return `- ${scalar(line, ITEM)}`;
}

function ntp({ ntp: settings }: MachineContents): string[] {
  const servers = settings?.servers ?? [];
  return pairs([
    ['enabled', settings?.enabled],
    ['servers', list(servers, ITEM)],
  ]);
}

function user(one: ResolvedUser): string {
  return entry([
    ['name', scalar(one.name, INNER)],
    ['passwd', text(one.passwd)],
    ['gecos', text(one.gecos)],
    ['groups', text(one.groups)],
    ['homedir', text(one.homeDir)],
    ['inactive', one.inactive],
    ['lock_passwd', one.lockPassword],
    ['shell', text(one.shell)],
    ['primary_group', text(one.primaryGroup)],
    // `sudo: "false"` must stay a "no": as a string it would be a rule that breaks sudo.
    ['sudo', one.sudo !== undefined && NO.test(one.sudo) ? false : text(one.sudo)],
    ['ssh_authorized_keys', list(one.sshAuthorizedKeys ?? [], INNER)],
  ]);
}

/** The last one of a device counts: a key cannot be there twice. */
function partitions(all: readonly Partition[]): string[] {
  const byDevice = new Map(all.map((partition) => [partition.device, partition]));
  return [...byDevice].map(([device, partition]) => {
    const settings = pairs([
      ['table_type', text(partition.tableType)],
      ['layout', layout(partition)],
      ['overwrite', partition.overwrite],
    ]);
    const value = settings.length === 0 ? ' {}' : settings.map((line) => `\n    ${line}`).join('');
    return `${quoted(device)}:${value}`;
  });
}

/** A share of the disk in percent, with the type where there is one. */
function layout({ layout: whole, diskLayout = [] }: Partition): string | boolean | undefined {
  if (diskLayout.length === 0) return whole;
  const shares = diskLayout.map(({ percentage, partitionType }) => {
    if (partitionType === undefined) return String(percentage);
    const code = PARTITION_CODES[partitionType] ?? partitionType;
    return `[${percentage}, ${typeof code === 'number' ? code : quoted(code)}]`;
  });
  return `[${shares.join(', ')}]`;
}

function filesystem(one: Filesystem): string {
  const { partition } = one;
  return entry([
    ['label', text(one.label)],
    ['filesystem', text(one.filesystem)],
    ['device', text(one.device)],
    // A number is one to cloud-init; anything else is a word such as `auto`.
    [
      'partition',
      partition !== undefined && /^(?:0|[1-9]\d{0,8})$/.test(partition) ? partition : text(partition),
    ],
    ['overwrite', one.overwrite],
    ['replace_fs', text(one.replaceFS)],
    ['extra_opts', list(one.extraOpts ?? [], INNER)],
  ]);
}

/** `null` takes the place of a mount point to say "not mounted". */
function mountPoint(fields: readonly string[]): string {
  return `- [${fields.map((field) => (NULL.test(field) ? 'null' : quoted(field))).join(', ')}]`;
}

/** A pair without a value is left out. */
type Pair = readonly [key: string, value: string | boolean | undefined];

function pairs(all: readonly Pair[]): string[] {
  return all.flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}:${lead(value)}${String(value)}`],
  );
}

function lead(value: string | boolean): string {
  return String(value).startsWith('\n') ? '' : ' ';
}

/** A mapping as an item of a list, two columns in. */
function entry(all: readonly Pair[]): string {
  return `- ${pairs(all).join('\n    ')}`;
}

/** Unset and empty are the same to cloud-init, except for what it makes of an empty value: null. */
function text(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : scalar(value, INNER);
}

function list(items: readonly string[], indent: string): string | undefined {
  if (items.length === 0) return undefined;
  return `\n${items.map((item) => `${indent}- ${scalar(item, `${indent}  `)}`).join('\n')}`;
}
