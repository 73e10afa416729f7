// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { DelayHeap } from './delay-heap.ts';

describe('DelayHeap', () => {
  it('agrees with a plain map on random operations', () => {
    const heap = new DelayHeap();
    const model = new Map<string, number>();
    let state = 42;
    // A linear congruential generator: the same run each time.
    const random = (below: number): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % below;
    for (let step = 0; step < 20_000; step++) {
      const key = `k${random(200)}`;
      const due = random(1000);
      const operation = random(10);
      if (operation < 6) {
        heap.set(key, due);
        model.set(key, Math.min(due, model.get(key) ?? Infinity));
      } else if (operation < 8) {
        heap.delete(key);
        model.delete(key);
      } else {
        const earliest = Math.min(...model.values());
        expect(heap.firstDueMs()).toBe(model.size === 0 ? undefined : earliest);
        const taken = heap.takeDue(due);
        if (taken === undefined) expect(earliest).toBeGreaterThan(due);
        else {
          expect(model.get(taken)).toBe(earliest);
          model.delete(taken);
        }
      }
      expect(heap.size).toBe(model.size);
    }
  });

  it('does not grow when the wake-up of one key is moved forward for ever', () => {
    const heap = new DelayHeap();
    for (let due = 100_000; due > 0; due--) heap.set('key', due);
    expect((heap as unknown as { entries: unknown[] }).entries.length).toBeLessThan(200);
    expect(heap.takeDue(1)).toBe('key');
    expect(heap.takeDue(Infinity)).toBeUndefined();
  });
});
