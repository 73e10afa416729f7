// SPDX-License-Identifier: Apache-2.0
// What the stack asks of the Go toolchain: is it there, build this, where is that module.
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from './process.ts';
import type { Binary } from './versions.ts';

/** Static, or every package would be built twice. */
const ENVIRONMENT = { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' };

const WAY_OUT =
  'Install Go 1.26 or newer (https://go.dev/doc/install) and run this again; it is only needed to build the servers that tests and the demo run.';

/** Throws one sentence with the way out when Go is missing or too old. */
export async function requireGo(folder: string): Promise<void> {
  try {
    // In the folder of a go.mod, so that it also answers whether this Go can build that module.
    await runProgram('go', ['list', '-m'], { cwd: join(folder, 'kubernetes'), env: ENVIRONMENT });
  } catch (error) {
    const missing = String((error as Error).cause).includes('ENOENT');
    const said = (error as Error).message.split('\n').at(-1) ?? '';
    throw new Error(
      missing ? `Go is not installed. ${WAY_OUT}` : `Go cannot build the stack: ${said}. ${WAY_OUT}`,
      {
        cause: error,
      },
    );
  }
}

/** Writes `<outDir>/<name>` in one move: a file of that name is always whole. */
export async function goBuild(binary: Binary<string>, folder: string, outDir: string): Promise<void> {
  const stamps = Object.entries(binary.stamps).map(([name, value]) => `-X ${name}=${value}`);
  const partial = join(outDir, `.${binary.name}.${process.pid}`);
  const flags = ['-trimpath', '-ldflags', ['-s', '-w', ...stamps].join(' '), '-o', partial];
  try {
    await runProgram('go', ['build', ...flags, binary.package], {
      cwd: join(folder, binary.module),
      env: ENVIRONMENT,
    });
    renameSync(partial, join(outDir, binary.name));
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Folder with the source of `module` in the version that `<folder>/<pin>/go.mod` names; fetched when it is not there yet. */
export async function moduleDir(module: string, pin: string, folder: string): Promise<string> {
  const options = { cwd: join(folder, pin), env: ENVIRONMENT };
  await runProgram('go', ['mod', 'download', module], options);
  const answer = await runProgram('go', ['list', '-m', '-json', module], options);
  const { Dir } = JSON.parse(answer) as { Dir?: string };
  if (Dir === undefined) throw new Error(`go list does not know where ${module} is`);
  return Dir;
}
