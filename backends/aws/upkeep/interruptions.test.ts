// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { contextOf, recordNamed, sessionOf } from '../instance/instance.fixtures.ts';
import { createInstanceStore, type InstanceStore } from '../instance/store.ts';
import type { AWSSession } from '../session/session.ts';
import { healthEvent, rebalanceRecommendation, spotWarning, stateChange } from './event.fixtures.ts';
import { createInterruptions, type Interruptions } from './interruptions.ts';
import { PlayedQueue } from './queue.fixtures.ts';

const ID = 'i-1';

let clock: FakeClock;
let queue: PlayedQueue;
let store: InstanceStore;
let interruptions: Interruptions;
let session: AWSSession;
let woken: string[];
/** What EC2 answers when it is asked. */
let marked: boolean;
let planned: boolean;
let asked: string[];

beforeEach(async () => {
  clock = new FakeClock();
  queue = new PlayedQueue();
  woken = [];
  [marked, planned, asked] = [false, false, []];
  store = createInstanceStore({ clock, windowMs: 60_000, changed: () => undefined });
  for (const id of [ID, 'i-2']) store.put(recordNamed(id, { isSpot: true }));
  const ec2 = sessionOf((action) => {
    asked.push(action);
    const Status = { Code: 'marked-for-termination' };
    if (action === 'DescribeSpotInstanceRequests')
      return { SpotInstanceRequests: marked ? [{ InstanceId: ID, Status }] : [] };
    const Events = [{ Code: 'system-reboot' }];
    return { InstanceStatuses: planned ? [{ InstanceId: ID, Events }] : [] };
  });
  session = { ...ec2, queues: queue.session.queues };
  interruptions = createInterruptions({
    sessions: { all: () => [session] },
    observation: { store: () => store, wake: ({ id }) => void woken.push(id) },
    clock,
    metrics: createMetrics(),
  });
  for (const id of [ID, 'i-2'])
    interruptions.follow(session, id, { name: 'interruptions', open: async () => session });
  await tick();
});

afterEach(() => interruptions.close());

async function tick(): Promise<void> {
  await interruptions.tick(contextOf(clock));
  await clock.settle();
}

/** Time in which the queue answers as SQS does. */
async function pass(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 5_000) {
    await clock.advance(Math.min(leftMs, 5_000));
    queue.answerHeld();
    await clock.settle();
    await tick();
  }
}

async function told(...bodies: readonly string[]): Promise<void> {
  queue.send(...bodies);
  await clock.settle();
  expect(queue.length).toBe(0);
}

const notice = (id = ID) => interruptions.of(contextOf(clock), session, id);
const time = () => clock.now().toISOString();

