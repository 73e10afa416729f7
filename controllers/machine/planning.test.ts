// SPDX-License-Identifier: Apache-2.0
// Machines on an infrastructure that chooses before it makes, whose look-ups come late, and that looks after what lives.
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind } from '../../api/kinds.ts';
import type {
  Created,
  CreateIntent,
  MachineBackend,
  MachineFacts,
  Observed,
  Planned,
  Planning,
  Upkeep,
  UpkeepReport,
} from '../../backends/backend.ts';
import { bootstrapSecret, MachineWorld } from '../../test/machine-world.ts';

/** An infrastructure with one instance at most; a test says what it answers. */
class PlayedBackend implements MachineBackend, Planning, Upkeep {
  planned: Planned = { state: 'planned', choice: { imageID: 'ami-1', zone: 'a' }, refused: false };
  created: Created = { state: 'started' };
  observed: Observed = { state: 'absent' };
  report: UpkeepReport = {};
  readonly intents: CreateIntent[] = [];
  onCreate: () => void = () => (this.observed = running);

  observe() {
    return Promise.resolve(this.observed);
  }
  plan() {
    return Promise.resolve(this.planned);
  }
  create(_ctx: unknown, _machine: MachineFacts, intent: CreateIntent) {
    this.intents.push(intent);
    this.onCreate();
    return Promise.resolve(this.created);
  }
  destroy() {
    return Promise.resolve({ state: 'gone' as const });
  }
  upkeep() {
    return Promise.resolve(this.report);
  }
}

const running: Observed = {
  state: 'running',
  providerID: 'aws:///eu-central-1a/i-1',
  addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
  failureDomain: 'eu-central-1a',
  message: '',
};

let world: MachineWorld;
let backend: PlayedBackend;
beforeEach(() => {
  world = new MachineWorld();
  world.backend = backend = new PlayedBackend();
});

describe('the choice', () => {
  it('is on the API server, with the intent, before anything is made', async () => {
    backend.onCreate = () => {
      expect(world.tsMachine()?.spec.createIntent).toMatchObject({
        attempt: 1,
        choice: { imageID: 'ami-1', zone: 'a' },
      });
    };
    await world.reconcile();
    expect(backend.intents).toHaveLength(1);
  });

  it('waits where nothing can be chosen, and promises nothing', async () => {
    backend.planned = {
      state: 'deferred',
      reason: 'CapacityUnavailable',
      message: 'no m6i.large in a',
      pollMs: 60_000,
    };
    expect(await world.reconcile()).toMatchObject({ kind: 'wait', ms: 60_000 });
    expect(world.condition('Ready')).toMatchObject({
      reason: 'CapacityUnavailable',
      message: 'no m6i.large in a',
    });
    expect(world.tsMachine()?.spec.createIntent).toBeUndefined();
  });
});

describe('a Cluster that is paused while the choice is made, as clusterctl move does (CTL-M5)', () => {
  const paused = () => world.cluster({ spec: { paused: true } });
  const planDuring = (during: () => unknown) => {
    backend.plan = async () => {
      await during();
      return backend.planned;
    };
  };
  /** The watch has not told of what comes now. */
  const cacheFallsBehind = () => {
    const [known, real] = [world.api.read(ClusterKind, world.c1), world.api.cache.bind(world.api)];
    world.api.cache = (indexes) => {
      const cache = real(indexes);
      const peek: typeof cache.peek = (kind, name) =>
        kind.kind === 'Cluster' ? (known as never) : cache.peek(kind, name);
      return { ...cache, peek };
    };
  };
  const nothingPromised = () => {
    expect(world.condition('Ready')).toMatchObject({ reason: 'Paused' });
    expect(backend.intents).toEqual([]);
    expect(world.tsMachine()?.spec.createIntent).toBeUndefined();
    expect(world.tsMachine()?.metadata.finalizers).toBeUndefined();
  };

  it.each([
    ['paused', paused],
    ['gone', () => world.api.remove(ClusterKind, world.c1)],
  ])('%s: nothing is promised', async (_what, change) => {
    planDuring(change);
    // The watch on Clusters wakes it.
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    nothingPromised();
  });

  it('is asked for once more where the choice took long, since the cache may be behind', async () => {
    cacheFallsBehind();
    planDuring(async () => {
      paused();
      await world.clock.advance(5_000);
    });
    // The watch on Clusters wakes it.
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    nothingPromised();
  });
});

