// SPDX-License-Identifier: Apache-2.0
// Whose an instance is. Its tags say so, and nothing else finds it.
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts } from '../../backend.ts';
import { poolMachineName } from '../../machine-pool-backend.ts';
import { CLUSTER_TAG, MACHINE_TAG, MACHINE_UID_TAG, POOL_TAG, TOKEN_TAG } from '../tags.ts';
import { type InstanceRecord, isEnding, isLiving } from './record.ts';
import type { InstanceStore } from './store.ts';

/** `<namespace>/<name>` of the TSMachine, as the tags tell it. An instance of a pool carries the pool's name, and its own id says the rest. */
export function machineOf({ id, tags }: Pick<InstanceRecord, 'id' | 'tags'>): string | undefined {
  const pool = tags[POOL_TAG];
  if (pool === undefined) return tags[MACHINE_TAG];
  const [namespace = '', name = ''] = pool.split('/');
  return `${namespace}/${poolMachineName(name, id)}`;
}

/**
 * Throws TerminalError: DuplicateInstances when the instance was made for another TSMachine (spec travels with a copied object, and the
 * copy must neither serve nor end what belongs to the original), ProviderIDInvalid when nothing says that we have made it.
 */
export function checkOwner(
  { id, tags }: Pick<InstanceRecord, 'id' | 'tags'>,
  { namespace, name }: Pick<MachineFacts, 'namespace' | 'name'>,
): void {
  const owner = machineOf({ id, tags });
  if (owner === `${namespace}/${name}` && tags[CLUSTER_TAG] !== undefined) return;
  if (owner === undefined || tags[CLUSTER_TAG] === undefined) {
    const message =
      `Instance ${id} does not carry the tags ${CLUSTER_TAG} and ${MACHINE_TAG}, so it is not ours to change; ` +
      `put them back (${MACHINE_TAG}=${namespace}/${name}), or terminate the instance yourself`;
    throw new TerminalError('ProviderIDInvalid', message);
  }
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Instance ${id} belongs to ${owner}, of which this machine is a copy; ` +
      'delete the copy and take its finalizer off by hand: the instance stays where it belongs',
  );
}

/** Instances that say they are this machine, by its token or its UID, and are not terminated; looks only at what is known already. */
export function instancesOf(store: InstanceStore, machine: MachineFacts): readonly InstanceRecord[] {
  const { intent, uid, namespace, name } = machine;
  const byToken = intent === undefined ? [] : store.byToken(intent.clientToken);
  const byUID = uid === '' ? [] : store.byUID(uid);
  const own = byUID.filter(({ tags }) => tags[MACHINE_TAG] === `${namespace}/${name}`);
  const all = new Map([...byToken, ...own].filter(isLiving).map((record) => [record.id, record]));
  return [...all.values()];
}

/** Throws TerminalError(DuplicateInstances), naming them, when several instances that are to live say that they are this machine. */
export function checkSingle(store: InstanceStore, machine: MachineFacts, known?: InstanceRecord): void {
  const all = new Map(instancesOf(store, machine).map((record) => [record.id, record]));
  if (known !== undefined) all.set(known.id, known);
  const ids = [...all.values()].filter((record) => !isEnding(record)).map(({ id }) => id);
  if (ids.length < 2) return;
  const right = machine.providerID === undefined || known === undefined ? 'the right one' : known.id;
  const message =
    `${ids.length} instances say that they are this machine: ${ids.sort().join(', ')}. Nothing is done with any of them: keep ${right}, ` +
    `and terminate the other or take its tags ${TOKEN_TAG} and ${MACHINE_UID_TAG} off`;
  throw new TerminalError(Reason.DuplicateInstances, message);
}

/**
 * Before another instance is made: throws TerminalError(DuplicateInstances) when there is one of this machine under another token. The
 * attempt before was refused, so there should be none; but an object that was restored from a backup knows nothing of the attempts that
 * followed, and has another UID. Then the name tells it. Looks only at what is known already.
 */
export function checkNone(store: InstanceStore, machine: MachineFacts): void {
  const { namespace, name, intent } = machine;
  const infrastructureID = intent?.choice?.['infrastructureID'];
  const named = store
    .byMachine(`${namespace}/${name}`)
    .filter(({ tags }) => tags[CLUSTER_TAG] === infrastructureID && tags[POOL_TAG] === undefined);
  const other = [...instancesOf(store, machine), ...named].find((record) => !isEnding(record));
  if (other === undefined) return;
  const message =
    `Instance ${other.id} was made for this machine by another attempt than the recorded one, so none is made now; ` +
    `terminate it, or take its tag ${MACHINE_TAG} off`;
  throw new TerminalError(Reason.DuplicateInstances, message);
}
