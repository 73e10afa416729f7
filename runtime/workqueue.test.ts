// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { createMetrics } from './metrics.ts';
import { createWorkqueue, type Workqueue, type WorkqueueOptions } from './workqueue.ts';

function setup(options: Partial<WorkqueueOptions> = {}) {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const queue = createWorkqueue({ name: 'test', clock, metrics, random: () => 1, ...options });
  return { clock, metrics, queue };
}

/** Takes everything that is ready, without waiting. */
async function takeAll(queue: Workqueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.length > 0) keys.push((await queue.get()) ?? 'undefined');
  return keys;
}

describe('keys', () => {
  it('are handed out once, in the order in which they were added', async () => {
    const { queue } = setup();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(await takeAll(queue)).toEqual(['a', 'b', 'c']);
  });

  it('in processing are not handed out again before done, and then once', async () => {
    const { queue } = setup();
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await takeAll(queue)).toEqual(['a']);
    queue.done('a');
    expect(queue.length).toBe(0);
  });

  it('that are hot go to the end of the queue', async () => {
    const { queue } = setup();
    for (const key of ['hot', 'b', 'c']) queue.add(key);
    const served: string[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const key = (await queue.get()) ?? '';
      served.push(key);
      if (key === 'hot') queue.add('hot');
      queue.done(key);
      if (key === 'hot' && turn < 3) queue.add(`new${turn}`);
    }
    expect(served).toEqual(['hot', 'b', 'c', 'hot', 'new0', 'hot']);
  });

  it('reach waiting workers in the order in which those came', async () => {
    const { queue } = setup();
    const first = queue.get();
    const second = queue.get();
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  it('of low priority come after the others, are promoted by a change, and never starve', async () => {
    const { queue } = setup();
    for (const key of ['old1', 'old2', 'old3']) queue.add(key, 'low');
    queue.add('new');
    queue.add('old3');
    queue.add('new', 'low');
    expect(await takeAll(queue)).toEqual(['new', 'old3', 'old1', 'old2']);

    queue.add('patient', 'low');
    const served: string[] = [];
    for (let turn = 0; turn < 20; turn++) {
      queue.add(`live${turn}`);
      served.push((await queue.get()) ?? '');
    }
    expect(served).toContain('patient');
  });
});

describe('addAfter', () => {
  it('wakes at the earliest moment asked for, once', async () => {
    const { queue, clock } = setup();
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    await clock.advance(99);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(await takeAll(queue)).toEqual(['a']);
    queue.done('a');
    await clock.advance(10_000);
    expect(queue.length).toBe(0);
  });

  it('arms one timer for any number of keys', async () => {
    const { queue, clock } = setup();
    for (let i = 1000; i > 0; i--) queue.addAfter(`k${i}`, i);
    expect(clock.armed).toBe(1);
    await clock.advance(1000);
    expect(queue.length).toBe(1000);
    expect(clock.armed).toBe(0);
    expect((await takeAll(queue)).slice(0, 3)).toEqual(['k1', 'k2', 'k3']);
  });

  it('is taken along by an add, because the work that follows decides anew', async () => {
    const { queue, clock } = setup();
    queue.addAfter('a', 1000);
    queue.add('a');
    await takeAll(queue);
    queue.done('a');
    await clock.advance(5000);
    expect(queue.length).toBe(0);
  });

  it('of a key in processing survives done', async () => {
    const { queue, clock } = setup();
    queue.add('a');
    await queue.get();
    queue.addAfter('a', 1000);
    queue.done('a');
    await clock.advance(1000);
    expect(await takeAll(queue)).toEqual(['a']);
  });

  it.each([0, -5, Number.NaN])('takes %d for now', (ms) => {
    const { queue } = setup();
    queue.addAfter('a', ms);
    expect(queue.length).toBe(1);
  });

  it('keeps time when the wall clock is set back by an hour', async () => {
    const { queue, clock } = setup();
    queue.addAfter('a', 1000);
    queue.addAfter('b', 2000);
    clock.setTime(new Date(clock.now().getTime() - 3_600_000));
    await clock.advance(1000);
    expect(await takeAll(queue)).toEqual(['a']);
    await clock.advance(1000);
    expect(await takeAll(queue)).toEqual(['b']);
  });

  it('can wait longer than a timer of Node', async () => {
    const { queue, clock } = setup();
    const sixtyDaysMs = 60 * 24 * 3_600_000;
    queue.addAfter('a', sixtyDaysMs);
    await clock.advance(sixtyDaysMs - 1);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(queue.length).toBe(1);
  });
});

describe('addRateLimited', () => {
  it('doubles from 100 ms to 5 min, and starts anew after forget', () => {
    const { queue } = setup();
    const delays = Array.from({ length: 14 }, () => queue.addRateLimited('a'));
    expect(delays.slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
    expect(delays.slice(-2)).toEqual([300_000, 300_000]);
    expect(queue.retries('a')).toBe(14);
    expect(queue.addRateLimited('b')).toBe(100);
    queue.forget('a');
    expect(queue.retries('a')).toBe(0);
    expect(queue.addRateLimited('a')).toBe(100);
  });

  it('spreads keys between half and all of the delay', () => {
    let value = 0;
    const { queue } = setup({ random: () => value });
    expect(queue.addRateLimited('a')).toBe(50);
    value = 0.999;
    expect(queue.addRateLimited('b')).toBe(100);
  });

  it('waits at least as long as the server asked', async () => {
    const { queue, clock } = setup();
    expect(queue.addRateLimited('a', 30_000)).toBe(30_000);
    await clock.advance(29_999);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(queue.length).toBe(1);
  });

  it('stays finite after thousands of failures', () => {
    const { queue } = setup();
    for (let i = 0; i < 3000; i++) queue.addRateLimited('a');
    expect(queue.addRateLimited('a')).toBe(300_000);
  });
});

describe('get', () => {
  it('gives up when its signal aborts, and the key goes to somebody else', async () => {
    const { queue } = setup();
    const abort = new AbortController();
    const gone = queue.get(abort.signal);
    const stays = queue.get();
    abort.abort();
    queue.add('a');
    expect(await gone).toBeUndefined();
    expect(await stays).toBe('a');
    queue.add('b');
    expect(await queue.get(abort.signal)).toBeUndefined();
    expect(queue.length).toBe(1);
  });

  it('ends at the shutdown; nothing is handed out or taken in from then on, and no timer stays', async () => {
    const { queue, clock } = setup();
    queue.add('busy');
    await queue.get();
    const waiting = queue.get();
    queue.add('busy');
    queue.addAfter('later', 1000);
    queue.shutDown();
    expect(await waiting).toBeUndefined();
    queue.add('c');
    queue.addAfter('d', 5);
    queue.done('busy');
    await clock.advance(5000);
    expect(queue.length).toBe(0);
    expect(clock.armed).toBe(0);
    expect(await queue.get()).toBeUndefined();
  });
});

describe('metrics', () => {
  it('tell what happened, per queue, with gauges that are right at scrape time', async () => {
    const { queue, clock, metrics } = setup();
    const other = createWorkqueue({ name: 'other', clock, metrics });
    other.add('x');
    queue.add('a');
    queue.add('a');
    queue.add('b');
    await clock.advance(2000);
    await queue.get();
    await clock.advance(3000);
    queue.addRateLimited('c');
    const text = await metrics.metrics();
    const labels = '{name="test",controller="test"}';
    for (const line of [
      `workqueue_depth${labels} 1`,
      'workqueue_depth{name="other",controller="other"} 1',
      `workqueue_adds_total${labels} 2`,
      `workqueue_retries_total${labels} 1`,
      `workqueue_queue_duration_seconds_sum${labels} 2`,
      `workqueue_work_duration_seconds_count${labels} 0`,
      `workqueue_unfinished_work_seconds${labels} 3`,
      `workqueue_longest_running_processor_seconds${labels} 3`,
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    queue.done('a');
    const after = await metrics.metrics();
    expect(after.split('\n')).toContain(`workqueue_work_duration_seconds_sum${labels} 3`);
    expect(after.split('\n')).toContain(`workqueue_unfinished_work_seconds${labels} 0`);
  });
});
