// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createProbeSchedule, PROBE_INTERVAL_MS } from './schedule.ts';

const KEYS = Array.from({ length: 200 }, (_, index) => `ns/host-${index}`);

it('after a start hosts have their turns all over the interval, and not together', () => {
  const schedule = createProbeSchedule(new FakeClock());
  const due = KEYS.map((key) => schedule.dueInMs(key));
  const perMinute = Array.from({ length: 12 }, (_, minute) =>
    due.filter((ms) => Math.floor(ms / 60_000) === minute),
  );
  expect(Math.max(...due)).toBeLessThanOrEqual(1.2 * PROBE_INTERVAL_MS);
  expect(Math.max(...perMinute.map((list) => list.length))).toBeLessThan(40);
});

it('each host has an interval of its own, around ten minutes, the same in every manager', () => {
  const schedules = [createProbeSchedule(new FakeClock()), createProbeSchedule(new FakeClock())];
  for (const schedule of schedules) KEYS.forEach((key) => schedule.probed(key));
  const [one, other] = schedules.map((schedule) => KEYS.map((key) => schedule.dueInMs(key)));
  expect(one).toEqual(other);
  expect(Math.min(...one!)).toBeGreaterThanOrEqual(0.8 * PROBE_INTERVAL_MS);
  expect(Math.max(...one!)).toBeLessThanOrEqual(1.2 * PROBE_INTERVAL_MS);
  expect(new Set(one).size).toBeGreaterThan(190);
});

it('the time begins with the first question, since a standby waits for its lease', async () => {
  const clock = new FakeClock();
  const schedule = createProbeSchedule(clock);
  await clock.advance(3_600_000);
  expect(KEYS.filter((key) => schedule.dueInMs(key) === 0).length).toBeLessThan(3);
});

it('what was seen can expire, and a host that is gone is forgotten', async () => {
  const clock = new FakeClock();
  const schedule = createProbeSchedule(clock);
  const first = schedule.dueInMs('ns/h');
  schedule.probed('ns/h');
  expect(schedule.dueInMs('ns/h')).toBeGreaterThan(0);
  schedule.expire('ns/h');
  expect(schedule.dueInMs('ns/h')).toBe(0);
  schedule.forget('ns/h');
  expect(schedule.dueInMs('ns/h')).toBe(first);
});

it('a clock that is set back does not put a look off for hours', () => {
  const clock = new FakeClock();
  const schedule = createProbeSchedule(clock);
  schedule.probed('ns/h');
  clock.setTime(new Date(clock.now().getTime() - 7_200_000));
  expect(schedule.dueInMs('ns/h')).toBe(0);
});
