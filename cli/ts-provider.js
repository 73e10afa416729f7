#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the command line on a Node.js that runs TypeScript: this one, else the one of the npm package `node`.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const runsTypeScript = major > 22 || (major === 22 && minor >= 19);
const packaged = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
const main = new URL('main.ts', import.meta.url);

if (runsTypeScript) {
  // In this process: whoever ends it, in whatever way, ends a server of ours.
  withoutExperimentalWarnings();
  await import(main.href);
} else if (existsSync(packaged)) {
  runIn(packaged);
} else {
  process.stderr.write(
    `ts-provider: Node.js ${process.versions.node} is too old; use 22.19 or newer, or run "npm ci" first\n`,
  );
  process.exitCode = 1;
}

function withoutExperimentalWarnings() {
  const printers = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const print of printers) print(warning);
  });
}

function runIn(node) {
  const args = ['--disable-warning=ExperimentalWarning', fileURLToPath(main), ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // A terminal sends this one to both.
  process.on('SIGINT', () => undefined);
  child.once('error', (error) => {
    process.stderr.write(`ts-provider: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
