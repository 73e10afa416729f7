// SPDX-License-Identifier: Apache-2.0
// Hosts over SSH, simulated: idle, busy, and busy with slow and hanging ones among them. `npm run bench:hosts -- --help`.
import { mkdirSync } from 'node:fs';
import { violations } from '../../hack/ssh-hosts/record.ts';
import { pause } from '../../hack/stack/process.ts';
import { brokenPromises, digits, machineLine, markdown, type Report } from '../report.ts';
import { between, giveBack, makeMachines, sample } from './busy.ts';
import { HELP, type HostBenchOptions, parseOptions } from './options.ts';
import { busyReport, endReport, idleReport, isolationReport, preparedReport } from './tables.ts';
import { addHosts, type HostWorld, until, withHostWorld } from './world.ts';

/** Of all hosts, each. */
const SHARE = 0.2;
const SLOW_MS = 2_000;

/** Nobody serves it: simulated hosts fetch nothing. */
const PREPARED = { preparation: { source: { artifacts: { baseURL: 'https://artifacts.example.org' } } } };

type Say = (line: string) => void;

async function run(world: HostWorld, options: HostBenchOptions, say: Say): Promise<Report[]> {
  say(`${options.hosts} hosts are registered`);
  const first = await sample(world);
  await addHosts(world);
  await world.allAvailable();
  const registered = between(first, await sample(world));

  say(`idle for ${options.idleSeconds} s`);
  const before = await sample(world);
  await pause(options.idleSeconds * 1_000);
  const idle = between(before, await sample(world));

  say(`${options.machines} machines`);
  const calm = await makeMachines(world, { prefix: 'calm', machines: options.machines });
  say('given back');
  const back = await giveBack(world, 'calm');

  say(`${options.prepared} machines on hosts that are prepared first`);
  const prepared = await makeMachines(world, {
    prefix: 'prepared',
    machines: options.prepared,
    asks: PREPARED,
  });
  const preparedBack = await giveBack(world, 'prepared');

  const mixed = await isolation(world, options, say);
  const records = await world.hosts.records();
  return [
    idleReport({ hosts: options.hosts, registered, idle }),
    busyReport({ made: calm, back }),
    preparedReport({ made: prepared, back: preparedBack, jobSeconds: options.jobSeconds }),
    isolationReport({ calm, ...mixed }),
    endReport(violations(records)),
  ];
}

/** Once more, with hosts that hang and hosts that are slow from the moment on at which the machines are made. */
async function isolation(world: HostWorld, options: HostBenchOptions, say: Say) {
  const { hosts, site } = world;
  // Every fifth hangs, and the one behind it is slow.
  const every = Math.round(1 / SHARE);
  const places = [...hosts.hosts.keys()];
  const hanging = places.filter((index) => index % every === 0);
  const slow = places.filter((index) => index % every === 1);
  const names = (some: readonly number[]) => new Set(some.map((index) => hosts.hosts[index]?.name));
  const ill = names([...hanging, ...slow]);
  say(`${options.machines} machines, ${hanging.length} hosts hang and ${slow.length} are slow`);
  await hosts.behave({ sshd: 'hangs' }, hanging);
  await hosts.behave({ latencyMs: [SLOW_MS, SLOW_MS] }, slow);
  const isHealthy = (host: string) => !ill.has(host);
  const mixed = await makeMachines(world, { prefix: 'mixed', machines: options.machines, isHealthy });
  const claimed = (await site.hosts()).filter(
    ({ metadata, spec }) => spec.claim?.for !== undefined && names(hanging).has(metadata.name),
  ).length;
  if (!options.whole) return { mixed, claimed, unreachable: undefined };

  say(`${claimed} machines are on hosts that hang: told as Unreachable?`);
  const unreachable = async () =>
    (await site.hosts()).filter(({ status }) => status?.operationalStatus === 'Unreachable').length;
  await until('hanging hosts to be Unreachable', async () => (await unreachable()) >= claimed);
  const told = await unreachable();
  await hosts.behave({ sshd: 'serves', latencyMs: [1, 3] });
  say('all hosts are healthy again; given back');
  await giveBack(world, 'mixed');
  return { mixed, claimed, unreachable: told };
}

async function bench(options: HostBenchOptions): Promise<void> {
  if (options.profileDir !== undefined) mkdirSync(options.profileDir, { recursive: true });
  process.stdout.write(`Measured on ${machineLine()}.\n\n`);
  const startedMs = Date.now();
  const say: Say = (line) =>
    void process.stderr.write(`bench-hosts: ${digits((Date.now() - startedMs) / 1_000)} s: ${line}\n`);
  const reports = await withHostWorld(options, (world) => run(world, options, say));
  for (const report of reports) process.stdout.write(`${markdown(report)}\n`);
  const broken = brokenPromises(reports);
  for (const line of broken) process.stderr.write(`broken promise: ${line}\n`);
  if (broken.length > 0) process.exitCode = 1;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await bench(options);
} catch (error) {
  process.stderr.write(`bench-hosts: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
