// SPDX-License-Identifier: Apache-2.0
// Chooses what is asked for: image, type, subnet, market. Everything that has to be looked up is looked up here, and recorded.
import type { AWSClusterSpec } from '../../../api/aws/cluster.ts';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts, Planned } from '../../backend.ts';
import { openCluster } from '../account.ts';
import type { NetworkFacts, NetworkReader } from '../network/facts.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import type { Attempts } from './attempts.ts';
import { type BackOff, type Refused, shortageMessage } from './back-off.ts';
import { type Choice, encodeChoice } from './choice.ts';
import type { ExistingResources } from './existing.ts';
import type { Images } from './image.ts';
import { architecturesOf, type InstanceTypes } from './instance-type.ts';
import { type Offer, offersOf } from './offers.ts';
import { awsSpecOf } from './where.ts';

export interface PlannerDeps {
  readonly sessions: AWSSessions;
  readonly attempts: Attempts;
  readonly backOff: BackOff;
  readonly lookUps: LookUps;
}

export interface Planner {
  /** See {@link import('../../backend.ts').Planning}. No call while the recorded attempt is open. */
  plan(ctx: Ctx, machine: MachineFacts): Promise<Planned>;
  /** What follows when an offer was refused for want of capacity or quota: until when nothing can be had, and why. */
  afterShortage(
    ctx: Ctx,
    session: AWSSession,
    machine: MachineFacts,
  ): Promise<Extract<Planned, { state: 'deferred' }>>;
}

/** While an offer is left it is asked for at once; not in the same pass, since the choice is to be recorded first. */
const NEXT_OFFER_MS = 500;

/** A machine of a cluster that can be planned for. */
interface Planning {
  readonly machine: MachineFacts;
  readonly spec: AWSMachineSpec;
  readonly aws: AWSClusterSpec;
  readonly infrastructureID: string;
}

export function createPlanner(deps: PlannerDeps): Planner {
  const { sessions, attempts, backOff, lookUps } = deps;

  return {
    async plan(ctx, machine) {
      const { intent, namespace } = machine;
      const isOpen = intent?.choice !== undefined && !attempts.isRefused(machine, intent.clientToken);
      if (isOpen) return { state: 'planned', choice: intent.choice, refused: false };
      const planning = planningOf(machine);
      if (planning === undefined) return waitForCluster();
      const session = await openCluster(ctx, sessions, { namespace, aws: planning.aws });
      const { facts, offers } = await offersFor(ctx, session, lookUps, planning);
      const offer = backOff.take(session, offers);
      if (!('index' in offer)) {
        // A mistake in the spec is told first: waiting for capacity would not mend it.
        const [first] = offers;
        if (first !== undefined) await choose(ctx, session, lookUps, { ...planning, facts, offer: first });
        return shortage(offer);
      }
      const choice = await choose(ctx, session, lookUps, { ...planning, facts, offer });
      attempts.planned(machine);
      // An intent without a choice was never asked for: create needs one.
      return { state: 'planned', choice: encodeChoice(choice), refused: intent !== undefined };
    },

    async afterShortage(ctx, session, machine) {
      const planning = planningOf(machine);
      if (planning === undefined) return waitForCluster();
      const { offers } = await offersFor(ctx, session, lookUps, planning);
      const refused = backOff.refusals(session, offers);
      const deferred = shortage(refused);
      return refused.length < offers.length ? { ...deferred, pollMs: NEXT_OFFER_MS } : deferred;
    },
  };
}

/** Where answers are looked up, and kept. */
export interface LookUps {
  readonly network: NetworkReader;
  readonly existing: ExistingResources;
  readonly instanceTypes: InstanceTypes;
  readonly images: Images;
}

async function offersFor(ctx: Ctx, session: AWSSession, lookUps: LookUps, planning: Planning) {
  const { infrastructureID, aws } = planning;
  const facts = await lookUps.network.networkFacts(ctx, session, { infrastructureID, spec: aws });
  return { facts, offers: await offersOf(ctx, session, { ...planning, facts }, lookUps.existing) };
}

