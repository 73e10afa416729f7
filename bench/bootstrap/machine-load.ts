// SPDX-License-Identifier: Apache-2.0
// How busy the whole machine is (Linux): wall time says little when something else has the processors.
import { readFileSync } from 'node:fs';

/** CPU seconds of the machine since it was started. */
export interface MachineTime {
  /** Of all processes. */
  readonly busy: number;
  /** Busy, idle and waiting: processors times seconds. */
  readonly total: number;
}

/** Fixed for user space on Linux, whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** Up to now. */
export function machineTime(): MachineTime {
  return parseMachineTime(readFileSync('/proc/stat', 'utf8'));
}

/** From the text of /proc/stat. */
export function parseMachineTime(stat: string): MachineTime {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number);
  // user nice system idle iowait irq softirq steal; guests come after and are counted in user already.
  const counted = ticks.slice(0, 8).reduce((sum, one) => sum + one, 0);
  const waiting = (ticks[3] ?? NaN) + (ticks[4] ?? NaN);
  return { busy: (counted - waiting) / TICKS_PER_SECOND, total: counted / TICKS_PER_SECOND };
}

/** The share of the processors, 0 to 1, that went to others than those who used `knownSeconds`. */
export function shareOfOthers(before: MachineTime, after: MachineTime, knownSeconds: number): number {
  const total = after.total - before.total;
  return total === 0 ? 0 : Math.max(0, after.busy - before.busy - knownSeconds) / total;
}
