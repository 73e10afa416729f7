// SPDX-License-Identifier: Apache-2.0
// One TSMachine for each instance of the pool (IMP-8), and the end of those whose instance is gone.
import type { Machine } from '../../api/cluster-api.ts';
import { ConditionType, Reason } from '../../api/conditions.ts';
import { MachineKind, TSMachineKind, TSMachinePoolKind } from '../../api/kinds.ts';
import {
  CLUSTER_NAME_LABEL,
  POOL_NAME_LABEL,
  TSMACHINE_FINALIZER,
  WATCH_FILTER_LABEL,
} from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { PoolInstance } from '../../backends/machine-pool-backend.ts';
import { ownerName } from '../../contract/owners.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Client } from '../../runtime/client.ts';
import { hasPassed } from '../../runtime/clock.ts';
import { getCondition } from '../../runtime/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import type { Absences } from './absences.ts';
import { poolNameLabel } from './pool-label.ts';
import { clusterNameOf, type PoolScope, tsMachinesOf } from './scope.ts';

/** What phases need of the management cluster. */
export interface MachineStore {
  readonly client: Client;
  readonly cache: Cache;
}

/** The Machine of a TSMachine that is younger may be on its way. */
const SETTLED_MS = 60_000;
/** How often to look at what a look did not show. */
export const MISSING_POLL_MS = 10_000;
/** Among what may be missing of a pool; no TSMachine is called so. */
const GROUP = '';

/**
 * Makes what is missing and ends what stands for nothing any more. Called twice, it makes nothing twice: names come from instances. Where
 * a group was recorded and a look does not show it, nothing is done for a while.
 */
export async function keepMachines(
  ctx: Ctx,
  scope: PoolScope,
  store: MachineStore & { readonly absences: Absences },
): Promise<Step> {
  const { group } = scope.facts;
  const present = new Map(tsMachinesOf(store.cache, scope.object).map((one) => [one.metadata.name, one]));
  scope.facts.tsMachines = present;
  if (group === undefined) return next();
  const instances = group.state === 'absent' ? [] : group.instances;
  await makeMachines(ctx, scope, store.client, instances);
  const byName = new Map(instances.map((instance) => [instance.name, instance]));
  const staying = [...present.values()].filter((one) => !isDeleting(one));
  const unseen = staying.filter(({ metadata }) => !byName.has(metadata.name));
  const isGroupMissing = group.state === 'absent' && wasThere(scope);
  const missing = [...unseen.map(({ metadata }) => metadata.name), ...(isGroupMissing ? [GROUP] : [])];
  const gone = store.absences.look(ctx, keyOf(nameOf(scope.object)), missing);
  if (isGroupMissing && !gone.has(GROUP)) return groupMissing(scope);

  const leaving = staying.filter(({ metadata }) => byName.get(metadata.name)?.state === 'leaving');
  const lost = unseen.filter((one) => gone.has(one.metadata.name) && !isSeenAlive(one));
  for (const one of [...leaving, ...lost]) await endMachine(ctx, store, one);
  const kept = unseen.filter((one) => !lost.includes(one));
  scope.facts.unseen = {
    providerIDs: kept.flatMap(({ spec }) => spec.providerID ?? []),
    // What its own controller sees alive stays so until that tells otherwise, which wakes us.
    isOpen: kept.some(({ metadata }) => !gone.has(metadata.name)),
  };
  return next();
}

async function makeMachines(
  ctx: Ctx,
  scope: PoolScope,
  client: Client,
  instances: readonly PoolInstance[],
): Promise<void> {
  const present = scope.facts.tsMachines;
  for (const instance of instances) {
    if (instance.state === 'leaving' || present?.has(instance.name)) continue;
    const made = await createTSMachine(ctx, scope, client, instance);
    if (made !== undefined) present?.set(instance.name, made);
  }
}

/** It was reported once, and has not gone with the object. */
function wasThere({ object }: PoolScope): boolean {
  return object.spec.providerID !== undefined;
}

