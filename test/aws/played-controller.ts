// SPDX-License-Identifier: Apache-2.0
// Plays the machine controller over a backend, round by round: in between time passes, and what was observed is watched.
import { randomUUID } from 'node:crypto';
import type { BootstrapData, MachineFacts } from '../../backends/backend.ts';
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
  const isAsked = machine.facts.intent !== undefined || machine.facts.providerID !== undefined;
  let seen = isAsked ? await backend.observe(ctx, machine.facts) : ({ state: 'absent' } as const);
  if (seen.state === 'absent' && machine.facts.providerID === undefined) {
    const planned = await backend.plan(ctx, machine.facts);
    if (planned.state === 'deferred') return void (machine.last = planned);
    const { intent } = machine.facts;
    const isKept = intent !== undefined && !planned.refused;
    const attempt = (intent?.attempt ?? 0) + 1;
    const next = { attempt, clientToken: randomUUID(), requestHash: 'a-hash', choice: planned.choice };
    const recorded = isKept ? intent : next;
    machine.facts = { ...machine.facts, intent: recorded };
    const created = await backend.create(ctx, machine.facts, recorded, round.data ?? bootstrapData);
    if (created.state === 'deferred') return void (machine.last = created);
    seen = await backend.observe(ctx, machine.facts);
  }
  if (seen.state === 'absent') return void (machine.last = seen);
  machine.facts = { ...machine.facts, providerID: machine.facts.providerID ?? seen.providerID };
  if (seen.state === 'running') machine.state = 'running';
  machine.last = seen;
}

async function endPass(backend: AWSBackend, machine: PlayedMachine, { world }: Round): Promise<void> {
  const answer = await backend.destroy(world.ctx, machine.facts);
  if (answer.state === 'gone') machine.state = 'gone';
  machine.last = answer;
}
