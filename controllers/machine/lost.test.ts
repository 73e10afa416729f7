// SPDX-License-Identifier: Apache-2.0
// A TSMachine that goes away under the pass that makes its instance, on the in-memory backend.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind } from '../../api/kinds.ts';
import type { Destroyed, MachineBackend } from '../../backends/backend.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { createLogger } from '../../runtime/logger.ts';
import { MachineWorld, tsMachine } from '../../test/machine-world.ts';

const MINUTE = 60_000;
const shuttingDown: Destroyed = { state: 'inProgress', message: 'shutting down' };

let world: MachineWorld;
/** What the backend was asked to end, by client token. */
let asked: string[];
/** What was logged, from warnings on. */
let lines: string[];

beforeEach(() => {
  world = new MachineWorld();
  asked = [];
  lines = [];
  world.log = createLogger({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
});

/** The backend with one verb replaced. */
function instead(change: Partial<MachineBackend>): void {
  const real = world.backend;
  world.backend = { observe: real.observe, create: real.create, destroy: real.destroy, ...change };
}

/** The object goes as the API server ends a DELETE that it began before the finalizer came. */
function lostWhileCreating(): void {
  const { create } = world.backend;
  const lose = async (...call: Parameters<MachineBackend['create']>) => {
    const created = await create(...call);
    const object = world.tsMachine()!;
    world.api.put({ ...object, metadata: { ...object.metadata, finalizers: [] } });
    world.deleteTSMachine();
    return created;
  };
  instead({ create: lose });
}

/** These answers, one after the other, then the backend's own. */
function answers(...first: (() => Promise<Destroyed>)[]): void {
  const { destroy } = world.backend;
  instead({
    destroy: (ctx, machine) => {
      asked.push(machine.intent?.clientToken ?? '');
      return first.shift()?.() ?? destroy(ctx, machine);
    },
  });
}

const inProgress = () => Promise.resolve(shuttingDown);
const said = (text: string) => lines.filter((line) => line.includes(text)).length;
const stateOf = (clientToken = '') => world.cloud.find({ clientToken })?.state;

async function lookFor(ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 3_000) {
    await world.clock.advance(3_000);
    await world.lookAtLost();
  }
}

describe('a TSMachine that is gone although our finalizer was written in time', () => {
  it('IM-12: takes its instance with it', async () => {
    lostWhileCreating();
    answers();
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    expect(world.cloud.counts().instancesMade).toBe(1);
    expect(asked).toHaveLength(1);
    expect(stateOf(asked[0])).toBe('terminated');
    await world.lookAtLost();
    expect(asked).toHaveLength(1);
  });

  it('holds no worker while its instance ends', async () => {
    lostWhileCreating();
    answers(inProgress);
    // The clock stands still: who waits here waits for ever.
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    expect(asked).toHaveLength(1);
    expect(stateOf(asked[0])).not.toBe('terminated');

    await world.lookAtLost();
    expect(asked).toHaveLength(2);
    expect(stateOf(asked[0])).toBe('terminated');
    await lookFor(MINUTE);
    expect(asked).toHaveLength(2);
    expect(said('left so')).toBe(0);
  });

  it('ends all that its instance has, however often that must be asked for', async () => {
    lostWhileCreating();
    const noAnswer = () => Promise.reject(new TransientError('no answer'));
    answers(noAnswer, inProgress, noAnswer, inProgress);
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    await lookFor(MINUTE);
    expect(asked).toHaveLength(5);
    expect(new Set(asked).size).toBe(1);
    expect(stateOf(asked[0])).toBe('terminated');
  });

  it.each([
    ['at once', []],
    ['later', [inProgress]],
  ])('what a person has to see to is told once and not asked again: %s', async (_when, before) => {
    lostWhileCreating();
    const refused = () => Promise.reject(new TerminalError('DuplicateInstances', 'two have the token'));
    answers(...before, refused);
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    await lookFor(MINUTE);
    expect(asked).toHaveLength(before.length + 1);
    expect(said('two have the token')).toBe(1);
  });

  it('is given up after ten minutes, with one line that says what is left', async () => {
    lostWhileCreating();
    answers(...Array.from({ length: 1_000 }, () => inProgress));
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    await lookFor(10 * MINUTE - 3_000);
    expect(said('shutting down')).toBe(0);
    await lookFor(MINUTE);
    expect(said('shutting down')).toBe(1);
    expect(asked).toHaveLength(1 + (10 * MINUTE) / 3_000);
  });

  it('one that hangs holds up no other', async () => {
    lostWhileCreating();
    const never = () => new Promise<Destroyed>(() => undefined);
    answers(inProgress, inProgress, never);
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    world.api.put(tsMachine());
    await expect(world.reconcile()).rejects.toThrow(/not found/);
    void world.lookAtLost();
    await world.clock.advance(0);
    expect(asked).toHaveLength(4);
    expect([stateOf(asked[0]), stateOf(asked[1])]).not.toEqual(['terminated', 'terminated']);
    expect([stateOf(asked[0]), stateOf(asked[1])]).toContain('terminated');
  });

  it('what cannot be remembered any more is told at once', async () => {
    lostWhileCreating();
    answers(...Array.from({ length: 1_000 }, () => inProgress));
    for (let machines = 0; machines <= 200; machines++) {
      world.api.put(tsMachine());
      await expect(world.reconcile()).rejects.toThrow(/not found/);
    }
    expect(said('shutting down')).toBe(1);
    await world.lookAtLost();
    expect(asked).toHaveLength(201 + 200);
  });

  it.each([
    ['paused', () => world.cluster({ spec: { paused: true } })],
    ['gone', () => world.api.remove(ClusterKind, world.c1)],
  ])(
    'CTL-M5: leaves it alone when the Cluster is %s by then, since it may have moved',
    async (_what, then) => {
      const { create } = world.backend;
      instead({ create: async (...call) => create(...call).finally(then) });
      lostWhileCreating();
      answers();
      await expect(world.reconcile()).rejects.toThrow(/not found/);
      await world.lookAtLost();
      expect(world.cloud.counts().instancesMade).toBe(1);
      expect(asked).toEqual([]);
    },
  );

  it('a write that is refused for another reason ends nothing', async () => {
    answers();
    world.api.beforeWrite = ({ verb }) => {
      if (verb === 'patch_status') throw new TransientError('no answer');
    };
    await expect(world.reconcile()).rejects.toThrow('no answer');
    await world.lookAtLost();
    expect(asked).toEqual([]);
  });
});
