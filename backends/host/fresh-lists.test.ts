// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { HostInventory, InventoryHost } from '../host-inventory.ts';
import { freshLists } from './fresh-lists.ts';
import { contextOf, hostNamed } from './inventory.fixtures.ts';

const ctx = contextOf(new FakeClock());

/** Lists that end when the test says so. */
function heldBack() {
  const open: {
    namespace: string;
    answer: (hosts: InventoryHost[]) => void;
    fail: (error: Error) => void;
  }[] = [];
  const inventory: HostInventory = {
    list: () => [],
    listNow: (_ctx, namespace) =>
      new Promise((answer, fail) => {
        open.push({ namespace, answer, fail });
      }),
    setClaim: () => Promise.resolve(undefined),
  };
  return { open, list: freshLists(inventory) };
}

/** Lets everything run that can. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

it('shares a list only with those who asked before it began', async () => {
  const { open, list } = heldBack();
  const early = [list(ctx, 'default'), list(ctx, 'default')];
  await settled();
  const late = [list(ctx, 'default'), list(ctx, 'default')];
  await settled();
  expect(open.length).toBe(1);
  open[0]!.answer([hostNamed('old')]);
  await settled();
  expect(open.length).toBe(2);
  open[1]!.answer([hostNamed('new')]);
  const answers = await Promise.all([...early, ...late]);
  expect(answers.map(([host]) => host?.name)).toEqual(['old', 'old', 'new', 'new']);
});

it('keeps namespaces apart', async () => {
  const { open, list } = heldBack();
  void list(ctx, 'a');
  void list(ctx, 'b');
  await settled();
  expect(open.map(({ namespace }) => namespace)).toEqual(['a', 'b']);
});

it('goes on after a list that failed', async () => {
  const { open, list } = heldBack();
  const first = list(ctx, 'default');
  await settled();
  const second = list(ctx, 'default');
  open[0]!.fail(new Error('socket hang up'));
  await expect(first).rejects.toThrow('socket hang up');
  await settled();
  open[1]!.answer([]);
  expect(await second).toEqual([]);
});

it('lets one go that has no more time, and serves the others', async () => {
  const { open, list } = heldBack();
  const impatient = new AbortController();
  const first = list({ ...ctx, signal: impatient.signal }, 'default');
  const second = list(ctx, 'default');
  await settled();
  impatient.abort(new Error('no more time'));
  await expect(first).rejects.toThrow('no more time');
  open[0]!.answer([hostNamed('h')]);
  expect((await second).length).toBe(1);
});
