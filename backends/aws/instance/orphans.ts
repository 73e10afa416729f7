// SPDX-License-Identifier: Apache-2.0
// Instances that carry our tags and that no TSMachine knows: told, and ended only where that is asked for.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage } from '../../../runtime/errors.ts';
import { gauge, type Metrics } from '../../../runtime/metrics.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { CLUSTER_TAG, MACHINE_TAG, MACHINE_UID_TAG, POOL_TAG, TOKEN_TAG } from '../tags.ts';
import { nameOf } from './change-log.ts';
import type { Terminate } from './destroy.ts';
import type { Observation } from './observation.ts';
import { type InstanceRecord, isEnding } from './record.ts';

/** Who an instance says that it is. */
export interface ClaimedMachine {
  readonly infrastructureID: string;
  readonly namespace: string;
  readonly name: string;
  /** Of the TSMachine when it was made; another one after a move. */
  readonly uid: string;
  /** Client token of its create intent. */
  readonly token: string;
  readonly instanceID: string;
}

/** Port: what the management cluster knows. Answered by wiring from the informers. */
export interface KnownMachines {
  /**
   * `known`: a TSMachine has this token or this instance. `unknown`: its cluster is one that this manager serves, the caches are in step,
   * and no TSMachine has either. `unsure`: everything else, such as a cluster of another manager, or one that is paused or on its move.
   */
  knows(machine: ClaimedMachine): 'known' | 'unknown' | 'unsure';
}

/** An instance that nobody knows. */
export interface Orphan extends ClaimedMachine {
  readonly account: string;
  readonly region: string;
  /** It is ended now. */
  readonly isRemoved: boolean;
}

export interface OrphansOptions {
  readonly sessions: Pick<AWSSessions, 'all'>;
  readonly observation: Pick<Observation, 'store' | 'sweptMs'>;
  readonly terminate: Terminate;
  readonly known: KnownMachines;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Called once for each orphan. */
  readonly onOrphan: (orphan: Orphan) => void;
  /** Ends orphans. Default false. */
  readonly remove?: boolean;
  /** How long nobody may know an instance before it is an orphan. Default 15 minutes. */
  readonly graceMs?: number;
}

const GRACE_MS = 15 * 60_000;
const LOOK_MS = 60_000;
/** Older lists say nothing of now. */
const CURRENT_MS = 90_000;

/** Makes no calls of its own, but for the ends that it was asked for. */
export interface Orphans {
  /** Run every few seconds; looks once a minute. Never rejects. */
  tick(ctx: Ctx): Promise<void>;
}

export function createOrphans(options: OrphansOptions): Orphans {
  const { sessions, clock, metrics } = options;
  const count = gauge(metrics, {
    name: 'ts_provider_aws_orphan_instances',
    help: 'Instances with our tags that no TSMachine has known for longer than the grace period.',
    labelNames: ['account', 'region'],
  });
  const suspects = new Map<string, Suspect>();
  let lookedMs = -Infinity;
  return {
    async tick(ctx) {
      const now = clock.now().getTime();
      if (Math.abs(now - lookedMs) < LOOK_MS) return;
      lookedMs = now;
      for (const session of sessions.all('TerminateInstances')) {
        const orphans = await look(ctx, options, { session, suspects });
        if (orphans !== undefined) count.set({ account: session.account, region: session.region }, orphans);
      }
    },
  };
}

interface Suspect {
  readonly sinceMs: number;
  isTold: boolean;
}

interface Look {
  readonly session: AWSSession;
  /** By instance id. */
  readonly suspects: Map<string, Suspect>;
}

/** How many orphans there are in an account; `undefined` when its list is not current. */
async function look(
  ctx: Ctx,
  options: OrphansOptions,
  { session, suspects }: Look,
): Promise<number | undefined> {
  const { observation, clock, known, graceMs = GRACE_MS } = options;
  const now = clock.now().getTime();
  const sweptMs = observation.sweptMs(session);
  if (sweptMs === undefined || Math.abs(now - sweptMs) > CURRENT_MS) return undefined;
  let orphans = 0;
  for (const record of observation.store(session).all()) {
    const claimed = claimedBy(record);
    if (claimed === undefined || isEnding(record) || known.knows(claimed) !== 'unknown') {
      suspects.delete(record.id);
      continue;
    }
    const suspect = suspects.get(record.id) ?? { sinceMs: now, isTold: false };
    suspects.set(record.id, suspect);
    if (now - suspect.sinceMs < graceMs) continue;
    orphans++;
    await handle(ctx, options, { session, claimed, suspect });
  }
  return orphans;
}

/** Instances of pools are their group's; without a token it is not one that we have made. */
function claimedBy({ id, tags }: InstanceRecord): ClaimedMachine | undefined {
  const { [CLUSTER_TAG]: infrastructureID, [MACHINE_TAG]: machine, [TOKEN_TAG]: token } = tags;
  if (infrastructureID === undefined || machine === undefined || token === undefined) return undefined;
  if (tags[POOL_TAG] !== undefined) return undefined;
  return { infrastructureID, ...nameOf(machine), uid: tags[MACHINE_UID_TAG] ?? '', token, instanceID: id };
}

interface Found {
  readonly session: AWSSession;
  readonly claimed: ClaimedMachine;
  readonly suspect: Suspect;
}

async function handle(
  ctx: Ctx,
  options: OrphansOptions,
  { session, claimed, suspect }: Found,
): Promise<void> {
  const { remove = false, terminate, onOrphan } = options;
  if (!suspect.isTold)
    onOrphan({ ...claimed, account: session.account, region: session.region, isRemoved: remove });
  suspect.isTold = true;
  if (!remove) return;
  const fields = { instance: claimed.instanceID, region: session.region };
  ctx.log.warn(fields, 'Ending an instance that no TSMachine knows');
  await terminate(ctx, session, claimed.instanceID).catch((error: unknown) =>
    ctx.log.warn(
      { ...fields, message: errorMessage(error) },
      'The instance could not be ended; trying again',
    ),
  );
}
