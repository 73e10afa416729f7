// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { createBreather } from './breather.ts';

it('lets the event loop have a turn once work has gone on for long, and not before', async () => {
  let nowMs = 0;
  let turns = 0;
  const breathe = createBreather(() => nowMs);
  const turn = (): void => {
    turns++;
  };

  setImmediate(turn);
  nowMs = 9;
  for (let i = 0; i < 1_000; i++) await breathe();
  expect(turns).toBe(0);

  nowMs = 10;
  await breathe();
  expect(turns).toBe(1);

  setImmediate(turn);
  await breathe();
  expect(turns).toBe(1);
});
