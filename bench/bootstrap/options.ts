// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';

/** Who serves KubeadmConfig in a run: the stock provider as it is shipped, the same with its client limits lifted, or ours. */
export const CANDIDATES = ['stock', 'stock-lifted', 'ours'] as const;

export type CandidateName = (typeof CANDIDATES)[number];

/** What one run of the bench does. */
export interface BootstrapOptions {
  /** In the order in which they are measured. */
  readonly candidates: readonly CandidateName[];
  /** Worker KubeadmConfigs that are unpaused at once, one measurement each, smallest first. */
  readonly sizes: readonly number[];
  /** New clusters that are unpaused at once; 0 leaves that measurement out. */
  readonly clusters: number;
  /** Length of the idle window after the largest size. */
  readonly idleSeconds: number;
  /** Our program; `undefined` for the bundle that the image runs, made for this run. */
  readonly manager: string | undefined;
  /** CPU profiles of our manager are written here. */
  readonly profileDir: string | undefined;
}

export const HELP = `bench-bootstrap [flags]: worker KubeadmConfigs to bootstrap data, the stock provider and ours side by side

  --sizes N,N,...          worker KubeadmConfigs unpaused at once; default 100,500,1000
  --clusters N             new clusters unpaused at once, whose keys are to be generated; default 50, 0 for none
  --candidates NAME,...    of ${CANDIDATES.join(', ')}; default all
  --idle-seconds S         length of the idle window after the largest size; default 30
  --manager FILE           our program; default: the bundle that the image runs, made for this run
  --profile DIR            write CPU profiles of our manager to DIR

Every measurement has API servers of its own. The last line says which holds were met. The exit code is 1 when one that is counted
(requests, tokens, writes) was missed; speed depends on the machine and does not change it.
`;

/** Throws an Error that says which argument is wrong; `undefined` asks for the help text. */
export function parseOptions(args: readonly string[]): BootstrapOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '100,500,1000' },
      clusters: { type: 'string', default: '50' },
      candidates: { type: 'string', default: CANDIDATES.join(',') },
      'idle-seconds': { type: 'string', default: '30' },
      manager: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    candidates: candidatesOf(values.candidates),
    sizes: [...new Set(values.sizes.split(',').map((size) => whole('sizes', size, 1)))].sort((a, b) => a - b),
    clusters: whole('clusters', values.clusters, 0),
    idleSeconds: whole('idle-seconds', values['idle-seconds'], 1),
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

function whole(flag: string, value: string, least: number): number {
  const number = value.trim() === '' ? NaN : Number(value);
  if (!Number.isInteger(number) || number < least)
    throw new Error(`--${flag} has "${value}"; use a whole number from ${least}`);
  return number;
}
