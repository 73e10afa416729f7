// SPDX-License-Identifier: Apache-2.0
// What there is, for all machines together: few calls for each account, whatever the number of machines.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../../runtime/errors.ts';
import type { ChangeFeed } from '../../backend.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { CLUSTER_TAG, TOKEN_TAG } from '../tags.ts';
import { type Batched, createBatched } from './batch.ts';
import { createChangeLog } from './change-log.ts';
import { describeInto, MAX_FILTER_VALUES } from './describe.ts';
import type { InstanceRecord } from './record.ts';
import { CONSISTENCY_WINDOW_MS, createInstanceStore, type InstanceStore } from './store.ts';

/** How often everything of ours is listed. */
const SWEEP_MS = 30_000;
/** After a list that failed: the account may be throttled, or the identity not allowed to. */
const RETRY_MS = 10_000;
/** How long a look-up waits for others to join it. */
const JOIN_MS = 50;

/** Observes instances. Stores are shared by all sessions of an account and region. */
export interface Observation extends ChangeFeed {
  store(session: AWSSession): InstanceStore;
  /** Lists everything of ours, once after a start: then the store knows what was made before it. */
  warmUp(ctx: Ctx, session: AWSSession): Promise<void>;
  /** Looks an instance up by its id. Afterwards it is fresh in the store, or was not shown. */
  lookByID(ctx: Ctx, session: AWSSession, id: string): Promise<void>;
  /** Looks instances up by their client token; those that are found are fresh in the store. */
  lookByToken(ctx: Ctx, session: AWSSession, token: string): Promise<void>;
  /**
   * Run every 1.5 s. Asks for instances in motion, and every 30 s for all of ours. Rejects never: what could not be asked is asked
   * again. A tick that overlaps with one of the same account does nothing there.
   */
  tick(ctx: Ctx): Promise<void>;
  /** Wakes the machine of an instance of which something was learned that its record does not hold. */
  wake(record: InstanceRecord): void;
  /** When everything was last listed, in ms; `undefined` before that. */
  sweptMs(session: AWSSession): number | undefined;
}

export interface ObservationOptions {
  readonly sessions: Pick<AWSSessions, 'all'>;
  readonly clock: Clock;
  /** Default: {@link CONSISTENCY_WINDOW_MS}. */
  readonly windowMs?: number;
}

/** What is known of one account and region. */
interface Account {
  readonly store: InstanceStore;
  sweptMs?: number | undefined;
  /** The next list is not before. */
  notBeforeMs: number;
  sweeping?: { readonly session: AWSSession; readonly done: Promise<void> } | undefined;
  isTicking: boolean;
  /** Why the last look failed. Ticks may come every second: the same trouble is told once until it is over. */
  trouble?: string | undefined;
}

export function createObservation(options: ObservationOptions): Observation {
  const { clock, sessions, windowMs = CONSISTENCY_WINDOW_MS } = options;
  const log = createChangeLog(clock);
  const accounts = new Map<string, Account>();
  const accountOf = (session: AWSSession): Account => {
    const key = `${session.account} ${session.region}`;
    const known = accounts.get(key);
    if (known !== undefined) return known;
    const store = createInstanceStore({ clock, windowMs, changed: (record) => log.add(record) });
    const made: Account = { store, notBeforeMs: 0, isTicking: false };
    accounts.set(key, made);
    return made;
  };
  const storeOf = (session: AWSSession) => accountOf(session).store;
  const byID = joined(clock, storeOf, 'instance-id');
  const byToken = joined(clock, storeOf, `tag:${TOKEN_TAG}`);

  /** After a start one list answers for every machine; before it, each would ask. */
  const warmUp = async (ctx: Ctx, session: AWSSession) => {
    const account = accountOf(session);
    if (account.sweptMs === undefined) await sweep(ctx, session, { account, clock });
  };

  return {
    store: storeOf,
    warmUp,
    sweptMs: (session) => accountOf(session).sweptMs,
    wake: (record) => log.add(record),
    changes: async (_ctx, cursor) => log.since(cursor),
    async lookByID(ctx, session, id) {
      await warmUp(ctx, session);
      if (!storeOf(session).isFresh(id)) await byID(session)(ctx, id);
    },
    async lookByToken(ctx, session, token) {
      await warmUp(ctx, session);
      const store = storeOf(session);
      const known = store.byToken(token);
      if (known.length === 0 || !known.every(({ id }) => store.isFresh(id)))
        await byToken(session)(ctx, token);
    },
    async tick(ctx) {
      await Promise.all(
        sessions
          .all('DescribeInstances')
          .map((session) => tickOne(ctx, session, { account: accountOf(session), clock })),
      );
    },
  };
}