/** A machine, and the offer that is taken. */
interface Chosen extends Planning {
  readonly facts: NetworkFacts;
  readonly offer: Offer;
}

async function choose(ctx: Ctx, session: AWSSession, lookUps: LookUps, chosen: Chosen): Promise<Choice> {
  const { machine, spec, aws, infrastructureID, offer } = chosen;
  const type = { name: offer.instanceType, field: typeField(spec, offer) };
  const architectures = architecturesOf(await lookUps.instanceTypes.describe(ctx, session, type));
  const use = { version: machine.version, architectures };
  const image = await lookUps.images.resolve(ctx, session, spec.image, use);
  const role = machine.controlPlane ? 'control-plane' : 'node';
  return {
    ...{ region: session.region, identity: aws.identityRef.name, account: session.account },
    ...{ infrastructureID, clusterName: machine.clusterName, role },
    ...{ imageID: image.id, architecture: image.architecture },
    ...{ rootDevice: image.rootDevice, rootSizeGiB: image.rootSizeGiB, keptDevices: image.keptDevices },
    ...{ instanceType: offer.instanceType, subnetID: offer.subnetID },
    ...{ availabilityZone: offer.availabilityZone, market: offer.market, maxPrice: offer.maxPrice },
    offer: String(offer.index),
    securityGroupIDs: await groupsOf(ctx, session, lookUps, chosen),
  };
}

function typeField(spec: AWSMachineSpec, { index }: Offer): string {
  const isOwn = index === 0 || spec.fallbacks?.[index - 1]?.instanceType === undefined;
  return isOwn ? 'spec.aws.instanceType' : `spec.aws.fallbacks[${index - 1}].instanceType`;
}

/** Ids: those of the role, then those that the machine names. Throws as {@link ExistingResources.securityGroups}. */
export async function groupsOf(
  ctx: Ctx,
  session: AWSSession,
  lookUps: Pick<LookUps, 'existing'>,
  { machine, spec, facts }: Pick<Chosen, 'machine' | 'spec' | 'facts'>,
): Promise<string[]> {
  const groups = [...(machine.controlPlane ? facts.securityGroups.controlPlane : facts.securityGroups.nodes)];
  for (const [index, reference] of (spec.securityGroups ?? []).entries()) {
    const asked = { reference, field: `spec.aws.securityGroups[${index}]` };
    groups.push(...(await lookUps.existing.securityGroups(ctx, session, facts, asked)));
  }
  return [...new Set(groups)];
}

function planningOf(machine: MachineFacts): Planning | undefined {
  const spec = awsSpecOf(machine);
  const { cluster, infrastructureID } = machine;
  if (cluster !== undefined && cluster.aws === undefined)
    throw new TerminalError(
      Reason.InvalidMachine,
      'The TSCluster of this machine has no spec.aws: AWS machines need a cluster on AWS',
    );
  if (cluster?.aws === undefined || infrastructureID === undefined) return undefined;
  return { machine, spec, aws: cluster.aws, infrastructureID };
}

function waitForCluster(): Extract<Planned, { state: 'deferred' }> {
  const message = 'Waiting for the TSCluster to have an infrastructureID';
  return { state: 'deferred', reason: Reason.WaitingForClusterInfrastructure, message };
}

/** At least one has to be refused. */
function shortage(refused: readonly Refused[]): Extract<Planned, { state: 'deferred' }> {
  const reason = refused.some(({ shortage: what }) => what !== 'quota')
    ? Reason.CapacityUnavailable
    : Reason.QuotaExceeded;
  const pollMs = Math.max(Math.min(...refused.map(({ forMs }) => forMs)), NEXT_OFFER_MS);
  return { state: 'deferred', reason, message: shortageMessage(refused), pollMs };
}
