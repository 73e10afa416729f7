// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { sleep } from './sleep.ts';

describe('FakeClock', () => {
  it('fires timers in order of their due time, each at its own moment', async () => {
    const clock = new FakeClock(new Date(0));
    const seen: string[] = [];
    const note = (name: string) => () => seen.push(`${name}@${clock.now().getTime()}`);
    clock.schedule(note('b'), 20);
    clock.schedule(note('a'), 10);
    clock.schedule(note('a2'), 10);
    clock.schedule(note('late'), 31);
    clock.schedule(note('never'), 5)();
    await clock.advance(30);
    expect(seen).toEqual(['a@10', 'a2@10', 'b@20']);
    expect(clock.now().getTime()).toBe(30);
    expect(clock.armed).toBe(1);
  });

  it('fires timers that were scheduled by timers and by promises on the way', async () => {
    const clock = new FakeClock(new Date(0));
    let rounds = 0;
    const loop = async (): Promise<void> => {
      while (rounds < 5) {
        await sleep(clock, 10);
        rounds++;
      }
    };
    const finished = loop();
    await clock.advance(49);
    expect(rounds).toBe(4);
    await clock.advance(1);
    await finished;
    expect(rounds).toBe(5);
  });

  it('sets the wall clock without firing timers', async () => {
    const clock = new FakeClock(new Date(1000));
    let fired = false;
    clock.schedule(() => (fired = true), 10);
    clock.setTime(new Date(900_000));
    await clock.settle();
    expect(fired).toBe(false);
    await clock.advance(10);
    expect(fired).toBe(true);
    expect(clock.now().getTime()).toBe(900_010);
  });
});
