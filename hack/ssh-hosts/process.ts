// SPDX-License-Identifier: Apache-2.0
// Simulated hosts in a process of their own, so that whoever measures a manager does not measure them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Server, startServer, waitUntil } from '../stack/process.ts';
import type { Plan } from './behaviour.ts';
import type { BehaveRequest } from './control.ts';
import type { HostsLine } from './main.ts';
import type { HostRecord } from './record.ts';

export interface HostsProcessOptions {
  /** For its plan and its log. */
  readonly dir: string;
  readonly count: number;
  readonly kubernetes: string;
  /** Nothing was installed on them yet. */
  readonly plain?: boolean;
  readonly plan?: Plan;
}

export interface HostsProcess extends HostsLine {
  readonly server: Server;
  behave(change: BehaveRequest['change'], places?: readonly number[]): Promise<void>;
  records(): Promise<HostRecord[]>;
}

/** Answers when all hosts listen. */
export async function startHostsProcess(options: HostsProcessOptions): Promise<HostsProcess> {
  const { dir, count, kubernetes, plain = false, plan = {} } = options;
  const planFile = join(dir, 'ssh-hosts.json');
  writeFileSync(planFile, JSON.stringify(plan));
  const logFile = join(dir, 'ssh-hosts.log');
  const server = startServer({
    name: 'ssh-hosts',
    binary: process.execPath,
    logFile,
    args: [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'main.ts'),
      `--count=${count}`,
      `--kubernetes=${kubernetes}`,
      `--plan=${planFile}`,
      ...(plain ? ['--plain'] : []),
    ],
  });
  const said = () => readFileSync(logFile, 'utf8');
  const what = 'the simulated hosts to listen';
  await waitUntil(async () => said().includes('}\n'), { what, timeoutMs: 60_000, server });
  const line = JSON.parse(said().split('\n')[0] ?? '') as HostsLine;
  return {
    ...line,
    server,
    async behave(change, places) {
      const body: BehaveRequest = { change, ...(places !== undefined && { places }) };
      const response = await fetch(`${line.url}/behave`, { method: 'POST', body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`the simulated hosts refuse: ${await response.text()}`);
    },
    records: async () => (await (await fetch(`${line.url}/records`)).json()) as HostRecord[],
  };
}
