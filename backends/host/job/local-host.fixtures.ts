// SPDX-License-Identifier: Apache-2.0
// For tests: this computer as a host, with its state in a folder of its own, and a shell to choose.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { systemClock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { RemoteHost, RunResult } from '../ssh/remote-host.ts';

const silent: Ctx['log'] = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A call's context that nobody aborts. */
export function quietContext(): Ctx {
  return { signal: new AbortController().signal, log: silent, clock: systemClock };
}

/** Shells of this computer in which scripts are tried. */
export const SHELLS: readonly (readonly string[])[] = [
  ['/bin/dash'],
  ['/bin/bash', '--posix'],
  ['/bin/busybox', 'sh'],
].filter(([path = '']) => existsSync(path));

export interface LocalHost extends RemoteHost {
  /** Scripts that were run. */
  readonly scripts: string[];
}

/** Runs scripts as the user of the test. */
export function localHost(shell: readonly string[] = ['/bin/sh']): LocalHost {
  const scripts: string[] = [];
  return {
    scripts,
    seenKeys: {},
    run: (_ctx, script) => {
      scripts.push(script);
      return runScript(shell, script);
    },
  };
}

function runScript([program = '/bin/sh', ...args]: readonly string[], script: string): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, '-s'], { cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? undefined, stdout, stderr }));
    child.stdin.on('error', () => {}).end(script);
  });
}

/** Ids of processes whose command line holds `text`. */
export function processesWith(text: string): Promise<number[]> {
  return new Promise((resolve) => {
    execFile('/bin/ps', ['-eo', 'pid=,args=', 'ww'], (_error, stdout) => {
      const lines = stdout.split('\n').filter((line) => line.includes(text));
      resolve(lines.map((line) => Number(line.trim().split(/\s+/)[0])));
    });
  });
}
