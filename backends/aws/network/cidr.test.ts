// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TerminalError } from '../../../runtime/errors.ts';
import { blockKey, carvable, carve, isEverywhere, MAX_ZONES } from './cidr.ts';

describe('blockKey', () => {
  it.each([
    ['10.0.0.5/16', '10.0.0.0/16'],
    ['10.1.255.255/15', '10.0.0.0/15'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['2001:db8:0:0:0:0:0:0/64', '2001:db8::/64'],
    ['::ffff:10.0.0.1/128', '::ffff:a00:1/128'],
    ['1.2.3.4/0', '0.0.0.0/0'],
  ])('%s is the same block as %s', (one, other) => {
    expect(blockKey(one)).toBe(blockKey(other));
  });

  it.each([
    ['10.0.0.0/16', '10.0.0.0/17'],
    ['10.0.0.0/16', '10.1.0.0/16'],
    ['0.0.0.0/0', '::/0'],
    ['2001:db8::/32', '2001:db9::/32'],
  ])('%s is another block than %s', (one, other) => {
    expect(blockKey(one)).not.toBe(blockKey(other));
  });

  it('takes what is no block as it is', () => {
    expect(blockKey('10.0.0.0')).toBe('10.0.0.0');
    expect(blockKey('10.0.0.0/33')).toBe('10.0.0.0/33');
  });
});

it('everywhere is a prefix of 0', () => {
  expect(isEverywhere('0.0.0.0/0')).toBe(true);
  expect(isEverywhere('::/0')).toBe(true);
  expect(isEverywhere('0.0.0.0/1')).toBe(false);
});

describe('carve', () => {
  it('gives each zone its blocks, whatever the others are', () => {
    expect(carve('10.0.0.0/16', 0)).toEqual({ publicBlock: '10.0.0.0/22', privateBlock: '10.0.32.0/19' });
    expect(carve('10.0.0.0/16', 1)).toEqual({ publicBlock: '10.0.4.0/22', privateBlock: '10.0.64.0/19' });
    expect(carve('10.0.0.0/16', 5)).toEqual({ publicBlock: '10.0.20.0/22', privateBlock: '10.0.192.0/19' });
  });

  it.each(['10.0.0.0/16', '172.31.128.0/18', '192.168.252.0/22', '255.255.0.0/16'])(
    'cuts %s into blocks that do not overlap, inside of it and none too small',
    (vpc) => {
      const zones = Array.from({ length: MAX_ZONES }, (_, slot) => carve(vpc, slot));
      const ranges = zones
        .flatMap(({ publicBlock, privateBlock }) => [rangeOf(publicBlock), rangeOf(privateBlock)])
        .sort((a, b) => a.first - b.first);
      const whole = rangeOf(vpc);
      expect(ranges[0]?.first).toBe(whole.first);
      expect(ranges.at(-1)?.last).toBeLessThan(whole.last);
      ranges
        .slice(1)
        .forEach((range, index) => expect(range.first).toBeGreaterThan(ranges[index]?.last ?? NaN));
      ranges.forEach(({ first, last }) => expect(last - first + 1).toBeGreaterThanOrEqual(16));
    },
  );

  it('has room for six zones', () => {
    expect(() => carve('10.0.0.0/16', MAX_ZONES)).toThrow(/room for 6 zones/);
  });

  it.each(['10.0.0.0/15', '10.0.0.0/23', '2001:db8::/56', 'nonsense'])(
    'refuses %s, with the field',
    (vpc) => {
      expect(() => carvable(vpc)).toThrow(TerminalError);
      expect(() => carvable(vpc)).toThrow(/spec\.aws\.network\.managed\.cidrBlock .* from \/16 to \/22/);
    },
  );

  it('drops host bits', () => {
    expect(carvable('10.7.1.9/16')).toBe('10.7.0.0/16');
  });
});

function rangeOf(block: string): { first: number; last: number } {
  const [address = '', prefix = ''] = block.split('/');
  const first = address.split('.').reduce((value, byte) => value * 256 + Number(byte), 0);
  return { first, last: first + 2 ** (32 - Number(prefix)) - 1 };
}
