#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the command line on a Node.js that runs TypeScript: this one, else the one of the npm package `node`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const runsTypeScript = major > 22 || (major === 22 && minor >= 19);
const packaged = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (!runsTypeScript && !existsSync(packaged)) {
  process.stderr.write(
    `ts-provider: Node.js ${process.versions.node} is too old; use 22.19 or newer, or run "npm ci" first\n`,
  );
  process.exit(1);
}
const main = fileURLToPath(new URL('main.ts', import.meta.url));
const { status, error } = spawnSync(
  runsTypeScript ? process.execPath : packaged,
  ['--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
if (error !== undefined) process.stderr.write(`ts-provider: ${error.message}\n`);
process.exit(status ?? 1);
