// SPDX-License-Identifier: Apache-2.0
// What is promised (design section 7), against what was measured.
import { digits } from '../report.ts';
import type { CandidateName } from './options.ts';
import type { Measurement } from './measurement.ts';
import type { Target } from './world.ts';

/** One number to hold, and whether it was. */
export interface Verdict {
  readonly hold: string;
  readonly result: 'met' | 'missed' | 'not measured';
  /** The numbers behind it; '' when there are none. */
  readonly because: string;
  /** It holds on any machine, however slow: the exit code tells when it was missed. */
  readonly counted: boolean;
}

const MANAGEMENT_EACH = 3;
const WORKLOAD_EACH = 2;
/** What is read once for a cluster and not for a config: its certificate authority and its kubeconfig. */
const FOR_THE_CLUSTER = 2;
const EVENT_LOOP_MS = 100;

/** All verdicts, in the order of the design. Of several sizes the one that is worst for us speaks for all. */
export function verdictsOf(measurements: readonly Measurement[]): Verdict[] {
  const workers = measurements.filter(({ kind }) => kind === 'workers');
  const clusters = measurements.filter(({ kind }) => kind === 'new-clusters');
  const ours = workers.filter(({ candidate }) => candidate === 'ours');
  return [
    faster('half of stock as shipped', pairs(workers, 'stock'), 0.5),
    faster('not slower than stock lifted', pairs(workers, 'stock-lifted'), 1),
    requests(ours, 'management', MANAGEMENT_EACH),
    requests(ours, 'workload', WORKLOAD_EACH),
    none('no second token', ours, ({ secondTokens }) => secondTokens),
    none('no second secret write', ours, ({ secondWrites }) => secondWrites),
    responsive(clusters.filter(({ candidate }) => candidate === 'ours')),
  ];
}

/** `holds: half of stock as shipped: met (1.9 s against 58 s) · ...`. */
export function holdsLine(verdicts: readonly Verdict[]): string {
  const one = ({ hold, result, because }: Verdict) =>
    because === '' ? `${hold}: ${result}` : `${hold}: ${result} (${because})`;
  return `holds: ${verdicts.map(one).join(' · ')}`;
}

/** Whether one was missed that does not depend on the speed of the machine. */
export function isBroken(verdicts: readonly Verdict[]): boolean {
  return verdicts.some(({ counted, result }) => counted && result === 'missed');
}

type Pair = readonly [ours: Measurement, theirs: Measurement];

/** Ours with the other one of the same size. */
function pairs(measurements: readonly Measurement[], other: CandidateName): Pair[] {
  return measurements
    .filter(({ candidate }) => candidate === 'ours')
    .flatMap((ours) =>
      measurements
        .filter(({ candidate, count }) => candidate === other && count === ours.count)
        .map((theirs): Pair => [ours, theirs]),
    );
}

function faster(hold: string, all: readonly Pair[], share: number): Verdict {
  const ratio = ([ours, theirs]: Pair) => ours.seconds / theirs.seconds;
  const worst = worstOf(all, ratio);
  if (worst === undefined) return notMeasured(hold, false);
  const [ours, theirs] = worst;
  const because = `${digits(ours.seconds)} s against ${digits(theirs.seconds)} s for ${digits(ours.count)}`;
  return { hold, result: ratio(worst) <= share ? 'met' : 'missed', because, counted: false };
}

function requests(ours: readonly Measurement[], target: Target, each: number): Verdict {
  const hold = `at most ${each} ${target} requests per config`;
  const perConfig = (one: Measurement) => requestsOf(one, target) / one.count;
  const worst = worstOf(ours, perConfig);
  if (worst === undefined) return notMeasured(hold, true);
  const because = `${digits(perConfig(worst))}: ${requestsOf(worst, target)} for ${worst.count}, of which ${FOR_THE_CLUSTER} may be for their cluster`;
  const met = ours.every((one) => requestsOf(one, target) <= each * one.count + FOR_THE_CLUSTER);
  return { hold, result: met ? 'met' : 'missed', because, counted: true };
}

/** How many requests were made altogether. */
export function requestsOf({ requests }: Measurement, target: Target): number {
  return [...requests[target].values()].reduce((sum, count) => sum + count, 0);
}

function none(hold: string, ours: readonly Measurement[], value: (one: Measurement) => number): Verdict {
  const worst = worstOf(ours, (one) => Math.abs(value(one)));
  if (worst === undefined) return notMeasured(hold, true);
  return {
    hold,
    result: value(worst) === 0 ? 'met' : 'missed',
    because: digits(value(worst)),
    counted: true,
  };
}

function responsive(ours: readonly Measurement[]): Verdict {
  const hold = `event loop p99 below ${EVENT_LOOP_MS} ms while keys are generated`;
  const worst = worstOf(ours, ({ eventLoopP99Ms = NaN }) => eventLoopP99Ms);
  if (worst?.eventLoopP99Ms === undefined) return notMeasured(hold, false);
  const { eventLoopP99Ms: ms, count, seconds } = worst;
  const because = `${digits(ms)} ms, ${digits(count)} new clusters in ${digits(seconds)} s`;
  return { hold, result: ms < EVENT_LOOP_MS ? 'met' : 'missed', because, counted: false };
}

function worstOf<T>(all: readonly T[], badness: (one: T) => number): T | undefined {
  return all.toSorted((a, b) => badness(b) - badness(a))[0];
}

function notMeasured(hold: string, counted: boolean): Verdict {
  return { hold, result: 'not measured', because: '', counted };
}
