// SPDX-License-Identifier: Apache-2.0
// A folder that goes away with the process that made it, also when that process is killed.
import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory {
  readonly path: string;
  /** Removes it with all that is in it. Twice is harmless. */
  remove(): void;
}

/**
 * Waits for the end of its standard input, which is the end of its parent, then removes the folder. Servers of the same parent
 * write their last lines at that moment, so it tries again until nothing comes back.
 */
const JANITOR = `trap '' TERM INT HUP; cat >/dev/null
n=0; while [ $n -lt 40 ]; do rm -rf -- "$1"; sleep 0.5; [ -e "$1" ] || n=$((n+10)); n=$((n+1)); done`;

/** Makes a folder named `ts-provider-<purpose>-XXXXXX` under the system's folder for temporary files. */
export function temporaryDirectory(purpose: string): TemporaryDirectory {
  const path = mkdtempSync(join(realpathSync(tmpdir()), `ts-provider-${purpose}-`));
  const janitor = spawn('/bin/sh', ['-c', JANITOR, 'janitor', path], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  janitor.unref();
  // An open pipe keeps Node alive unless it is told not to.
  if (janitor.stdin instanceof Socket) janitor.stdin.unref();
  return {
    path,
    remove() {
      rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      janitor.stdin.end();
    },
  };
}
