// SPDX-License-Identifier: Apache-2.0
// One builder at a time: two runs that start together would do minutes of work twice.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pause } from './process.ts';

/** Runs `work` while holding the lock file; waits while another living process holds it, and tells `waiting` once. */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  waiting: (pid: number) => void,
): Promise<T> {
  let told = false;
  while (!take(file)) {
    const holder = holderOf(file);
    if (holder === undefined) continue;
    if (!told) waiting(holder);
    told = true;
    await pause(100);
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The living process that holds the lock. A lock of a dead one is removed. */
function holderOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid > 0 && isAlive(pid)) return pid;
    rmSync(file, { force: true });
  } catch {
    // Released in between: the next attempt takes it.
  }
  return undefined;
}

/** A process of that number exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
