// SPDX-License-Identifier: Apache-2.0
// What a process uses, as the kernel tells it (Linux).
import { readFileSync } from 'node:fs';

/** Memory in MiB, CPU in seconds since the start of the process. */
export interface Usage {
  readonly rssMiB: number;
  /** The most that it ever had. */
  readonly peakMiB: number;
  readonly cpuSeconds: number;
}

/** Fixed for user space on Linux, whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** Throws when the process does not exist any more. */
export function usageOf(pid: number): Usage {
  return parseUsage(readFileSync(`/proc/${pid}/status`, 'utf8'), readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** From the text of /proc/PID/status and /proc/PID/stat. */
export function parseUsage(status: string, stat: string): Usage {
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN);
  // The name of the program is in parentheses and may hold anything; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return {
    rssMiB: kib('VmRSS') / 1024,
    peakMiB: kib('VmHWM') / 1024,
    cpuSeconds: ticks / TICKS_PER_SECOND,
  };
}
