// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { readFirstBoot } from '../backends/inmemory/bootstrap-data.ts';
import { bootstrapData, inParallel, planFleet } from './fleet.ts';

it('plans clusters of a hundred machines with names of their own', () => {
  const plan = planFleet('ns', 250);
  expect(plan.clusters).toEqual(['c0000', 'c0001', 'c0002']);
  expect(new Set(plan.machines.map(({ name }) => name)).size).toBe(250);
  expect(plan.machines.filter(({ clusterName }) => clusterName === 'c0002')).toHaveLength(50);
});

it('bootstrap data are such that a guest can join', () => {
  const metadata = { hostname: 'm1', instanceID: 'i-1', providerID: 'tsinmemory://i-1' };
  expect(readFirstBoot(bootstrapData, metadata)).toMatchObject({ role: 'workerJoin', nodeName: 'm1' });
});

it('works on every item once', async () => {
  const seen: number[] = [];
  const items = Array.from({ length: 200 }, (_, index) => index);
  await inParallel(items, async (item) => void seen.push(item));
  expect(seen.sort((a, b) => a - b)).toEqual(items);
});
