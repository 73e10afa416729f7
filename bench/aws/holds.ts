// SPDX-License-Identifier: Apache-2.0
// What is promised beside the peer, against what was measured.
import { digits } from '../report.ts';
import { total, writesOf } from './counts.ts';
import type { Measurement } from './measurement.ts';

/** One number to hold, and whether it was. */
export interface Verdict {
  readonly hold: string;
  readonly result: 'met' | 'missed' | 'not measured';
  /** The numbers behind it; '' when there are none. */
  readonly because: string;
  /** It holds on any machine, however slow: the exit code tells when it was missed. */
  readonly counted: boolean;
}

type Half = 'create' | 'delete';

/** For each machine. */
const MOST_CALLS: Readonly<Record<Half, number>> = { create: 3, delete: 2 };
const MOST_WRITES: Readonly<Record<Half, number>> = { create: 4, delete: 3 };

/** All verdicts. Of several sizes the one that is worst for us speaks for all. */
export function verdictsOf(measurements: readonly Measurement[]): Verdict[] {
  const ours = measurements.filter(({ candidate }) => candidate === 'ours');
  return [
    notSlower('create', measurements),
    notSlower('delete', measurements),
    calls('create', ours),
    calls('delete', ours),
    writes('create', ours),
    writes('delete', ours),
    exactlyOnce(ours),
    noneLeft(ours),
  ];
}

/** `holds: create not slower than the peer: met (8.1 s against 60 s for 100) · ...`. */
export function holdsLine(verdicts: readonly Verdict[]): string {
  const one = ({ hold, result, because }: Verdict) =>
    because === '' ? `${hold}: ${result}` : `${hold}: ${result} (${because})`;
  return `holds: ${verdicts.map(one).join(' · ')}`;
}

/** Whether one was missed that does not depend on the speed of the machine. */
export function isBroken(verdicts: readonly Verdict[]): boolean {
  return verdicts.some(({ counted, result }) => counted && result === 'missed');
}

/** Beside the faster of its two ways with bootstrap data, where both were measured. */
function notSlower(half: Half, all: readonly Measurement[]): Verdict {
  const hold = `${half} not slower than the peer`;
  const pairs = all
    .filter(({ candidate }) => candidate === 'ours')
    .flatMap((ours) =>
      all
        .filter(({ candidate, count }) => candidate !== 'ours' && count === ours.count)
        .map((peer) => ({ ours: ours[half].seconds, peer: peer[half].seconds, count: ours.count })),
    );
  const worst = worstOf(pairs, ({ ours, peer }) => ours / peer);
  if (worst === undefined) return { hold, result: 'not measured', because: '', counted: false };
  const because = `${digits(worst.ours)} s against ${digits(worst.peer)} s for ${digits(worst.count)}`;
  return { hold, result: worst.ours <= worst.peer ? 'met' : 'missed', because, counted: false };
}

function calls(half: Half, ours: readonly Measurement[]): Verdict {
  const hold = `at most ${MOST_CALLS[half]} cloud calls per machine on ${half}`;
  return atMost(hold, ours, { most: MOST_CALLS[half], countOf: (one) => total(one[half].calls) });
}

function writes(half: Half, ours: readonly Measurement[]): Verdict {
  const hold = `at most ${MOST_WRITES[half]} API writes per machine on ${half}`;
  const countOf = (one: Measurement) => writesOf(one[half].requests).objects;
  return atMost(hold, ours, { most: MOST_WRITES[half], countOf });
}

interface Limit {
  /** For each machine. */
  readonly most: number;
  /** For all. */
  countOf(measurement: Measurement): number;
}

function atMost(hold: string, ours: readonly Measurement[], { most, countOf }: Limit): Verdict {
  const each = (one: Measurement) => countOf(one) / one.count;
  const worst = worstOf(ours, each);
  if (worst === undefined) return { hold, result: 'not measured', because: '', counted: true };
  const because = `${digits(each(worst))}: ${digits(countOf(worst))} for ${digits(worst.count)}`;
  return { hold, result: each(worst) <= most ? 'met' : 'missed', because, counted: true };
}

function exactlyOnce(ours: readonly Measurement[]): Verdict {
  const hold = 'one instance for each machine';
  const off = ({ instances, leftOver, count }: Measurement) =>
    Math.max(...[instances.made, instances.living, leftOver.made].map((number) => Math.abs(number - count)));
  const worst = worstOf(ours, off);
  if (worst === undefined) return { hold, result: 'not measured', because: '', counted: true };
  const { instances, leftOver, count } = worst;
  const because = `${digits(instances.living)} live for ${digits(count)}, ${digits(leftOver.made)} ever made`;
  return { hold, result: off(worst) === 0 ? 'met' : 'missed', because, counted: true };
}

function noneLeft(ours: readonly Measurement[]): Verdict {
  const hold = 'no instance left';
  const worst = worstOf(ours, ({ leftOver }) => leftOver.living);
  if (worst === undefined) return { hold, result: 'not measured', because: '', counted: true };
  const { living } = worst.leftOver;
  return { hold, result: living === 0 ? 'met' : 'missed', because: digits(living), counted: true };
}

function worstOf<T>(all: readonly T[], badness: (one: T) => number): T | undefined {
  return all.toSorted((a, b) => badness(b) - badness(a))[0];
}
