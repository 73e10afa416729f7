// SPDX-License-Identifier: Apache-2.0
// The command line: which command, and how it ends. 0: done; 1: the input cannot be rendered; 2: wrong usage.
import { InputError } from '../kubeadm/input-error.ts';
import { UsageError } from './manifests.ts';
import { RENDER_HELP, renderCommand } from './render.ts';

const HELP = `ts-provider render    print the bootstrap data that a machine would get

${RENDER_HELP}`;

function run(args: readonly string[]): number {
  const [command, ...rest] = args;
  if (command === undefined || command === '--help' || command === '-h' || command === 'help') {
    process.stdout.write(HELP);
    return command === undefined ? 2 : 0;
  }
  if (command !== 'render') throw new UsageError(`there is no command "${command}"; there is: render`);
  const { data, notes } = renderCommand(rest);
  process.stdout.write(data.endsWith('\n') ? data : `${data}\n`);
  for (const line of notes) process.stderr.write(`${line}\n`);
  return 0;
}

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`ts-provider: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof InputError ? 1 : 2;
}
