// SPDX-License-Identifier: Apache-2.0
// When a host is looked at again. In memory only: an idle fleet costs no writes and few connections.
import { createHash } from 'node:crypto';
import type { Clock } from '../../runtime/clock.ts';

/** How often a host is looked at, on average. */
export const PROBE_INTERVAL_MS = 600_000;

/** Each host has an interval of its own, this much around the average, so that hosts do not come all at once. */
const SPREAD = 0.2;

/** Says when hosts are due. `key` is `namespace/name`. */
export interface ProbeSchedule {
  /** Milliseconds until the host is due, 0 when it is. One that was not seen since the start has its turn within one interval. */
  dueInMs(key: string): number;
  /** The host has been looked at just now. */
  probed(key: string): void;
  /** What was seen counts no longer: the host is due at once. */
  expire(key: string): void;
  /** The host is gone. */
  forget(key: string): void;
}

/** The first question starts the time: a manager may have to wait for its lease. */
export function createProbeSchedule(clock: Clock): ProbeSchedule {
  const dueAt = new Map<string, number>();
  const nowMs = () => clock.now().getTime();
  let startedMs: number | undefined;

  return {
    dueInMs(key) {
      startedMs ??= nowMs();
      const due = dueAt.get(key) ?? startedMs + Math.round(fractionOf(`${key} start`) * intervalMs(key));
      // More than an interval ahead means that the clock was set back.
      const left = due - nowMs();
      return left > intervalMs(key) ? 0 : Math.max(0, left);
    },
    probed: (key) => void dueAt.set(key, nowMs() + intervalMs(key)),
    expire: (key) => void dueAt.set(key, nowMs()),
    forget: (key) => void dueAt.delete(key),
  };
}

/** The same for a host in every manager. */
function intervalMs(key: string): number {
  return Math.round(PROBE_INTERVAL_MS * (1 - SPREAD + 2 * SPREAD * fractionOf(key)));
}

/** From 0 up to 1. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
