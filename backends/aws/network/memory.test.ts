// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { CONSISTENCY_WINDOW_MS, createNetworkMemory, type NetworkMemory } from './memory.ts';
import { type PartsByKind, toVPC } from './parts.ts';

let clock: FakeClock;
let memory: NetworkMemory;

beforeEach(() => {
  clock = new FakeClock();
  memory = createNetworkMemory(clock);
});

const vpc = toVPC({ VpcId: 'vpc-1' });

function seen(parts: Partial<PartsByKind> = {}): PartsByKind {
  return {
    ...{ vpcs: [], subnets: [], routeTables: [], internetGateways: [] },
    ...{ natGateways: [], addresses: [], securityGroups: [] },
    ...parts,
  };
}

it('shows what was made until a look must show it', async () => {
  memory.remember('vpcs', vpc);
  expect(memory.complete(seen()).vpcs).toEqual([vpc]);
  expect(memory.complete(seen({ vpcs: [vpc] })).vpcs).toEqual([vpc]);
  // A look at another replica does not show it again.
  expect(memory.complete(seen()).vpcs).toEqual([vpc]);
  await clock.advance(CONSISTENCY_WINDOW_MS);
  expect(memory.complete(seen()).vpcs).toEqual([]);
});

it('does not show what was deleted', () => {
  memory.remember('vpcs', vpc);
  memory.forget(vpc.id);
  expect(memory.complete(seen()).vpcs).toEqual([]);
});

it('a doubt is open for the window, and over then, until it is cleared up', async () => {
  expect(memory.doubtOf('VPC')).toBe('clear');
  memory.doubt('VPC');
  expect(memory.doubtOf('VPC')).toBe('open');
  await clock.advance(CONSISTENCY_WINDOW_MS);
  expect(memory.doubtOf('VPC')).toBe('over');
  memory.trust('VPC');
  expect(memory.doubtOf('VPC')).toBe('clear');
});

it('a new process trusts no look before the window: another one may have made something a moment ago', async () => {
  expect(memory.isSettled()).toBe(false);
  await clock.advance(CONSISTENCY_WINDOW_MS);
  expect(memory.isSettled()).toBe(true);
});

it('trusts no look before everything that it made was shown once', async () => {
  await clock.advance(CONSISTENCY_WINDOW_MS);
  expect(memory.isShown()).toBe(true);
  memory.remember('vpcs', vpc);
  expect(memory.isShown()).toBe(false);
  expect(memory.isSettled()).toBe(false);
  memory.complete(seen({ vpcs: [vpc] }));
  expect(memory.isSettled()).toBe(true);
  memory.doubt('VPC');
  expect(memory.isSettled()).toBe(false);
});
