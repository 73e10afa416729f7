// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createMetrics, type Metrics } from '../../../runtime/metrics.ts';
import { contextOf } from '../instance/instance.fixtures.ts';
import { AWSRefusal } from '../session/session.ts';
import { rebalanceRecommendation, spotWarning } from './event.fixtures.ts';
import type { AWSEvent } from './event.ts';
import { PlayedQueue } from './queue.fixtures.ts';
import { createQueues, type Queues } from './queues.ts';

let clock: FakeClock;
let metrics: Metrics;
let queue: PlayedQueue;
let queues: Queues;
let heard: { readonly event: AWSEvent; readonly left: number }[];
let living: Set<string>;
let warnings: unknown[];
let ctx: Ctx;

beforeEach(() => {
  clock = new FakeClock();
  metrics = createMetrics();
  queue = new PlayedQueue();
  heard = [];
  living = new Set(['i-1', 'i-2']);
  warnings = [];
  const plain = contextOf(clock);
  ctx = { ...plain, log: { ...plain.log, warn: (...args: unknown[]) => void warnings.push(args) } };
  queues = createQueues({
    clock,
    metrics,
    hear: (_session, event) => {
      heard.push({ event, left: queue.length });
      return event.kind !== 'health' && living.has(event.instanceID) ? 'used' : 'foreign';
    },
    lives: (_session, id) => living.has(id),
  });
});

function follow(instanceID: string, name: string | undefined = 'interruptions'): void {
  const { session } = queue;
  queues.follow(session, instanceID, { name, open: async () => session });
}

async function tick(): Promise<void> {
  queues.tick(ctx);
  await clock.settle();
}

const up = async () => {
  const { values } = await metrics.getSingleMetric('ts_provider_aws_interruption_queue_up')!.get();
  return values.map(({ value, labels }) => ({ value, queue: labels['queue'] }));
};

const messages = async () => {
  const { values } = await metrics.getSingleMetric('ts_provider_aws_interruption_messages_total')!.get();
  return values.map(({ value, labels }) => `${labels['kind']} ${labels['result']} ${value}`);
};

describe('a queue', () => {
  it('that no cluster names is not read', async () => {
    queues.follow(queue.session, 'i-1', undefined);
    await tick();
    expect(queue.calls).toEqual([]);
  });

  it('is asked by one held request, whatever the number of machines and ticks', async () => {
    follow('i-1');
    follow('i-2');
    for (let time = 0; time < 5; time++) await tick();
    expect(queue.calls).toEqual(['GetQueueUrl', 'ReceiveMessage']);
    expect(queue.held).toBe(1);
    queue.answerHeld();
    await clock.settle();
    await tick();
    expect(queue.calls).toEqual(['GetQueueUrl', 'ReceiveMessage', 'ReceiveMessage']);
    expect(await up()).toEqual([{ value: 1, queue: 'interruptions' }]);
  });

  it('is emptied: each message is heard, then deleted, those of others and broken ones too', async () => {
    follow('i-1');
    await tick();
    queue.send(spotWarning('i-1'), rebalanceRecommendation('i-2'), spotWarning('i-foreign'), '{');
    await clock.settle();
    expect(heard.map(({ event, left }) => [event.kind, left])).toEqual([
      ['spot', 4],
      ['rebalance', 4],
      ['spot', 4],
    ]);
    expect(queue.length).toBe(0);
    expect(await messages()).toEqual([
      'spot used 1',
      'rebalance used 1',
      'spot foreign 1',
      'unknown unknown 1',
    ]);
    // The next request is under way already.
    expect(queue.held).toBe(1);
    expect(warnings).toEqual([]);
  });

  it('with many messages is read until there are none', async () => {
    queue.send(...Array.from({ length: 25 }, () => spotWarning('i-1')));
    follow('i-1');
    await tick();
    expect(heard).toHaveLength(25);
    expect(queue.length).toBe(0);
    expect(queue.countOf('DeleteMessageBatch')).toBe(3);
  });

  it('stays asked when the tick that began it has ended', async () => {
    follow('i-1');
    const abort = new AbortController();
    queues.tick({ ...ctx, signal: abort.signal });
    await clock.settle();
    abort.abort();
    await clock.settle();
    expect(queue.held).toBe(1);
  });
});

