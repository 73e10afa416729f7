// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';

/**
 * Who makes the machines in a run: the peer with plain user data, which spares it two calls for each machine; the peer as it is by
 * default, through Secrets Manager; or ours.
 */
export const CANDIDATES = ['peer', 'peer-secrets-manager', 'ours'] as const;

export type CandidateName = (typeof CANDIDATES)[number];

/** What one run of the bench does. */
export interface AWSBenchOptions {
  /** In the order in which they are measured. */
  readonly candidates: readonly CandidateName[];
  /** Machines that are made at once, one measurement each, smallest first. */
  readonly sizes: readonly number[];
  /** Our program; `undefined` for the bundle that the image runs, made for this run. */
  readonly manager: string | undefined;
  /** CPU profiles of our manager are written here. */
  readonly profileDir: string | undefined;
}

export const HELP = `bench-aws [flags]: machines on a stand-in for AWS, made and deleted at once, cluster-api-provider-aws and ours side by side

  --sizes N,N,...          machines made at once; default 300
  --short                  20 machines
  --candidates NAME,...    of ${CANDIDATES.join(', ')}; default peer,ours
  --manager FILE           our program; default: the bundle that the image runs, made for this run
  --profile DIR            write CPU profiles of our manager to DIR

Every measurement has an API server of its own, and a cloud that was emptied. The first run builds cluster-api-provider-aws, which takes
minutes. The last line says which holds were met. The exit code is 1 when one that is counted (calls, writes, instances) was missed; speed
depends on the machine and does not change it.
`;

/** Throws an Error that says which argument is wrong; `undefined` asks for the help text. */
export function parseOptions(args: readonly string[]): AWSBenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string' },
      short: { type: 'boolean', default: false },
      candidates: { type: 'string', default: 'peer,ours' },
      manager: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (values.short && values.sizes !== undefined)
    throw new Error('--short and --sizes say both how many: use one of them');
  return {
    candidates: candidatesOf(values.candidates),
    sizes: sizesOf(values.sizes ?? (values.short ? '20' : '300')),
    manager: values.manager,
    profileDir: values.profile,
  };
}

function candidatesOf(text: string): readonly CandidateName[] {
  const asked = text.split(',');
  const unknown = asked.find((name) => !CANDIDATES.some((one) => one === name));
  if (unknown !== undefined)
    throw new Error(`--candidates names "${unknown}"; use some of ${CANDIDATES.join(', ')}`);
  return CANDIDATES.filter((name) => asked.includes(name));
}

function sizesOf(text: string): readonly number[] {
  const sizes = text.split(',').map((size) => {
    const number = size.trim() === '' ? NaN : Number(size);
    if (!Number.isInteger(number) || number < 1)
      throw new Error(`--sizes has "${size}"; use whole numbers from 1`);
    return number;
  });
  return [...new Set(sizes)].sort((a, b) => a - b);
}
