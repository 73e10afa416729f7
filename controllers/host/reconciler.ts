// SPDX-License-Identifier: Apache-2.0
// Drives one TSHost: the only one that works on hosts. States live in states/, where a host without a state belongs in entry.ts,
// conditions and Events in conditions.ts, what wakes it in watches.ts.
import { Reason } from '../../api/conditions.ts';
import { TSHostKind } from '../../api/kinds.ts';
import { TSHOST_FINALIZER } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { isDeleting, toServe } from '../../contract/served.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import { isConflict, TerminalError, TransientError } from '../../runtime/errors.ts';
import type { EventContent } from '../../runtime/events.ts';
import { hasFinalizer } from '../../runtime/finalizers.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { keyOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { accessOf } from './access.ts';
import { claimOf, holdWhileClaimed } from './claim.ts';
import { HOST_CONDITIONS, hostConditions } from './conditions.ts';
import { type Contact, type Contacts, createContacts } from './contact.ts';
import { createCredentialsReader, type CredentialsReader } from './credentials.ts';
import { stateOf } from './entry.ts';
import { forceRelease } from './force-release.ts';
import { registerHostMetrics } from './metrics.ts';
import { createProbeSchedule, PROBE_INTERVAL_MS, type ProbeSchedule } from './schedule.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';
import { createSecretReader } from './secrets.ts';
import { HANDLERS } from './states/table.ts';
import { LOGIN_REASONS, recordStep, type Step } from './status.ts';
import { newEvents, type Told, toldOf } from './told.ts';
import { createTurns } from './turn.ts';

export interface HostControllerDeps extends Omit<HostDeps, 'turns' | 'secrets'> {
  readonly clock: Clock;
  readonly metrics?: Metrics | undefined;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
}

/** So many states in one reconcile; the rest comes with the next. */
const MAX_STEPS = 4;

const AT_ONCE_MS = 100;

/** Nobody tells us that a Secret was mended. */
const SECRET_POLL_MS = 30_000;

/** What the controller remembers of its hosts. All of it may be lost. */
interface Memory {
  readonly schedule: ProbeSchedule;
  readonly contacts: Contacts;
  readonly credentials: CredentialsReader;
}

/** One reconcile of one host. */
interface Pass {
  readonly key: string;
  readonly object: TSHost;
  readonly patch: PatchHelper;
  readonly contact: Contact;
  /** What the last write, or the last pass, has told. */
  told: Told;
  scope?: HostScope;
}

/** The reconcile function of the TSHost controller. */
export function hostReconciler(deps: HostControllerDeps): Reconcile {
  const schedule = createProbeSchedule(deps.clock);
  const contacts = createContacts(deps.driver, schedule);
  const secrets = createSecretReader(deps);
  const memory: Memory = { schedule, contacts, credentials: createCredentialsReader(secrets) };
  const turns = createTurns();
  if (deps.metrics !== undefined) registerHostMetrics(deps.metrics, deps.cache);

  return async (ctx, name) => {
    const key = keyOf(name);
    const object = toServe(deps.cache.get(TSHostKind, name), { ...deps, finalizer: TSHOST_FINALIZER });
    if (object === undefined) return forget(key, memory, deps);

    const told = toldOf(object);
    const patch = patchHelper({ ...deps, kind: TSHostKind, object, ownedConditions: HOST_CONDITIONS });
    const paused = pausedMessage(undefined, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });

    holdWhileClaimed(object);
    const pass: Pass = { key, object, patch, told, contact: contacts.open(key) };
    if (!isHeld(object)) {
      await patch.apply({ observedGeneration: false });
      return forget(key, memory, deps);
    }
    const forced = await forceRelease(ctx, object, deps);
    if (forced !== undefined) return recordForced(ctx, pass, deps, forced);
    return drive(ctx, pass, { ...deps, turns, secrets, driver: pass.contact.driver }, memory);
  };
}

/** One handler after the other, as long as the host changes its state; each state is written before the next begins. */
async function drive(ctx: Ctx, pass: Pass, deps: HostDeps, memory: Memory): Promise<Outcome> {
  for (let count = 0; count < MAX_STEPS; count++) {
    const { step, before } = await takeStep(ctx, pass, deps, memory);
    await write(ctx, pass, deps, step);
    if (!('transition' in step)) throw soonAgain(step.error, pass.contact);
    if (!isHeld(pass.object)) return forget(pass.key, memory, deps);
    if (step.transition.state === before) return rest(pass, step.transition, memory);
  }
  return waitFor(AT_ONCE_MS, pass.object.status?.state ?? Reason.Registering);
}

