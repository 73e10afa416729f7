// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { total, writesOf } from './counts.ts';

const requests = new Map([
  ['get secrets', 1],
  ['list machines', 2],
  ['patch tsmachines', 20],
  ['update tsmachines/status', 300],
  ['create events', 4_000],
  ['patch events', 50_000],
  ['delete secrets', 600_000],
]);

describe('counts', () => {
  it('total is of all keys', () => expect(total(requests)).toBe(654_323));

  it('writes are told from reads, and those of Events from all others', () => {
    expect(writesOf(requests)).toEqual({ objects: 600_320, events: 54_000 });
  });

  it('nothing is nothing', () => {
    expect(total(new Map())).toBe(0);
    expect(writesOf(new Map())).toEqual({ objects: 0, events: 0 });
  });
});
