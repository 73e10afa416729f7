// SPDX-License-Identifier: Apache-2.0
// How long what is as it shall be can be left alone. Clusters and pools are looked at one by one, and all of an account are to cost it
// little together: the more there are, the longer each of them rests.
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import type { AWSSession } from './session/session.ts';

/** Looks of all clusters and pools of an account and region, in calls for each second. What is observed for all at once comes besides. */
const CALLS_PER_SECOND = 0.4;
/** What was changed outside is noticed after so long in any case. */
const LONGEST_MS = 60 * 60_000;

/** Something that is looked at again and again. */
export interface Resting {
  /** Unique in its account and region, such as `network c1-0a1b2c3d`. */
  readonly what: string;
  /** Calls of one look, about. */
  readonly calls: number;
  /** How long it rests where there is little else. */
  readonly atLeastMs: number;
}

/** Of all accounts. What it remembers can be lost: looks are nearer together then, for a round. */
export interface Rest {
  /** Milliseconds until the next look. */
  after(session: Pick<AWSSession, 'account' | 'region'>, resting: Resting): number;
}

interface Seen {
  readonly calls: number;
  readonly atMs: number;
}

export function createRest(clock: Clock): Rest {
  const accounts = new Map<string, Map<string, Seen>>();
  return {
    after({ account, region }, { what, calls, atLeastMs }) {
      const place = `${account} ${region}`;
      const known = accounts.get(place) ?? new Map<string, Seen>();
      accounts.set(place, known);
      known.set(what, { calls, atMs: clock.now().getTime() });
      let sum = 0;
      for (const [other, seen] of known) {
        // Who has not come for two rounds is gone.
        if (hasPassed(clock, seen.atMs, 2 * LONGEST_MS)) known.delete(other);
        else sum += seen.calls;
      }
      const fairMs = Math.min((sum / CALLS_PER_SECOND) * 1_000, LONGEST_MS);
      return Math.max(atLeastMs, Math.round(fairMs));
    },
  };
}
