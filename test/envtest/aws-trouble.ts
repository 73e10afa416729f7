// SPDX-License-Identifier: Apache-2.0
// What goes wrong at AWS, one by one: each begins, and can be ended.
import type { Behaviour } from '../aws/proxy/behaviour.ts';
import type { Fault, FaultKind } from '../aws/proxy/faults.ts';
import type { Region } from './aws-region.ts';

export interface Trouble {
  readonly what: string;
  /** Answers what ends it. */
  readonly begin: (region: Region) => () => void;
}

/** The calls that matter; in all others trouble is rarer, so that a manager gets as far as these. */
const ACTS = [
  ...['RunInstances', 'TerminateInstances', 'DescribeInstances', 'DeregisterTargets'],
  ...['CreateSecret', 'ListSecrets', 'DeleteSecret'],
];

function mostly(kind: FaultKind, rate: number): readonly Fault[] {
  return [
    { ...kind, actions: ACTS, rate },
    { ...kind, rate: rate / 5 },
  ];
}

/** Everything that issue 7 names, but for duplicate matches and reads that are stale for longer. */
export const TROUBLES: readonly Trouble[] = [
  faults('answers get lost', ...mostly({ kind: 'lostResponse' }, 0.5)),
  faults('requests get lost', ...mostly({ kind: 'lostRequest' }, 0.5)),
  faults('calls are throttled', ...mostly({ kind: 'throttle' }, 0.5)),
  faults(
    'calls fail',
    ...mostly({ kind: 'serverError', status: 500 }, 0.3),
    ...mostly({ kind: 'serverError', status: 503 }, 0.3),
  ),
  faults(
    'answers are slow',
    { kind: 'slow', delayMs: 900, rate: 0.5, before: 'answer' },
    { kind: 'slow', delayMs: 400, rate: 0.3, before: 'request' },
  ),
  faults('credentials expire', ...mostly({ kind: 'expiredCredentials' }, 0.5)),
  faults('the load balancers have no API', { kind: 'serviceDown', service: 'elasticloadbalancing' }),
  knob('what is read is ten seconds old', 'staleMs', () => 10_000),
  knob('the clocks differ', 'clockSkewMs', () => 10 * 60_000),
  knob('a zone has no capacity', 'noCapacity', ({ name }) => [{ availabilityZone: `${name}a` }]),
];

function faults(what: string, ...list: readonly Fault[]): Trouble {
  return {
    what,
    begin({ proxy }) {
      const handles = list.map((fault) => proxy.faults.add(fault));
      return () => handles.forEach((handle) => handle.remove());
    },
  };
}

function knob<K extends keyof Behaviour>(
  what: string,
  name: K,
  value: (region: Region) => Behaviour[K],
): Trouble {
  return {
    what,
    begin(region) {
      const { options } = region.proxy;
      const before = options[name];
      options[name] = value(region);
      return () => void (options[name] = before);
    },
  };
}

/** In another order, which the random numbers decide. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