describe('a notice of the queue', () => {
  it('wakes its machine at once, and no other one; a second time it is nothing new', async () => {
    await told(rebalanceRecommendation(ID));
    expect(woken).toEqual([ID]);
    expect(await notice()).toMatchObject({ reason: 'RebalanceRecommended' });
    expect(await notice('i-2')).toBeUndefined();
    await told(rebalanceRecommendation(ID, { time: '2026-01-01T00:00:09Z' }));
    expect(woken).toEqual([ID]);
    expect((await notice())?.message).toContain('2026-01-01T00:00:00.000Z');
  });

  it('of a spot instance wins over maintenance, and that over a recommendation, in whatever order they come', async () => {
    await told(spotWarning('i-2'), rebalanceRecommendation('i-2'));
    expect((await notice('i-2'))?.reason).toBe('SpotInterruption');

    await told(rebalanceRecommendation(ID));
    planned = true;
    await pass(60_000);
    expect((await notice())?.reason).toBe('MaintenanceScheduled');
    await told(spotWarning(ID));
    expect((await notice())?.reason).toBe('SpotInterruption');
  });

  it('says the same when EC2 is asked besides', async () => {
    await told(spotWarning(ID));
    const first = await notice();
    marked = true;
    await pass(15_000);
    expect(asked.filter((action) => action === 'DescribeSpotInstanceRequests')).toHaveLength(2);
    expect(await notice()).toEqual(first);
  });

  it('is dropped with its instance', async () => {
    await told(spotWarning(ID), rebalanceRecommendation(ID));
    store.put(recordNamed(ID, { state: 'terminated' }));
    await tick();
    expect(await notice()).toBeUndefined();
  });

  it('of an instance that is not ours, or not any more, is not kept', async () => {
    store.put(recordNamed('i-2', { state: 'shutting-down' }));
    await told(spotWarning('i-foreign'), rebalanceRecommendation('i-2'));
    expect(await notice('i-foreign')).toBeUndefined();
    expect(await notice('i-2')).toBeUndefined();
    expect(woken).toEqual([]);
  });

  it('of a spot instance that lives on is dropped, and its machine woken; a recommendation stays', async () => {
    await told(spotWarning(ID), rebalanceRecommendation(ID));
    woken = [];
    await pass(9 * 60_000);
    expect((await notice())?.reason).toBe('SpotInterruption');
    await pass(60_000);
    expect(woken).toEqual([ID]);
    expect((await notice())?.reason).toBe('RebalanceRecommended');
  });

  it('that lay in the queue until it was over, or is of an earlier life, is not taken', async () => {
    await pass(11 * 60_000);
    await told(spotWarning(ID));
    expect(await notice()).toBeUndefined();
    await told(rebalanceRecommendation(ID));
    expect((await notice())?.reason).toBe('RebalanceRecommended');
    store.put(recordNamed('i-2', { launchedMs: clock.now().getTime() }));
    await told(rebalanceRecommendation('i-2'));
    expect(await notice('i-2')).toBeUndefined();
    await told(spotWarning('i-2', { time: time() }));
    expect((await notice('i-2'))?.reason).toBe('SpotInterruption');
  });
});

describe('news of the queue', () => {
  it('about the state of an instance have it looked at', async () => {
    await told(stateChange(ID, 'running'), stateChange('i-foreign', 'stopped'));
    expect(store.toWatch()).toEqual([]);
    await told(stateChange(ID, 'stopped'));
    expect(store.toWatch()).toEqual([ID]);
    store.put(recordNamed(ID, { state: 'stopped' }));
    expect(store.toWatch()).toEqual([]);
  });

  it('about maintenance of an instance of ours have it asked for soon, and not for each one', async () => {
    const questions = () => asked.filter((action) => action === 'DescribeInstanceStatus').length;
    await told(healthEvent(['i-foreign']));
    await pass(10_000);
    expect(questions()).toBe(1);
    planned = true;
    for (let times = 0; times < 5; times++) {
      await told(healthEvent([ID]));
      await tick();
    }
    expect(questions()).toBe(2);
    expect((await notice())?.reason).toBe('MaintenanceScheduled');
    expect(woken).toEqual([ID]);
    // The last of them came after the question, and is for one more.
    await pass(10_000);
    expect(questions()).toBe(3);
    await pass(30_000);
    expect(questions()).toBe(3);
  });
});

it('each question is asked by an identity that may', async () => {
  const questions: string[] = [];
  const named = (name: string) => sessionOf((action) => (questions.push(`${name}: ${action}`), {}));
  const [first, last] = [named('first'), named('last')];
  const own = createInterruptions({
    sessions: { all: (action) => [action === 'DescribeSpotInstanceRequests' ? first : last] },
    observation: { store: () => store, wake: () => undefined },
    clock,
    metrics: createMetrics(),
  });
  await own.tick(contextOf(clock));
  expect(questions).toEqual(['first: DescribeSpotInstanceRequests', 'last: DescribeInstanceStatus']);
});

it('what AWS answers is there without waiting for a queue', async () => {
  expect(queue.held).toBe(1);
  planned = true;
  await pass(60_000);
  expect(await notice()).toMatchObject({ reason: 'MaintenanceScheduled' });
});
