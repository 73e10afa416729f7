// SPDX-License-Identifier: Apache-2.0
// Runs a command where hosts can be started: `node hack/hosts/enter.ts COMMAND...`. With no command it only makes what they need.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnIsolated } from './isolation.ts';
import { hostsCache, prepareHosts } from './prepare.ts';
import { whyNoHosts } from './requirements.ts';
import { stack } from '../stack/build.ts';

/** Environment variable with the folder of the running world, set for the command. */
export const WORLD_DIR = 'TS_PROVIDER_HOSTS_DIR';

/**
 * Waits for the end of its standard input, which is our end, then removes what namespaces do not: cgroups and files. A frozen process
 * cannot be killed, so it thaws first. $1 folder, $2 name of the cgroups.
 */
const JANITOR = `trap '' TERM INT HUP; cat >/dev/null
left() { [ -e "$1" ] || [ -n "$(find /sys/fs/cgroup -type d -path "*/$2" 2>/dev/null)" ]; }
n=0; while left "$1" "$2" && [ $n -lt 150 ]; do
  find /sys/fs/cgroup -path "*/$2/*" -name freezer.state 2>/dev/null | while read -r state; do echo THAWED >"$state"; done
  find /sys/fs/cgroup -depth -type d \\( -path "*/$2/*" -o -path "*/$2" \\) -exec rmdir {} \\;
  rm -rf -- "$1"; sleep 0.2; n=$((n+1))
done 2>/dev/null`;

/** Exit code of the command. */
async function enter(command: readonly string[]): Promise<number> {
  const say = (line: string) => void process.stderr.write(`hosts: ${line}\n`);
  await stack(say);
  await prepareHosts(say);
  if (command.length === 0) return 0;
  mkdirSync(hostsCache(), { recursive: true });
  const watches = allowWatches();
  const dir = mkdtempSync(join(hostsCache(), 'ts-provider-hosts-'));
  const name = dir.slice(hostsCache().length + 1);
  const options = { detached: true, stdio: ['pipe', 'ignore', 'ignore'] as ['pipe', 'ignore', 'ignore'] };
  const janitor = spawn('/bin/sh', ['-c', JANITOR, 'janitor', dir, name], options);
  const child = spawnIsolated(command, { ...process.env, [WORLD_DIR]: dir });
  // A terminal tells the whole group: the command ends first. Nobody else tells it, and then all of it ends at once.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => resolve(status ?? 1));
  });
  const swept = new Promise<void>((resolve) => void janitor.once('exit', () => resolve()));
  janitor.stdin.end();
  await swept;
  watches.restore();
  return code;
}

const INOTIFY_LIMIT = '/proc/sys/fs/inotify/max_user_instances';

/** Every service manager, container runtime and kubelet watches files: a dozen of each are more than one user may have by default. */
function allowWatches(): { restore(): void } {
  const before = readFileSync(INOTIFY_LIMIT, 'utf8').trim();
  if (Number(before) >= LEAST_INOTIFY) return { restore: () => undefined };
  writeFileSync(INOTIFY_LIMIT, String(LEAST_INOTIFY));
  return { restore: () => writeFileSync(INOTIFY_LIMIT, before) };
}

const LEAST_INOTIFY = 1024;

if (import.meta.main) {
  const why = whyNoHosts();
  try {
    if (why !== undefined) throw new Error(why);
    process.exitCode = await enter(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`hosts: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
