// SPDX-License-Identifier: Apache-2.0
// The program: which provider's manager it is, and how it ends. Wiring is in wiring/.
import { readFileSync } from 'node:fs';
import { errorMessage } from './runtime/errors.ts';
import type { Manager } from './runtime/manager.ts';
import { bootstrapManager } from './wiring/bootstrap.ts';
import { type Flags, HELP, parseFlags, type ProviderName } from './wiring/flags.ts';
import { infrastructureManager } from './wiring/infrastructure.ts';

const MANAGERS: Readonly<Record<ProviderName, (flags: Flags) => Manager>> = {
  infrastructure: infrastructureManager,
  bootstrap: bootstrapManager,
};

function version(): string {
  // The bundle carries its version; a checkout reads it.
  if (process.env['TS_PROVIDER_VERSION'] !== undefined) return process.env['TS_PROVIDER_VERSION'];
  return (JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { version: string })
    .version;
}

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.help) return void process.stdout.write(HELP);
  if (flags.version) return void process.stdout.write(`${version()}\n`);
  const manager = MANAGERS[flags.provider](flags);
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(1);
      asked = true;
      manager.stop();
    });
  }
  await manager.run();
}

// All is stopped: a connection that somebody does not close must not keep the process.
main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`ts-provider: ${errorMessage(error)}\n`);
    process.exit(1);
  },
);
