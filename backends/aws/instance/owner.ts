// SPDX-License-Identifier: Apache-2.0
// Whose an instance is. Its tags say so, and nothing else finds it.
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts } from '../../backend.ts';
import { CLUSTER_TAG, MACHINE_TAG, MACHINE_UID_TAG, TOKEN_TAG } from '../tags.ts';
import { type InstanceRecord, isLiving } from './record.ts';
import type { InstanceStore } from './store.ts';

/**
 * Throws TerminalError: DuplicateInstances when the instance was made for another TSMachine (spec travels with a copied object, and the
 * copy must neither serve nor end what belongs to the original), ProviderIDInvalid when nothing says that we have made it.
 */
export function checkOwner(
  { id, tags }: InstanceRecord,
  { namespace, name }: Pick<MachineFacts, 'namespace' | 'name'>,
): void {
  const owner = tags[MACHINE_TAG];
  if (owner === `${namespace}/${name}` && tags[CLUSTER_TAG] !== undefined) return;
  if (owner === undefined || tags[CLUSTER_TAG] === undefined) {
    const message =
      `Instance ${id} does not carry the tags ${CLUSTER_TAG} and ${MACHINE_TAG}, so it is not ours to change; ` +
      `put them back (${MACHINE_TAG}=${namespace}/${name}), or terminate the instance yourself`;
    throw new TerminalError(Reason.ProviderIDInvalid, message);
  }
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Instance ${id} belongs to ${owner}, of which this machine is a copy; ` +
      'delete the copy and take its finalizer off by hand: the instance stays where it belongs',
  );
}

/** Living instances that say they are this machine, by its token or its UID; looks only at what is known already. */
export function instancesOf(store: InstanceStore, machine: MachineFacts): readonly InstanceRecord[] {
  const { intent, uid, namespace, name } = machine;
  const byToken = intent === undefined ? [] : store.byToken(intent.clientToken);
  const byUID = uid === '' ? [] : store.byUID(uid);
  const own = byUID.filter(({ tags }) => tags[MACHINE_TAG] === `${namespace}/${name}`);
  const all = new Map([...byToken, ...own].filter(isLiving).map((record) => [record.id, record]));
  return [...all.values()];
}

/** Throws TerminalError(DuplicateInstances), naming them, when more than one living instance says that it is this machine. */
export function checkSingle(
  store: InstanceStore,
  machine: MachineFacts,
  known?: InstanceRecord,
): void {
  const all = instancesOf(store, machine);
  const records = known === undefined || all.some(({ id }) => id === known.id) || !isLiving(known) ? all : [known, ...all];
  if (records.length < 2) return;
  const ids = records.map(({ id }) => id).sort();
  const right = known === undefined ? 'the one that shall stay' : `${known.id}, which this machine is`;
  const message =
    `${ids.length} instances say that they are this machine: ${ids.join(', ')}. Nothing is done with any of them. Look at both, keep ${right}, ` +
    `and terminate the other or take its tags ${TOKEN_TAG} and ${MACHINE_UID_TAG} off`;
  throw new TerminalError(Reason.DuplicateInstances, message);
}
