// SPDX-License-Identifier: Apache-2.0
// What AWS is about to do to instances: a few calls for each account, whatever the number of machines.
import {
  DescribeInstanceStatusCommand,
  DescribeSpotInstanceRequestsCommand,
  type InstanceStatusEvent,
  type SpotInstanceRequest,
} from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage } from '../../../runtime/errors.ts';
import type { UpkeepReport } from '../../backend.ts';
import type { Observation } from '../instance/observation.ts';
import { type InstanceRecord, isEnding } from '../instance/record.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';

/** What is about to happen to one instance. */
export type Notice = Omit<NonNullable<UpkeepReport['interruption']>, 'replace'>;

/** Knows of notices. EC2 tells rebalance recommendations by event and in the instance only, so that there are none here. */
export interface Interruptions {
  /** `undefined`: nothing is known to be about to happen. The first call for an account asks AWS. */
  of(ctx: Ctx, session: AWSSession, instanceID: string): Promise<Notice | undefined>;
  /** Run every few seconds. Asks what is due, and wakes machines whose notices have changed. Never rejects. */
  tick(ctx: Ctx): Promise<void>;
}

export interface InterruptionsOptions {
  readonly sessions: Pick<AWSSessions, 'all'>;
  readonly observation: Pick<Observation, 'store' | 'wake'>;
  readonly clock: Clock;
}

/** Of the two minutes that a spot notice gives, not many seconds are to be lost. Asked only where there are spot instances. */
const SPOT_MS = 15_000;
/** Maintenance is told days before. */
const EVENTS_MS = 60_000;

type Notices = ReadonlyMap<string, Notice>;

interface Source {
  readonly everyMs: number;
  readonly ask: (ctx: Ctx, session: AWSSession) => Promise<Notices>;
  askedMs?: number;
  /** It was asked, whatever came of it: a call that is refused is not to be sent by every machine. */
  isKnown: boolean;
  asking?: Promise<void> | undefined;
  notices: Notices;
}

export function createInterruptions({ sessions, observation, clock }: InterruptionsOptions): Interruptions {
  const accounts = new Map<string, readonly Source[]>();
  const sourcesOf = (session: AWSSession): readonly Source[] => {
    const key = `${session.account} ${session.region}`;
    const known = accounts.get(key) ?? [
      newSource(SPOT_MS, (ctx, own) => spotNotices(ctx, own, recordsOf(own))),
      newSource(EVENTS_MS, (ctx, own) => eventNotices(ctx, own, recordsOf(own))),
    ];
    accounts.set(key, known);
    return known;
  };
  const recordsOf = (session: AWSSession) =>
    observation
      .store(session)
      .all()
      .filter((record) => !isEnding(record));

  async function ask(ctx: Ctx, session: AWSSession, source: Source): Promise<void> {
    source.askedMs = clock.now().getTime();
    try {
      const before = source.notices;
      source.notices = await source.ask(ctx, session);
      wakeChanged(session, before, source.notices);
    } catch (error) {
      const facts = { region: session.region, message: errorMessage(error) };
      ctx.log.warn(facts, 'Interruptions of instances are not known; asking again');
    }
    source.isKnown = true;
  }

  function wakeChanged(session: AWSSession, before: Notices, now: Notices): void {
    const store = observation.store(session);
    for (const id of new Set([...before.keys(), ...now.keys()])) {
      const record = store.byID(id);
      const isSame = before.get(id)?.message === now.get(id)?.message;
      if (record !== undefined && !isSame) observation.wake(record);
    }
  }

  function once(ctx: Ctx, session: AWSSession, source: Source): Promise<void> {
    source.asking ??= ask(ctx, session, source).finally(() => (source.asking = undefined));
    return source.asking;
  }

  return {
    async of(ctx, session, instanceID) {
      const sources = sourcesOf(session);
      // After a start one answer is for all of them, so that no condition changes for want of it.
      await Promise.all(
        sources.filter(({ isKnown }) => !isKnown).map((source) => once(ctx, session, source)),
      );
      return sources.map(({ notices }) => notices.get(instanceID)).find((notice) => notice !== undefined);
    },
    async tick(ctx) {
      const due = sessions.all().flatMap((session) =>
        sourcesOf(session)
          .filter(({ askedMs, everyMs }) => askedMs === undefined || hasPassed(clock, askedMs, everyMs))
          .map((source) => once(ctx, session, source)),
      );
      await Promise.all(due);
    },
  };
}

