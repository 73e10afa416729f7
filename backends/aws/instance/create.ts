// SPDX-License-Identifier: Apache-2.0
// Makes at most one instance for a token, however often it is asked and whatever got lost.
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { BootstrapData, Created, CreateIntent, MachineFacts } from '../../backend.ts';
import { AWSRefusal, type AWSSession, type AWSSessions, isRefused } from '../session/session.ts';
import { REQUEST_TAG } from '../tags.ts';
import type { UserDataStore } from '../user-data/user-data.ts';
import type { Attempts } from './attempts.ts';
import type { BackOff } from './back-off.ts';
import { type Choice, choiceOf } from './choice.ts';
import { putAll } from './describe.ts';
import { findByToken } from './find.ts';
import type { FreshResources, NamedResources } from './fresh-resources.ts';
import type { Observation } from './observation.ts';
import { type Offer, placementOf } from './offers.ts';
import { checkNone, checkOwner, checkSingle } from './owner.ts';
import type { Planner } from './plan.ts';
import { type InstanceRecord, isEnding } from './record.ts';
import { explained, isDenied, shortageOf } from './refusal.ts';
import { runInstances } from './request.ts';
import { awsSpecOf, openSession } from './where.ts';

/** What making and ending instances need. */
export interface InstanceDeps {
  readonly sessions: AWSSessions;
  readonly observation: Observation;
  readonly attempts: Attempts;
  readonly userData: UserDataStore;
  readonly windowMs: number;
}

export interface CreateDeps extends InstanceDeps {
  readonly planner: Planner;
  readonly backOff: BackOff;
  readonly fresh: FreshResources;
}

/** EC2 takes no longer token. */
const MAX_TOKEN = 64;
/** Something was made, and is not visible yet. */
const VISIBLE_POLL_MS = 5_000;

/** One machine on its way, in its account. */
interface Work {
  readonly session: AWSSession;
  readonly machine: MachineFacts;
  readonly intent: CreateIntent;
  readonly choice: Choice;
}

/** See {@link import('../../backend.ts').MachineBackend.create}. */
export async function createInstance(
  ctx: Ctx,
  deps: CreateDeps,
  machine: MachineFacts,
  { intent, data }: { readonly intent: CreateIntent; readonly data: BootstrapData },
): Promise<Created> {
  const choice = checkedChoice(intent, data);
  const session = await openSession(ctx, deps.sessions, { ...machine, intent });
  const work: Work = { session, machine: { ...machine, intent }, intent, choice };
  // What was made before a start, perhaps by an attempt that a restored object does not know.
  await deps.observation.warmUp(ctx, session);
  const store = deps.observation.store(session);
  const made = store.byToken(intent.clientToken);
  if (made.length > 0) return settle(deps, work, made.find((one) => !isEnding(one)) ?? made[0]!);
  if (deps.attempts.takenForMs(machine, intent.clientToken) !== undefined) return findTaken(ctx, deps, work);
  checkNone(store, work.machine);
  return launch(ctx, deps, work, data);
}

function checkedChoice(intent: CreateIntent, data: BootstrapData): Choice {
  if (data.value.length === 0) {
    const message = 'The bootstrap data is empty; delete the Machine to have it replaced';
    throw new TerminalError(Reason.BootstrapDataInvalid, message);
  }
  const { clientToken, requestHash } = intent;
  const choice = choiceOf(intent);
  if (choice !== undefined && clientToken !== '' && clientToken.length <= MAX_TOKEN && requestHash !== '')
    return choice;
  const message = `The create intent needs a choice, a request hash and a client token of at most ${MAX_TOKEN} characters; delete the Machine to have it replaced`;
  throw new TerminalError(Reason.InvalidMachine, message);
}

