// SPDX-License-Identifier: Apache-2.0
// Which calls came: every attempt counts, also those that a fault swallowed.

/** One call as it ended. */
export interface Call {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly service: string;
  readonly action: string;
  /** 0 when the connection was cut. */
  readonly status: number;
  /** The error code, empty for a success. */
  readonly code: string;
  readonly accessKeyID: string;
  readonly tookMs: number;
}

export interface CallLog {
  add(call: Call): void;
  /** The last ones, oldest first. */
  calls(): readonly Call[];
  /** How many of an action (`RunInstances`), of a service (`ec2.*`), or of both (`ec2.RunInstances`). */
  countOf(action: string): number;
  /** `ec2.RunInstances` -> how many. */
  counts(): Record<string, number>;
  clear(): void;
}

const KEPT = 50_000;

/** An empty log. Counts are exact; of the calls themselves it keeps the last 50,000. */
export function callLog(): CallLog {
  let calls: Call[] = [];
  let counts = new Map<string, number>();
  return {
    add(call) {
      calls.push(call);
      if (calls.length >= 2 * KEPT) calls = calls.slice(-KEPT);
      const key = `${call.service}.${call.action}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    calls: () => calls.slice(-KEPT),
    countOf(action) {
      let sum = 0;
      for (const [key, count] of counts) if (matches(key, action)) sum += count;
      return sum;
    },
    counts: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    clear() {
      calls = [];
      counts = new Map();
    },
  };
}

function matches(key: string, action: string): boolean {
  if (action.endsWith('.*')) return key.startsWith(action.slice(0, -1));
  return key === action || key.endsWith(`.${action}`);
}
