// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';

/** Who makes the machines in a run: the peer with plain user data, or the peer as it is by default, through Secrets Manager. */
export const CANDIDATES = ['peer', 'peer-secrets-manager'] as const;

export type CandidateName = (typeof CANDIDATES)[number];

/** What one run of the bench does. */
export interface AWSBenchOptions {
  /** In the order in which they are measured. */
  readonly candidates: readonly CandidateName[];
  /** Machines that are made at once, one measurement each, smallest first. */
  readonly sizes: readonly number[];
}

export const HELP = `bench-aws [flags]: machines on a stand-in for AWS, made and deleted at once

  --sizes N,N,...          machines made at once; default 20,100,300
  --candidates NAME,...    of ${CANDIDATES.join(', ')}; default peer

Every measurement has servers of its own. The first run builds cluster-api-provider-aws, which takes minutes.
`;

/** Throws an Error that says which argument is wrong; `undefined` asks for the help text. */
export function parseOptions(args: readonly string[]): AWSBenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '20,100,300' },
      candidates: { type: 'string', default: 'peer' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return { candidates: candidatesOf(values.candidates), sizes: sizesOf(values.sizes) };
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
