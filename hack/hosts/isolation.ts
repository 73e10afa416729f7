// SPDX-License-Identifier: Apache-2.0
// Namespaces of our own: what is mounted, started or wired inside ends with them, however they end.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { runProgram } from '../stack/process.ts';

/** Mounts and processes; `--kill-child` ends all of them with the first. */
const PRIVATE = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Runs a shell script to its end with mounts and processes of its own, and the network of the computer. */
export async function runIsolated(script: string, args: readonly string[]): Promise<void> {
  try {
    await runProgram('unshare', [...PRIVATE, '--', '/bin/sh', '-ec', script, 'sh', ...args]);
  } catch (error) {
    // Package managers say much before they say why.
    const lines = (error as Error).message.trimEnd().split('\n');
    throw new Error(lines.slice(-8).join('\n'), { cause: error });
  }
}

/**
 * First in the new namespaces: /run of their own, because `ip netns` and systemd-nspawn keep files there, and loopback. The shell
 * stays, as the one who collects orphans.
 */
const FIRST = `mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns /run/lock
ip link set lo up
"$@"
exit $?`;

/** Starts a command with network, mounts and processes of its own. They end when it ends, and when we do. */
export function spawnIsolated(command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  // setpriv: the kernel ends unshare when we die, and unshare everything that is inside.
  const args = ['--pdeathsig', 'KILL', 'unshare', '--net', ...PRIVATE, '--', '/bin/sh', '-c', FIRST, 'sh'];
  return spawn('setpriv', [...args, ...command], { stdio: 'inherit', env });
}
