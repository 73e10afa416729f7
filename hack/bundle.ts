// SPDX-License-Identifier: Apache-2.0
// Bundles the manager and everything it needs into one file: [--entry main.ts] [--out dist/manager.mjs] [--version 0.1.0].
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import manifest from '../package.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '..');

/** Dependencies that are CommonJS call these; an ES module does not have them by itself. */
const BANNER = [
  "import { createRequire as bundleRequire } from 'node:module';",
  "import { dirname as bundleDirname } from 'node:path';",
  "import { fileURLToPath as bundlePath } from 'node:url';",
  'const require = bundleRequire(import.meta.url);',
  'const __filename = bundlePath(import.meta.url);',
  'const __dirname = bundleDirname(__filename);',
].join('\n');

const { values } = parseArgs({
  options: {
    entry: { type: 'string', default: 'main.ts' },
    out: { type: 'string', default: 'dist/manager.mjs' },
    version: { type: 'string', default: manifest.version },
  },
});

await build({
  absWorkingDir: ROOT,
  entryPoints: [values.entry],
  outfile: values.out,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // AWS' packages name both builds so. Their CommonJS one would be copied, export by export, for each of our files that imports it.
  mainFields: ['module', 'main'],
  // Names show in logs, metrics and error classes; stack traces point into the sources.
  keepNames: true,
  sourcemap: 'linked',
  // There is no package.json beside the bundle to read it from.
  define: { 'process.env.TS_PROVIDER_VERSION': JSON.stringify(values.version) },
  banner: { js: BANNER },
  // Compiled add-ons of dependencies stay out: ssh2 does without them, and the bundle runs on every architecture.
  external: ['*.node'],
  legalComments: 'eof',
  logLevel: 'warning',
});

const bytes = statSync(resolve(ROOT, values.out)).size;
console.log(`${values.out} ${(bytes / 1_000_000).toFixed(1)} MB`);
