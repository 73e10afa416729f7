// SPDX-License-Identifier: Apache-2.0
// Plays the machine controller over a backend, round by round: in between time passes, and what was observed is watched.
import { randomUUID } from 'node:crypto';
import type {
  BootstrapData,
  Created,
  CreateIntent,
  MachineFacts,
  Observed,
  Planned,
} from '../../backends/backend.ts';
import type { AWSBackend } from '../../backends/aws/machine-backend.ts';
import { TransientError } from '../../runtime/errors.ts';
import { bootstrapData, type MachineWorld } from './machine-world.ts';

/** A machine as the API server would hold it. */
export interface PlayedMachine {
  facts: MachineFacts;
  state: 'making' | 'running' | 'gone';
  /** What the last pass ended with, where it was no success: an error, or what it waits for. */
  last?: unknown;
}

export interface Round {
  readonly world: MachineWorld;
  /** Asked in each round: another one is a manager that was started anew. */
  readonly backend: () => AWSBackend;
  readonly data?: BootstrapData;
  /** How much time passes after a round. Default 2 s. */
  readonly stepMs?: number;
  readonly maxRounds?: number;
}

export function played(facts: MachineFacts): PlayedMachine {
  return { facts, state: 'making' };
}

/** Until every machine runs, or no rounds are left. */
export async function makeAll(machines: readonly PlayedMachine[], round: Round): Promise<void> {
  await rounds(machines, round, { until: 'running', pass: makePass });
}

/** Until every machine is gone, or no rounds are left. */
export async function endAll(machines: readonly PlayedMachine[], round: Round): Promise<void> {
  await rounds(machines, round, { until: 'gone', pass: endPass });
}

interface Passes {
  readonly until: PlayedMachine['state'];
  readonly pass: (backend: AWSBackend, machine: PlayedMachine, round: Round) => Promise<void>;
}

async function rounds(
  machines: readonly PlayedMachine[],
  round: Round,
  { until, pass }: Passes,
): Promise<void> {
  const { world, stepMs = 2_000, maxRounds = 60 } = round;
  for (let count = 0; count < maxRounds && machines.some(({ state }) => state !== until); count++) {
    const backend = round.backend();
    const open = machines.filter(({ state }) => state !== until);
    await Promise.all(open.map((machine) => guarded(machine, () => pass(backend, machine, round))));
    world.clock.shift(stepMs);
    await backend.tick(world.ctx);
  }
}

/** The queue tries again whatever a pass has thrown. */
async function guarded(machine: PlayedMachine, pass: () => Promise<void>): Promise<void> {
  delete machine.last;
  try {
    await pass();
  } catch (error) {
    machine.last = error;
    if (!(error instanceof TransientError) && !(error instanceof Error && 'reason' in error)) throw error;
  }
}

/** The phases observeInstance to reportInstance. */
async function makePass(backend: AWSBackend, machine: PlayedMachine, round: Round): Promise<void> {
  const { ctx } = round.world;
  const { intent, providerID } = machine.facts;
  let seen: Observed = { state: 'absent' };
  if (intent !== undefined || providerID !== undefined) seen = await backend.observe(ctx, machine.facts);
  if (seen.state === 'absent' && providerID === undefined) {
    if (!(await createPass(backend, machine, round))) return;
    seen = await backend.observe(ctx, machine.facts);
  }
  machine.last = seen;
  if (seen.state === 'absent') return;
  machine.facts = { ...machine.facts, providerID: providerID ?? seen.providerID };
  if (seen.state === 'running') machine.state = 'running';
}

/** The phases recordIntent and createInstance. Answers whether the machine was started. */
async function createPass(backend: AWSBackend, machine: PlayedMachine, round: Round): Promise<boolean> {
  const { ctx } = round.world;
  const planned = await backend.plan(ctx, machine.facts);
  machine.last = planned;
  if (planned.state === 'deferred') return false;
  const intent = intentAfter(machine.facts.intent, planned);
  machine.facts = { ...machine.facts, intent };
  machine.last = await backend.create(ctx, machine.facts, intent, round.data ?? bootstrapData);
  return (machine.last as Created).state === 'started';
}

/** The recorded one stays unless its attempt is proven to have made nothing. */
function intentAfter(
  intent: CreateIntent | undefined,
  { choice, refused }: Extract<Planned, { state: 'planned' }>,
): CreateIntent {
  if (intent !== undefined && !refused) return intent;
  return { attempt: (intent?.attempt ?? 0) + 1, clientToken: randomUUID(), requestHash: 'a-hash', choice };
}

async function endPass(backend: AWSBackend, machine: PlayedMachine, { world }: Round): Promise<void> {
  const answer = await backend.destroy(world.ctx, machine.facts);
  if (answer.state === 'gone') machine.state = 'gone';
  machine.last = answer;
}
