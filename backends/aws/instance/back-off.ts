// SPDX-License-Identifier: Apache-2.0
// Offers that AWS has refused for want of capacity or quota: not asked for again for a while, by any machine of the account.
import type { Clock } from '../../../runtime/clock.ts';
import type { AWSSession } from '../session/session.ts';
import type { Offer } from './offers.ts';

const FIRST_MS = 60_000;
const LONGEST_MS = 15 * 60_000;
/** After its time one machine asks; the others learn from it. */
const PROBE_MS = 5_000;
/** What has not been refused for so long is as if it never was. */
const FORGET_MS = 3_600_000;

/** What there is none of: instances that the quota of the region allows, capacity in the zone, free addresses in the subnet. */
export type Shortage = 'quota' | 'capacity' | 'addresses';

/** What is known of an offer that cannot be had now. */
export interface Refused {
  readonly offer: Offer;
  readonly shortage: Shortage;
  readonly forMs: number;
}

export interface BackOff {
  /** The first offer that may be asked for now, and keeps others from probing it at once; else why none of them may be. */
  take(session: AWSSession, offers: readonly Offer[]): Offer | readonly Refused[];
  /** Those that may not be asked for now. */
  refusals(session: AWSSession, offers: readonly Offer[]): readonly Refused[];
  refused(session: AWSSession, offer: Offer, shortage: Shortage): void;
  /** There is some again. */
  granted(session: AWSSession, offer: Offer): void;
}

interface Entry {
  readonly shortage: Shortage;
  readonly failures: number;
  readonly untilMs: number;
  /** A machine asks at present. */
  readonly isProbed: boolean;
}

/** No offer is refused. The wait doubles from one to fifteen minutes. */
export function createBackOff(clock: Clock): BackOff {
  const entries = new Map<string, Entry>();
  const now = () => clock.now().getTime();
  const entryOf = (session: AWSSession, offer: Offer): readonly [string, Entry | undefined] => {
    const keys = keysOf(session, offer);
    const key =
      keys.find((one) => (entries.get(one)?.untilMs ?? 0) > now()) ?? keys.find((one) => entries.has(one));
    return [key ?? '', key === undefined ? undefined : entries.get(key)];
  };
  const isFree = (session: AWSSession, offer: Offer) => (entryOf(session, offer)[1]?.untilMs ?? 0) <= now();
  const refusals = (session: AWSSession, offers: readonly Offer[]): Refused[] =>
    offers
      .filter((offer) => !isFree(session, offer))
      .map((offer) => {
        const { untilMs = 0, shortage = 'capacity' } = entryOf(session, offer)[1] ?? {};
        return { offer, shortage, forMs: untilMs - now() };
      });

  return {
    refusals,
    take(session, offers) {
      const offer = offers.find((one) => isFree(session, one));
      if (offer === undefined) return refusals(session, offers);
      const [key, entry] = entryOf(session, offer);
      if (entry !== undefined) entries.set(key, { ...entry, untilMs: now() + PROBE_MS, isProbed: true });
      return offer;
    },
    refused(session, offer, shortage) {
      for (const [key, { untilMs }] of entries) if (now() - untilMs > FORGET_MS) entries.delete(key);
      const key = keyOf(session, offer, shortage);
      const known = entries.get(key);
      // Many machines asked at the same time: that is one refusal, not many in a row.
      if (known !== undefined && known.untilMs > now() && !known.isProbed) return;
      const failures = (known?.failures ?? 0) + 1;
      const waitMs = Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS);
      entries.set(key, { shortage, failures, untilMs: now() + waitMs, isProbed: false });
    },
    granted(session, offer) {
      for (const key of keysOf(session, offer)) entries.delete(key);
    },
  };
}

/** Whom a shortage concerns: every machine that would ask for the same. */
function keyOf({ account, region }: AWSSession, offer: Offer, shortage: Shortage): string {
  const { instanceType, market, maxPrice, availabilityZone, placement, subnetID } = offer;
  const of: Readonly<Record<Shortage, readonly string[]>> = {
    quota: [instanceType, market],
    capacity: [instanceType, market, maxPrice, availabilityZone, placement],
    addresses: [subnetID],
  };
  return [shortage, account, region, ...of[shortage]].join(' ');
}

function keysOf(session: AWSSession, offer: Offer): string[] {
  return (['quota', 'capacity', 'addresses'] as const).map((shortage) => keyOf(session, offer, shortage));
}

const WHY: Readonly<Record<Shortage, (offer: Offer) => string>> = {
  quota: () => 'quota of the account',
  capacity: () => 'no capacity',
  addresses: ({ subnetID }) => `no free address in ${subnetID}`,
};

/** Why nothing can be had, for people: each offer, and when it is asked for again. */
export function shortageMessage(refused: readonly Refused[]): string {
  const lines = refused.map(
    ({ offer, shortage, forMs }) =>
      `${offer.instanceType} ${offer.market} in ${offer.availabilityZone} ` +
      `(${WHY[shortage](offer)}, asked for again in ${minutes(forMs)})`,
  );
  const way = 'Add fallbacks to the template, raise the quota, or wait';
  return `AWS has none of: ${[...new Set(lines)].join(', ')}. ${way}`;
}

/** Full minutes, so that the message does not change with every look. */
function minutes(ms: number): string {
  return ms <= 60_000 ? 'a minute' : `${Math.ceil(ms / 60_000)} minutes`;
}
