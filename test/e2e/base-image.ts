// SPDX-License-Identifier: Apache-2.0
// A base image without a registry: the Node.js that runs the tests and the shared libraries that it needs, nothing else.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { runProgram } from '../../hack/stack/process.ts';

/** The root file system as a tar stream, for the engine to import. `dir` holds it meanwhile. */
export async function baseImageTar(dir: string): Promise<Readable> {
  const root = join(dir, 'base');
  copy(process.execPath, join(root, 'usr/bin/node'));
  for (const library of await librariesOf(process.execPath)) copy(library, join(root, library));
  return spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

/** Absolute paths, the loader included, as the loader itself finds them. */
async function librariesOf(binary: string): Promise<string[]> {
  const lines = (await runProgram('ldd', [binary])).split('\n');
  return lines.map((line) => /(\/\S+) \(0x/.exec(line)?.[1]).filter((path) => path !== undefined);
}

/** Follows links, as libraries are, and keeps the mode. */
function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}
