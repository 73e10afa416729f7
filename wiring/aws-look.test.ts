// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { contextOf } from '../backends/aws/instance/instance.fixtures.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import { keyOf } from '../runtime/object.ts';
import { lookAt, type Lookers } from './aws-look.ts';

const machine = { namespace: 'default', name: 'm' };

function start(ticks: Partial<Record<keyof Lookers, () => Promise<void>>> = {}) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const woken: string[] = [];
  const ticked = (name: keyof Lookers) => ({
    tick: () => (asked.push(name), ticks[name]?.() ?? Promise.resolve()),
  });
  const lookers: Lookers = {
    machines: { ...ticked('machines'), changes: async () => ({ machines: [machine], cursor: '1' }) },
    upkeep: ticked('upkeep'),
    orphans: ticked('orphans'),
  };
  const wake = (name: typeof machine) => void woken.push(keyOf(name));
  return { clock, asked, woken, lookers, machines: { wake, all: () => [] } };
}

describe('a look at AWS', () => {
  it('looks at instances first, and tells at once what has changed', async () => {
    const { clock, asked, woken, lookers, machines } = start();
    await lookAt(async () => lookers, machines)(contextOf(clock));
    expect(asked).toEqual(['machines', 'upkeep', 'orphans']);
    expect(woken).toEqual(['default/m']);
    expect(clock.armed).toBe(0);
  });

  it('tells of the others while one region does not answer', async () => {
    const never = () => new Promise<void>(() => undefined);
    const { clock, asked, woken, lookers, machines } = start({ machines: never, upkeep: never });
    void lookAt(async () => lookers, machines)(contextOf(clock));
    await clock.advance(1_000);
    expect(asked).toEqual(['machines', 'upkeep', 'orphans']);
    expect(woken).toEqual(['default/m']);
  });

  it('does nothing before there is anything at AWS', async () => {
    const { clock, woken, machines } = start();
    await lookAt(async () => undefined, machines)(contextOf(clock));
    expect(woken).toEqual([]);
  });
});
