// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasPassed, systemClock } from './clock.ts';
import { FakeClock } from './fake-clock.ts';

describe('systemClock', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it.each([2 ** 31, 1e15, Infinity])('a timer of %d ms does not fire at once', (ms) => {
    const fire = vi.fn();
    const cancel = systemClock.schedule(fire, ms);
    vi.advanceTimersByTime(24 * 24 * 3_600_000);
    expect(fire).not.toHaveBeenCalled();
    cancel();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('hasPassed', () => {
  const clock = new FakeClock();
  const nowMs = clock.now().getTime();

  it.each([
    ['just now', nowMs, false],
    ['a moment too young', nowMs - 999, false],
    ['old enough', nowMs - 1_000, true],
    ['never', -Infinity, true],
    ['in the future, as after the clock was set back', nowMs + 1, true],
  ])('%s', (_name, sinceMs, want) => expect(hasPassed(clock, sinceMs, 1_000)).toBe(want));
});
