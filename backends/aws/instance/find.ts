// SPDX-License-Identifier: Apache-2.0
// Finds the instance of a machine: by its id where that is known, else by its token. Never by a name.
import { parseProviderID } from '../../../api/provider-id.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts } from '../../backend.ts';
import type { AWSSession } from '../session/session.ts';
import type { Observation } from './observation.ts';
import { type InstanceRecord, isEnding, isLiving } from './record.ts';

export type Found =
  | { readonly state: 'found'; readonly record: InstanceRecord }
  /** EC2 does not show it, which proves nothing yet. */
  | { readonly state: 'unseen' }
  | { readonly state: 'absent' };

/** Id of `spec.providerID`; `undefined` where there is none, or it is not one of ours. */
export function instanceIDOf({ providerID }: MachineFacts): string | undefined {
  const parsed = providerID === undefined ? undefined : parseProviderID(providerID);
  return parsed?.backend === 'aws' ? parsed.instanceID : undefined;
}

/** The token that may have been used: nothing is asked for without a choice. */
export function askedToken({ intent }: MachineFacts): string | undefined {
  return intent?.choice === undefined ? undefined : intent.clientToken;
}

/** Throws TerminalError(ProviderIDInvalid). */
export function checkProviderID(machine: MachineFacts): void {
  if (machine.providerID === undefined || instanceIDOf(machine) !== undefined) return;
  const message = `spec.providerID ${machine.providerID} is none of AWS; delete the Machine to have it replaced`;
  throw new TerminalError('ProviderIDInvalid', message);
}

/** From what is known where that is fresh, else with a look that it shares with others. */
export async function findByID(
  ctx: Ctx,
  session: AWSSession,
  observation: Observation,
  id: string,
): Promise<Found> {
  const store = observation.store(session);
  if (!store.isFresh(id)) await observation.lookByID(ctx, session, id);
  const known = store.byID(id);
  if (!store.isFresh(id) && store.missed(id) === 'gone') return { state: 'absent' };
  return known === undefined ? { state: 'unseen' } : { state: 'found', record: known };
}

/** The instance that lives, else the one that has ended. "Absent" says that none was visible, not that none was made. */
export async function findByToken(
  ctx: Ctx,
  session: AWSSession,
  observation: Observation,
  token: string,
): Promise<Found> {
  const store = observation.store(session);
  const isKnown = () => store.byToken(token).some(({ id }) => store.isFresh(id));
  if (!isKnown()) await observation.lookByToken(ctx, session, token);
  const records = store
    .byToken(token)
    .filter(({ id }) => store.isFresh(id) || store.missed(id) === 'unproven');
  const record = records.find((one) => !isEnding(one)) ?? records.find(isLiving) ?? records[0];
  return record === undefined ? { state: 'absent' } : { state: 'found', record };
}