function groupMissing({ object }: PoolScope): Step {
  const { providerID = '', choice = {} } = object.spec;
  const where = Object.entries(choice).map(([key, value]) => `${key} ${value}`);
  const message =
    `The group ${providerID} is not shown (${where.join(', ')}); no machine is ended for that, and it is made anew ` +
    'once it was missing for a minute';
  return hold(Reason.GroupMissing, message, MISSING_POLL_MS);
}

/** The controller of the machine has looked at the instance itself, and has not found that it is gone. */
function isSeenAlive({ status }: TSMachine): boolean {
  const instance = getCondition(status?.conditions, ConditionType.InstanceReady);
  return instance !== undefined && instance.reason !== Reason.InstanceMissing;
}

/** With our finalizer from the beginning: whoever deletes it ends the instance. */
async function createTSMachine(
  ctx: Ctx,
  scope: PoolScope,
  client: Client,
  instance: PoolInstance,
): Promise<TSMachine | undefined> {
  const tsMachine = newTSMachine(scope, instance);
  ctx.log.info({ TSMachine: instance.name, providerID: instance.providerID }, 'Creating TSMachine');
  try {
    return await client.create(TSMachineKind, tsMachine, ctx.signal);
  } catch (error) {
    // The cache is behind.
    if (isAlreadyExists(error)) return undefined;
    throw error;
  }
}

function newTSMachine(scope: PoolScope, instance: PoolInstance): TSMachine {
  const { object, machinePool } = scope;
  const { name, uid = '', labels = {} } = object.metadata;
  const filter = labels[WATCH_FILTER_LABEL];
  const { apiVersion, kind } = TSMachinePoolKind;
  return {
    apiVersion: TSMachineKind.apiVersion,
    kind: TSMachineKind.kind,
    metadata: {
      namespace: nameOf(object).namespace,
      name: instance.name,
      labels: {
        [CLUSTER_NAME_LABEL]: clusterNameOf(object, scope),
        [POOL_NAME_LABEL]: poolNameLabel(machinePool?.metadata.name ?? ''),
        ...(filter !== undefined && { [WATCH_FILTER_LABEL]: filter }),
      },
      // Not the controller: that will be the Machine (IMP-8).
      ownerReferences: [{ apiVersion, kind, name, uid }],
      finalizers: [TSMACHINE_FINALIZER],
    },
    spec: structuredClone(instance.machine),
  };
}

function isSettled(ctx: Ctx, { metadata }: TSMachine): boolean {
  return hasPassed(ctx.clock, Date.parse(metadata.creationTimestamp ?? ''), SETTLED_MS);
}

/** The Machine of a TSMachine: its owner, or the one that core makes under the same name. */
export function machineOf(cache: Cache, tsMachine: TSMachine): Machine | undefined {
  return cache.peek(MachineKind, ownerName(tsMachine, 'Machine') ?? nameOf(tsMachine));
}

/**
 * Deletes the Machine, so that core drains it and runs its hooks; it deletes the TSMachine, which ends the instance (IMP-9). Where core
 * has made none, the TSMachine: but not one that is so young that its Machine may be on its way, since that would outlive it.
 */
export async function endMachine(
  ctx: Ctx,
  { client, cache }: MachineStore,
  tsMachine: TSMachine,
  isPoolDeleted = false,
): Promise<void> {
  const machine = machineOf(cache, tsMachine);
  const isOrphan = machine === undefined && (isPoolDeleted || isSettled(ctx, tsMachine));
  const target = machine ?? (isOrphan ? tsMachine : undefined);
  if (target === undefined || isDeleting(target)) return;
  const { uid, name } = target.metadata;
  ctx.log.info({ [target.kind]: name }, 'Deleting a machine of the pool');
  const kind = machine === undefined ? TSMachineKind : MachineKind;
  await client.delete(kind, nameOf(target), { signal: ctx.signal, ...(uid !== undefined && { uid }) });
}
