// SPDX-License-Identifier: Apache-2.0
// Which queues are read: those that clusters of living instances name, each by one reader, whatever the number of clusters and machines.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import type { AWSSession } from '../session/session.ts';
import { type NamedQueue, queueMetrics, type QueueOptions, QueueReader } from './queue.ts';

export interface QueuesOptions extends Pick<QueueOptions, 'hear'> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Whether the instance is still there. */
  readonly lives: (session: AWSSession, instanceID: string) => boolean;
}

export interface Queues {
  /** Said on every look after an instance; `undefined`: its cluster names none. A queue is read as long as one of its instances lives. */
  follow(session: AWSSession, instanceID: string, queue: NamedQueue | undefined): void;
  /** Run every few seconds: begins to read what nobody reads, and returns at once. */
  tick(ctx: Ctx): void;
  /** Ends the requests that are held, at once and for good. */
  close(): void;
}

interface Followed {
  readonly reader: QueueReader;
  /** Of the same account and region as the queue. */
  session: AWSSession;
  readonly instances: Set<string>;
}

export function createQueues(options: QueuesOptions): Queues {
  const { lives } = options;
  const metrics = queueMetrics(options.metrics);
  /** By `<account> <region> <name>`. */
  const queues = new Map<string, Followed>();
  /** `<account> <region> <instance id>` -> key of its queue. */
  const queueOf = new Map<string, string>();
  let isClosed = false;

  function leave(session: AWSSession, instanceID: string): void {
    const key = queueOf.get(keyOf(session, instanceID)) ?? '';
    const queue = queues.get(key);
    queueOf.delete(keyOf(session, instanceID));
    queue?.instances.delete(instanceID);
    if (queue === undefined || queue.instances.size > 0) return;
    queues.delete(key);
    queue.reader.close();
  }

  return {
    follow(session, instanceID, named) {
      const key = named && keyOf(session, named.name);
      if (queueOf.get(keyOf(session, instanceID)) !== key) leave(session, instanceID);
      if (named === undefined || key === undefined || isClosed) return;
      const queue = queues.get(key) ?? {
        reader: new QueueReader({ ...options, metrics }, session, named),
        session,
        instances: new Set(),
      };
      queue.reader.readAs(named.open);
      queue.session = session;
      queue.instances.add(instanceID);
      queues.set(key, queue);
      queueOf.set(keyOf(session, instanceID), key);
    },
    tick(ctx) {
      if (isClosed) return;
      for (const { session, instances } of queues.values())
        for (const id of instances) if (!lives(session, id)) leave(session, id);
      for (const { reader } of queues.values()) void reader.read(ctx);
    },
    close() {
      isClosed = true;
      for (const { reader } of queues.values()) reader.close();
    },
  };
}

function keyOf({ account, region }: AWSSession, name: string): string {
  return `${account} ${region} ${name}`;
}
