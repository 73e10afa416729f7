// SPDX-License-Identifier: Apache-2.0
// What is on a host's disk, line by line: two looks are equal when nothing was written in between.
import type { TestHost } from '../../hack/hosts/world.ts';

/** Changes by itself on any running machine. */
const PASSING = ['/var/log', '/var/lib/systemd', '/var/tmp', '/var/cache'];

/**
 * A line for each file, folder and link: name, mode, owner, target, SHA-256 and, unless `withDates` is false, the time of its last change. Without
 * volumes, what is in memory, logs, and jobs of ours, which tell that somebody was there.
 */
const LOOK = String.raw`
dates=$1; shift
skip() { for path; do printf ' -path %s -o' "$path"; done; }
# shellcheck disable=SC2046
find / -xdev \( $(skip "$@") -path /var/lib/ts-provider/jobs \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
find / -xdev \( $(skip "$@") -path /var/lib/ts-provider/jobs \) -prune -o ! -type d -printf "%p %M %u %g %l $dates\n" | sort
find / -xdev \( $(skip "$@") -path /var/lib/ts-provider/jobs \) -prune -o -type d -printf '%p %M %u %g\n' | sort`;

/** Sorted lines; takes some seconds. */
export async function filesOf(host: TestHost, { withDates = true } = {}): Promise<string[]> {
  const args = [withDates ? '%T@' : '-', ...PASSING];
  const { code, stdout, stderr } = await host.exec(['sh', '-c', LOOK, 'sh', ...args], { timeoutMs: 180_000 });
  if (code !== 0) throw new Error(`${host.name}: ${stderr}`);
  return stdout.trim().split('\n');
}

/** Lines that only one of the looks has, with `-` or `+` in front. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ].sort();
}
