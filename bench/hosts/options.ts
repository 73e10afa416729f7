// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';

/** What one run of the bench does. */
export interface HostBenchOptions {
  readonly hosts: number;
  /** Made at once, and given back at once. */
  readonly machines: number;
  /** Made at once on hosts that have to be prepared first, and given back. */
  readonly prepared: number;
  readonly idleSeconds: number;
  /** Of a bootstrap, and of a preparation; a clean-up takes the fifth. */
  readonly jobSeconds: number;
  /** Waits for hanging hosts as well, which takes minutes. */
  readonly whole: boolean;
  /** Our program; `undefined` for the bundle that the image runs, made for this run. */
  readonly manager: string | undefined;
  /** CPU profiles of the manager are written here. */
  readonly profileDir: string | undefined;
}

export const HELP = `bench-hosts [flags]: simulated hosts over SSH, idle, busy, and busy with slow and hanging ones among them

  --hosts N            default 200
  --machines N         made at once; default 100
  --prepared N         made at once with a preparation; default 50
  --idle-seconds S     length of the idle window; default 120
  --job-seconds S      how long a bootstrap or a preparation takes on its host; default 5
  --short              20 machines, 10 prepared ones, 20 s idle, jobs of 1 s, and no wait for hosts that hang: for continuous integration
  --manager FILE       our program; default: the bundle that the image runs, made for this run
  --profile DIR        write CPU profiles of the manager to DIR

The exit code is 1 when a promise is broken that does not depend on the speed of the machine: writes while idle, work begun twice, hosts
with two owners.
`;

const SHORT = { machines: 20, prepared: 10, idleSeconds: 20, jobSeconds: 1 };
const FULL = { machines: 100, prepared: 50, idleSeconds: 120, jobSeconds: 5 };

/** Throws an Error that says which argument is wrong; `undefined` asks for the help text. */
export function parseOptions(args: readonly string[]): HostBenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      hosts: { type: 'string', default: '200' },
      machines: { type: 'string' },
      prepared: { type: 'string' },
      'idle-seconds': { type: 'string' },
      'job-seconds': { type: 'string' },
      short: { type: 'boolean', default: false },
      manager: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const usual = values.short ? SHORT : FULL;
  const number = (flag: 'machines' | 'prepared' | 'idle-seconds' | 'job-seconds', preset: number) =>
    values[flag] === undefined ? preset : positive(flag, values[flag]);
  const options = {
    hosts: positive('hosts', values.hosts),
    machines: number('machines', usual.machines),
    prepared: number('prepared', usual.prepared),
    idleSeconds: number('idle-seconds', usual.idleSeconds),
    jobSeconds: number('job-seconds', usual.jobSeconds),
  };
  for (const flag of ['machines', 'prepared'] as const) {
    if (options[flag] > options.hosts)
      throw new Error(`--${flag} is ${options[flag]}; there are ${options.hosts} hosts`);
  }
  return { ...options, whole: !values.short, manager: values.manager, profileDir: values.profile };
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${flag} is "${value}"; use a whole number from 1`);
  return number;
}
