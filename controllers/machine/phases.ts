// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { TSMACHINE_FINALIZER } from '../../api/labels.ts';
import { ClusterKind, SecretKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { CreateIntent } from '../../backends/backend.ts';
import { bootstrapDataOf } from '../../contract/bootstrap-data.ts';
import { hold, next, type Phase, type Step } from '../../contract/phases.ts';
import type { Client } from '../../runtime/client.ts';
import { hasPassed } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';
import { nextIntent } from './intent.ts';
import type { Replacement } from './replacement.ts';
import { machineFacts, type MachineScope } from './scope.ts';

/** What phases need of the management cluster. */
export interface PhaseDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly replacement: Replacement;
  /** Writes metadata and spec of the scope's object now and reads the answer back into it. */
  readonly persist: (scope: MachineScope) => Promise<void>;
}

/** How often to look at a machine that changes by itself, where the backend does not say. */
const POLL_MS = 10_000;
/** A Secret by name is not watched (reading all Secrets is more than we need): look again now and then. */
const SECRET_POLL_MS = 15_000;
/** After this the Cluster is asked for once more before the first promise. */
const LONG_MS = 5_000;
const PAUSED_MEANWHILE = 'The Cluster was paused, or went away, before the instance was asked for';

/** From nothing to a running instance. */
export function normalPhases(deps: PhaseDeps): readonly Phase<MachineScope>[] {
  return [
    { name: 'observeInstance', role: 'acts', run: observeInstance },
    { name: 'waitForClusterInfrastructure', role: 'acts', run: waitForClusterInfrastructure },
    {
      name: 'readBootstrapData',
      role: 'acts',
      run: (ctx, scope) => readBootstrapData(ctx, scope, deps.client),
    },
    { name: 'recordIntent', role: 'acts', run: (ctx, scope) => recordIntent(ctx, scope, deps) },
    { name: 'createInstance', role: 'acts', run: createInstance },
    { name: 'lookAfterInstance', role: 'acts', run: lookAfterInstance },
    {
      name: 'replaceInterrupted',
      role: 'acts',
      run: (ctx, scope) => deps.replacement.replaceInterrupted(ctx, scope),
    },
    // After recordIntent, which has to see what the API server holds and not what we are about to write.
    { name: 'keepHold', role: 'reports', run: (_ctx, scope) => keepHold(scope) },
    { name: 'reportInstance', role: 'reports', run: (_ctx, scope) => reportInstance(scope) },
  ];
}

/** From whatever there is to nothing. Needs no owner, no cluster and no bootstrap data (invariant 7). */
export const DELETE: readonly Phase<MachineScope>[] = [
  { name: 'destroyInstance', role: 'acts', run: destroyInstance },
  { name: 'releaseFinalizer', role: 'acts', run: (_ctx, scope) => releaseFinalizer(scope) },
];

/** Nothing was promised and no id is known: nothing can exist, and the backend is not asked. */
function nothingMade(scope: MachineScope): boolean {
  return scope.object.spec.createIntent === undefined && scope.object.spec.providerID === undefined;
}

async function observeInstance(ctx: Ctx, scope: MachineScope): Promise<Step> {
  scope.facts.instance = nothingMade(scope)
    ? { state: 'absent' }
    : await scope.backend.observe(ctx, machineFacts(scope));
  return next();
}

/** Somebody may have taken our finalizer off: without it nobody would end the instance (invariant 5). */
function keepHold(scope: MachineScope): Step {
  if (!nothingMade(scope)) addFinalizer(scope.object, TSMACHINE_FINALIZER);
  return next();
}

/** An instance that exists is served whatever the Cluster says: after a move the Cluster's status comes back late (CTL-M5). */
function isToBeMade(scope: MachineScope): boolean {
  return scope.facts.instance?.state === 'absent' && scope.object.spec.providerID === undefined;
}

function waitForClusterInfrastructure(_ctx: Ctx, scope: MachineScope): Step {
  if (!isToBeMade(scope) || scope.cluster?.status?.initialization?.infrastructureProvisioned === true)
    return next();
  const what = scope.cluster === undefined ? 'the Cluster' : `Cluster ${scope.cluster.metadata.name}`;
  return hold(
    Reason.WaitingForClusterInfrastructure,
    `Waiting for ${what} to have its infrastructure provisioned`,
  );
}

async function readBootstrapData(ctx: Ctx, scope: MachineScope, client: Client): Promise<Step> {
  if (!isToBeMade(scope)) return next();
  const name = scope.machine?.spec.bootstrap?.dataSecretName ?? '';
  if (name === '')
    return hold(Reason.WaitingForBootstrapData, `Waiting for bootstrap data from ${bootstrapSource(scope)}`);
  const secret = await client.get(SecretKind, { ...nameOf(scope.object), name }, ctx.signal);
  if (secret === undefined) {
    const message =
      `Secret ${name}, which spec.bootstrap.dataSecretName of the Machine names, does not exist; ` +
      'restore it or delete the Machine to have it replaced';
    return hold(Reason.BootstrapDataMissing, message, SECRET_POLL_MS);
  }
  const data = bootstrapDataOf(secret.data ?? {});
  if (typeof data === 'string') {
    const message = `Bootstrap data Secret ${name} ${data}; mend it or delete the Machine to have it replaced`;
    return hold(Reason.BootstrapDataInvalid, message, SECRET_POLL_MS);
  }
  scope.facts.bootstrapData = data;
  return next();
}

