// SPDX-License-Identifier: Apache-2.0
// Who does the guest work when several managers simulate one cloud, and what that costs when there is none.
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { InMemoryCloud } from './cloud.ts';
import { openInMemoryCloud } from './sqlite-cloud.ts';
import { FakeWorkload } from './fake-workload.ts';
import { cloudConfig, contextOf, JOIN_FILE, machineNamed, WORKER_JOIN } from './fixtures.ts';
import { createInMemoryBackend } from './machine-backend.ts';
import { createSimulator, type Simulator } from './simulator.ts';
import type { WorkloadAPI } from './workload.ts';

const bootstrapData = {
  format: 'cloud-config',
  value: cloudConfig({ [JOIN_FILE]: WORKER_JOIN.replace('provider-id', 'v') }),
} as const;

let dir: string;
let path: string;
let clock: FakeClock;
let cloud: InMemoryCloud;
let workload: FakeWorkload;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leases-'));
  path = join(dir, 'cloud.db');
  clock = new FakeClock();
  cloud = openInMemoryCloud({ path, clock });
  workload = new FakeWorkload();
});
afterEach(() => {
  cloud.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A manager, with the number of times that its guests looked for their cluster, and their signals. */
class Manager {
  readonly signals: AbortSignal[] = [];
  readonly simulator: Simulator;

  constructor(find: () => Promise<WorkloadAPI | undefined>, timers = clock) {
    const connect = (ctx: { readonly signal: AbortSignal }): Promise<WorkloadAPI | undefined> => {
      this.signals.push(ctx.signal);
      return find();
    };
    this.simulator = createSimulator({ cloud, workloads: { connect }, clock: timers });
  }
}

const reaching = (timers?: FakeClock) => new Manager(async () => workload, timers);
const hanging = (timers?: FakeClock) => new Manager(() => new Promise(() => {}), timers);
/** Of a management cluster that does not have the workload cluster. */
const strange = () => new Manager(async () => undefined);

async function live(seconds: number, ...managers: Manager[]): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    for (const { simulator } of managers) await simulator.tick(contextOf(clock));
    await clock.advance(1_000);
  }
}

async function make(count: number): Promise<void> {
  const backend = createInMemoryBackend(cloud);
  for (let index = 0; index < count; index++) {
    const machine = machineNamed(`w-${index}`);
    await backend.create(contextOf(clock), machine, machine.intent!, bootstrapData);
  }
}

const stateOf = (name: string) => cloud.find({ clientToken: `token-${name}` })?.state;

describe('a manager that is killed', () => {
  it('holds its guests up for five seconds, and no longer', async () => {
    await make(60);
    const [dead, next] = [hanging(new FakeClock()), reaching()];
    await live(1, dead);
    expect(dead.signals).toHaveLength(20);
    await live(4, next);
    expect(next.signals).toHaveLength(0);
    await live(5, next);
    expect(workload.keys('Node')).toHaveLength(60);
  });
});

