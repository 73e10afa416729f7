// SPDX-License-Identifier: Apache-2.0
// Measures the manager against real API servers and prints tables: `npm run bench -- --help`.
import { mkdirSync } from 'node:fs';
import { converged } from './converged.ts';
import { create } from './create.ts';
import { type BenchOptions, HELP, parseOptions } from './options.ts';
import { brokenPromises, machineLine, markdown, type Report } from './report.ts';

const SUITES = { converged, create };

async function bench(options: BenchOptions): Promise<void> {
  if (options.profileDir !== undefined) mkdirSync(options.profileDir, { recursive: true });
  process.stdout.write(`Measured on ${machineLine()}.\n\n`);
  const reports: Report[] = [];
  for (const suite of options.suites) {
    const report = await SUITES[suite](options, (line) => process.stderr.write(`${suite}: ${line}\n`));
    process.stdout.write(`${markdown(report)}\n`);
    reports.push(report);
  }
  const broken = brokenPromises(reports);
  for (const line of broken) process.stderr.write(`broken promise: ${line}\n`);
  if (broken.length > 0) process.exitCode = 1;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await bench(options);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
