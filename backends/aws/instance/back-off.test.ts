// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createBackOff, shortageMessage } from './back-off.ts';
import { sessionOf } from './instance.fixtures.ts';
import type { Offer } from './offers.ts';

const session = sessionOf(() => ({}));
const offerIn = (availabilityZone: string, instanceType = 'm5.large'): Offer => ({
  ...{ index: 0, instanceType, subnetID: 'subnet-1', availabilityZone, market: 'on-demand', maxPrice: '' },
});
const [a, b] = [offerIn('a'), offerIn('b')];

describe('back-off of offers', () => {
  it('goes to the next offer, and comes back after a minute', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    expect(backOff.take(session, [a, b])).toEqual(a);
    backOff.refused(session, a, 'CapacityUnavailable');
    expect(backOff.take(session, [a, b])).toEqual(b);
    expect(backOff.take(session, [a])).toEqual([{ offer: a, reason: 'CapacityUnavailable', forMs: 60_000 }]);
    await clock.advance(60_000);
    expect(backOff.take(session, [a, b])).toEqual(a);
  });

  it('waits longer each time, up to a quarter of an hour', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    const waits: number[] = [];
    for (let count = 0; count < 6; count++) {
      expect(backOff.take(session, [a])).toEqual(a);
      backOff.refused(session, a, 'CapacityUnavailable');
      const forMs = backOff.refusals(session, [a])[0]?.forMs ?? 0;
      waits.push(forMs / 60_000);
      await clock.advance(forMs);
    }
    expect(waits).toEqual([1, 2, 4, 8, 15, 15]);
  });

  it('counts refusals of one moment once, and lets one machine probe', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    for (let count = 0; count < 50; count++) backOff.refused(session, a, 'CapacityUnavailable');
    expect(backOff.refusals(session, [a])[0]?.forMs).toBe(60_000);
    await clock.advance(60_000);
    expect(backOff.take(session, [a])).toEqual(a);
    expect(backOff.take(session, [a])).not.toEqual(a);
    backOff.granted(session, a);
    expect(backOff.take(session, [a])).toEqual(a);
    expect(backOff.take(session, [a])).toEqual(a);
  });

  it('takes a quota for that of all zones, and of its account only', () => {
    const backOff = createBackOff(new FakeClock());
    backOff.refused(session, a, 'QuotaExceeded');
    expect(backOff.take(session, [b])).toMatchObject([{ reason: 'QuotaExceeded' }]);
    expect(backOff.take({ ...session, account: 'other' }, [b])).toEqual(b);
    expect(backOff.take(session, [offerIn('a', 'm5.xlarge')])).toMatchObject({ instanceType: 'm5.xlarge' });
  });

  it('says what there is none of, and when it is asked for again', () => {
    const text = shortageMessage([
      { offer: a, reason: 'CapacityUnavailable', forMs: 30_000 },
      { offer: b, reason: 'QuotaExceeded', forMs: 150_000 },
    ]);
    expect(text).toContain('m5.large on-demand in a (no capacity, asked for again in a minute)');
    expect(text).toContain('m5.large on-demand in b (quota of the account, asked for again in 3 minutes)');
  });
});
