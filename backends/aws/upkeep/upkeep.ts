// SPDX-License-Identifier: Apache-2.0
// Looks after living instances: their place in the load balancer, what was needed to boot them, what was changed on them outside, and
// what AWS is about to do to them.
import { Reason } from '../../../api/conditions.ts';
import { parseProviderID } from '../../../api/provider-id.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import type { MachineFacts, Upkeep, UpkeepReport } from '../../backend.ts';
import type { ExistingResources } from '../instance/existing.ts';
import type { Observation } from '../instance/observation.ts';
import { groupsOf } from '../instance/plan.ts';
import type { InstanceRecord } from '../instance/record.ts';
import { openSession } from '../instance/where.ts';
import type { TargetRegistry } from '../load-balancer/targets.ts';
import type { NetworkReader } from '../network/facts.ts';
import type { Rest } from '../rest.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { CLUSTER_TAG } from '../tags.ts';
import { REMOVED, USER_DATA_TAG, type UserDataStore } from '../user-data/user-data.ts';
import { driftOf, isOurs, type Wanted } from './drift.ts';
import type { Notice } from './event.ts';
import { createInterruptions, type Interruptions } from './interruptions.ts';
import { createRepair, type Repair } from './repair.ts';

export interface UpkeepOptions {
  readonly sessions: AWSSessions;
  /** Where security groups are looked up; answers are kept. */
  readonly network: NetworkReader;
  readonly existing: ExistingResources;
  readonly targets: TargetRegistry;
  readonly userData: UserDataStore;
  /** The one of the machine backend. */
  readonly observation: Pick<Observation, 'store' | 'wake'>;
  readonly rest: Rest;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** The upkeep, and what has to be run every few seconds for it. */
export interface AWSUpkeep extends Upkeep {
  /** Asks for spot notices and planned maintenance where that is due, and sees to it that queues are read. Never rejects. */
  tick(ctx: Ctx): Promise<void>;
  /** Ends at once what ticks have begun and left to itself. */
  close(): void;
}

/** AWS did not answer: nothing is known to be wrong. */
const RETRY_MS = 30_000;
/** A target that somebody took out of the load balancer comes back in this time. */
const TARGET_MS = 10 * 60_000;
/** What happens sooner does not wait until other machines are replaced. */
const SOON_MS = 60 * 60_000;
/** Groups of a living instance are no hurry. */
const GROUPS_MS = 10 * 60_000;
/** Of one round over the control plane machines of a cluster: the targets three times, the groups once or twice. */
const TARGET_CALLS = 9;

/** What one duty found. */
type Found = Pick<UpkeepReport, 'pollMs' | 'differs'> & {
  /** What shall be so on the instance from now on. */
  readonly wanted?: Wanted;
};

/** One machine, and what is known of its instance. */
interface Looked {
  readonly session: AWSSession;
  readonly machine: MachineFacts;
  readonly record: InstanceRecord;
}

/**
 * Without a call for an instance that is as it shall be. What AWS refuses is in the report, and what it does not answer is tried again:
 * a machine is not unwell because nobody can look after it.
 */
export function createUpkeep(options: UpkeepOptions): AWSUpkeep {
  const { sessions, userData, observation, clock } = options;
  const interruptions = createInterruptions(options);
  const repair = createRepair(clock);

  return {
    async upkeep(ctx, machine, instance) {
      const id = instanceIDOf(instance.providerID);
      const session = await openSession(ctx, sessions, machine);
      const record = observation.store(session).byID(id);
      if (record === undefined) return {};
      const looked: Looked = { session, machine, record };
      const found = [
        await attempt(ctx, () => inLoadBalancer(ctx, options, looked)),
        await attempt(ctx, () => withoutUserData(ctx, userData, looked)),
        await attempt(ctx, () => inGroups(ctx, options, looked)),
      ];
      const wanted = Object.assign({}, ...found.map((one) => one.wanted)) as Wanted;
      found.push(await attempt(ctx, () => asSpecified(ctx, repair, looked, wanted)));
      followQueue(interruptions, sessions, looked);
      const notice = await interruptions.of(ctx, session, id);
      const interruption = notice && interruptionOf(machine, notice, clock.now().getTime());
      return { ...together(found), ...(interruption !== undefined && { interruption }) };
    },
    tick: (ctx) => interruptions.tick(ctx),
    close: () => interruptions.close(),
  };
}

/** Read as whoever looks after this machine. */
function followQueue(
  interruptions: Pick<Interruptions, 'follow'>,
  sessions: AWSSessions,
  { session, machine, record }: Looked,
): void {
  // Without its TSCluster nobody knows.
  if (machine.cluster === undefined) return;
  const name = machine.cluster.aws?.interruptionQueue;
  const open = (ctx: Ctx) => openSession(ctx, sessions, machine);
  interruptions.follow(session, record.id, name === undefined ? undefined : { name, open });
}

function instanceIDOf(providerID: string): string {
  const parsed = parseProviderID(providerID);
  return parsed?.backend === 'aws' ? parsed.instanceID : '';
}

async function attempt(ctx: Ctx, duty: () => Promise<Found>): Promise<Found> {
  try {
    return await duty();
  } catch (error) {
    if (error instanceof TransientError) {
      ctx.log.info({ message: errorMessage(error) }, 'The instance could not be looked after; trying again');
      return { pollMs: error.retryAfterMs ?? RETRY_MS };
    }
    if (error instanceof TerminalError) return { differs: errorMessage(error), pollMs: TARGET_MS };
    throw error;
  }
}

async function inLoadBalancer(
  ctx: Ctx,
  { targets, rest }: Pick<UpkeepOptions, 'targets' | 'rest'>,
  looked: Looked,
): Promise<Found> {
  const { session, machine, record } = looked;
  const { cluster, infrastructureID } = machine;
  const balancer = cluster?.controlPlaneLoadBalancer;
  if (!machine.controlPlane || balancer?.type !== 'NLB' || record.state !== 'running') return {};
  if (cluster?.aws === undefined || infrastructureID === undefined) return {};
  const scope = { infrastructureID, spec: cluster.aws, nlb: balancer.nlb, type: balancer.type };
  const registration = await targets.register(ctx, session, scope, record.id);
  if (registration.done) {
    const resting = { what: `targets ${infrastructureID}`, calls: TARGET_CALLS, atLeastMs: TARGET_MS };
    return { pollMs: rest.after(session, resting) };
  }
  ctx.log.info({ message: registration.message }, 'Waiting for the load balancer to take the instance');
  return { pollMs: registration.pollMs };
}

/** The instance is told what was done, so that nothing is asked of the services after a restart. */
async function withoutUserData(ctx: Ctx, userData: UserDataStore, looked: Looked): Promise<Found> {
  const { session, machine, record } = looked;
  if (!machine.hasNode) return {};
  await userData.remove(ctx, session, machine, record.tags);
  return record.tags[USER_DATA_TAG] === undefined ? {} : { wanted: { tags: { [USER_DATA_TAG]: REMOVED } } };
}

/** The recorded choice does not tell: the spec may have changed since. */
async function inGroups(ctx: Ctx, options: UpkeepOptions, { session, machine }: Looked): Promise<Found> {
  const { cluster, infrastructureID, intent, spec } = machine;
  // Those of a pool are its group's.
  if (intent?.choice === undefined || spec.aws === undefined) return {};
  if (cluster?.aws === undefined || infrastructureID === undefined) return {};
  const asked = { infrastructureID, spec: cluster.aws };
  const facts = await options.network.networkFacts(ctx, session, asked, GROUPS_MS);
  const securityGroupIDs = await groupsOf(ctx, session, options, { machine, spec: spec.aws, facts });
  return { wanted: { securityGroupIDs } };
}

async function asSpecified(
  ctx: Ctx,
  repair: Repair,
  { session, machine, record }: Looked,
  wanted: Wanted,
): Promise<Found> {
  if (!isOurs(record, machine)) {
    const differs = `Instance ${record.id} has lost its tag ${CLUSTER_TAG}, so that nothing is changed on it: give it back, or delete the Machine`;
    return { differs };
  }
  return repair(ctx, session, { id: record.id, drift: driftOf(record, machine, wanted) });
}

/** Of control plane machines KubeadmControlPlane knows when etcd can do without one; a notice does not. */
function interruptionOf(
  machine: MachineFacts,
  { reason, message, fromMs }: Notice,
  nowMs: number,
): UpkeepReport['interruption'] {
  const { onInterruption, onRebalance } = machine.spec.aws ?? {};
  const isWanted = (reason === Reason.RebalanceRecommended ? onRebalance : onInterruption) === 'Replace';
  if (isWanted && machine.controlPlane)
    return { reason, message: `${message}; control plane machines are not replaced for it`, replace: false };
  // A recommendation has no time; the notice that it may lead to has two minutes.
  const isLater = fromMs !== undefined && fromMs - nowMs > SOON_MS;
  const canWait = reason === Reason.RebalanceRecommended || isLater;
  return { reason, message, replace: isWanted, canWait };
}

function together(found: readonly Found[]): UpkeepReport {
  const differs = found.flatMap((one) => one.differs ?? []).join('; ');
  const polls = found.flatMap(({ pollMs }) => pollMs ?? []);
  return {
    ...(polls.length > 0 && { pollMs: Math.min(...polls) }),
    ...(differs !== '' && { differs }),
  };
}
