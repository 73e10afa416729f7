// SPDX-License-Identifier: Apache-2.0
// Six machines with an SSH key, two of them behind a bastion. Runs inside what enter.ts makes.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bareRoot } from './bare-root.ts';
import { removeWorldCgroups } from './cgroup.ts';
import { WORLD_DIR } from './enter.ts';
import { createSshKey, type Login, type SshKey, writeIdentity } from './identity.ts';
import {
  createMachine,
  type ExecOptions,
  type ExecResult,
  type Machine,
  type MachineOptions,
} from './machine.ts';
import { addressOf, createBridge, hideFromWorld, type Plug, removeBridge, showToWorld } from './network.ts';
import { type HostParts, hostsCache, prepareHosts } from './prepare.ts';
import { JUMP, OPERATOR } from './rootfs.ts';
import { compareSnapshots, takeSnapshot } from './traces.ts';

export interface TestHost {
  /** `host-1`, which is also the name that it calls itself. */
  readonly name: string;
  readonly address: string;
  readonly sshPort: number;
  /** `ssh-ed25519 AAAA...` */
  readonly hostKey: string;
  /** Only other hosts reach it directly. */
  readonly behindBastion: boolean;
  /** Runs a command on the machine without SSH, with all rights. Throws when the machine is off. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Pulls its network cable; with `ssh`, only its SSH server is not heard any more. Connections hang. */
  cutLink(options?: { what: 'all' | 'ssh' }): Promise<void>;
  mendLink(): Promise<void>;
  /** Stops every process where it stands: connections are taken, and nobody answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Power cut: the disk is kept. */
  crash(): Promise<void>;
  /** Starts it; does nothing when it runs. */
  boot(): Promise<void>;
  /** What is on it that was not there when it was fresh, a line for each: empty for a clean host. */
  traces(): Promise<string[]>;
}

export interface Bastion {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
  readonly privateKey: string;
  cutLink(): Promise<void>;
  mendLink(): Promise<void>;
}

export interface HostWorld {
  readonly hosts: readonly TestHost[];
  readonly bastion: Bastion;
  /** Of root on every host. */
  readonly privateKey: string;
  /** A user of every host who needs a password for sudo. */
  readonly operator: { readonly user: string; readonly privateKey: string; readonly sudoPassword: string };
  /** Ends and removes everything. Twice is harmless. */
  close(): Promise<void>;
}

export interface HostWorldOptions {
  /** How many of the six; default all. */
  readonly count?: number;
  /** Which are behind the bastion; default `host-5` and `host-6`. */
  readonly behindBastion?: readonly string[];
  /** Hosts without containerd, kubelet and kubeadm; default none. */
  readonly plain?: readonly string[];
  /** Hosts with an SSH server and nothing else; default none. */
  readonly bare?: readonly string[];
}

type Kind = 'prepared' | 'plain' | 'bare';

const SSH_PORT = 22;
/** Addresses end in 10 for the bastion, then 11, 12, ... */
const FIRST_NUMBER = 10;

