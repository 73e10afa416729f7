// SPDX-License-Identifier: Apache-2.0
// The command line: which command, and how it ends. 0: done; 1: the input cannot be rendered; 2: wrong usage.
import { InputError } from '../kubeadm/input-error.ts';
import { IMPORT_HELP, importCommand } from './hosts/import.ts';
import { terminal } from './hosts/terminal.ts';
import { UsageError } from './manifests.ts';
import { RENDER_HELP, renderCommand } from './render.ts';

const HELP = `ts-provider render         print the bootstrap data that a machine would get
ts-provider hosts import   make TSHosts and their Secrets from a list of hosts

${RENDER_HELP}
${IMPORT_HELP}`;

async function run(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case undefined:
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(HELP);
      return command === undefined ? 2 : 0;
    case 'render':
      return render(rest);
    case 'hosts':
      return hosts(rest);
    default:
      throw new UsageError(`there is no command "${command}"; there are: render, hosts import`);
  }
}

function render(args: readonly string[]): number {
  const { data, notes } = renderCommand(args);
  process.stdout.write(data.endsWith('\n') ? data : `${data}\n`);
  for (const line of notes) process.stderr.write(`${line}\n`);
  return 0;
}

async function hosts([command = '', ...rest]: readonly string[]): Promise<number> {
  if (command !== 'import')
    throw new UsageError(`there is no command "hosts ${command}"; there is: hosts import`);
  process.stdout.write(await importCommand(rest, terminal));
  return 0;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`ts-provider: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof InputError ? 1 : 2;
}
