// SPDX-License-Identifier: Apache-2.0
// What AWS is about to do to instances: what it answers when asked, and what it tells by a queue where a cluster names one.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import type { Observation } from '../instance/observation.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { ASKED, type Asked, type AskedNotices, createAskedNotices } from './asked.ts';
import type { AWSEvent, Notice } from './event.ts';
import type { Heard } from './queue.ts';
import { createQueues, type Queues } from './queues.ts';
import { createToldNotices, lives, type ToldNotices } from './told.ts';

/** Knows of notices. EC2 tells rebalance recommendations by event and in the instance only, so that they come by a queue or not at all. */
export interface Interruptions extends Pick<Queues, 'follow' | 'close'> {
  /**
   * `undefined`: nothing is known to be about to happen. Of several the worst: a spot notice, then maintenance, then a rebalance
   * recommendation. The first call for an account asks AWS; nothing waits for a queue.
   */
  of(ctx: Ctx, session: AWSSession, instanceID: string): Promise<Notice | undefined>;
  /** Run every few seconds. Asks what is due, and wakes machines whose notices have changed. Never rejects. */
  tick(ctx: Ctx): Promise<void>;
}

export interface InterruptionsOptions {
  readonly sessions: Pick<AWSSessions, 'all'>;
  readonly observation: Pick<Observation, 'store' | 'wake'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** What is known of one account and region. */
interface Account {
  readonly asked: AskedNotices;
  readonly told: ToldNotices;
}

export function createInterruptions(options: InterruptionsOptions): Interruptions {
  const { sessions, observation, clock } = options;
  const accounts = new Map<string, Account>();
  const accountOf = (session: AWSSession): Account => {
    const key = `${session.account} ${session.region}`;
    const known = accounts.get(key) ?? { asked: createAskedNotices(options), told: createToldNotices(clock) };
    accounts.set(key, known);
    return known;
  };
  const queues = createQueues({
    ...options,
    hear: (session, event) => hear(observation, accountOf(session), { session, event }),
    lives: (session, id) => lives(observation.store(session), id),
  });
  return {
    ...queues,
    async of(ctx, session, id) {
      const { asked, told } = accountOf(session);
      // After a start one answer is for all of them, so that no condition changes for want of it.
      await asked.known(ctx, session);
      return told.spot(id) ?? asked.spot(id) ?? asked.maintenance(id) ?? told.rebalance(id);
    },
    async tick(ctx) {
      queues.tick(ctx);
      const ask = (action: Asked) =>
        sessions.all(action).map((session) => {
          const { asked, told } = accountOf(session);
          for (const record of told.prune(observation.store(session))) observation.wake(record);
          return asked.tick(ctx, session, action);
        });
      await Promise.all(ASKED.flatMap(ask));
    },
  };
}

/** When it returns, a notice is in memory and its machine woken. */
function hear(
  observation: InterruptionsOptions['observation'],
  { asked, told }: Account,
  { session, event }: { readonly session: AWSSession; readonly event: AWSEvent },
): Heard {
  const store = observation.store(session);
  if (event.kind === 'health') {
    if (!event.instanceIDs.some((id) => lives(store, id))) return 'foreign';
    asked.hurry();
    return 'used';
  }
  const record = store.byID(event.instanceID);
  if (record === undefined || !lives(store, record.id)) return 'foreign';
  if (event.kind !== 'state') {
    if (told.note(event, record)) observation.wake(record);
  } else if (event.state !== record.state) {
    store.suspect(record.id);
  }
  return 'used';
}
