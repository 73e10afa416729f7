// SPDX-License-Identifier: Apache-2.0
// One computer: a disk of layers, a cable, a cgroup, and a systemd that boots in between. It can crash, hang and reboot.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram, type Server, startServer, waitUntil } from '../stack/process.ts';
import { type Cgroup, createCgroup } from './cgroup.ts';
import { cloneContainerStore } from './container-store.ts';
import { cut, mend, namespaceFile, type Plug, plugIn, unplug } from './network.ts';

export interface MachineOptions {
  readonly plug: Plug;
  /** Folder for its disk and its console. */
  readonly dir: string;
  /** Folders below its disk, the uppermost first; the last is a Debian root. */
  readonly layers: readonly string[];
  /** Folders for containers, and what /var/lib/containerd is a copy of; without `copyOf` it is empty. */
  readonly containers: { readonly copyOf?: string } | undefined;
  /** Root file system whose nft sets the filters of its cable. */
  readonly tools: string;
  /** Name of the world, for cgroups. */
  readonly world: string;
}

export interface ExecOptions {
  /** For standard input. */
  readonly input?: string;
  /** The command is killed after that time; default one minute. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  /** -1 when a signal or the time limit ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine {
  readonly plug: Plug;
  /** Files that differ from the layers; written to before the first boot. */
  readonly upperDir: string;
  /** The root file system as the machine sees it, without what it mounts itself. */
  readonly rootDir: string;
  readonly layers: readonly string[];
  /** Folders that are a file system of their own: path on the machine, folder. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly cgroup: Cgroup;
  /** Number of its first process, as seen from here. Throws when it is off. */
  leader(): number;
  /** Runs a command with what the machine sees, beside its SSH server and its service manager. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts it; every service has been started when the promise settles. */
  boot(): Promise<void>;
  /** Ends it at once, as a power cut does. The disk is kept. */
  crash(): Promise<void>;
  cut(what: 'all' | 'ssh'): Promise<void>;
  mend(): Promise<void>;
  /** Crashes it and removes its disk. */
  destroy(): Promise<void>;
}

/** containerd cannot lay its overlays over ours; the other two are volumes on many real machines as well. */
const VOLUMES = ['containerd', 'kubelet', 'etcd'];

const BOOT_MS = 60_000;
/** Of systemd-nspawn when the machine has asked for a reboot. */
const REBOOT = 133;

/** Made, but not started. */
export function createMachine(options: MachineOptions): Machine {
  const { plug, dir, layers, tools } = options;
  const at = (name: string) => join(dir, name);
  const names = options.containers === undefined ? [] : VOLUMES;
  for (const name of ['upper', 'work', 'root', ...names]) mkdirSync(at(name), { recursive: true });
  const store = options.containers?.copyOf;
  if (store !== undefined) cloneContainerStore(store, at('containerd'));
  const volumes = Object.fromEntries(names.map((name) => [`/var/lib/${name}`, at(name)]));
  const cgroup = createCgroup(options.world, plug.name);
  let server: Server | undefined;

  const leader = () => {
    const first = cgroup.processes().find(isFirst);
    if (first === undefined) throw new Error(`${plug.name} is off`);
    return first;
  };
  const exec: Machine['exec'] = async (command, how) => execIn(leader(), command, how);
  const start = async () => {
    await plugIn(plug);
    if (!isMounted(at('root'))) await mountRoot({ at, layers });
    const started = startServer({
      name: plug.name,
      binary: '/bin/sh',
      args: nspawn({ plug, cgroup, root: at('root'), volumes }),
      env: ENVIRONMENT,
      logFile: at('console.log'),
    });
    server = started;
    // It would not come back by itself; a real one does.
    void started.ended.then(() => {
      if (server === started && started.exitCode() === REBOOT) start().catch(() => undefined);
    });
    await waitUntil(() => isUp(exec), { what: `${plug.name} to boot`, timeoutMs: BOOT_MS, server: started });
  };
  const crash = async () => {
    const running = server;
    server = undefined;
    await cgroup.thaw(); // What is frozen cannot be killed.
    await running?.kill();
    const gone = async () => {
      const rest = cgroup.processes();
      for (const pid of rest) kill(pid);
      return rest.length === 0;
    };
    await waitUntil(gone, { what: `the processes of ${plug.name} to end`, timeoutMs: 10_000, pollMs: 20 });
    await unplug(plug);
  };
  return {
    ...{ plug, upperDir: at('upper'), rootDir: at('root'), layers, volumes, cgroup, leader, exec, crash },
    async boot() {
      if (server?.running() !== true) await start();
    },
    cut: (what) => cut(plug, what, tools),
    mend: () => mend(plug, tools),
    async destroy() {
      await crash();
      if (isMounted(at('root'))) await runProgram('umount', [at('root')]);
      cgroup.remove();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** net.* can be set in the machine, the rest of /proc/sys belongs to all of them. */
const ENVIRONMENT = { SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' };

interface Boot {
  readonly plug: Plug;
  readonly cgroup: Cgroup;
  readonly root: string;
  readonly volumes: Machine['volumes'];
}

/** Arguments of a shell that joins the cgroup and becomes systemd-nspawn. */
function nspawn({ plug, cgroup, root, volumes }: Boot): string[] {
  const script = `for file in ${cgroup.memberFiles.join(' ')}; do echo 0 >"$file" || exit 1; done; exec systemd-nspawn "$@"`;
  return [
    ...['-c', script, 'sh', '--quiet', '--boot', `--directory=${root}`, `--machine=${plug.name}`],
    `--network-namespace-path=${namespaceFile(plug)}`,
    ...Object.entries(volumes).map(([path, folder]) => `--bind=${folder}:${path}`),
    // No service manager of the computer is asked: it may be another one, and it would outlive us.
    ...['--register=no', '--keep-unit', '--link-journal=no', '--console=pipe'],
    // runc asks for much of what a container is not given.
    ...['--capability=all', '--system-call-filter=@known', '--resolv-conf=off', '--timezone=off'],
  ];
}

async function mountRoot(disk: { at: (name: string) => string; layers: readonly string[] }): Promise<void> {
  const { at, layers } = disk;
  const options = `lowerdir=${layers.join(':')},upperdir=${at('upper')},workdir=${at('work')}`;
  await runProgram('mount', ['-t', 'overlay', 'overlay', '-o', options, at('root')]);
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === path);
}

/** `degraded` means that a unit failed, which is the unit's affair. Not with `--wait`: asked early, that can miss the moment. */
async function isUp(exec: Machine['exec']): Promise<boolean> {
  const { stdout } = await exec(['systemctl', 'is-system-running'], { timeoutMs: 10_000 });
  return ['running', 'degraded'].includes(stdout.trim());
}

/** Process 1 of a namespace just below ours: not our own, and not that of a pod. */
function isFirst(pid: number): boolean {
  const status = read(`/proc/${pid}/status`);
  const numbers = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  return numbers.length === 2 && numbers[1] === '1';
}

/** Of a process that may end meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was faster.
  }
}

const NAMESPACES = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];

function execIn(leader: number, command: readonly string[], how: ExecOptions = {}): Promise<ExecResult> {
  const args = ['--target', String(leader), ...NAMESPACES, '--', ...command];
  const options = { timeout: how.timeoutMs ?? 60_000, maxBuffer: 64 << 20, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    const child = execFile('nsenter', args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.on('error', () => undefined); // It may end without reading.
    child.stdin?.end(how.input ?? '');
  });
}
