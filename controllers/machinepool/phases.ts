// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { Reason } from '../../api/conditions.ts';
import { MachinePoolKind, SecretKind, TSMachineKind } from '../../api/kinds.ts';
import { TSMACHINEPOOL_FINALIZER } from '../../api/labels.ts';
import type { TSMachinePool } from '../../api/tsmachinepool.ts';
import { bootstrapDataOf } from '../../contract/bootstrap-data.ts';
import { hold, next, type Phase, type Step } from '../../contract/phases.ts';
import type { Ctx } from '../../runtime/context.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import { nameOf } from '../../runtime/object.ts';
import type { Absences } from './absences.ts';
import { endMachine, keepMachines, type MachineStore, MISSING_POLL_MS } from './machines.ts';
import { refresh, shrink } from './rollout.ts';
import { isSizedElsewhere, poolFacts, poolOf, type PoolScope } from './scope.ts';

/** What phases need of the management cluster. */
export interface PoolPhaseDeps extends MachineStore {
  /** Writes metadata and spec of the scope's object now and reads the answer back into it. */
  readonly persist: (scope: PoolScope) => Promise<void>;
  readonly absences: Absences;
}

/** How often to look at machines that come and go, where the backend does not say. */
const POLL_MS = 10_000;
/** A Secret by name is not watched (reading all Secrets is more than we need): look again now and then. */
const SECRET_POLL_MS = 15_000;
/** How many names a message carries before it says "and N more". */
const NAMES_SHOWN = 5;

type PoolPhase = Phase<PoolScope>;

/** From nothing to a pool with as many machines as it is to have, all of them made from the present template. */
export function normalPhases(deps: PoolPhaseDeps): readonly PoolPhase[] {
  const phase = (
    name: string,
    run: (ctx: Ctx, scope: PoolScope, deps: PoolPhaseDeps) => Promise<Step> | Step,
    role: PoolPhase['role'] = 'acts',
  ): PoolPhase => ({ name, role, run: (ctx, scope) => run(ctx, scope, deps) });
  return [
    phase('observeGroup', observeGroup),
    // Machines that have gone are told whatever else fails.
    phase('keepMachines', keepMachines),
    phase('waitForClusterInfrastructure', waitForClusterInfrastructure),
    phase('readBootstrapData', readBootstrapData),
    phase('recordInfrastructureID', recordInfrastructureID),
    phase('ensureGroup', ensureGroup),
    phase('shrink', shrink),
    phase('refresh', refresh),
    phase('writeSizeBack', writeSizeBack),
    phase('findSize', findSize),
    phase('awaitMachines', awaitMachines),
    phase('reportPool', reportPool, 'reports'),
  ];
}

/** From whatever there is to nothing. Needs no owner, no cluster and no bootstrap data (invariant 7). */
export function deletePhases(deps: PoolPhaseDeps): readonly PoolPhase[] {
  return [
    { name: 'listMachines', role: 'acts', run: (ctx, scope) => listMachines(ctx, scope, deps) },
    { name: 'closeGroup', role: 'acts', run: closeGroup },
    { name: 'endMachines', role: 'acts', run: (ctx, scope) => endMachines(ctx, scope, deps) },
    { name: 'removeGroup', role: 'acts', run: removeGroup },
    { name: 'releaseFinalizer', role: 'acts', run: (_ctx, scope) => releaseFinalizer(scope) },
  ];
}

/** Without the name nothing can have been made, and the backend is not asked. */
function nothingMade({ object }: PoolScope): boolean {
  return object.spec.infrastructureID === undefined;
}

async function observeGroup(ctx: Ctx, scope: PoolScope): Promise<Step> {
  scope.facts.group = nothingMade(scope)
    ? { state: 'absent' }
    : await scope.backend.observe(ctx, poolFacts(scope));
  return next();
}

/** A pool that may exist is served whatever the Cluster says: after a move the Cluster's status comes back late (CTL-M5). */
function waitForClusterInfrastructure(_ctx: Ctx, scope: PoolScope): Step {
  if (!nothingMade(scope) || scope.cluster?.status?.initialization?.infrastructureProvisioned === true)
    return next();
  const what = scope.cluster === undefined ? 'the Cluster' : `Cluster ${scope.cluster.metadata.name}`;
  return hold(
    Reason.WaitingForClusterInfrastructure,
    `Waiting for ${what} to have its infrastructure provisioned`,
  );
}

