// SPDX-License-Identifier: Apache-2.0
// Puts back what was changed on an instance outside.
import {
  CreateTagsCommand,
  ModifyInstanceMetadataOptionsCommand,
  ModifyNetworkInterfaceAttributeCommand,
} from '@aws-sdk/client-ec2';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import { tagList } from '../tags.ts';
import type { Drift } from './drift.ts';

/** Until then an answer of EC2 may still be from before the repair. */
const VISIBLE_MS = 90_000;
/** What EC2 refuses, and what somebody else changes back, is tried again this often. */
const REFUSED_MS = 10 * 60_000;
/** So often in a row it was no delay. */
const CHANGED_BACK = 3;
const FORGET_MS = 60 * 60_000;

/** One line for people where it could not be put right, and when to look again. */
export interface Repaired {
  readonly differs?: string;
  readonly pollMs?: number;
}

interface Attempt {
  readonly atMs: number;
  /** In a row. */
  readonly times: number;
  readonly refusal: string | undefined;
}

/** Repairs the drift of one instance. Throws TransientError; what AWS refuses is `differs`. */
export type Repair = (
  ctx: Ctx,
  session: AWSSession,
  instance: { readonly id: string; readonly drift: Drift },
) => Promise<Repaired>;

/** Remembers what it has repaired, so that nothing is repaired twice before that can be seen. */
export function createRepair(clock: Clock): Repair {
  const attempts = new Map<string, Attempt>();
  const nowMs = () => clock.now().getTime();

  async function one(ctx: Ctx, session: AWSSession, { key, what, command }: Step): Promise<Repaired> {
    const last = attempts.get(key);
    const isHopeless = last !== undefined && (last.refusal !== undefined || last.times >= CHANGED_BACK);
    const pauseMs = isHopeless ? REFUSED_MS : VISIBLE_MS;
    if (last === undefined || hasPassed(clock, last.atMs, pauseMs)) {
      // After a good while it is another change, not the same one come back.
      const isInRow = last !== undefined && !hasPassed(clock, last.atMs, FORGET_MS);
      const refusal = await refusalOf(() => command(ctx, session));
      attempts.set(key, { atMs: nowMs(), times: isInRow ? last.times + 1 : 1, refusal });
    }
    const { refusal, times } = attempts.get(key)!;
    if (refusal !== undefined) return { differs: `${what} differ: ${refusal}`, pollMs: REFUSED_MS };
    if (times < CHANGED_BACK) return { pollMs: VISIBLE_MS };
    return {
      differs: `${what} were put right ${times} times, and somebody changes them back`,
      pollMs: REFUSED_MS,
    };
  }

  return async (ctx, session, { id, drift }) => {
    forget(attempts, clock);
    const repaired: Repaired[] = [];
    for (const step of stepsOf(id, drift)) repaired.push(await one(ctx, session, step));
    const differs = repaired.flatMap((report) => report.differs ?? []).join('; ');
    const polls = repaired.flatMap(({ pollMs }) => pollMs ?? []);
    return {
      ...(differs !== '' && { differs }),
      ...(polls.length > 0 && { pollMs: Math.min(...polls) }),
    };
  };
}

interface Step {
  readonly key: string;
  readonly what: string;
  readonly command: (ctx: Ctx, session: AWSSession) => Promise<unknown>;
}

function stepsOf(id: string, { tags, securityGroups, metadataOptions }: Drift): Step[] {
  const steps: Step[] = [];
  if (tags !== undefined) {
    const command = new CreateTagsCommand({ Resources: [id], Tags: tagList(tags) });
    const what = `Tags of instance ${id} (${Object.keys(tags).sort().join(', ')})`;
    steps.push({ key: `${id} tags`, what, command: (ctx, session) => session.ec2(ctx, command) });
  }
  if (securityGroups !== undefined) {
    const { networkInterfaceID: NetworkInterfaceId, ids } = securityGroups;
    const command = new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId, Groups: [...ids] });
    const what = `Security groups of instance ${id} (to be ${ids.join(', ')})`;
    steps.push({ key: `${id} groups`, what, command: (ctx, session) => session.ec2(ctx, command) });
  }
  if (metadataOptions !== undefined) {
    const command = new ModifyInstanceMetadataOptionsCommand({ InstanceId: id, ...metadataOptions });
    const what = `Metadata options of instance ${id} (${Object.keys(metadataOptions).join(', ')})`;
    steps.push({ key: `${id} metadata`, what, command: (ctx, session) => session.ec2(ctx, command) });
  }
  return steps;
}

async function refusalOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof TerminalError) return errorMessage(error);
    throw error;
  }
}

/** A Map keeps the order of first insertion; an attempt that is still of use is younger than this anyway. */
function forget(attempts: Map<string, Attempt>, clock: Clock): void {
  for (const [key, { atMs }] of attempts) {
    if (!hasPassed(clock, atMs, 2 * FORGET_MS)) break;
    attempts.delete(key);
  }
}