async function launch(ctx: Ctx, deps: CreateDeps, work: Work, data: BootstrapData): Promise<Created> {
  const { session, machine, intent, choice } = work;
  const { base64, tags } = await deps.userData.prepare(ctx, session, machine, intent, data);
  const input = runInstances({ machine, spec: awsSpecOf(machine), intent, choice, userData: base64, tags });
  deps.attempts.sending(machine, intent.clientToken);
  try {
    const { Instances = [] } = await session.ec2(ctx, new RunInstancesCommand(input));
    const store = deps.observation.store(session);
    const [id = ''] = putAll(store, Instances);
    deps.backOff.granted(session, offerOf(work));
    deps.fresh.known(session, namedBy(work));
    return settle(deps, work, store.byID(id)!);
  } catch (error) {
    if (error instanceof AWSRefusal) return refused(ctx, deps, work, error);
    if (!(error instanceof TerminalError)) deps.attempts.unanswered(machine, intent.clientToken);
    throw error;
  }
}

function offerOf({ machine, choice }: Work): Offer {
  return { ...choice, index: Number(choice.offer), placement: placementOf(awsSpecOf(machine)) };
}

function namedBy({ machine, choice }: Work): NamedResources {
  return { ...choice, profile: awsSpecOf(machine).iamInstanceProfile ?? '' };
}

/** An instance with the token is there: is it this machine's, and does it live? */
function settle(deps: CreateDeps, { session, machine, intent }: Work, record: InstanceRecord): Created {
  checkOwner(record, machine);
  checkSingle(deps.observation.store(session), machine, record);
  const request = record.tags[REQUEST_TAG];
  if (request !== undefined && request !== intent.requestHash) {
    const message = `Instance ${record.id} was made with this client token for another request; delete the Machine to have it replaced`;
    throw new TerminalError('IdempotencyMismatch', message);
  }
  if (!isEnding(record)) return { state: 'started' };
  throw terminated(`Instance ${record.id}, which this create intent made, was terminated`);
}

function terminated(what: string): TerminalError {
  return new TerminalError(Reason.InstanceTerminated, `${what}; delete the Machine to have it replaced`);
}

async function refused(ctx: Ctx, deps: CreateDeps, work: Work, error: AWSRefusal): Promise<Created> {
  const { session, machine, intent } = work;
  if (isRefused(error, 'IdempotentParameterMismatch')) {
    deps.attempts.taken(machine, intent.clientToken);
    return findTaken(ctx, deps, work);
  }
  if (isRefused(error, 'IdempotentInstanceTerminated'))
    throw terminated('The instance that this create intent made was terminated');
  const isProven = !isDenied(error) && deps.attempts.refused(machine, intent.clientToken);
  const shortage = shortageOf(error);
  if (shortage === undefined) return mistaken(deps, work, error);
  deps.backOff.refused(session, offerOf(work), shortage);
  const deferred = await deps.planner.afterShortage(ctx, session, machine);
  if (isProven) return deferred;
  // A request whose answer got lost may still be under way. Until that is over there is no other offer, and this one has nothing.
  const openForMs = deps.attempts.openForMs(machine, intent.clientToken) ?? 0;
  return { ...deferred, pollMs: Math.max(deps.windowMs - openForMs, VISIBLE_POLL_MS) };
}

/** Throws what was refused for good. */
function mistaken({ fresh }: CreateDeps, work: Work, error: AWSRefusal): Created {
  const pollMs = fresh.refused(work.session, namedBy(work), error);
  if (pollMs === undefined) throw explained(error);
  const message = `EC2 does not know yet what was made a moment ago: ${error.message}`;
  return { state: 'deferred', reason: Reason.InstanceCreating, message, pollMs };
}

/** EC2 says that something was made with the token: it becomes visible, or it was terminated before we saw it. */
async function findTaken(ctx: Ctx, deps: CreateDeps, work: Work): Promise<Created> {
  const { session, machine, intent } = work;
  const takenForMs = deps.attempts.takenForMs(machine, intent.clientToken) ?? 0;
  const found = await findByToken(ctx, session, deps.observation, intent.clientToken);
  if (found.state === 'found') return settle(deps, work, found.record);
  if (takenForMs >= deps.windowMs) throw terminated('The instance that this create intent made is gone');
  const message = 'The instance was made, and EC2 does not show it yet';
  return { state: 'deferred', reason: Reason.InstanceCreating, message, pollMs: VISIBLE_POLL_MS };
}