describe('a queue that cannot be read', () => {
  const denied = new AWSRefusal({
    ...{ reason: 'CloudAccessDenied', action: 'ReceiveMessage', code: 'AccessDenied' },
    message: 'ReceiveMessage: TSClusterIdentity "prod" may not do this',
  });

  it('is tried after half a minute, then after twice as long each time, up to five minutes; told once', async () => {
    queue.failures.set('ReceiveMessage', denied);
    follow('i-1');
    const atSeconds: number[] = [];
    for (let second = 0; second <= 900; second++) {
      const before = queue.countOf('ReceiveMessage');
      await tick();
      if (queue.countOf('ReceiveMessage') > before) atSeconds.push(second);
      await clock.advance(1_000);
    }
    expect(atSeconds).toEqual([0, 30, 90, 210, 450, 750]);
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).toContain('may not do this');
    expect(await up()).toEqual([{ value: 0, queue: 'interruptions' }]);
  });

  it('is looked up anew, and well again with the first answer', async () => {
    queue.failures.set('ReceiveMessage', denied);
    follow('i-1');
    await tick();
    queue.failures.set('ReceiveMessage', new TransientError('no answer'));
    await clock.advance(30_000);
    await tick();
    expect(warnings).toHaveLength(2);
    queue.failures.clear();
    await clock.advance(60_000);
    await tick();
    queue.answerHeld();
    await clock.settle();
    expect(queue.countOf('GetQueueUrl')).toBe(3);
    expect(await up()).toEqual([{ value: 1, queue: 'interruptions' }]);
    // The pauses begin anew.
    queue.failures.set('ReceiveMessage', denied);
    await tick();
    queue.failures.clear();
    await clock.advance(30_000);
    await tick();
    expect(queue.held).toBe(1);
  });

  it('because messages are not deleted makes no hot loop', async () => {
    queue.keepsMessages = true;
    queue.send(spotWarning('i-1'));
    follow('i-1');
    for (let time = 0; time < 5; time++) await tick();
    expect(heard).toHaveLength(1);
    expect(queue.countOf('ReceiveMessage')).toBe(1);
    expect(JSON.stringify(warnings)).toContain('could not be deleted (InternalError)');
  });

  it('because it never answers is given up after a while', async () => {
    follow('i-1');
    await tick();
    await clock.advance(90_000);
    expect(queue.held).toBe(0);
    expect(await up()).toEqual([{ value: 0, queue: 'interruptions' }]);
  });

  it('because nobody may be the identity is not asked', async () => {
    queues.follow(queue.session, 'i-1', {
      name: 'q',
      open: () => Promise.reject(new TransientError('gone')),
    });
    await tick();
    await tick();
    expect(queue.calls).toEqual([]);
    expect(warnings).toHaveLength(1);
  });
});

describe('reading ends', () => {
  it('at once when the manager stops, without a word, and does not begin again', async () => {
    follow('i-1');
    await tick();
    queues.close();
    expect(queue.held).toBe(0);
    await clock.settle();
    follow('i-2');
    await tick();
    expect(queue.countOf('ReceiveMessage')).toBe(1);
    expect(warnings).toEqual([]);
    expect(clock.armed).toBe(0);
  });

  it('with the last instance whose cluster names the queue', async () => {
    follow('i-1');
    follow('i-2');
    await tick();
    living.delete('i-1');
    await tick();
    expect(queue.held).toBe(1);
    living.delete('i-2');
    await tick();
    expect(queue.held).toBe(0);
    expect(await up()).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('when the cluster names another queue, or none any more', async () => {
    follow('i-1');
    await tick();
    follow('i-1', 'another');
    await tick();
    expect(queue.calls).toEqual(['GetQueueUrl', 'ReceiveMessage', 'GetQueueUrl', 'ReceiveMessage']);
    expect(queue.held).toBe(1);
    queues.follow(queue.session, 'i-1', undefined);
    await tick();
    expect(queue.held).toBe(0);
  });
});
