// SPDX-License-Identifier: Apache-2.0
// The wires of the world: one bridge, a network namespace and a cable for each host, and a router that knows where pods live.
import { existsSync, writeFileSync } from 'node:fs';
import { runProgram } from '../stack/process.ts';

const BRIDGE = 'hosts0';
const PREFIX = '10.88.55';

/** The world's own address on the bridge, which is the hosts' router. Nobody answers names there, which hosts learn at once. */
export const ROUTER = `${PREFIX}.1`;

/** Pods of host number 11 have addresses of 10.244.11.0/24. */
const POD_PREFIX = '10.244';

/** Where a host is plugged in. */
export interface Plug {
  /** Of the host; its network namespace has the same. */
  readonly name: string;
  /** Last byte of its address: 2 to 254. */
  readonly number: number;
}

/** `10.88.55.11`. */
export function addressOf({ number }: Pick<Plug, 'number'>): string {
  return `${PREFIX}.${number}`;
}

/** Needs a network namespace of our own. */
export async function createBridge(): Promise<void> {
  await ip('link', 'add', BRIDGE, 'type', 'bridge');
  await ip('address', 'add', `${ROUTER}/24`, 'dev', BRIDGE);
  await ip('link', 'set', BRIDGE, 'up');
  setting('ip_forward', '1');
  // Pod traffic leaves by the interface where it came in; telling hosts a shorter way would hide what the router knows.
  for (const name of ['all', BRIDGE]) setting(`conf/${name}/send_redirects`, '0');
}

/** Twice is harmless. */
export async function removeBridge(): Promise<void> {
  await ip('link', 'delete', BRIDGE).catch(() => undefined);
}

/** A new, empty network for a host that starts: rules and interfaces of its last life are gone, as on a real machine. */
export async function plugIn(plug: Plug): Promise<void> {
  await unplug(plug);
  const { name, number } = plug;
  await ip('netns', 'add', name);
  // The same card after each start: its neighbours need not learn anew.
  const card = ['address', `02:00:0a:58:37:${number.toString(16).padStart(2, '0')}`];
  await ip('link', 'add', cable(plug), 'type', 'veth', 'peer', 'name', 'eth0', ...card, 'netns', name);
  await ip('link', 'set', cable(plug), 'master', BRIDGE, 'up');
  const inside = (...args: string[]) => ip('-netns', name, ...args);
  await inside('link', 'set', 'lo', 'up');
  await inside('address', 'add', `${addressOf(plug)}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('route', 'add', 'default', 'via', ROUTER);
  // As a prepared machine has it from its first moment; its own sysctl.d comes later than somebody may ask.
  await runProgram('nsenter', [`--net=${namespaceFile(plug)}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await showPods(plug);
}

/** Twice is harmless. */
export async function unplug(plug: Plug): Promise<void> {
  await ip('link', 'delete', cable(plug)).catch(() => undefined);
  if (existsSync(namespaceFile(plug))) await ip('netns', 'delete', plug.name);
}

/** For systemd-nspawn. */
export function namespaceFile({ name }: Pick<Plug, 'name'>): string {
  return `/run/netns/${name}`;
}

/** Makes the host unreachable from the world itself, though not from other hosts: who wants to it must go through one of these. */
export async function hideFromWorld(plug: Plug): Promise<void> {
  await ip('rule', 'add', 'iif', 'lo', 'to', addressOf(plug), 'prohibit');
}

/** Takes {@link hideFromWorld} back. */
export async function showToWorld(plug: Plug): Promise<void> {
  await ip('rule', 'delete', 'iif', 'lo', 'to', addressOf(plug), 'prohibit').catch(() => undefined);
}

/** Pulls the cable, or loses every packet that its SSH server sends: connections hang, nothing is refused. */
export async function cut(plug: Plug, what: 'all' | 'ssh', debian: string): Promise<void> {
  if (what === 'all') return ip('link', 'set', cable(plug), 'down');
  // To the world itself, and over the bridge to the bastion.
  const chain = (hook: string) =>
    `chain ${hook} { type filter hook ${hook} priority 0; ip saddr ${addressOf(plug)} tcp sport 22 drop; }`;
  await filter(debian, `table ip ${cable(plug)} { ${chain('input')}; ${chain('forward')}; }`);
}

/** Makes good both kinds of {@link cut}. */
export async function mend(plug: Plug, debian: string): Promise<void> {
  await filter(debian, `add table ip ${cable(plug)}\ndelete table ip ${cable(plug)}`);
  await ip('link', 'set', cable(plug), 'up');
  await showPods(plug);
}

/** The nft of the Debian root, on our network: the computer may not have one. */
async function filter(debian: string, ruleset: string): Promise<void> {
  await runProgram('chroot', [debian, 'nft', '--file', '-'], { input: `${ruleset}\n` });
}

/** Without `onlink` the router would refuse a gateway that it may not speak with itself. */
async function showPods(plug: Plug): Promise<void> {
  const gateway = ['via', addressOf(plug), 'dev', BRIDGE, 'onlink'];
  await ip('route', 'replace', `${POD_PREFIX}.${plug.number}.0/24`, ...gateway);
}

function cable({ number }: Plug): string {
  return `cable-${number}`;
}

async function ip(...args: string[]): Promise<void> {
  await runProgram('ip', args);
}

function setting(name: string, value: string): void {
  writeFileSync(`/proc/sys/net/ipv4/${name}`, value);
}