/** Who has to act before there is bootstrap data. */
function bootstrapSource(scope: MachineScope): string {
  const config = scope.machine?.spec.bootstrap?.configRef;
  return config === undefined
    ? 'whoever sets spec.bootstrap.dataSecretName of the Machine'
    : `${config.kind} ${config.name}`;
}

/** The finalizer and the intent are on the API server, in one write, before the first side effect (invariant 1). */
async function recordIntent(ctx: Ctx, scope: MachineScope, deps: PhaseDeps): Promise<Step> {
  const { object, facts } = scope;
  if (!isToBeMade(scope) || facts.bootstrapData === undefined) return next();
  const machine = machineFacts(scope);
  const startMs = ctx.clock.now().getTime();
  const planned = await scope.backend.plan?.(ctx, machine);
  if (planned?.state === 'deferred') return hold(planned.reason, planned.message, planned.pollMs ?? POLL_MS);
  const intent = nextIntent(machine, facts.bootstrapData, planned);
  if (!isRecorded(object, intent)) {
    if (await isToStay(ctx, scope, { ...deps, startMs })) return hold(Reason.Paused, PAUSED_MEANWHILE);
    object.spec.createIntent = intent;
    addFinalizer(object, TSMACHINE_FINALIZER);
    await deps.persist(scope);
  }
  if (!isRecorded(object, intent)) {
    throw new Error(
      'The API server did not keep spec.createIntent and the finalizer; check that the installed CRD is current',
    );
  }
  facts.intent = intent;
  return next();
}

/** A plan may have waited long for a cloud: a move that began meanwhile would leave this promise behind, and its instance. */
async function isToStay(
  ctx: Ctx,
  scope: MachineScope,
  { client, cache, startMs }: PhaseDeps & { readonly startMs: number },
): Promise<boolean> {
  if (scope.cluster === undefined) return false;
  const name = nameOf(scope.cluster);
  const known = cache.peek(ClusterKind, name);
  if (isAway(known) || !hasPassed(ctx.clock, startMs, LONG_MS)) return isAway(known);
  // The cache may be behind as well; a request for each machine is too much where nothing has waited.
  return isAway(await client.get(ClusterKind, name, ctx.signal));
}

function isAway(cluster: Cluster | undefined): boolean {
  return cluster === undefined || cluster.spec?.paused === true;
}

function isRecorded(object: TSMachine, intent: CreateIntent): boolean {
  return isDeepStrictEqual(object.spec.createIntent, intent) && hasFinalizer(object, TSMACHINE_FINALIZER);
}

async function createInstance(ctx: Ctx, scope: MachineScope): Promise<Step> {
  const { intent, bootstrapData } = scope.facts;
  if (!isToBeMade(scope) || intent === undefined || bootstrapData === undefined) return next();
  ctx.log.info({ attempt: intent.attempt }, 'Creating instance');
  const created = await scope.backend.create(ctx, machineFacts(scope), intent, bootstrapData);
  if (created.state === 'deferred') return hold(created.reason, created.message, created.pollMs ?? POLL_MS);
  scope.facts.instance = await scope.backend.observe(ctx, machineFacts(scope));
  return scope.facts.instance.state === 'absent'
    ? hold(Reason.InstanceCreating, 'The instance was asked for and is not visible yet', POLL_MS)
    : next();
}

async function lookAfterInstance(ctx: Ctx, scope: MachineScope): Promise<Step> {
  const { instance } = scope.facts;
  if (instance === undefined || instance.state === 'absent' || instance.state === 'failed') return next();
  const report = await scope.backend.upkeep?.(ctx, machineFacts(scope), instance);
  if (report !== undefined) scope.facts.upkeep = report;
  return next();
}

/** What the instance says goes to the places that core reads. Identity goes to spec (it survives a move), the rest to status. */
function reportInstance(scope: MachineScope): Step {
  const { object, facts } = scope;
  const instance = facts.instance;
  if (instance === undefined || instance.state === 'absent') return next();
  takeIdentity(scope, instance.providerID);
  object.status = {
    ...object.status,
    addresses: [...instance.addresses],
    ...(instance.failureDomain !== undefined && { failureDomain: instance.failureDomain }),
    ...(instance.interruptible === true && { interruptible: true }),
    // Latched by core as well: a machine that stops later was provisioned all the same.
    ...(instance.state === 'running' && { initialization: { provisioned: true } }),
  };
  // Of other states a change is told by the backend's change feed; there is nothing to hurry for.
  return instance.state === 'pending'
    ? hold(instance.reason ?? Reason.InstancePending, instance.message, instance.pollMs ?? POLL_MS)
    : next();
}

/** Written as soon as it is known, then never changed (IM-2). */
function takeIdentity({ object }: MachineScope, providerID: string): void {
  const known = (object.spec.providerID ??= providerID);
  if (known === providerID) return;
  const message = `The backend answered for instance ${providerID} where spec.providerID is ${known}`;
  throw new TerminalError(Reason.DuplicateInstances, `${message}; look at both before deleting either`);
}

async function destroyInstance(ctx: Ctx, scope: MachineScope): Promise<Step> {
  if (nothingMade(scope)) return next();
  const answer = await scope.backend.destroy(ctx, machineFacts(scope));
  if (answer.state === 'gone') return next();
  scope.facts.destroying = answer.message;
  return hold(Reason.InstanceDeleting, answer.message, answer.pollMs ?? POLL_MS);
}

/** The last write: only with proof that the instance is gone (IM-12, invariant 5). */
function releaseFinalizer(scope: MachineScope): Step {
  removeFinalizer(scope.object, TSMACHINE_FINALIZER);
  return next();
}
