// SPDX-License-Identifier: Apache-2.0
// A manager that dies behind every write and every call to a host, that starts without a status, or that is not alone: the end is the
// same, no job begins twice, nobody has a host that another one has. The fake hosts keep the record.
import { describe, expect, it } from 'vitest';
import { HostWorld } from '../../../test/host-world.ts';

const KEY = 'ns/h1';

type Goal = 'Provisioned' | 'Available';

function newWorld(): HostWorld {
  const world = new HostWorld();
  world.addHost();
  world.addMachine();
  return world;
}

/** Lets the job on the host go a step on, as it does by itself. */
function work(world: HostWorld, name = 'h1'): void {
  const host = world.hosts.of(`ns/${name}`);
  const job = host.running?.[1];
  if (job?.progress.state !== 'running') return;
  if (job.progress.stage === 'start') host.step('runcmd');
  else host.finish();
}

/** Passes until the host is there; errors are what the queue's back-off is for. */
async function until(world: HostWorld, goal: Goal, pass: () => Promise<unknown> = () => world.reconcile()) {
  for (let count = 0; count < 60; count++) {
    await pass().catch(() => {});
    if (world.status().state === goal && world.host()?.spec.claim?.releasing === undefined) return;
    work(world);
    await world.clock.advance(1_100);
  }
  throw new Error(`the host stayed ${world.status().state ?? 'without a state'}`);
}

/** From nothing to a machine and back. `between` runs after each half. */
async function life(world: HostWorld): Promise<void> {
  await until(world, 'Available');
  world.claim();
  await until(world, 'Provisioned');
  world.release();
  await until(world, 'Available');
}

function expectWell(world: HostWorld): void {
  expect(world.violations()).toEqual([]);
  const jobs = world.hosts.launches.map(({ jobID }) => jobID.split('-')[0]);
  expect(jobs).toEqual(['bootstrap', 'clean']);
  expect(world.host()?.spec.claim).toMatchObject({ generation: 1 });
  expect(world.host()?.spec.claim?.for).toBeUndefined();
  expect(world.hosts.of(KEY).folder).toBe(false);
  expect(world.status().state).toBe('Available');
}

/** Calls `die` behind the effect of this number. */
function countEffects(world: HostWorld, die: (count: number) => void): void {
  let count = 0;
  const effect = (): void => die(++count);
  world.api.afterWrite = effect;
  world.hosts.after = effect;
}

async function numberOfEffects(): Promise<number> {
  const world = newWorld();
  let effects = 0;
  countEffects(world, (count) => (effects = count));
  await life(world);
  expectWell(world);
  return effects;
}

describe('the life of a host', () => {
  it('is right when nothing happens', async () => {
    expect(await numberOfEffects()).toBeGreaterThan(20);
  });

  it.each([{ lost: 'the answer' }, { lost: 'the call' }])(
    'is right when the manager dies at any line, and $lost is lost',
    async ({ lost }) => {
      const effects = await numberOfEffects();
      for (let fatal = 1; fatal <= effects; fatal++) {
        const world = newWorld();
        let count = 0;
        const die = (): void => {
          if (++count !== fatal) return;
          world.restart();
          throw new Error('killed');
        };
        if (lost === 'the answer') [world.api.afterWrite, world.hosts.after] = [die, die];
        else [world.api.beforeWrite, world.hosts.before] = [die, die];
        await life(world);
        expectWell(world);
      }
    },
  );

  it('is right when every pass is another manager’s and none ends', async () => {
    for (const every of [6, 7, 8, 11]) {
      const world = newWorld();
      countEffects(world, (count) => {
        if (count % every !== 0) return;
        world.restart();
        throw new Error('killed');
      });
      await life(world);
      expectWell(world);
    }
  });

  it('is right when the status is lost after any number of passes', async () => {
    for (let fatal = 1; fatal <= 20; fatal++) {
      const world = newWorld();
      let count = 0;
      const pass = async (): Promise<void> => {
        if (++count === fatal) world.move();
        await world.reconcile();
      };
      await until(world, 'Available', pass);
      world.claim();
      await until(world, 'Provisioned', pass);
      world.release();
      await until(world, 'Available', pass);
      expectWell(world);
    }
  });

  it('is right with two managers at once', async () => {
    const world = newWorld();
    const [one, two] = [world.manager(), world.manager()];
    const pass = async (): Promise<void> => {
      const ends = await Promise.allSettled([one.reconcile(), two.reconcile()]);
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed !== undefined) throw new Error('one of them was late');
    };
    await until(world, 'Available', pass);
    world.claim();
    await until(world, 'Provisioned', pass);
    world.release();
    await until(world, 'Available', pass);
    expectWell(world);
  });
});

describe('the same host for one machine after the other', () => {
  it('has one owner at a time, each with a generation of its own', async () => {
    const world = newWorld();
    await life(world);
    world.addMachine('m2');
    world.claim('h1', 'm2');
    await until(world, 'Provisioned');
    expect(world.hosts.of(KEY).owner?.generation).toBe(2);
    world.release();
    await until(world, 'Available');
    expect(world.violations()).toEqual([]);
    expect(world.hosts.launches).toHaveLength(4);
  });

  it('keeps the uid of its machine up to date after a move, and changes nothing else', async () => {
    const world = newWorld();
    await until(world, 'Available');
    world.claim();
    await until(world, 'Provisioned');
    const machine = world.machine();
    if (machine === undefined) throw new Error('no machine');
    machine.metadata.uid = 'uid-after-move';
    world.api.put(machine);
    world.move();
    await until(world, 'Provisioned');
    expect(world.host()?.spec.claim).toMatchObject({ generation: 1, machine: { uid: 'uid-after-move' } });
    expect(world.hosts.launches).toHaveLength(1);
    const writes = world.api.writes.length;
    await world.reconcile();
    expect(world.api.writes).toHaveLength(writes);
  });
});
