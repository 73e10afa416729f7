// SPDX-License-Identifier: Apache-2.0
// cluster-api-provider-aws and ours on a stand-in for AWS, in one run: `npm run bench:aws -- --help`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../../hack/stack/process.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { machineLine } from '../report.ts';
import type { Candidate } from './candidate.ts';
import { type CloudServers, startCloud } from './cloud.ts';
import { holdsLine, isBroken, verdictsOf } from './holds.ts';
import { measure, type Measurement } from './measurement.ts';
import { type AWSBenchOptions, type CandidateName, HELP, parseOptions } from './options.ts';
import { ourCandidate } from './ours.ts';
import { peerCandidate } from './peer.ts';
import { comparison } from './tables.ts';

const ROOT = join(import.meta.dirname, '../..');

function say(line: string): void {
  process.stderr.write(`bench-aws: ${line}\n`);
}

interface Run extends AWSBenchOptions {
  readonly manager: string;
}

function candidateOf(name: CandidateName, run: Run): Candidate {
  if (name === 'ours') return ourCandidate(run);
  return peerCandidate({ secretsManager: name === 'peer-secrets-manager', say });
}

async function bench(servers: CloudServers, run: Run): Promise<void> {
  if (run.profileDir !== undefined) mkdirSync(run.profileDir, { recursive: true });
  process.stdout.write(`Measured on ${machineLine()}.\n\n`);
  const all: Measurement[] = [];
  for (const count of run.sizes) {
    const found: Measurement[] = [];
    for (const name of run.candidates) {
      say(`${count} machines, ${name}`);
      found.push(await measure(servers, { name, count, candidate: candidateOf(name, run) }));
    }
    process.stdout.write(`${comparison(found)}\n`);
    all.push(...found);
  }
  const verdicts = verdictsOf(all);
  process.stdout.write(`${holdsLine(verdicts)}\n`);
  if (isBroken(verdicts)) process.exitCode = 1;
}

/** With our program made first, where none was given, and the cloud. */
async function run(options: AWSBenchOptions): Promise<void> {
  const folder = temporaryDirectory('bench-aws-run');
  try {
    const manager = options.manager ?? (await bundleIn(folder.path));
    const servers = await startCloud(folder.path);
    try {
      await bench(servers, { ...options, manager });
    } finally {
      await servers.stop();
    }
  } finally {
    folder.remove();
  }
}

async function bundleIn(dir: string): Promise<string> {
  const manager = join(dir, 'manager.mjs');
  await runProgram(process.execPath, [join(ROOT, 'hack/bundle.ts'), '--out', manager]);
  return manager;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await run(options);
} catch (error) {
  process.stderr.write(`bench-aws: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
