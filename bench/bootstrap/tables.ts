// SPDX-License-Identifier: Apache-2.0
// Measurements side by side, as markdown.
import { digits, table } from '../report.ts';
import { requestsOf } from './holds.ts';
import type { Measurement } from './measurement.ts';
import type { CandidateName } from './options.ts';
import type { Target } from './world.ts';

const NAMES: Readonly<Record<CandidateName, string>> = {
  stock: 'stock as shipped',
  'stock-lifted': 'stock, limits lifted',
  ours: 'ours',
};

/** One table: the candidates of one burst, which have its kind and count in common. */
export function comparison(measurements: readonly Measurement[]): string {
  const [first] = measurements;
  if (first === undefined) return '';
  const count = digits(first.count);
  const title =
    first.kind === 'workers'
      ? `${count} worker KubeadmConfigs unpaused at once`
      : `${count} new clusters unpaused at once, keys to be generated`;
  const head = ['', ...measurements.map(({ candidate }) => NAMES[candidate])];
  const notes = measurements.map((one) => `- ${dominance(one)}`).join('\n');
  return `### ${title}\n\n${table(head, rowsOf(measurements))}\n\n${notes}\n`;
}

type Cell = (measurement: Measurement) => string;

function rowsOf(all: readonly Measurement[]): string[][] {
  const row = (what: string, cell: Cell) => [what, ...all.map(cell)];
  const rows = [
    row('wall time', ({ seconds }) => `${digits(seconds)} s`),
    row('rate', ({ count, seconds }) => `${digits(count / seconds)}/s`),
    row('processors taken by others meanwhile', ({ others }) => `${digits(Math.round(100 * others))} %`),
    ...requestRows(all, 'management'),
    ...requestRows(all, 'workload'),
    row('requests answered with an error', ({ failures }) => digits(failures)),
    row('second tokens', ({ secondTokens }) => digits(secondTokens)),
    row('second writes of a data Secret', ({ secondWrites }) => digits(secondWrites)),
    row('CPU of the provider', ({ cpuSeconds }) => `${digits(cpuSeconds)} s`),
    row('CPU of the provider per config', (one) => `${digits((1000 * one.cpuSeconds) / one.count)} ms`),
    row('CPU of the management API server', ({ serverCPU }) => `${digits(serverCPU.management)} s`),
    row('CPU of the workload API server', ({ serverCPU }) => `${digits(serverCPU.workload)} s`),
    row('CPU of etcd, both', ({ serverCPU }) => `${digits(serverCPU.etcd)} s`),
    row('peak RSS of the provider', ({ peakMiB }) => `${digits(peakMiB)} MiB`),
    row('event loop delay, p99', ({ eventLoopP99Ms: ms }) => (ms === undefined ? '' : `${digits(ms)} ms`)),
    ...idleRows(all),
  ];
  // A question that none of them has an answer to.
  return rows.filter(([, ...cells]) => cells.some((cell) => cell !== ''));
}

/** All together, then each verb and resource, the most frequent first. */
function requestRows(all: readonly Measurement[], target: Target): string[][] {
  const each = (n: number, { count }: Measurement) => digits(n / count);
  const most = (key: string) => Math.max(...all.map(({ requests }) => requests[target].get(key) ?? 0));
  const keys = [...new Set(all.flatMap(({ requests }) => [...requests[target].keys()]))];
  return [
    [`${target} requests per config`, ...all.map((one) => each(requestsOf(one, target), one))],
    ...keys
      .sort((a, b) => most(b) - most(a))
      .map((key) => [`- ${key}`, ...all.map((one) => each(one.requests[target].get(key) ?? 0, one))]),
  ];
}

function idleRows(all: readonly Measurement[]): string[][] {
  const row = (what: string, key: keyof NonNullable<Measurement['idle']>) => [
    `idle: ${what} per minute`,
    ...all.map(({ idle }) => (idle === undefined ? '' : digits(idle[key]))),
  ];
  return [
    row('management requests', 'management'),
    row('workload requests', 'workload'),
    row('lease requests', 'leases'),
    row('watches begun', 'watches'),
  ];
}

/** Where the CPU time went, which says what a faster provider would still have to wait for. */
function dominance({ candidate, cpuSeconds, serverCPU, seconds }: Measurement): string {
  const parts: readonly (readonly [string, number])[] = [
    ['the provider', cpuSeconds],
    ['the management API server', serverCPU.management],
    ['the workload API server', serverCPU.workload],
    ['etcd', serverCPU.etcd],
  ];
  const total = parts.reduce((sum, [, cpu]) => sum + cpu, 0);
  const shares = parts
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, cpu]) => `${what} ${digits(Math.round((100 * cpu) / (total || 1)))} %`);
  return `${NAMES[candidate]}: ${digits(total)} s of CPU around ${digits(seconds)} s of wall time: ${shares.join(', ')}`;
}
