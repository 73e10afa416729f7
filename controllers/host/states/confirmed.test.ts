// SPDX-License-Identifier: Apache-2.0
// Invariant 3: before every act on a host, the API server is asked whether the claim is still the one that our copy has.
import { describe, expect, it } from 'vitest';
import type { HostDriver } from '../../../backends/host-driver.ts';
import { isConflict } from '../../../runtime/errors.ts';
import { HostWorld } from '../../../test/host-world.ts';

type Verb = keyof HostDriver;

/** Brings h1 to where the next pass acts. */
type Given = (world: HostWorld) => Promise<void>;

const claimed: Given = async (world) => {
  world.addMachine();
  world.addHost();
  await world.reconcile();
  world.claim();
};

const planned: Given = async (world) => {
  await claimed(world);
  await world.reconcile();
  world.hosts.of('ns/h1').finish();
  await world.reconcile();
  world.release();
  await world.reconcile();
};

const cleaned: Given = async (world) => {
  await planned(world);
  await world.reconcile();
  world.hosts.of('ns/h1').finish();
};

const claimedForBalancer: Given = async (world) => {
  world.addHost();
  await world.reconcile();
  world.claimForBalancer('h1');
};

const balancing: Given = async (world) => {
  await claimedForBalancer(world);
  await world.reconcile();
  world.editHost('h1', ({ status }) => void delete status?.loadBalancer);
  await world.clock.advance(13 * 60_000);
};

const ACTS: { act: Verb; given: Given; name: string; behind: Verb }[] = [
  { name: 'a bootstrap', given: claimed, behind: 'progress', act: 'bootstrap' },
  { name: 'a clean-up', given: planned, behind: 'progress', act: 'clean' },
  { name: 'the end of a clean-up', given: cleaned, behind: 'probe', act: 'finishClean' },
  { name: 'the first configuration', given: claimedForBalancer, behind: 'probe', act: 'balance' },
  { name: 'another configuration', given: balancing, behind: 'probe', act: 'balance' },
];

/** What others may do at any moment. */
const CHANGES: { change: (world: HostWorld) => void; by: string }[] = [
  {
    by: 'somebody else took the host',
    change: (world) => {
      world.addMachine('m2');
      world.claim('h1', 'm2');
    },
  },
  {
    by: 'it was freed',
    change: (world) => world.editHost('h1', ({ spec }) => void (spec.claim = { generation: 1 })),
  },
  {
    by: 'it was put into maintenance',
    change: (world) => world.editHost('h1', ({ spec }) => void (spec.maintenance = true)),
  },
  {
    by: 'another object has its name',
    change: (world) => world.editHost('h1', ({ metadata }) => void (metadata.uid = 'another')),
  },
];

const CASES = ACTS.flatMap((act) => CHANGES.map((change) => ({ ...act, ...change })));

describe('an act on a host', () => {
  it.each(CASES)(
    '$name is not done when $by in the moment before',
    async ({ given, behind, act, change }) => {
      const world = new HostWorld();
      await given(world);
      const done = world.hosts.count(act);
      world.hosts.after = ({ verb }) => {
        if (verb !== behind) return;
        world.hosts.after = () => {};
        change(world);
      };
      await expect(world.reconcile()).rejects.toSatisfy(isConflict);
      expect(world.hosts.count(act)).toBe(done);
    },
  );

  it.each(ACTS)('$name is done otherwise', async ({ given, act }) => {
    const world = new HostWorld();
    await given(world);
    const done = world.hosts.count(act);
    await world.reconcile();
    expect(world.hosts.count(act)).toBe(done + 1);
  });
});