/** Every time: the data change while the pool lives, and new machines need the present ones (IMP-13). */
async function readBootstrapData(ctx: Ctx, scope: PoolScope, { client }: PoolPhaseDeps): Promise<Step> {
  const { dataSecretName: name = '', configRef } = scope.machinePool?.spec.template.spec.bootstrap ?? {};
  if (name === '') {
    const source =
      configRef === undefined
        ? 'whoever sets spec.template.spec.bootstrap.dataSecretName of the MachinePool'
        : `${configRef.kind} ${configRef.name}`;
    return hold(Reason.WaitingForBootstrapData, `Waiting for bootstrap data from ${source}`);
  }
  const secret = await client.get(SecretKind, { ...nameOf(scope.object), name }, ctx.signal);
  if (secret === undefined) {
    const message = `Secret ${name}, which spec.template.spec.bootstrap.dataSecretName of the MachinePool names, does not exist; restore it`;
    return hold(Reason.BootstrapDataMissing, message, SECRET_POLL_MS);
  }
  const data = bootstrapDataOf(secret.data ?? {});
  if (typeof data === 'string') {
    const message = `Bootstrap data Secret ${name} ${data}; mend it`;
    return hold(Reason.BootstrapDataInvalid, message, SECRET_POLL_MS);
  }
  scope.facts.bootstrapData = data;
  return next();
}

/** A tag value, a part of names: short enough for a launch template's, whatever the pool is called. */
const NAME_LENGTH = 60;

/** Name, place and finalizer are on the API server, in one write, before the first side effect (invariant 1). */
async function recordInfrastructureID(ctx: Ctx, scope: PoolScope, deps: PoolPhaseDeps): Promise<Step> {
  const { object } = scope;
  if (isRecorded(object)) return next();
  // First: a name without a place would stand for something that cannot be looked for.
  const pool = { namespace: object.metadata.namespace ?? '', cluster: scope.tsCluster?.spec };
  object.spec.choice ??= { ...(await scope.backend.place(ctx, pool)) };
  const name = object.metadata.name.replaceAll('.', '-').slice(0, NAME_LENGTH);
  object.spec.infrastructureID ??= `${name}-${randomBytes(4).toString('hex')}`;
  addFinalizer(object, TSMACHINEPOOL_FINALIZER);
  await deps.persist(scope);
  if (isRecorded(object)) return next();
  throw new Error(
    'The API server did not keep spec.infrastructureID, spec.choice and the finalizer; check that the installed CRD is current',
  );
}

function isRecorded(object: TSMachinePool): boolean {
  const { infrastructureID, choice } = object.spec;
  return (
    infrastructureID !== undefined && choice !== undefined && hasFinalizer(object, TSMACHINEPOOL_FINALIZER)
  );
}

async function ensureGroup(ctx: Ctx, scope: PoolScope): Promise<Step> {
  const { group, bootstrapData } = scope.facts;
  if (group === undefined || bootstrapData === undefined) return next();
  scope.facts.ensured = await scope.backend.ensure(ctx, poolFacts(scope), group, bootstrapData);
  return next();
}

/** Whoever decides on the size finds it where core and people look for it (IMP-10). */
async function writeSizeBack(ctx: Ctx, scope: PoolScope, { client }: PoolPhaseDeps): Promise<Step> {
  const { machinePool, facts } = scope;
  if (machinePool === undefined || !isSizedElsewhere(machinePool)) return next();
  if (facts.group?.state !== 'present' || machinePool.spec.replicas === facts.group.desired) return next();
  const replicas = facts.group.desired;
  ctx.log.info({ MachinePool: machinePool.metadata.name, replicas }, 'Writing back the size of the pool');
  const { resourceVersion } = machinePool.metadata;
  const body = { metadata: { resourceVersion }, spec: { replicas } };
  await client.patch(MachinePoolKind, nameOf(machinePool), body, { signal: ctx.signal });
  return next();
}

async function findSize(ctx: Ctx, scope: PoolScope): Promise<Step> {
  const size = await scope.backend.size?.(ctx, poolFacts(scope));
  if (size !== undefined) scope.facts.size = size;
  return next();
}

