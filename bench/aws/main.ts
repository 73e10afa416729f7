// SPDX-License-Identifier: Apache-2.0
// cluster-api-provider-aws on a stand-in for AWS: `node bench/aws/main.ts --help`.
import { machineLine } from '../report.ts';
import type { Candidate } from './candidate.ts';
import { measure, type Measurement } from './measurement.ts';
import { type AWSBenchOptions, type CandidateName, HELP, parseOptions } from './options.ts';
import { peerCandidate } from './peer.ts';
import { comparison } from './tables.ts';

function say(line: string): void {
  process.stderr.write(`bench-aws: ${line}\n`);
}

function candidate(name: CandidateName): Candidate {
  return peerCandidate({ secretsManager: name === 'peer-secrets-manager', say });
}

async function bench({ sizes, candidates }: AWSBenchOptions): Promise<void> {
  process.stdout.write(`Measured on ${machineLine()}.\n\n`);
  for (const size of sizes) {
    const found: Measurement[] = [];
    for (const name of candidates) {
      say(`${size} machines, ${name}`);
      found.push(await measure(candidate(name), size));
    }
    process.stdout.write(`${comparison(found)}\n`);
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await bench(options);
} catch (error) {
  process.stderr.write(`bench-aws: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