describe('a manager that lives', () => {
  it('keeps work that takes longer than a lease', async () => {
    await make(1);
    const [slow, eager] = [hanging(), reaching()];
    await live(15, slow, eager);
    expect([slow.signals.length, eager.signals.length]).toEqual([1, 0]);
    expect(slow.signals[0]?.aborted).toBe(false);
  });

  it('has let go when its ticks stay away, before anybody takes over', async () => {
    await make(1);
    const stuck = hanging();
    await live(1, stuck);
    const letGo: (boolean | undefined)[] = [];
    const next = new Manager(async () => {
      letGo.push(stuck.signals[0]?.aborted);
      return workload;
    });
    await live(3, next);
    expect(letGo).toEqual([]);
    await live(3, next);
    expect(letGo).toEqual([true]);
    expect(stateOf('w-0')).toBe('running');
  });

  it('cuts a guest off that somebody else has taken over', async () => {
    await make(1);
    const [slow, other] = [hanging(), hanging()];
    await live(1, slow);
    // As after a pause of the whole process: time has gone on, and no timer of ours has fired.
    clock.setTime(new Date(clock.now().getTime() + 60_000));
    await other.simulator.tick(contextOf(clock));
    expect(other.signals).toHaveLength(1);
    expect(slow.signals[0]?.aborted).toBe(false);
    await slow.simulator.tick(contextOf(clock));
    expect(slow.signals[0]?.reason).toMatchObject({ message: expect.stringContaining('taken') as string });
    await slow.simulator.idle();
    await live(3, other);
    expect(other.signals).toHaveLength(1);
  });

  it('leaves nothing armed when it stops, and its guests to the next at once', async () => {
    await make(1);
    const [stopping, next] = [hanging(), reaching()];
    await live(1, stopping);
    await stopping.simulator.stop();
    expect(clock.armed).toBe(0);
    await live(2, stopping, next);
    expect([stopping.signals.length, stateOf('w-0')]).toEqual([1, 'running']);
  });

  it('ticks no more once it has stopped: then the cloud may be closed', async () => {
    const { simulator } = reaching();
    await simulator.stop();
    cloud.close();
    await expect(simulator.tick(contextOf(clock))).resolves.toBeUndefined();
  });
});

describe('a manager without the kubeconfig of the cluster', () => {
  it('leaves a lost Node to the one that has it', async () => {
    await make(1);
    const [stranger, reacher] = [strange(), reaching()];
    await live(1, reacher);
    const dying = machineNamed('w-0', { spec: { inMemory: { failures: { diesAfterSeconds: 0 } } } });
    await createInMemoryBackend(cloud).observe(contextOf(clock), dying);
    await live(3, stranger, reacher);
    expect(stateOf('w-0')).toBe('stopped');
    expect(stranger.signals).toHaveLength(1);
    expect(workload.node('w-0')?.status?.['conditions']).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'Unknown' }),
    );
  });

  it('leaves cleaning up to the one that has it', async () => {
    await make(1);
    const [stranger, reacher] = [strange(), reaching()];
    await live(1, reacher);
    await createInMemoryBackend(cloud).destroy(contextOf(clock), machineNamed('w-0'));
    await live(3, stranger, reacher);
    expect(stranger.signals).toHaveLength(1);
    expect(workload.keys('Node')).toEqual([]);
  });

  it('leaves a guest that comes up to the one that has it', async () => {
    await make(1);
    const [stranger, reacher] = [strange(), reaching()];
    await live(3, stranger, reacher);
    expect([stranger.signals.length, stateOf('w-0')]).toEqual([1, 'running']);
  });

  it('gives up cleaning up after ten tries, should nobody have it', async () => {
    await make(1);
    await live(1, reaching());
    await createInMemoryBackend(cloud).destroy(contextOf(clock), machineNamed('w-0'));
    const stranger = strange();
    await live(300, stranger);
    expect(stranger.signals).toHaveLength(10);
  });
});

it('writes nothing while nothing happens', async () => {
  await make(3);
  const [manager, backend] = [reaching(), createInMemoryBackend(cloud)];
  await live(2, manager);
  const other = new DatabaseSync(path, { readOnly: true });
  // Changes with every commit of another connection.
  const version = () => other.prepare('PRAGMA data_version').get()?.['data_version'];
  const before = version();
  let { cursor } = await backend.changes(contextOf(clock), '');
  for (let tick = 0; tick < 50; tick++) {
    await live(1, manager);
    ({ cursor } = await backend.changes(contextOf(clock), cursor));
  }
  expect(version()).toBe(before);
  await make(1);
  await live(1, manager);
  expect(version()).not.toBe(before);
  other.close();
});

it('keeps nothing of guests whose work has ended', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  await make(30);
  const manager = reaching();
  await live(3, manager);
  expect(workload.keys('Node')).toHaveLength(30);
  expect(manager.signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
  const kept = manager.signals.splice(0).map((signal) => new WeakRef(signal));
  // What a weak reference was made of lives on until the next turn of the event loop.
  await clock.settle();
  collectGarbage();
  expect(kept.filter((signal) => signal.deref() !== undefined)).toEqual([]);
});
