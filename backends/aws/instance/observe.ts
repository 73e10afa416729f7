// SPDX-License-Identifier: Apache-2.0
// What an instance is, in the words of the port.
import type { Ctx } from '../../../runtime/context.ts';
import type { MachineFacts, Observed } from '../../backend.ts';
import type { InstanceDeps } from './create.ts';
import { askedToken, checkProviderID, findByID, findByToken, instanceIDOf } from './find.ts';
import { checkOwner, checkSingle } from './owner.ts';
import { type InstanceRecord, isLiving, providerIDOf } from './record.ts';
import { whoAndWhen } from './state-reason.ts';
import type { InstanceStore } from './store.ts';
import { openSession } from './where.ts';

/** Changes are told by the change feed; polling is what is left when it does not run. */
const POLL_MS = 15_000;

/** See {@link import('../../backend.ts').MachineBackend.observe}. */
export async function observeInstance(
  ctx: Ctx,
  deps: Pick<InstanceDeps, 'sessions' | 'observation' | 'attempts'>,
  machine: MachineFacts,
): Promise<Observed> {
  checkProviderID(machine);
  const id = instanceIDOf(machine);
  const token = askedToken(machine);
  // What EC2 has refused is not looked for.
  const isAsked = token !== undefined && !deps.attempts.isRefused(machine, token);
  if (id === undefined && !isAsked) return { state: 'absent' };
  const session = await openSession(ctx, deps.sessions, machine);
  const { observation } = deps;
  const found =
    id === undefined
      ? await findByToken(ctx, session, observation, token ?? '')
      : await findByID(ctx, session, observation, id);
  if (found.state === 'unseen') return unseen(machine, id ?? '');
  if (found.state === 'absent') return { state: 'absent' };
  return told(found.record, machine, observation.store(session));
}

function told(record: InstanceRecord, machine: MachineFacts, store: InstanceStore): Observed {
  if (!isLiving(record)) return store.isEndedByUs(record.id) ? { state: 'absent' } : ended(record);
  checkOwner(record, machine);
  checkSingle(store, machine, record);
  return observed(record);
}

function unseen({ providerID = '' }: MachineFacts, id: string): Observed {
  const message = `EC2 does not show instance ${id}, which may be a delay of its own`;
  return { state: 'pending', providerID, addresses: [], failureDomain: undefined, message, pollMs: POLL_MS };
}

function ended(record: InstanceRecord): Observed {
  const who = whoAndWhen(record);
  return { state: 'absent', ...(who !== '' && { message: `Instance ${record.id} was terminated ${who}` }) };
}

/** A living instance. */
export function observed(record: InstanceRecord): Exclude<Observed, { state: 'absent' }> {
  const seen = {
    providerID: providerIDOf(record),
    addresses: record.addresses,
    failureDomain: record.availabilityZone,
    ...(record.isSpot && { interruptible: true }),
  };
  const who = whoAndWhen(record);
  const by = who === '' ? '' : ` ${who}`;
  switch (record.state) {
    case 'pending':
      return { state: 'pending', ...seen, message: `Instance ${record.id} is starting`, pollMs: POLL_MS };
    case 'running':
      return { state: 'running', ...seen, message: '' };
    case 'shutting-down':
    case 'terminated':
      return {
        state: 'stopped',
        ...seen,
        message: `Instance ${record.id} is being terminated${by}`,
        pollMs: POLL_MS,
      };
    case 'stopping':
    case 'stopped':
      return {
        state: 'stopped',
        ...seen,
        message: `Instance ${record.id} was stopped${by}; start it, or delete the Machine to have it replaced`,
      };
  }
}