function newSource(everyMs: number, ask: Source['ask']): Source {
  return { everyMs, ask, isKnown: false, notices: new Map() };
}

/** The notice of two minutes. A hibernated instance is lost to its cluster as well. */
const MARKED = ['marked-for-termination', 'marked-for-stop', 'marked-for-hibernation'];

async function spotNotices(
  ctx: Ctx,
  session: AWSSession,
  records: readonly InstanceRecord[],
): Promise<Notices> {
  const ours = new Set(records.filter(({ isSpot }) => isSpot).map(({ id }) => id));
  if (ours.size === 0) return new Map();
  const requests = await everyPage(async (page) => {
    const Filters = [{ Name: 'status-code', Values: MARKED }];
    const answer = await session.ec2(ctx, new DescribeSpotInstanceRequestsCommand({ Filters, ...page }));
    return { items: answer.SpotInstanceRequests, next: answer.NextToken };
  });
  const marked = requests.filter(({ Status }) => MARKED.includes(Status?.Code ?? ''));
  return noticesOf(ours, marked, (id, request) => spotNotice(id, request));
}

const TWO_MINUTES_MS = 120_000;

function spotNotice(id: string, { Status }: SpotInstanceRequest): Notice {
  const when = Status?.UpdateTime;
  const end =
    when === undefined ? '' : `, at about ${new Date(when.getTime() + TWO_MINUTES_MS).toISOString()}`;
  const what = Status?.Code === 'marked-for-termination' ? 'terminates' : 'stops';
  return {
    reason: Reason.SpotInterruption,
    message: `EC2 ${what} spot instance ${id}${end}: ${Status?.Code}`,
  };
}

const EVENT_CODES = [
  'instance-reboot',
  'system-reboot',
  'system-maintenance',
  'instance-retirement',
  'instance-stop',
];

async function eventNotices(
  ctx: Ctx,
  session: AWSSession,
  records: readonly InstanceRecord[],
): Promise<Notices> {
  const ours = new Set(records.map(({ id }) => id));
  if (ours.size === 0) return new Map();
  const statuses = await everyPage(async (page) => {
    const Filters = [{ Name: 'event.code', Values: EVENT_CODES }];
    const answer = await session.ec2(ctx, new DescribeInstanceStatusCommand({ Filters, ...page }));
    return { items: answer.InstanceStatuses, next: answer.NextToken };
  });
  return noticesOf(ours, statuses, (id, { Events = [] }) => {
    const [first] = Events.filter(isToCome).sort((one, other) => startOf(one) - startOf(other));
    return first && eventNotice(id, first);
  });
}

function noticesOf<T extends { readonly InstanceId?: string | undefined }>(
  ours: ReadonlySet<string>,
  answers: readonly T[],
  notice: (id: string, answer: T) => Notice | undefined,
): Notices {
  const notices = new Map<string, Notice>();
  for (const answer of answers) {
    const { InstanceId: id = '' } = answer;
    const told = ours.has(id) ? notice(id, answer) : undefined;
    if (told !== undefined) notices.set(id, told);
  }
  return notices;
}

interface Page<T> {
  readonly items: readonly T[] | undefined;
  readonly next: string | undefined;
}

async function everyPage<T>(
  ask: (page: { MaxResults: number; NextToken?: string }) => Promise<Page<T>>,
): Promise<T[]> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const page = await ask({ MaxResults: 1_000, ...(next !== undefined && { NextToken: next }) });
    items.push(...(page.items ?? []));
    next = page.next === '' ? undefined : page.next;
  } while (next !== undefined);
  return items;
}

/** EC2 goes on to list an event for some time, and says so in its description. */
function isToCome({ Description = '' }: InstanceStatusEvent): boolean {
  return !/^\[(Completed|Canceled)\]/i.test(Description);
}

function startOf({ NotBefore }: InstanceStatusEvent): number {
  return NotBefore?.getTime() ?? 0;
}

function eventNotice(id: string, { Code, Description, NotBefore, NotAfter }: InstanceStatusEvent): Notice {
  const from = NotBefore === undefined ? '' : `, not before ${NotBefore.toISOString()}`;
  const until = NotAfter === undefined ? '' : `, not after ${NotAfter.toISOString()}`;
  const why = Description === undefined || Description === '' ? '' : `: ${Description}`;
  const message = `AWS has planned ${Code} for instance ${id}${from}${until}${why}`;
  return { reason: Reason.MaintenanceScheduled, message };
}
