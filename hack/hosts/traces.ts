// SPDX-License-Identifier: Apache-2.0
// A look at a machine that trusts nothing of ours: what is on it that was not there when it was fresh?
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../stack/process.ts';
import { compareFiles, contentHash, type FileList, listFiles, type Tree } from './files.ts';
import type { Machine } from './machine.ts';

/** What a machine was like at one moment. */
export interface Snapshot {
  /** Lines like `process kubelet ...`, `port tcp *:10250`, `mount ...`, `link cni0`, `rule ...`. */
  readonly facts: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, FileList>;
  /** Content of the files that differ from the layers, for those whose date changes without it. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly packages: ReadonlySet<string>;
}

/** Paths that tell nothing about a cluster, each with the reason. */
const IGNORED: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^\/(proc|sys|dev)\//, 'the kernel makes them'],
  [/^\/var\/log\//, 'logs may say what was'],
  [/^\/(var\/cache|var\/lib\/apt|var\/lib\/dpkg)\//, 'the package manager; packages are told apart'],
  [/^\/var\/lib\/ucf\/hashfile/, 'what packages once had as their configuration, in generations'],
  [/^\/var\/lib\/systemd\//, 'timers and random seeds of the service manager'],
  [/^\/(etc|var)\/\.updated$/, 'written at the first boot'],
  [/^\/etc\/machine-id$/, 'written at the first boot'],
  [/^\/root\/\.(bash_history|cache)$/, 'of whoever logs in'],
  [/^\/home\/[^/]+\/\.sudo_as_admin_successful$/, 'sudo marks who has used it'],
  [/^\/etc\/(passwd|shadow|group|gshadow)-$/, 'backups that the tools for users keep'],
  [/^\/run\/xtables\.lock$/, 'a lock that every user of iptables shares'],
  [/^\/run\/adduser$/, 'lock of the tool for users'],
  [/^\/etc\/ld\.so\.cache$/, 'an index that packages renew'],
  [/^\/run\/(systemd|udev|dbus|log|user|sudo|sshd|lock|mount|host-world)(\/|$)/, 'state of running services'],
  [/^\/run\/(utmp|sshd\.pid|crond\.pid|motd\.dynamic)$/, 'state of running services'],
  [/^\/run\/containerd\/.*(\.sock|\.ttrpc|\.pid)$/, 'the runtime that runs'],
  [/^\/tmp\/systemd-private-/, 'a folder of a running service'],
  [/^\/tmp\/\.(X11|ICE|font|XIM)-unix$/, 'made at each boot'],
  [/^\/var\/tmp\/systemd-private-/, 'a folder of a running service'],
  [/^\/var\/lib\/containerd\/.*\.db$/, 'databases of the runtime; what they tell of lies beside them'],
  [/^\/var\/lib\/containerd\/(tmpmounts|.*\/ingest)(\/|$)/, 'work folders of the runtime'],
  [/^\/var\/lib\/containerd\/io\.containerd\.(grpc\.v1\.introspection|content)/, 'its name, and images'],
  [/^\/var\/lib\/private(\/|$)/, 'made by the service manager'],
];

/** Processes that come and go on any machine. */
const PASSING = [
  /^sshd: /, // Connections, ours among them.
  /^(\/usr)?\/lib\/systemd\//, // Helpers of the service manager that start when asked.
  /^\(sd-pam\)/,
];

/** What the machine is like now. Takes about a second: processes count when they are there twice. */
export async function takeSnapshot(machine: Machine): Promise<Snapshot> {
  const files = new Map(treesOf(machine).map((tree) => [tree.path, listFiles(tree, isIgnored)]));
  const facts = new Set([...(await processes(machine)), ...mounts(machine), ...(await network(machine))]);
  const upper = listFiles({ path: '/', dir: machine.upperDir, kept: true }, isIgnored);
  const hashes = [...upper.keys()].map((path) => [path, contentHash(join(machine.upperDir, path))] as const);
  return { facts, files, hashes: new Map(hashes), packages: packagesOf(machine) };
}

/** One line for each thing that a fresh machine did not have, has no more, or has otherwise. */
export function compareSnapshots(machine: Machine, fresh: Snapshot, now: Snapshot): string[] {
  const facts = [...now.facts].filter((fact) => !fresh.facts.has(fact));
  const packages = [...now.packages].filter((name) => !fresh.packages.has(name));
  const packaged = new Set(packages.flatMap((name) => filesOfPackage(machine, name)));
  const sameContent = (path: string) => {
    const file = join(machine.rootDir, path);
    const before = fresh.hashes.get(path);
    if (before !== undefined) return contentHash(file) === before;
    return machine.layers.some((layer) => contentHash(join(layer, path)) === contentHash(file));
  };
  const files = treesOf(machine).flatMap(({ path, kept }) => {
    const none: FileList = new Map();
    return compareFiles(fresh.files.get(path) ?? none, now.files.get(path) ?? none, { kept, sameContent });
  });
  const ofNobody = files.filter((line) => !packaged.has(line.replace(/^(changed )?file /, '')));
  return [...packages.map((name) => `package ${name}`), ...facts, ...collapsed(ofNobody)].sort();
}

function treesOf(machine: Machine): Tree[] {
  const seen = `/proc/${machine.leader()}/root`;
  const volumes = Object.entries(machine.volumes).map(([path, dir]) => ({ path, dir, kept: false }));
  const inMemory = ['/run', '/tmp', '/dev/shm'].map((path) => ({ path, dir: seen + path, kept: false }));
  return [{ path: '/', dir: machine.rootDir, kept: true }, ...volumes, ...inMemory];
}

function isIgnored(path: string): boolean {
  return IGNORED.some(([pattern]) => pattern.test(path) || pattern.test(`${path}/`));
}

/** One line for each container's folder of the runtime, which may hold many files. */
function collapsed(lines: readonly string[]): string[] {
  const runtime = /^(file \/(?:run|var\/lib)\/containerd(?:\/[^/]+){1,4}).*$/;
  return [...new Set(lines.map((line) => line.replace(runtime, '$1')))];
}

/** Those that are there in two looks: the kubelet of a fresh machine ends at once, again and again, for want of a configuration. */
async function processes(machine: Machine): Promise<string[]> {
  const first = new Set(machine.cgroup.processes());
  await pause(1_000);
  return machine.cgroup
    .processes()
    .filter((pid) => first.has(pid))
    .map((pid) => commandOf(pid))
    .filter((command) => command !== '' && !command.startsWith('systemd-nspawn'))
    .filter((command) => !PASSING.some((pattern) => pattern.test(command)))
    .map((command) => `process ${command}`);
}

function commandOf(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

function mounts(machine: Machine): string[] {
  const lines = textOf(`/proc/${machine.leader()}/mounts`).trim().split('\n');
  return lines.map((line) => `mount ${line.split(' ')[1]}`);
}

/** Ports, interfaces, addresses, routes, and packet filters of both kinds. */
async function network(machine: Machine): Promise<string[]> {
  const ask = async (...command: string[]) => (await machine.exec(command)).stdout;
  const lines = async (...command: string[]) => (await ask(...command)).trim().split('\n').filter(Boolean);
  const [ports, links, addresses, routes, rules] = [
    await lines('ss', '-Htulpn'),
    JSON.parse(await ask('ip', '-json', 'link')) as { ifname: string }[],
    await lines('ip', '-oneline', 'address'),
    await lines('ip', '-4', 'route', 'show', 'table', 'all'),
    await lines('ip', 'rule'),
  ];
  const legacy = (await lines('iptables-legacy-save')).filter((line) => /^-A|^:.* - /.test(line));
  return [
    ...ports.map((line) => `port ${portOf(line)}`),
    ...links.map(({ ifname }) => `link ${ifname}`),
    ...addresses.filter((line) => / inet /.test(line)).map((line) => `address ${addressLine(line)}`),
    ...routes.map((line) => `route ${line.trim()}`),
    ...rules.map((line) => `policy ${line}`),
    ...legacy.map((line) => `rule ${line}`),
    ...filterRules(await ask('nft', '--json', 'list', 'ruleset')).map((line) => `rule ${line}`),
    ...virtualServers(machine).map((line) => `rule ipvs ${line}`),
  ];
}

/** `tcp 0.0.0.0:22 sshd`; the runtime listens for streams where the kernel lets it. */
function portOf(line: string): string {
  const [protocol, , , , local = '', , users = ''] = line.split(/\s+/);
  const program = /"([^"]+)"/.exec(users)?.[1] ?? '';
  return program === 'containerd' && local.startsWith('127.0.0.1:')
    ? 'of the runtime'
    : `${protocol} ${local} ${program}`;
}

function addressLine(line: string): string {
  const [, device, family, address] = line.split(/\s+/);
  return `${family} ${address} ${device}`;
}

interface FilterItem {
  readonly chain?: { table: string; name: string; hook?: string; policy?: string };
  readonly rule?: { table: string; chain: string; handle: number };
  readonly set?: { table: string; name: string };
  readonly map?: { table: string; name: string };
}

/** A chain that takes every packet as it comes, and a table of such chains, do nothing. */
function filterRules(json: string): string[] {
  const items = (JSON.parse(json || '{"nftables":[]}') as { nftables: FilterItem[] }).nftables;
  return items.flatMap(({ chain, rule, set, map }) => {
    if (rule !== undefined) return [`nft ${rule.table} ${rule.chain} ${JSON.stringify(rule)}`.slice(0, 300)];
    const idle = chain?.hook !== undefined && (chain.policy ?? 'accept') === 'accept';
    const named = idle ? (set ?? map) : (chain ?? set ?? map);
    return named === undefined ? [] : [`nft ${named.table} ${named.name}`];
  });
}

function virtualServers(machine: Machine): string[] {
  return textOf(`/proc/${machine.leader()}/net/ip_vs`)
    .split('\n')
    .filter((line) => /^(TCP|UDP|SCTP|FWM)/.test(line));
}

function packagesOf(machine: Machine): Set<string> {
  const status = textOf(join(machine.rootDir, 'var/lib/dpkg/status')).split('\n\n');
  const installed = status.filter((stanza) => /^Status: .* installed$/m.test(stanza));
  return new Set(installed.map((stanza) => /^Package: (.*)$/m.exec(stanza)?.[1] ?? ''));
}

function filesOfPackage(machine: Machine, name: string): string[] {
  const info = join(machine.rootDir, 'var/lib/dpkg/info');
  const lists = [`${name}.list`, `${name}:amd64.list`, `${name}:arm64.list`, `${name}.conffiles`];
  const listed = lists.flatMap((list) => textOf(join(info, list)).split('\n'));
  // Packages still name folders that are links to those of /usr.
  return listed.flatMap((path) => [path, path.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/')]);
}

/** Empty when it is not there, or no more. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
