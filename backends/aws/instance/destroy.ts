// SPDX-License-Identifier: Apache-2.0
// Ends the instance of a machine, and says "gone" only with proof that there is none, and that none can come.
import { RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { Destroyed, MachineFacts } from '../../backend.ts';
import type { TargetRegistry } from '../load-balancer/targets.ts';
import { AWSRefusal, type AWSSession, isRefused } from '../session/session.ts';
import { GROUP_TAG, terminateInGroup } from '../pool/termination.ts';
import { CLUSTER_TAG, ROLE_TAG, TOKEN_TAG } from '../tags.ts';
import { tagsOfFence } from '../user-data/user-data.ts';
import { type Batched, createBatched } from './batch.ts';
import { choiceOf } from './choice.ts';
import type { InstanceDeps } from './create.ts';
import { putAll } from './describe.ts';
import { askedToken, findByID, findByToken, instanceIDOf } from './find.ts';
import { checkOwner, checkSingle, instancesOf } from './owner.ts';
import { type InstanceRecord, isLiving } from './record.ts';
import { isDenied } from './refusal.ts';
import { runInstances } from './request.ts';
import type { InstanceStore } from './store.ts';
import { awsSpecOf, openSession } from './where.ts';

export interface DestroyDeps extends InstanceDeps {
  readonly targets: TargetRegistry;
  readonly terminate: Terminate;
}

/** The change feed tells when it has ended. */
const POLL_MS = 15_000;
const VISIBLE_POLL_MS = 5_000;

/** What stands between a machine and its end: nothing, an instance, or a doubt. */
type Trace = InstanceRecord | { readonly wait: string; readonly pollMs: number } | undefined;

const NOT_SHOWN: Trace = {
  wait: 'An instance was made, and EC2 does not show it yet',
  pollMs: VISIBLE_POLL_MS,
};

/** See {@link import('../../backend.ts').MachineBackend.destroy}. */
export async function destroyInstance(
  ctx: Ctx,
  deps: DestroyDeps,
  machine: MachineFacts,
): Promise<Destroyed> {
  // Nothing is asked for without a choice, so an intent without one has made nothing.
  if (instanceIDOf(machine) === undefined && choiceOf(machine.intent) === undefined) return { state: 'gone' };
  const session = await openSession(ctx, deps.sessions, machine);
  const store = deps.observation.store(session);
  const traces = await tracesOf(ctx, deps, session, machine);
  const records = traces.filter((trace) => trace !== undefined && 'id' in trace);
  const living = new Map(
    [...records, ...instancesOf(store, machine)].filter(isLiving).map((one) => [one.id, one]),
  );
  // All of them before the first is ended: what is not clear is left to a person.
  for (const record of living.values()) checkOwner(record, machine);
  checkSingle(store, machine, [...living.values()][0]);
  const steps: Destroyed[] = [];
  for (const record of living.values()) steps.push(await end(ctx, deps, session, { record, machine }));
  for (const trace of traces)
    if (trace !== undefined && 'wait' in trace) steps.push(inProgress(trace.wait, trace.pollMs));
  const unfinished = steps.find(({ state }) => state === 'inProgress');
  if (unfinished !== undefined) return unfinished;
  await deps.userData.remove(ctx, session, machine, ownTags(records, machine));
  return { state: 'gone' };
}

/** What was stored is told by the instance with the token: not by another one, nor by one whose tags EC2 has dropped after its end. */
function ownTags(
  records: readonly InstanceRecord[],
  machine: MachineFacts,
): InstanceRecord['tags'] | undefined {
  const token = askedToken(machine);
  const own = records.find(({ tags }) => token === undefined || tags[TOKEN_TAG] === token);
  return own?.tags;
}

function inProgress(message: string, pollMs = POLL_MS): Destroyed {
  return { state: 'inProgress', message, pollMs };
}

/** By id, and by token where the id does not stand for it: an id may have been written by hand. */
async function tracesOf(
  ctx: Ctx,
  deps: DestroyDeps,
  session: AWSSession,
  machine: MachineFacts,
): Promise<Trace[]> {
  const id = instanceIDOf(machine);
  const token = askedToken(machine);
  if (id === undefined) return [await traceByToken(ctx, deps, session, machine)];
  const byID = await traceByID(ctx, deps, session, id);
  if (token === undefined || (byID !== undefined && 'wait' in byID)) return [byID];
  if (byID === undefined) {
    // It had an instance, so its token is used up; but a look says whether the id was the right one.
    const found = await findByToken(ctx, session, deps.observation, token);
    return found.state === 'found' ? [found.record] : [];
  }
  if (byID.tags[TOKEN_TAG] === token) return [byID];
  // Somebody else's: that is for a person to see before anything is done.
  if (isLiving(byID)) checkOwner(byID, machine);
  return [byID, await traceByToken(ctx, deps, session, machine)];
}

async function traceByID(ctx: Ctx, deps: DestroyDeps, session: AWSSession, id: string): Promise<Trace> {
  const found = await findByID(ctx, session, deps.observation, id);
  if (found.state === 'found') return found.record;
  return found.state === 'absent'
    ? undefined
    : {
        wait: `EC2 does not show instance ${id}, which may be a delay of its own`,
        pollMs: VISIBLE_POLL_MS,
      };
}

async function traceByToken(
  ctx: Ctx,
  deps: DestroyDeps,
  session: AWSSession,
  machine: MachineFacts,
): Promise<Trace> {
  const { clientToken } = machine.intent!;
  if (deps.attempts.hasMadeNothing(machine, clientToken)) return undefined;
  const found = await findByToken(ctx, session, deps.observation, clientToken);
  if (found.state === 'found') return found.record;
  const takenForMs = deps.attempts.takenForMs(machine, clientToken);
  if (takenForMs === undefined) {
    const vainForMs = deps.attempts.vainForMs(machine, clientToken);
    return vainForMs > 0 ? underWay(vainForMs) : fence(ctx, deps, session, machine);
  }
  // It was made before we learned of it, so it would be visible by now.
  return takenForMs >= deps.windowMs ? undefined : NOT_SHOWN;
}

/**
 * Uses the token up: a request that is still under way can make nothing any more, and one that has made something comes to light. The
 * same request but for the user data, so that what it should make boots nothing.
 */
async function fence(
  ctx: Ctx,
  deps: DestroyDeps,
  session: AWSSession,
  machine: MachineFacts,
): Promise<Trace> {
  const { attempts, observation } = deps;
  const intent = machine.intent!;
  const launch = {
    ...{ machine, spec: awsSpecOf(machine), intent, choice: choiceOf(intent)! },
    tags: tagsOfFence(machine),
  };
  attempts.sending(machine, intent.clientToken);
  try {
    const { Instances = [] } = await session.ec2(ctx, new RunInstancesCommand(runInstances(launch)));
    const store = observation.store(session);
    const [id = ''] = putAll(store, Instances);
    return store.byID(id);
  } catch (error) {
    if (error instanceof AWSRefusal) return afterRefusal(deps, machine, error);
    if (!(error instanceof TerminalError)) attempts.unanswered(machine, intent.clientToken);
    throw error;
  }
}

function afterRefusal({ attempts }: DestroyDeps, machine: MachineFacts, error: AWSRefusal): Trace {
  const { clientToken } = machine.intent!;
  if (isRefused(error, 'IdempotentInstanceTerminated')) return undefined;
  if (isRefused(error, 'IdempotentParameterMismatch')) {
    attempts.taken(machine, clientToken);
    return NOT_SHOWN;
  }
  if (!isDenied(error) && attempts.refused(machine, clientToken)) return undefined;
  // Nothing can be made, but a request of before may be under way: after the window the look before this would have shown what it made.
  const vainForMs = attempts.sentInVain(machine, clientToken);
  return vainForMs > 0 ? underWay(vainForMs) : undefined;
}

/** What it makes in the meantime the change feed tells. */
function underWay(pollMs: number): Trace {
  return { wait: 'Waiting until nothing can be under way that was asked for before', pollMs };
}

async function end(
  ctx: Ctx,
  deps: DestroyDeps,
  session: AWSSession,
  { record, machine }: { readonly record: InstanceRecord; readonly machine: MachineFacts },
): Promise<Destroyed> {
  const { id, tags, state } = record;
  if (state === 'shutting-down') return inProgress(`Instance ${id} is shutting down`);
  if (mayBeTarget(record, machine)) {
    const registration = await deps.targets.deregister(ctx, session, tags[CLUSTER_TAG] ?? '', id);
    if (!registration.done) return inProgress(registration.message, registration.pollMs);
  }
  try {
    await startEnd(ctx, deps, session, record);
  } catch (error) {
    if (isRefused(error, 'InvalidInstanceID.NotFound'))
      return inProgress(`EC2 does not show instance ${id}, which may be a delay of its own`, VISIBLE_POLL_MS);
    if (isRefused(error, 'OperationNotPermitted')) throw isProtected(id, error);
    throw error;
  }
  const now = deps.observation.store(session).byID(id);
  return now?.state === 'terminated' ? { state: 'gone' } : inProgress(`Instance ${id} is shutting down`);
}

/** Only control planes are, and of an NLB: others know no instances; where the TSCluster is gone, only a look tells. */
function mayBeTarget({ tags }: InstanceRecord, { cluster }: MachineFacts): boolean {
  const type = cluster?.controlPlaneLoadBalancer?.type;
  return tags[ROLE_TAG] === 'control-plane' && (type === undefined || type === 'NLB');
}

/** An instance of a group is ended by it, and replaced where the group is to have as many. */
async function startEnd(
  ctx: Ctx,
  deps: DestroyDeps,
  session: AWSSession,
  { id, tags }: InstanceRecord,
): Promise<void> {
  if (tags[GROUP_TAG] === undefined) return deps.terminate(ctx, session, id);
  await terminateInGroup(ctx, session, id);
  deps.observation.store(session).ended(id, 'shutting-down');
}

function isProtected(id: string, error: AWSRefusal): TerminalError {
  const message = `${error.message}; take the termination protection of instance ${id} off`;
  return new TerminalError(error.reason, message, { cause: error.cause });
}

/** Terminates an instance; the answer is in the store afterwards. */
export type Terminate = (ctx: Ctx, session: AWSSession, id: string) => Promise<void>;

/** How long the end of one instance waits for that of others, and how many are ended in one call. */
const JOIN_MS = 50;
const MAX_IDS = 100;

/** Joins the ends of many instances to one call. */
export function createTerminate(clock: Clock, storeOf: (session: AWSSession) => InstanceStore): Terminate {
  const batches = new WeakMap<AWSSession, Batched>();
  const run = async (ctx: Ctx, session: AWSSession, ids: readonly string[]) => {
    const answer = await session.ec2(ctx, new TerminateInstancesCommand({ InstanceIds: [...ids] }));
    for (const { InstanceId = '', CurrentState } of answer.TerminatingInstances ?? [])
      if (CurrentState?.Name !== undefined) storeOf(session).ended(InstanceId, CurrentState.Name);
    return ids.length;
  };
  return async (ctx, session, id) => {
    const batched =
      batches.get(session) ??
      createBatched({
        clock,
        windowMs: JOIN_MS,
        maxKeys: MAX_IDS,
        run: (own, ids) => run(own, session, ids),
      });
    batches.set(session, batched);
    try {
      await batched(ctx, id);
    } catch (error) {
      // One that is protected, or not visible yet, fails the call for all of them.
      if (!(error instanceof AWSRefusal)) throw error;
      await run(ctx, session, [id]);
    }
  };
}
