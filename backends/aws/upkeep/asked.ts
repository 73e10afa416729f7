// SPDX-License-Identifier: Apache-2.0
// What EC2 answers when it is asked what it is about to do to instances: a few calls for each account, whatever the number of machines.
import {
  DescribeInstanceStatusCommand,
  DescribeSpotInstanceRequestsCommand,
  type InstanceStatusEvent,
} from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage } from '../../../runtime/errors.ts';
import type { Observation } from '../instance/observation.ts';
import { type InstanceRecord, isEnding } from '../instance/record.ts';
import type { AWSSession } from '../session/session.ts';
import { type Notice, spotNotice } from './event.ts';

/** Of the two minutes that a spot notice gives, not many seconds are to be lost. Asked only where there are spot instances. */
const SPOT_MS = 15_000;
/** Maintenance is told days before. */
const MAINTENANCE_MS = 60_000;
/** Events of AWS Health come in swarms: of each one look, not sooner than this after the one before. */
const HURRY_MS = 10_000;

/** What is asked. Each may be denied to one identity and allowed to another. */
export const ASKED = ['DescribeSpotInstanceRequests', 'DescribeInstanceStatus'] as const;
export type Asked = (typeof ASKED)[number];

/** Notices of one account and region. */
export interface AskedNotices {
  /** Asks AWS where nothing was asked yet. Never rejects. */
  known(ctx: Ctx, session: AWSSession): Promise<void>;
  spot(instanceID: string): Notice | undefined;
  maintenance(instanceID: string): Notice | undefined;
  /** There is something new about maintenance: it is asked for soon. */
  hurry(): void;
  /** Asks this if it is due, and wakes machines whose notices have changed. Never rejects. */
  tick(ctx: Ctx, session: AWSSession, asked: Asked): Promise<void>;
}

export interface AskedOptions {
  readonly observation: Pick<Observation, 'store' | 'wake'>;
  readonly clock: Clock;
}

type Notices = ReadonlyMap<string, Notice>;

interface Source {
  readonly everyMs: number;
  readonly ask: (ctx: Ctx, session: AWSSession) => Promise<Notices>;
  askedMs?: number;
  /** It was asked, whatever came of it: a call that is refused is not to be sent by every machine. */
  isKnown: boolean;
  isUrgent: boolean;
  asking?: Promise<void> | undefined;
  notices: Notices;
}

export function createAskedNotices({ observation, clock }: AskedOptions): AskedNotices {
  const recordsOf = (session: AWSSession) =>
    observation
      .store(session)
      .all()
      .filter((record) => !isEnding(record));
  const spot = newSource(SPOT_MS, (ctx, own) => spotNotices(ctx, own, recordsOf(own)));
  const maintenance = newSource(MAINTENANCE_MS, (ctx, own) => eventNotices(ctx, own, recordsOf(own)));
  const sources: Readonly<Record<Asked, Source>> = {
    DescribeSpotInstanceRequests: spot,
    DescribeInstanceStatus: maintenance,
  };

  async function ask(ctx: Ctx, session: AWSSession, source: Source): Promise<void> {
    source.askedMs = clock.now().getTime();
    source.isUrgent = false;
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
    async known(ctx, session) {
      const unknown = Object.values(sources).filter(({ isKnown }) => !isKnown);
      await Promise.all(unknown.map((source) => once(ctx, session, source)));
    },
    spot: (id) => spot.notices.get(id),
    maintenance: (id) => maintenance.notices.get(id),
    hurry: () => void (maintenance.isUrgent = true),
    async tick(ctx, session, asked) {
      const source = sources[asked];
      if (isDue(clock, source)) await once(ctx, session, source);
    },
  };
}

function isDue(clock: Clock, { askedMs, everyMs, isUrgent }: Source): boolean {
  return askedMs === undefined || hasPassed(clock, askedMs, isUrgent ? HURRY_MS : everyMs);
}

function newSource(everyMs: number, ask: Source['ask']): Source {
  return { everyMs, ask, isKnown: false, isUrgent: false, notices: new Map() };
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
  return noticesOf(ours, marked, (id, { Status }) => {
    const code = Status?.Code ?? '';
    return spotNotice(id, { ends: code === MARKED[0], atMs: Status?.UpdateTime?.getTime(), code });
  });
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
  const fromMs = NotBefore?.getTime();
  return { reason: Reason.MaintenanceScheduled, message, ...(fromMs !== undefined && { fromMs }) };
}