/** Says what is under way. Once nothing is, the pool is looked at now and then. */
function awaitMachines(_ctx: Ctx, { facts }: PoolScope): Step {
  const { ensured, surplus = 0, outdated = 0, unseen } = facts;
  if (ensured?.waiting !== undefined)
    return hold(ensured.waiting.reason, ensured.waiting.message, ensured.pollMs);
  if (surplus > 0)
    return hold(Reason.PoolScaling, `${surplus} machines are more than the pool is to have`, POLL_MS);
  if (outdated > 0) {
    const message = `${outdated} machines were made from an older template and are replaced`;
    return hold(Reason.PoolRefreshing, message, POLL_MS);
  }
  if (unseen?.isOpen === true) {
    const message = 'The group does not show instances that it has shown; their machines stay for now';
    return hold(Reason.PoolScaling, message, MISSING_POLL_MS);
  }
  return next();
}

/** What core reads (IMP-2 to IMP-7). An instance stays in the list until it is gone: core deletes the Node of one that has left it. */
function reportPool(_ctx: Ctx, scope: PoolScope): Step {
  const { object, facts } = scope;
  if (!nothingMade(scope)) addFinalizer(object, TSMACHINEPOOL_FINALIZER);
  const status = (object.status ??= {});
  status.infrastructureMachineKind = TSMachineKind.kind;
  if (facts.size !== undefined) {
    const { capacity, architecture, operatingSystem } = facts.size;
    Object.assign(status, { capacity: { ...capacity }, nodeInfo: { architecture, operatingSystem } });
  }
  // Never made, gone, or not to be seen now: what is known stays.
  if (facts.group?.state !== 'present') return next();
  const { instances, providerID } = facts.group;
  const unseen = facts.unseen?.providerIDs ?? [];
  object.spec.providerIDList = [...instances.map((instance) => instance.providerID), ...unseen].sort();
  if (providerID !== '') object.spec.providerID = providerID;
  status.replicas = object.spec.providerIDList.length;
  status.ready = true;
  status.initialization = { provisioned: true };
  return next();
}

/** Asked of the API server, since the cache may be behind. */
async function listMachines(ctx: Ctx, scope: PoolScope, { client }: PoolPhaseDeps): Promise<Step> {
  const { namespace, name } = nameOf(scope.object);
  const all = await client.list(TSMachineKind, { namespace }, ctx.signal);
  scope.facts.left = all.filter((one) => poolOf(one)?.name === name);
  return next();
}

/**
 * Before its machines go: the group must not replace them. Once they are gone removeGroup ends what there is besides, and nothing is
 * protected from that.
 */
async function closeGroup(ctx: Ctx, scope: PoolScope): Promise<Step> {
  if (nothingMade(scope) || scope.facts.left?.length === 0) return next();
  const group = await scope.backend.observe(ctx, poolFacts(scope));
  if (group.state === 'present') await scope.backend.close(ctx, poolFacts(scope), group);
  return next();
}

/** By their Machines, so that they are drained. */
async function endMachines(ctx: Ctx, scope: PoolScope, deps: PoolPhaseDeps): Promise<Step> {
  const { left = [] } = scope.facts;
  for (const one of left) await endMachine(ctx, deps, one, true);
  if (left.length === 0) return next();
  const names = left.map(({ metadata }) => metadata.name).sort();
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  const message = `Waiting for Machines of the pool to go: ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`;
  scope.facts.deleting = message;
  return hold(Reason.WaitingForPoolMachines, message, POLL_MS);
}

async function removeGroup(ctx: Ctx, scope: PoolScope): Promise<Step> {
  if (nothingMade(scope)) return next();
  const answer = await scope.backend.remove(ctx, poolFacts(scope));
  if (answer.state === 'gone') return next();
  scope.facts.deleting = answer.message;
  return hold(Reason.PoolDeleting, answer.message, answer.pollMs ?? POLL_MS);
}

/** The last write: only with proof that the group is gone (invariant 5). */
function releaseFinalizer(scope: PoolScope): Step {
  removeFinalizer(scope.object, TSMACHINEPOOL_FINALIZER);
  return next();
}
