// SPDX-License-Identifier: Apache-2.0
// What was measured, in tables, against what is to hold.
import { digits, listed, promise, type Report, type Row, target } from '../report.ts';
import type { BusyRun } from './busy.ts';
import { quantile } from './quantile.ts';

type Counts = Omit<BusyRun, 'machines' | 'shares'>;

/** Seconds that the provider itself may take of a machine (issue 5). */
const OWN_SHARE = 10;
/** How much worse healthy hosts may fare where others do not. */
const FACTOR = 2;
/** A wait below this is none, and twice of it still none. */
const NO_WAIT = 0.05;

/** Hosts that nobody has, and their beginning. */
export function idleReport(found: {
  readonly hosts: number;
  readonly registered: Counts;
  readonly idle: Counts;
}): Report {
  const { hosts, registered, idle } = found;
  const cpu = (100 * idle.cpuSeconds) / idle.seconds;
  return {
    title: `${digits(hosts)} Available hosts, ${digits(idle.seconds)} s idle`,
    rows: [
      { what: 'API writes', value: digits(idle.writes), hold: promise('0', idle.writes === 0) },
      { what: 'API requests', value: listed(idle.requests) },
      { what: 'connections open at the end', value: digits(idle.mostOpen) },
      { what: 'scripts on hosts per minute', value: digits((60 * idle.sessions) / idle.seconds) },
      { what: 'memory (RSS)', value: `${digits(idle.rssMiB)} MiB` },
      { what: 'CPU of the manager', value: `${digits(cpu)} % of one processor` },
      { what: 'before: from new to Available, all', value: `${digits(registered.seconds)} s` },
      ...perHost('before: ', registered, hosts),
    ],
  };
}

/** Machines made and given back on healthy hosts. */
export function busyReport(found: {
  readonly made: BusyRun;
  readonly back: Omit<BusyRun, 'shares'>;
}): Report {
  const { made, back } = found;
  const own = made.shares.map(({ toJob, toProvisioned }) => toJob + toProvisioned);
  return {
    title: `${digits(made.machines)} machines at once, made and given back`,
    rows: [
      { what: 'until all are provisioned', value: `${digits(made.seconds)} s` },
      shareRow('created to job on the host', made, ({ toJob }) => toJob),
      shareRow('end of the job to provisioned', made, ({ toProvisioned }) => toProvisioned),
      {
        what: "the provider's own share, p99",
        value: `${digits(quantile(own, 0.99))} s`,
        hold: target(`below ${OWN_SHARE} s`, quantile(own, 0.99) < OWN_SHARE),
      },
      { what: 'wait in the queue, p99', value: wait(made) },
      ...perHost('', made, made.machines),
      { what: 'CPU that others had meanwhile', value: `${digits(100 * made.others)} %` },
      { what: 'given back: until all are Available', value: `${digits(back.seconds)} s` },
      ...perHost('given back: ', back, back.machines),
    ],
  };
}

/** Machines whose hosts become ready for kubeadm first: one job more for each. */
export function preparedReport(found: {
  readonly made: BusyRun;
  readonly back: Omit<BusyRun, 'shares'>;
  readonly jobSeconds: number;
}): Report {
  const { made, back, jobSeconds } = found;
  const own = made.shares.map(({ total }) => total - 2 * jobSeconds);
  return {
    title: `${digits(made.machines)} machines at once on plain hosts, prepared, made and given back`,
    rows: [
      { what: 'until all are provisioned', value: `${digits(made.seconds)} s` },
      shareRow('created to provisioned', made, ({ total }) => total),
      {
        what: "the provider's own share, p99",
        value: `${digits(quantile(own, 0.99))} s`,
        hold: target(`below ${OWN_SHARE} s`, quantile(own, 0.99) < OWN_SHARE),
      },
      { what: 'wait in the queue, p99', value: wait(made) },
      ...perHost('', made, made.machines),
      { what: 'CPU that others had meanwhile', value: `${digits(100 * made.others)} %` },
      ...perHost('given back: ', back, back.machines),
    ],
  };
}

/** The same machines where some hosts hang and some are slow. */
export function isolationReport(found: {
  readonly calm: BusyRun;
  readonly mixed: BusyRun;
  readonly claimed: number;
  readonly unreachable: number | undefined;
}): Report {
  const { calm, mixed, claimed, unreachable } = found;
  const [before, after] = [calm, mixed].map(({ shares }) =>
    quantile(
      shares.map(({ total }) => total),
      0.99,
    ),
  ) as [number, number];
  const [waited, waits] = [calm, mixed].map(({ queueP99 }) => Math.max(queueP99, NO_WAIT)) as [
    number,
    number,
  ];
  const rows: Row[] = [
    { what: 'machines on healthy hosts, on hosts that hang', value: `${mixed.shares.length}, ${claimed}` },
    {
      what: 'to provisioned on healthy hosts, p99, against a run without ill ones',
      value: `${digits(after)} s against ${digits(before)} s`,
      hold: target(`within ${FACTOR}x`, after <= FACTOR * before),
    },
    {
      what: 'wait in the queue, p99, against a run without ill ones',
      value: `${wait(mixed)} against ${wait(calm)}`,
      hold: target(`within ${FACTOR}x`, waits <= FACTOR * waited),
    },
    shareRow('created to job on a healthy host', mixed, ({ toJob }) => toJob),
    { what: 'connections open at the end', value: digits(mixed.mostOpen) },
    { what: 'CPU that others had meanwhile', value: `${digits(100 * mixed.others)} %` },
  ];
  if (unreachable !== undefined)
    rows.push({
      what: 'hosts in use that hang and are told as Unreachable',
      value: digits(unreachable),
      hold: promise(digits(claimed), unreachable >= claimed),
    });
  return { title: 'The same with 20 % of the hosts hanging and 20 % slow (2 s)', rows };
}

/** What the hosts themselves say. */
export function endReport(violations: readonly string[]): Report {
  const value = violations.length === 0 ? '0' : `${violations.length}: ${violations.slice(0, 5).join('; ')}`;
  const what = 'jobs begun twice, hosts with two owners, machines with two hosts, unknown scripts';
  return { title: 'As the hosts saw it', rows: [{ what, value, hold: promise('0', value === '0') }] };
}

function shareRow(what: string, run: BusyRun, of: (share: BusyRun['shares'][number]) => number): Row {
  const numbers = run.shares.map(of);
  return {
    what: `${what}, p50 and p99`,
    value: `${digits(quantile(numbers, 0.5))} s and ${digits(quantile(numbers, 0.99))} s`,
  };
}

function wait({ queueP99 }: Counts): string {
  return `${digits(1_000 * queueP99)} ms`;
}

function perHost(prefix: string, counts: Counts, hosts: number): Row[] {
  return [
    { what: `${prefix}API writes per host`, value: digits(counts.writes / hosts) },
    { what: `${prefix}API requests per host`, value: listed(counts.requests, hosts) },
    { what: `${prefix}scripts per host`, value: digits(counts.sessions / hosts) },
    { what: `${prefix}new connections per host`, value: digits(counts.connections / hosts) },
    {
      what: `${prefix}CPU of the manager per host`,
      value: `${digits((1_000 * counts.cpuSeconds) / hosts)} ms`,
    },
  ];
}