/** Runs the handler of the state that the host is in. A conflict ends the pass: our copy is old, and nothing of it is written. */
async function takeStep(
  ctx: Ctx,
  pass: Pass,
  deps: HostDeps,
  memory: Memory,
): Promise<{ step: Step; before: string | undefined }> {
  const { object } = pass;
  const status = (object.status ??= {});
  try {
    const scope = (pass.scope = await openScope(ctx, pass, memory));
    const state = await stateOf(ctx, scope, deps);
    status.state = state;
    return { step: { transition: await HANDLERS[state](ctx, scope, deps) }, before: state };
  } catch (error) {
    if (isConflict(error)) throw error;
    return { step: { error }, before: undefined };
  }
}

async function openScope(ctx: Ctx, pass: Pass, { schedule, credentials }: Memory): Promise<HostScope> {
  const { key, object, scope } = pass;
  const inMaintenance = object.spec.maintenance === true;
  // Who works on a host may leave something there.
  if (inMaintenance) schedule.expire(key);
  const isDue = schedule.dueInMs(key) === 0 || (scope === undefined && isInDoubt(object));
  return {
    object,
    access: await accessOf(ctx, object, credentials),
    probeDue: isDue && !inMaintenance,
    ...(scope?.report && { report: scope.report }),
  };
}

/** What was wrong with the way to a host is not forgotten with a restart of ours. */
function isInDoubt({ status = {} }: TSHost): boolean {
  const { operationalStatus, error } = status;
  return operationalStatus === 'Unreachable' || LOGIN_REASONS.includes(error?.reason ?? '');
}

/** Status, conditions, one patch, Events. */
async function write(ctx: Ctx, pass: Pass, deps: Pick<HostDeps, 'events'>, step: Step): Promise<void> {
  const { object, patch, contact } = pass;
  const at = { contact, now: ctx.clock.now() };
  recordStep(object, step, at);
  const conditions = hostConditions(object, step, at);
  object.status = { ...object.status, conditions };
  holdWhileClaimed(object);
  await patch.apply({ observedGeneration: 'transition' in step });
  for (const event of newEvents(pass.told, object)) deps.events.event(object, event);
  pass.told = toldOf(object);
}

/** The Event comes after the write: what was refused has not happened. */
async function recordForced(
  ctx: Ctx,
  pass: Pass,
  deps: Pick<HostDeps, 'events'>,
  forced: { readonly transition?: Transition; readonly event: EventContent },
): Promise<Outcome> {
  const { object } = pass;
  if (forced.transition === undefined) await pass.patch.apply({ observedGeneration: false });
  else await write(ctx, pass, { events: { event: () => {} } }, { transition: forced.transition });
  deps.events.event(object, forced.event);
  ctx.log.info({ reason: forced.event.reason }, 'Answered a force-release');
  return waitFor(AT_ONCE_MS, forced.event.reason);
}

/** When nobody says when to look again, the schedule does. A host in maintenance waits for a person. */
function rest({ key, object }: Pass, { state, pollMs }: Transition, { schedule }: Memory): Outcome {
  if (pollMs !== undefined) return waitFor(pollMs, state);
  if (object.spec.maintenance === true) return done();
  const dueInMs = schedule.dueInMs(key);
  return waitFor(dueInMs > 0 ? dueInMs : PROBE_INTERVAL_MS, state);
}

/**
 * A terminal error is tried again after ten minutes; a Secret that a person makes deserves better. A host that does not answer is
 * asked again at a pace of its own: a restart of its sshd is no outage, and one that comes back is not left waiting.
 */
function soonAgain(error: unknown, contact: Contact): unknown {
  if (
    error instanceof TransientError &&
    error.retryAfterMs === undefined &&
    contact.outcome === 'unanswered'
  ) {
    return new TransientError(error.message, {
      retryAfterMs: silenceMs(contact.failures()),
      cause: error.cause,
    });
  }
  const isOfSecret =
    error instanceof TerminalError &&
    (error.reason === Reason.CredentialsMissing || error.reason === Reason.CredentialsInvalid);
  return isOfSecret ? new TransientError(error.message, { retryAfterMs: SECRET_POLL_MS }) : error;
}

/** 1, 4, 16 seconds, then a minute. */
function silenceMs(failures: number): number {
  return Math.min(60_000, 1_000 * 4 ** (failures - 1));
}

/** Whether the object is still there once our copy is written. */
function isHeld(object: TSHost): boolean {
  return !isDeleting(object) || hasFinalizer(object, TSHOST_FINALIZER) || claimOf(object) !== undefined;
}

function forget(key: string, { schedule, contacts }: Memory, { driver }: Pick<HostDeps, 'driver'>): Outcome {
  schedule.forget(key);
  contacts.forget(key);
  driver.disconnect(key);
  return done();
}
