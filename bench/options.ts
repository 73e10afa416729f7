// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** What one run of the bench does. */
export interface BenchOptions {
  readonly suites: readonly Suite[];
  /** Converged machines, default 10,000. */
  readonly converged: number;
  /** Machines to create, default 1,000. */
  readonly created: number;
  /** Length of the idle window, default 60. */
  readonly idleSeconds: number;
  /** The manager's program; default `main.ts` of this checkout. */
  readonly manager: string;
  /** CPU profiles of the manager are written here. */
  readonly profileDir: string | undefined;
}

/** One scenario. */
export type Suite = 'converged' | 'create';

export const HELP = `bench [converged|create|all] [flags]

  converged                a fleet where nothing is to be done: start, memory, requests while idle
  create                   a burst of new machines: rate, requests and CPU for each
  all                      both (default)

  --machines N             instead of 10000 converged, or 1000 created
  --idle-seconds S         length of the idle window; default 60, the figure in the design is for 600
  --short                  500 converged, 20 s idle, 200 created: for continuous integration
  --manager FILE           the program to run, default main.ts; dist/manager.mjs is what the image runs (npm run bundle)
  --profile DIR            write CPU profiles of the manager to DIR

The exit code is 1 when a promise is broken that does not depend on the speed of the machine.
`;

const SHORT = { converged: 500, created: 200, idleSeconds: 20 };
const FULL = { converged: 10_000, created: 1_000, idleSeconds: 60 };

/** Throws an Error that says which argument is wrong; `undefined` asks for the help text. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      machines: { type: 'string' },
      'idle-seconds': { type: 'string' },
      short: { type: 'boolean', default: false },
      manager: { type: 'string', default: join(import.meta.dirname, '../main.ts') },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const usual = values.short ? SHORT : FULL;
  const machines = values.machines;
  return {
    suites: suitesOf(positionals),
    converged: machines === undefined ? usual.converged : positive('machines', machines),
    created: machines === undefined ? usual.created : positive('machines', machines),
    idleSeconds:
      values['idle-seconds'] === undefined
        ? usual.idleSeconds
        : positive('idle-seconds', values['idle-seconds']),
    manager: values.manager,
    profileDir: values.profile,
  };
}

function suitesOf(positionals: readonly string[]): readonly Suite[] {
  const [which = 'all', ...more] = positionals;
  if (more.length > 0) throw new Error(`one suite at a time, not ${positionals.join(' ')}`);
  switch (which) {
    case 'all':
      return ['converged', 'create'];
    case 'converged':
    case 'create':
      return [which];
    default:
      throw new Error(`"${which}" is no suite; use converged, create or all`);
  }
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${flag} is "${value}"; use a whole number from 1`);
  return number;
}