describe('an attempt of which nothing is known', () => {
  beforeEach(async () => {
    backend.onCreate = () => undefined;
    await world.reconcile();
  });

  it('keeps its token whatever has changed: choice, bootstrap data (invariant 2)', async () => {
    backend.planned = { state: 'planned', choice: { imageID: 'ami-2' }, refused: false };
    world.api.put(bootstrapSecret({ value: '#cloud-config\n# renewed', format: 'cloud-config' }));
    await world.reconcile();
    const [first, second] = backend.intents;
    expect(second).toEqual(first);
  });

  it('gives way to a new one, with another token, once it is refused and something else is asked for', async () => {
    backend.planned = { state: 'planned', choice: { imageID: 'ami-1', zone: 'b' }, refused: true };
    await world.reconcile();
    const [first, second] = backend.intents;
    expect(second).toMatchObject({ attempt: 2, choice: { zone: 'b' } });
    expect(second?.clientToken).not.toBe(first?.clientToken);
  });

  it('keeps its token when it is refused and the same is asked for again', async () => {
    backend.planned = { state: 'planned', choice: { imageID: 'ami-1', zone: 'a' }, refused: true };
    await world.reconcile();
    expect(backend.intents[1]).toEqual(backend.intents[0]);
  });
});

describe('upkeep', () => {
  it('is looked at again when it says, and writes nothing while all is well', async () => {
    backend.report = { pollMs: 30_000 };
    await world.reconcile();
    expect(await world.reconcile()).toMatchObject({ kind: 'wait', ms: 30_000 });
    const writes = world.api.writes.length;
    await world.reconcile();
    expect(world.api.writes.length).toBe(writes);
    expect(world.condition('InterruptionFree')).toMatchObject({ status: 'True', reason: 'NoInterruption' });
    expect(world.condition('SettingsApplied')).toMatchObject({ status: 'True' });
  });

  it('tells of an interruption, with an Event, and replaces nothing unless asked', async () => {
    await world.reconcile();
    backend.report = {
      interruption: { reason: 'SpotInterruption', message: 'AWS takes it back at 12:00', replace: false },
    };
    await world.reconcile();
    expect(world.condition('InterruptionFree')).toMatchObject({
      status: 'False',
      reason: 'SpotInterruption',
    });
    expect(world.condition('Ready')?.status).toBe('True');
    expect(world.events.map(({ reason }) => reason)).toEqual(['SpotInterruption']);
    expect(world.api.read(MachineKind, world.m1)).toBeDefined();
  });

  it('deletes the Machine when asked: core cordons, drains and replaces it', async () => {
    await world.reconcile();
    backend.report = {
      interruption: { reason: 'MaintenanceScheduled', message: 'reboot at 12:00', replace: true },
    };
    await world.reconcile();
    expect(world.api.read(MachineKind, world.m1)).toBeUndefined();
  });

  it('says what differs and could not be put right', async () => {
    backend.report = { differs: 'tags: not allowed to change them' };
    await world.reconcile();
    expect(world.condition('SettingsApplied')).toMatchObject({ status: 'False', reason: 'SettingsDiffer' });
  });
});

it('IM-6: an instance that may be taken back is told as interruptible', async () => {
  backend.onCreate = () => (backend.observed = { ...running, interruptible: true });
  await world.reconcile();
  expect(world.tsMachine()?.status?.interruptible).toBe(true);
});
