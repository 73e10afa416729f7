// SPDX-License-Identifier: Apache-2.0
// What of a cluster is on a host, out of the lines of the probe. Pure.
import type { HostOwner, Occupant } from '../../host-driver.ts';
import type { ProbeLines } from './lines.ts';

type Kind = Occupant['kind'];

/** Most occupants that are told; what runs comes first, so it is never cut off by what does not. */
const MOST = 200;

/** Names that the kernel cuts off after fifteen characters. */
const NAMES: Readonly<Record<string, string>> = {
  'kube-controller': 'kube-controller-manager',
  'containerd-shim': 'containerd-shim (k8s.io)',
};

/** Sorted: what runs first, then by kind and name. Empty for a clean host. */
export function parseOccupants(lines: ProbeLines): Occupant[] {
  const found = [
    ...processes(lines),
    ...lines.all('port').map((line) => occupant('port', socket(line), true)),
    ...lines.all('unit').map((name) => occupant('unit', `${name}.service is active`, true)),
    ...lines.all('balancer').map((name) => occupant('unit', `${name} serves what ts-provider gave it`, true)),
    ...lines.all('ipvs').map((line) => occupant('rule', `IPVS ${service(line)}`, false)),
    ...(['container', 'mount', 'file', 'network', 'rule'] as const).flatMap((kind) =>
      lines.all(kind).map((what) => occupant(kind, readable(kind, what), false)),
    ),
    ...lines.all('early').map(early),
    ...unseen(lines),
  ];
  const unique = new Map(found.map((one) => [`${one.kind} ${one.what}`, one]));
  return [...unique.values()].sort(inOrder).slice(0, MOST);
}

/** Who the host says has it; `undefined` when it says nothing that can be read. */
export function parseOwner(lines: ProbeLines): HostOwner | undefined {
  const [, token, generation] = /^([\w-]{1,64}) (\d{1,15})$/.exec(lines.first('owner') ?? '') ?? [];
  return token === undefined ? undefined : { token, generation: Number(generation) };
}

function occupant(kind: Kind, what: string, running: boolean): Occupant {
  return { kind, what: what.slice(0, 300), running };
}

/** Ours, and there before a bootstrap begins. While the host has the address of a cluster it is part of it. */
function early(line: string): Occupant {
  const [kind, ...what] = line.split(' ');
  const known = (['file', 'unit', 'network'] as const).find((one) => one === kind) ?? 'file';
  return { ...occupant(known, what.join(' '), known !== 'file'), early: true };
}

/** A process is found by its name, by its cgroup, or by both: told once. */
function processes(lines: ProbeLines): Occupant[] {
  const byID = new Map(
    lines.all('process').map((line): [string, string] => {
      const [pid = '', ...name] = line.split(' ');
      return [pid, name.join(' ')];
    }),
  );
  return [...byID].map(([pid, name]) => occupant('process', `${NAMES[name] ?? name} (pid ${pid})`, true));
}

/** What nobody could look at is not clean: told as an occupant, with the way out. */
function unseen(lines: ProbeLines): Occupant[] {
  return lines.all('unseen').map((line) => {
    const [kind, ...why] = line.split(' ');
    const known = UNSEEN.find((one) => one.kind === kind) ?? UNSEEN[0];
    return occupant(known.kind, `${known.what} cannot be looked at: ${why.join(' ')}`, false);
  });
}

const UNSEEN: readonly [{ kind: Kind; what: string }, ...{ kind: Kind; what: string }[]] = [
  { kind: 'rule', what: 'rules of netfilter' },
  { kind: 'container', what: 'containers of Kubernetes' },
  { kind: 'file', what: 'the host' },
];

function readable(kind: Kind, what: string): string {
  if (kind === 'container') return `container ${what.slice(0, 13)} of namespace k8s.io`;
  if (kind === 'network') return what.startsWith('cni-') ? `network namespace ${what}` : `link ${what}`;
  // As the kernel writes blanks and the like in /proc/mounts.
  if (kind === 'mount')
    return what.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
  return what;
}

/** `0100007F:192B` is `127.0.0.1:6443`: an address in the byte order of the host, a port in that of the network. */
function socket(line: string): string {
  const [address = '', port = ''] = line.split(':');
  return `${ip(address)}:${Number.parseInt(port, 16)}`;
}

function ip(hex: string): string {
  if (/^0+$/.test(hex)) return '*';
  if (hex.length === 8) return bytesOf(hex).reverse().join('.');
  if (/^0{16}(FFFF0000|0000FFFF)/i.test(hex)) return ip(hex.slice(24));
  return `[${hex.toLowerCase()}]`;
}

/** `TCP 0A600001:01BB`: here both are in the byte order of the network. */
function service(line: string): string {
  const [protocol = '', at = ''] = line.split(' ');
  const [address = '', port = ''] = at.split(':');
  const readableAddress = /^[0-9A-F]{8}$/i.test(address) ? bytesOf(address).join('.') : at;
  return `${protocol.toLowerCase()} ${readableAddress}${port === '' ? '' : `:${Number.parseInt(port, 16)}`}`;
}

function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
}

function inOrder(a: Occupant, b: Occupant): number {
  if (a.running !== b.running) return a.running ? -1 : 1;
  const [left, right] = [`${a.kind} ${a.what}`, `${b.kind} ${b.what}`];
  return left < right ? -1 : Number(left > right);
}
