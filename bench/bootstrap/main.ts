// SPDX-License-Identifier: Apache-2.0
// The stock bootstrap provider and ours side by side, in one run: `npm run bench:bootstrap -- --help`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../../hack/stack/process.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { machineLine } from '../report.ts';
import { holdsLine, isBroken, verdictsOf } from './holds.ts';
import { type Measurement, measure } from './measurement.ts';
import { newClusters, type Plan, workers } from './objects.ts';
import { type BootstrapOptions, HELP, parseOptions } from './options.ts';
import { comparison } from './tables.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Scenario {
  readonly title: string;
  readonly idleSeconds: number;
  plan(namespace: string): Plan;
}

function scenarios({ sizes, clusters, idleSeconds }: BootstrapOptions): Scenario[] {
  const bursts = sizes.map((size, index) => ({
    title: `${size} workers`,
    idleSeconds: index === sizes.length - 1 ? idleSeconds : 0,
    plan: (namespace: string) => workers(namespace, size),
  }));
  const wave = {
    title: `${clusters} new clusters`,
    idleSeconds: 0,
    plan: (namespace: string) => newClusters(namespace, clusters),
  };
  return clusters > 0 ? [...bursts, wave] : bursts;
}

async function bench(options: BootstrapOptions & { readonly manager: string }): Promise<void> {
  if (options.profileDir !== undefined) mkdirSync(options.profileDir, { recursive: true });
  process.stdout.write(`Measured on ${machineLine()}.\n\n`);
  const all: Measurement[] = [];
  for (const { title, ...burst } of scenarios(options)) {
    const found: Measurement[] = [];
    for (const candidate of options.candidates) {
      process.stderr.write(`bench-bootstrap: ${title}, ${candidate}\n`);
      found.push(await measure({ ...burst, candidate }, options));
    }
    process.stdout.write(`${comparison(found)}\n`);
    all.push(...found);
  }
  const verdicts = verdictsOf(all);
  process.stdout.write(`${holdsLine(verdicts)}\n`);
  if (isBroken(verdicts)) process.exitCode = 1;
}

/** With our program made first, where none was given. */
async function withManager(options: BootstrapOptions): Promise<void> {
  if (options.manager !== undefined) return bench({ ...options, manager: options.manager });
  const folder = temporaryDirectory('bench-bootstrap');
  try {
    const manager = join(folder.path, 'manager.mjs');
    await runProgram(process.execPath, [join(ROOT, 'hack/bundle.ts'), '--out', manager]);
    await bench({ ...options, manager });
  } finally {
    folder.remove();
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await withManager(options);
} catch (error) {
  process.stderr.write(`bench-bootstrap: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