/** One batch for each session: what one identity may see, another may not. */
function joined(
  clock: Clock,
  storeOf: (session: AWSSession) => InstanceStore,
  filter: string,
): (session: AWSSession) => Batched {
  const batches = new WeakMap<AWSSession, Batched>();
  return (session) => {
    const known = batches.get(session);
    if (known !== undefined) return known;
    const made = createBatched({
      clock,
      windowMs: JOIN_MS,
      maxKeys: MAX_FILTER_VALUES,
      run: (ctx, keys) =>
        describeInto(ctx, { session, store: storeOf(session) }, { Name: filter, Values: [...keys] }),
    });
    batches.set(session, made);
    return made;
  };
}

interface Ticked {
  readonly account: Account;
  readonly clock: Clock;
}

async function tickOne(ctx: Ctx, session: AWSSession, { account, clock }: Ticked): Promise<void> {
  if (account.isTicking) return;
  account.isTicking = true;
  try {
    // What a list has just told of need not be asked for again.
    if (isDue(account, clock.now().getTime())) await sweep(ctx, session, { account, clock });
    else await watch(ctx, session, account.store);
    account.trouble = undefined;
  } catch (error) {
    const message = errorMessage(error);
    if (message !== account.trouble)
      ctx.log.warn({ region: session.region, message }, 'Instances could not be observed; trying again');
    account.trouble = message;
  } finally {
    account.isTicking = false;
  }
}

/** Also when the clock was set back behind the last list. */
function isDue({ notBeforeMs }: Account, nowMs: number): boolean {
  return nowMs >= notBeforeMs || notBeforeMs - nowMs > SWEEP_MS;
}

/** Lists everything that carries the tag of a cluster. Who comes while it runs waits for the same list. */
async function sweep(ctx: Ctx, session: AWSSession, { account, clock }: Ticked): Promise<void> {
  const run = async () => {
    const { store } = account;
    account.notBeforeMs = clock.now().getTime() + RETRY_MS;
    const filter = { Name: 'tag-key', Values: [CLUSTER_TAG] };
    store.swept(await describeInto(ctx, { session, store }, filter));
    account.sweptMs = clock.now().getTime();
    account.notBeforeMs = account.sweptMs + SWEEP_MS;
  };
  while (account.sweeping !== undefined && account.sweeping.session !== session) {
    try {
      return await account.sweeping.done;
    } catch (error) {
      // What another identity may not list, this one may.
      if (!(error instanceof TerminalError)) throw error;
    }
  }
  const own = () => run().finally(() => (account.sweeping = undefined));
  account.sweeping ??= { session, done: own() };
  return account.sweeping.done;
}

/** Looks at what moves, and at what the list did not show. */
async function watch(ctx: Ctx, session: AWSSession, store: InstanceStore): Promise<void> {
  const ids = store.toWatch();
  for (let from = 0; from < ids.length; from += MAX_FILTER_VALUES) {
    const some = ids.slice(from, from + MAX_FILTER_VALUES);
    const seen = await describeInto(ctx, { session, store }, { Name: 'instance-id', Values: some });
    for (const id of some) if (!seen.has(id)) store.missed(id);
  }
}
