// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { durationOfDays, durationOfSeconds, timeInUTC } from './duration.ts';
import { InputError } from './input-error.ts';

describe('durations (KB-42)', () => {
  it.each([
    [0, '0s'],
    [1, '1s'],
    [59, '59s'],
    [60, '1m0s'],
    [100, '1m40s'],
    [3600, '1h0m0s'],
    [3661, '1h1m1s'],
    [86_461, '24h1m1s'],
    [2_147_483_647, '596523h14m7s'],
  ])('%i seconds are %s', (seconds, text) => {
    expect(durationOfSeconds(seconds)).toBe(text);
  });

  it.each([
    [1, '24h0m0s'],
    [365, '8760h0m0s'],
    [36_500, '876000h0m0s'],
  ])('%i days are %s', (days, text) => {
    expect(durationOfDays(days)).toBe(text);
  });
});

describe('timeInUTC', () => {
  it.each([
    ['2036-01-31T12:00:00Z', '2036-01-31T12:00:00Z'],
    ['2036-01-31T13:00:00.999+01:00', '2036-01-31T12:00:00Z'],
    ['2036-01-31T23:30:00-01:30', '2036-02-01T01:00:00Z'],
  ])('%s is %s', (text, utc) => {
    expect(timeInUTC(text, 'x')).toBe(utc);
  });

  it('refuses what is not a time and names the field', () => {
    expect(() => timeInUTC('tomorrow', 'spec.expires')).toThrow(InputError);
    expect(() => timeInUTC('tomorrow', 'spec.expires')).toThrow('spec.expires: is not a time');
  });
});
