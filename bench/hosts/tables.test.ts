// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { brokenPromises, type Report } from '../report.ts';
import type { BusyRun } from './busy.ts';
import { busyReport, endReport, idleReport, isolationReport } from './tables.ts';

const RUN: BusyRun = {
  ...{ machines: 2, seconds: 10, writes: 20, requests: new Map(), sessions: 16, connections: 2 },
  ...{ mostOpen: 2, cpuSeconds: 1, rssMiB: 100, others: 0.1, queueP99: 0.001 },
  shares: [
    { host: 'a', toJob: 1, toProvisioned: 0.5, total: 6 },
    { host: 'b', toJob: 2, toProvisioned: 0.5, total: 7 },
  ],
};

const slower = (factor: number): BusyRun => ({
  ...RUN,
  shares: RUN.shares.map((share) => ({ ...share, total: share.total * factor })),
});

function missed({ rows }: Report): string[] {
  return rows.filter(({ hold }) => hold?.held === false).map(({ what }) => what);
}

it.each([
  ['nothing', idleReport({ hosts: 200, registered: RUN, idle: { ...RUN, writes: 0 } }), []],
  [
    'a write while idle',
    idleReport({ hosts: 200, registered: RUN, idle: { ...RUN, writes: 1 } }),
    ['API writes'],
  ],
  ['nothing', busyReport({ made: RUN, back: RUN }), []],
  ['nothing', isolationReport({ calm: RUN, mixed: slower(2), claimed: 3, unreachable: 3 }), []],
  [
    'a host that hangs and is not told',
    isolationReport({ calm: RUN, mixed: RUN, claimed: 3, unreachable: 2 }),
    ['hosts in use that hang and are told as Unreachable'],
  ],
  ['work done twice', endReport(['host-000: b began twice']), [expect.stringContaining('jobs begun twice')]],
])('a promise is broken by %s', (_what, report, expected) => {
  expect(missed(report)).toEqual(expected);
  expect(brokenPromises([report])).toHaveLength(expected.length);
});

it.each<[string, Report]>([
  ['slow hosts hold others up', isolationReport({ calm: RUN, mixed: slower(3), claimed: 0, unreachable: 0 })],
  [
    'keys wait in the queue',
    isolationReport({ calm: RUN, mixed: { ...RUN, queueP99: 1 }, claimed: 0, unreachable: 0 }),
  ],
  [
    'the own share is large',
    busyReport({
      made: { ...RUN, shares: [{ host: 'a', toJob: 9, toProvisioned: 2, total: 20 }] },
      back: RUN,
    }),
  ],
])('%s: missed, and the exit code does not tell', (_what, report) => {
  expect(missed(report)).toHaveLength(1);
  expect(brokenPromises([report])).toEqual([]);
});
