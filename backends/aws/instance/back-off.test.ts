// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { AWSRefusal } from '../session/session.ts';
import { createBackOff, shortageMessage } from './back-off.ts';
import { sessionOf } from './instance.fixtures.ts';
import { type Offer, placementOf } from './offers.ts';
import { shortageOf } from './refusal.ts';

const session = sessionOf(() => ({}));
const offerIn = (availabilityZone: string, instanceType = 'm5.large'): Offer => ({
  ...{ index: 0, instanceType, subnetID: 'subnet-1', availabilityZone, market: 'on-demand', maxPrice: '' },
  placement: '',
});
const [a, b] = [offerIn('a'), offerIn('b')];

describe('back-off of offers', () => {
  it('goes to the next offer, and comes back after a minute', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    expect(backOff.take(session, [a, b])).toEqual(a);
    backOff.refused(session, a, 'capacity');
    expect(backOff.take(session, [a, b])).toEqual(b);
    expect(backOff.take(session, [a])).toEqual([{ offer: a, shortage: 'capacity', forMs: 60_000 }]);
    await clock.advance(60_000);
    expect(backOff.take(session, [a, b])).toEqual(a);
  });

  it('waits longer each time, up to a quarter of an hour', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    const waits: number[] = [];
    for (let count = 0; count < 6; count++) {
      expect(backOff.take(session, [a])).toEqual(a);
      backOff.refused(session, a, 'capacity');
      const forMs = backOff.refusals(session, [a])[0]?.forMs ?? 0;
      waits.push(forMs / 60_000);
      await clock.advance(forMs);
    }
    expect(waits).toEqual([1, 2, 4, 8, 15, 15]);
  });

  it('counts refusals of one moment once, and lets one machine probe', async () => {
    const clock = new FakeClock();
    const backOff = createBackOff(clock);
    for (let count = 0; count < 50; count++) backOff.refused(session, a, 'capacity');
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
    backOff.refused(session, a, 'quota');
    expect(backOff.take(session, [b])).toMatchObject([{ shortage: 'quota' }]);
    expect(backOff.take({ ...session, account: 'other' }, [b])).toEqual(b);
    expect(backOff.take(session, [offerIn('a', 'm5.xlarge')])).toMatchObject({ instanceType: 'm5.xlarge' });
  });

  it('takes a subnet without free addresses for that subnet only, whatever the type', () => {
    const backOff = createBackOff(new FakeClock());
    const other = { ...a, subnetID: 'subnet-2' };
    backOff.refused(session, a, 'addresses');
    expect(backOff.take(session, [a, other])).toEqual(other);
    expect(backOff.take(session, [offerIn('a', 'm5.xlarge')])).toMatchObject([{ shortage: 'addresses' }]);
    backOff.granted(session, a);
    expect(backOff.take(session, [a])).toEqual(a);
  });

  it('takes a full reservation, placement group or host for no lack of what other machines ask for', () => {
    const backOff = createBackOff(new FakeClock());
    const narrow = { ...a, placement: 'cr-1' };
    backOff.refused(session, narrow, 'capacity');
    expect(backOff.take(session, [a])).toEqual(a);
    expect(backOff.take(session, [{ ...a, placement: 'cr-2' }])).toMatchObject({ placement: 'cr-2' });
    expect(backOff.take(session, [narrow])).toMatchObject([{ shortage: 'capacity' }]);
  });

  it('says what there is none of, and when it is asked for again', () => {
    const text = shortageMessage([
      { offer: a, shortage: 'capacity', forMs: 30_000 },
      { offer: b, shortage: 'quota', forMs: 150_000 },
      { offer: b, shortage: 'addresses', forMs: 60_000 },
    ]);
    expect(text).toContain('m5.large on-demand in a (no capacity, asked for again in a minute)');
    expect(text).toContain('m5.large on-demand in b (quota of the account, asked for again in 3 minutes)');
    expect(text).toContain(
      'm5.large on-demand in b (no free address in subnet-1, asked for again in a minute)',
    );
  });
});

describe('what is a shortage', () => {
  it.each([
    ['InsufficientFreeAddressesInSubnet', 'CapacityUnavailable', 'addresses'],
    ['InsufficientInstanceCapacity', 'CapacityUnavailable', 'capacity'],
    ['ReservationCapacityExceeded', 'CapacityUnavailable', 'capacity'],
    ['InstanceLimitExceeded', 'QuotaExceeded', 'quota'],
    ['VcpuLimitExceeded', 'QuotaExceeded', 'quota'],
    ['MaxSpotInstanceCountExceeded', 'QuotaExceeded', 'quota'],
    ['TagLimitExceeded', 'QuotaExceeded', undefined],
    ['AttachmentLimitExceeded', 'QuotaExceeded', undefined],
    ['SecurityGroupsPerInterfaceLimitExceeded', 'QuotaExceeded', undefined],
    ['InvalidKeyPair.NotFound', 'CloudRequestRefused', undefined],
  ])('%s (%s): %s', (code, reason, expected) => {
    const error = new AWSRefusal({ action: 'RunInstances', code, reason, message: code });
    expect(shortageOf(error)).toBe(expected);
  });
});

describe('where else a machine may run', () => {
  const image = { id: 'ami-1' };
  it.each([
    ['', {}],
    ['', { tenancy: 'default' }],
    ['dedicated', { tenancy: 'dedicated' }],
    ['cr-1', { capacityReservation: { id: 'cr-1' } }],
    ['racks 2', { placementGroup: { name: 'racks', partition: 2 } }],
  ] as const)('"%s" of %j', (expected, spec) => {
    expect(placementOf({ instanceType: 'm5.large', image, ...spec })).toBe(expected);
  });
});
