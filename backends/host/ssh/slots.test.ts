// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Lane, Slots } from './slots.ts';

const forever = new AbortController().signal;

describe('slots', () => {
  it('are given in turn, and given back once', async () => {
    const slots = new Slots({ total: 1 });
    const order: string[] = [];
    const release = await slots.acquire(forever);
    const waiters = ['a', 'b', 'c'].map(async (name) => {
      const done = await slots.acquire(forever);
      order.push(name);
      done();
      done();
    });
    expect(slots.waiting).toBe(3);
    expect(slots.short).toBe(true);
    release();
    await Promise.all(waiters);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(slots.inUse).toBe(0);
  });

  it('are not kept for a waiter that has left', async () => {
    const slots = new Slots({ total: 1 });
    const release = await slots.acquire(forever);
    const leaving = new AbortController();
    const left = slots.acquire(leaving.signal);
    const next = slots.acquire(forever);
    leaving.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    release();
    (await next)();
    expect([slots.inUse, slots.waiting]).toEqual([0, 0]);
    await expect(slots.acquire(leaving.signal)).rejects.toThrow('enough');
  });

  it('go past doubtful waiters that have their part already', async () => {
    const slots = new Slots({ total: 4 });
    const held = await slots.acquire(forever, 'doubtful');
    const waiting = slots.acquire(forever, 'doubtful');
    // More slots would not help it.
    expect(slots.short).toBe(false);
    const usual = [await slots.acquire(forever), await slots.acquire(forever), await slots.acquire(forever)];
    expect(slots.inUse).toBe(4);
    usual[0]?.();
    expect(slots.waiting).toBe(1);
    held();
    (await waiting)();
  });

  it('are never more than there are, whatever happens, and nobody waits for nothing', async () => {
    const lane = fc.constantFrom<Lane>('usual', 'doubtful');
    const step = fc.oneof(
      fc.record({ take: lane }),
      fc.record({ give: fc.nat() }),
      fc.record({ leave: fc.nat() }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 6 }),
        async (steps, total) => {
          const slots = new Slots({ total });
          const held: (() => void)[] = [];
          const waiting = new Set<AbortController>();
          for (const each of steps) {
            if ('take' in each) {
              const controller = new AbortController();
              waiting.add(controller);
              void slots
                .acquire(controller.signal, each.take)
                .then((release) => held.push(release))
                .catch(() => undefined)
                .finally(() => waiting.delete(controller));
            }
            if ('give' in each) held.splice(each.give % (held.length || 1), 1)[0]?.();
            if ('leave' in each) [...waiting][each.leave % (waiting.size || 1)]?.abort();
            await new Promise((resolve) => setImmediate(resolve));
            expect(slots.inUse).toBeLessThanOrEqual(total);
            expect(slots.inUse).toBe(held.length);
            expect(slots.waiting).toBe(waiting.size);
            if (slots.short) expect(slots.inUse).toBe(total);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
