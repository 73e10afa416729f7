// SPDX-License-Identifier: Apache-2.0
// Measurements side by side, as markdown.
import { digits, listed, table } from '../report.ts';
import { total, writesOf } from './counts.ts';
import type { Measurement, Phase } from './measurement.ts';

/** Two tables, create and delete: the candidates of one number of machines. */
export function comparison(measurements: readonly Measurement[]): string {
  const [first] = measurements;
  if (first === undefined) return '';
  const count = digits(first.count);
  const head = ['', ...measurements.map(({ title }) => title)];
  const create = [
    ...rowsOf(measurements, (one) => one.create),
    ['instances made', ...measurements.map(({ instances }) => digits(instances.made))],
    ['instances that live', ...measurements.map(({ instances }) => digits(instances.living))],
  ];
  const gone = [
    ...rowsOf(measurements, (one) => one.delete),
    ['instances ever made', ...measurements.map(({ leftOver }) => digits(leftOver.made))],
    ['instances left over', ...measurements.map(({ leftOver }) => digits(leftOver.living))],
    ['peak RSS, create and delete', ...measurements.map(({ peakMiB }) => `${digits(peakMiB)} MiB`)],
  ];
  return `### ${count} machines made at once\n\n${table(head, create)}\n\n### ${count} machines deleted at once\n\n${table(head, gone)}\n`;
}

type PhaseOf = (measurement: Measurement) => Phase;

function rowsOf(all: readonly Measurement[], phaseOf: PhaseOf): string[][] {
  const row = (what: string, cell: (phase: Phase, count: number) => string) => [
    what,
    ...all.map((one) => cell(phaseOf(one), one.count)),
  ];
  return [
    row('wall time', ({ seconds }) => `${digits(seconds)} s`),
    row('processors taken by others meanwhile', ({ others }) => `${digits(Math.round(100 * others))} %`),
    ...countRows('cloud calls per machine', all, (one) => phaseOf(one).calls),
    row('cloud calls answered with an error', ({ callFailures }) => digits(callFailures)),
    ...countRows('API server requests per machine', all, (one) => phaseOf(one).requests),
    row('of which writes, without Events', ({ requests }, n) => digits(writesOf(requests).objects / n)),
    row('of which writes of Events', ({ requests }, n) => digits(writesOf(requests).events / n)),
    row('API server requests answered with an error', ({ requestFailures }) => listed(requestFailures)),
    row('CPU of the provider', ({ cpuSeconds }) => `${digits(cpuSeconds)} s`),
    row('CPU of the provider per machine', ({ cpuSeconds }, n) => `${digits((1000 * cpuSeconds) / n)} ms`),
    row('CPU of the API server', ({ serverCPU }) => `${digits(serverCPU.apiServer)} s`),
    row('CPU of etcd', ({ serverCPU }) => `${digits(serverCPU.etcd)} s`),
    row("CPU of Cluster API's core", ({ serverCPU }) => `${digits(serverCPU.core)} s`),
    row('CPU of moto', ({ serverCPU }) => `${digits(serverCPU.moto)} s`),
  ];
}

/** All together, then each key, the most frequent first; one that a candidate does not have is 0. */
function countRows(
  what: string,
  all: readonly Measurement[],
  countsOf: (measurement: Measurement) => ReadonlyMap<string, number>,
): string[][] {
  const each = (one: Measurement, key: string) => (countsOf(one).get(key) ?? 0) / one.count;
  const most = (key: string) => Math.max(...all.map((one) => each(one, key)));
  const keys = [...new Set(all.flatMap((one) => [...countsOf(one).keys()]))];
  return [
    [what, ...all.map((one) => digits(total(countsOf(one)) / one.count))],
    ...keys
      .sort((a, b) => most(b) - most(a) || a.localeCompare(b))
      .map((key) => [`- ${key}`, ...all.map((one) => digits(each(one, key)))]),
  ];
}
