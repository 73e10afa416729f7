// SPDX-License-Identifier: Apache-2.0
// Machines as instances of EC2: the port over the parts in instance/.
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import type { ChangeFeed, MachineBackend, Planning, Sizing, Upkeep } from '../backend.ts';
import { createAttempts } from './instance/attempts.ts';
import { createBackOff } from './instance/back-off.ts';
import { createInstance } from './instance/create.ts';
import { createTerminate, destroyInstance } from './instance/destroy.ts';
import { createExistingResources, type ExistingResources } from './instance/existing.ts';
import { createFreshResources } from './instance/fresh-resources.ts';
import { createImages, type Images } from './instance/image.ts';
import { createInstanceTypes, type InstanceTypes } from './instance/instance-type.ts';
import { createObservation, type Observation } from './instance/observation.ts';
import { observeInstance } from './instance/observe.ts';
import { createPlanner, type LookUps } from './instance/plan.ts';
import { CONSISTENCY_WINDOW_MS } from './instance/store.ts';
import type { TargetRegistry } from './load-balancer/targets.ts';
import type { NetworkReader } from './network/facts.ts';
import type { AWSSessions } from './session/session.ts';
import type { UserDataStore } from './user-data/user-data.ts';

export interface AWSBackendOptions {
  readonly sessions: AWSSessions;
  readonly network: NetworkReader;
  readonly targets: TargetRegistry;
  readonly userData: UserDataStore;
  readonly clock: Clock;
  /** Shared with whoever else looks at instances. Default: one of its own. */
  readonly observation?: Observation;
  /** Shared with pools. Default: ones of its own. */
  readonly images?: Images;
  readonly instanceTypes?: InstanceTypes;
  readonly existing?: ExistingResources;
  /** Absent: nothing is looked after, and no size is known. */
  readonly upkeep?: Upkeep;
  readonly sizing?: Sizing;
  /** How far EC2's answers may be behind. Default: 60 s. */
  readonly windowMs?: number;
}

/** The backend, and what has to be run every 1.5 s for it. */
export interface AWSBackend extends MachineBackend, Planning, Upkeep, ChangeFeed, Sizing {
  /** See {@link Observation.tick}. */
  tick(ctx: Ctx): Promise<void>;
}

/** Keeps in memory what saves calls; all of it may be lost at any time. */
export function createAWSBackend(options: AWSBackendOptions): AWSBackend {
  const { sessions, targets, userData, clock, upkeep, sizing } = options;
  const windowMs = options.windowMs ?? CONSISTENCY_WINDOW_MS;
  const observation = options.observation ?? createObservation({ sessions, clock, windowMs });
  const attempts = createAttempts({ clock, windowMs });
  const backOff = createBackOff(clock);
  const fresh = createFreshResources({ clock, windowMs });
  const planner = createPlanner({ sessions, attempts, backOff, lookUps: lookUpsOf(options) });
  const terminate = createTerminate(clock, (session) => observation.store(session));
  const shared = { sessions, observation, attempts, userData, windowMs };
  const deps = { ...shared, planner, backOff, fresh, targets, terminate };
  return {
    observe: (ctx, machine) => edge(ctx, () => observeInstance(ctx, deps, machine)),
    plan: (ctx, machine) => edge(ctx, () => planner.plan(ctx, machine)),
    create: (ctx, machine, intent, data) =>
      edge(ctx, () => createInstance(ctx, deps, machine, { intent, data })),
    destroy: (ctx, machine) => edge(ctx, () => destroyInstance(ctx, deps, machine)),
    upkeep: async (ctx, machine, instance) => upkeep?.upkeep(ctx, machine, instance) ?? {},
    size: async (ctx, machine) => sizing?.size(ctx, machine),
    changes: (ctx, cursor) => edge(ctx, () => observation.changes(ctx, cursor)),
    tick: (ctx) => observation.tick(ctx),
  };
}

function lookUpsOf(options: AWSBackendOptions): LookUps {
  const { network, clock } = options;
  const { images = createImages(clock), instanceTypes = createInstanceTypes(clock) } = options;
  return { network, images, instanceTypes, existing: options.existing ?? createExistingResources(clock) };
}

/** What comes out of AWS is classified by the session; a call that nobody waits for any more is not begun. */
async function edge<T>(ctx: Ctx, work: () => Promise<T>): Promise<T> {
  if (ctx.signal.aborted) throw new TransientError('The call was cut off', { cause: ctx.signal.reason });
  return work();
}
