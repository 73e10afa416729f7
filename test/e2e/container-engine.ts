// SPDX-License-Identifier: Apache-2.0
// A container engine of our own, as long as a test needs one: Debian's dockerd in namespaces that end with it.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, globSync, mkdirSync, rmdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Server, startServer, waitUntil } from '../../hack/stack/process.ts';

export interface ContainerEngine {
  /** Value for DOCKER_HOST. */
  readonly dockerHost: string;
  /** Ends the engine with every container in it. */
  stop(): Promise<void>;
}

/** Programs that the engine is made of; Debian has them in docker.io, which brings containerd and runc, and util-linux. */
const PROGRAMS = ['dockerd', 'containerd', 'runc', 'unshare'];

/** Why no engine can run here, in one line; `undefined` when one probably can. */
export function whyNoEngine(): string | undefined {
  if (process.platform !== 'linux') return `containers need Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'dockerd needs root';
  const missing = PROGRAMS.filter((name) => !isOnPath(name));
  if (missing.length > 0) return `not on PATH: ${missing.join(', ')} (Debian: docker.io, util-linux)`;
  const tried = spawnSync('unshare', [...NAMESPACES, 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? undefined : `no namespaces for us: ${tried.stderr.trim()}`;
}

/**
 * Mounts and processes are the engine's own: when the first process is killed, the system ends all others and forgets the mounts,
 * so that nothing is left even of a crash.
 */
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation=private'];

/**
 * Nothing of the machine's network is touched: no bridge, no firewall rules, no forwarding. Containers use the network of the
 * machine (`--network=host`) and so reach the API server on loopback. /run hides the engine that the machine may have already.
 */
const START = `mount -t tmpfs tmpfs /run && exec dockerd --host=unix://$1/docker.sock --data-root=$1/data --exec-root=$1/exec \
--pidfile=$1/pid --storage-driver=overlay2 --bridge=none --iptables=false --ip-forward=false --ip-masq=false --userland-proxy=false \
--cgroup-parent=/$2`;

/** Started under `dir`; answers when the promise settles. Throws, with the engine's last words, when it cannot run here. */
export async function startEngine(dir: string): Promise<ContainerEngine> {
  const home = join(dir, 'engine');
  mkdirSync(home, { recursive: true });
  const cgroup = `ts-provider-${process.pid}`;
  const server = startServer({
    name: 'dockerd',
    binary: 'unshare',
    args: [...NAMESPACES, 'sh', '-c', START, 'engine', home, cgroup],
    logFile: join(dir, 'dockerd.log'),
  });
  try {
    const answers = () => Promise.resolve(isListening(join(home, 'docker.sock'), server));
    await waitUntil(answers, { what: 'dockerd to listen', timeoutMs: 20_000, server });
  } catch (error) {
    await server.kill();
    throw error;
  }
  return {
    dockerHost: `unix://${home}/docker.sock`,
    async stop() {
      // unshare passes no signals on; what the engine would tidy up goes away with its folder and its namespaces.
      await server.kill();
      removeCgroups(cgroup);
    },
  };
}

/** The only thing of the engine that outlives its namespaces: empty folders, in each hierarchy of version 1 or the one of version 2. */
function removeCgroups(name: string): void {
  const folders = globSync(`/sys/fs/cgroup/{,*/}${name}{/*,}`);
  // Those of containers, which are longer, before the one that holds them.
  for (const folder of folders.toSorted((a, b) => b.length - a.length)) {
    try {
      rmdirSync(folder);
    } catch {
      // A file of the hierarchy, or the system is still at it: an empty cgroup costs nothing.
    }
  }
}

function isListening(socket: string, server: Server): boolean {
  return server.tail(50).includes('API listen on') && exists(socket, constants.F_OK);
}

function isOnPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => exists(join(folder, program), constants.X_OK));
}

function exists(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