/** Every host has booted and was looked at, so that {@link TestHost.traces} knows what is new. */
export async function startHosts(options: HostWorldOptions = {}): Promise<HostWorld> {
  const dir = worldDir();
  const parts = await prepareHosts(() => undefined);
  const owned: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of owned.splice(0).reverse()) await end();
    removeWorldCgroups(basename(dir));
  };
  try {
    return { ...(await build({ dir, parts, owned, options })), close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Building {
  readonly dir: string;
  readonly parts: HostParts;
  /** Gets what ends each thing that was made, in the order of making. */
  readonly owned: (() => Promise<void>)[];
  readonly options: HostWorldOptions;
}

async function build({ dir, parts, owned, options }: Building): Promise<Omit<HostWorld, 'close'>> {
  const { count = 6, behindBastion = ['host-5', 'host-6'], plain = [], bare = [] } = options;
  const disks = await disksOf(parts, bare.length > 0);
  const keys = { root: createSshKey(), operator: createSshKey(), jump: createSshKey() };
  const sudoPassword = randomBytes(12).toString('base64url');
  const logins: Login[] = [
    { user: 'root', publicKey: keys.root.publicKey },
    { user: OPERATOR, publicKey: keys.operator.publicKey, password: sudoPassword },
  ];
  const add = async (plug: Plug, what: { kind: Kind; logins: readonly Login[] }) => {
    const { kind, logins } = what;
    const made = await addMachine({ dir, tools: parts.debian, plug, logins, disk: disks[kind] });
    owned.push(() => made.machine.destroy());
    return made;
  };
  owned.push(removeBridge);
  await createBridge();
  const jump = [{ user: JUMP, publicKey: keys.jump.publicKey }];
  const bastion = await add({ name: 'bastion', number: FIRST_NUMBER }, { kind: 'plain', logins: jump });
  const made: Made[] = [];
  for (let number = 1; number <= count; number++) {
    const plug = { name: `host-${number}`, number: FIRST_NUMBER + number };
    const kind = bare.includes(plug.name) ? 'bare' : plain.includes(plug.name) ? 'plain' : 'prepared';
    made.push(await add(plug, { kind, logins }));
  }
  await Promise.all([bastion, ...made].map(({ machine }) => machine.boot()));
  for (const { machine } of made.filter(({ machine }) => behindBastion.includes(machine.plug.name))) {
    owned.push(() => showToWorld(machine.plug));
    await hideFromWorld(machine.plug);
  }
  const isHidden = ({ machine }: Made) => ({ behindBastion: behindBastion.includes(machine.plug.name) });
  return {
    hosts: await Promise.all(made.map((one) => testHost(one, isHidden(one)))),
    bastion: bastionOf(bastion, keys.jump),
    privateKey: keys.root.privateKey,
    operator: { user: OPERATOR, privateKey: keys.operator.privateKey, sudoPassword },
  };
}

/** Where the world of this process lives; throws when the process was not started through enter.ts. */
function worldDir(): string {
  const dir = process.env[WORLD_DIR];
  // Names alone could be inherited by a process that has left: only in namespaces of our own is /run a fresh file system.
  const isOurs = /^run \/run tmpfs/m.test(readFileSync('/proc/self/mounts', 'utf8'));
  if (dir === undefined || !existsSync(dir) || !isOurs)
    throw new Error('Hosts need namespaces of their own: run this as `node hack/hosts/enter.ts COMMAND...`');
  return dir;
}

/** What a machine has on its disk before it is anybody's. */
type Disk = Pick<MachineOptions, 'layers' | 'containers'>;

async function disksOf(parts: HostParts, hasBare: boolean): Promise<Readonly<Record<Kind, Disk>>> {
  const { debian, kubernetes, containers } = parts;
  const plain = { layers: [debian], containers: undefined };
  const bare = hasBare ? [(await bareRoot(hostsCache(), () => undefined)).root] : [];
  return {
    plain,
    prepared: { layers: [kubernetes, debian], containers: { copyOf: containers } },
    bare: { layers: bare, containers: {} },
  };
}

interface Made {
  readonly machine: Machine;
  readonly hostKey: SshKey;
}

async function addMachine(options: {
  dir: string;
  tools: string;
  plug: Plug;
  disk: Disk;
  logins: readonly Login[];
}): Promise<Made> {
  const { dir, tools, plug, disk, logins } = options;
  const machine = createMachine({
    plug,
    dir: join(dir, plug.name),
    ...disk,
    tools,
    world: basename(dir),
  });
  const hostKey = createSshKey();
  const identity = { name: plug.name, address: addressOf(plug), hostKey, logins };
  await writeIdentity(machine.upperDir, disk.layers.at(-1)!, identity);
  return { machine, hostKey };
}

async function testHost(
  { machine, hostKey }: Made,
  { behindBastion }: { behindBastion: boolean },
): Promise<TestHost> {
  const fresh = await takeSnapshot(machine);
  return {
    name: machine.plug.name,
    address: addressOf(machine.plug),
    sshPort: SSH_PORT,
    hostKey: hostKey.publicKey,
    behindBastion,
    exec: (command, options) => machine.exec(command, options),
    cutLink: ({ what } = { what: 'all' }) => machine.cut(what),
    mendLink: () => machine.mend(),
    freeze: () => machine.cgroup.freeze(),
    thaw: () => machine.cgroup.thaw(),
    crash: () => machine.crash(),
    boot: () => machine.boot(),
    traces: async () => compareSnapshots(machine, fresh, await takeSnapshot(machine)),
  };
}

function bastionOf({ machine, hostKey }: Made, key: SshKey): Bastion {
  return {
    address: addressOf(machine.plug),
    port: SSH_PORT,
    user: JUMP,
    hostKey: hostKey.publicKey,
    privateKey: key.privateKey,
    cutLink: () => machine.cut('all'),
    mendLink: () => machine.mend(),
  };
}
