// SPDX-License-Identifier: Apache-2.0
// Chooses what is asked for: image, type, subnet, market. Everything that has to be looked up is looked up here, and recorded.
import type { AWSClusterSpec } from '../../../api/aws/cluster.ts';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts, Planned } from '../../backend.ts';
import type { NetworkFacts, NetworkReader } from '../network/facts.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import type { Attempts } from './attempts.ts';
import { type BackOff, type Refused, shortageMessage } from './back-off.ts';
import { type Choice, encodeChoice } from './choice.ts';
import { createExistingResources } from './existing.ts';
import { createImages } from './image.ts';
import { architecturesOf, createInstanceTypes } from './instance-type.ts';
import { type Offer, offersOf } from './offers.ts';
import { awsSpecOf } from './where.ts';

export interface PlannerDeps {
  readonly sessions: AWSSessions;
  readonly network: NetworkReader;
  readonly attempts: Attempts;
  readonly backOff: BackOff;
  readonly clock: Clock;
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
  const { sessions, network, attempts, backOff, clock } = deps;
  const existing = createExistingResources(clock);
  const types = createInstanceTypes(clock);
  const images = createImages(clock);

  const factsFor = (ctx: Ctx, session: AWSSession, { aws, infrastructureID }: Planning) =>
    network.networkFacts(ctx, session, { infrastructureID, spec: aws });

  async function choose(
    ctx: Ctx,
    session: AWSSession,
    planning: Planning & { facts: NetworkFacts; offer: Offer },
  ): Promise<Choice> {
    const { machine, spec, aws, infrastructureID, facts, offer } = planning;
    const field =
      offer.index === 0 || spec.fallbacks?.[offer.index - 1]?.instanceType === undefined
        ? 'spec.aws.instanceType'
        : `spec.aws.fallbacks[${offer.index - 1}].instanceType`;
    const info = await types.describe(ctx, session, { name: offer.instanceType, field });
    const use = { version: machine.version, architectures: architecturesOf(info) };
    const image = await images.resolve(ctx, session, spec.image, use);
    const roleGroups = machine.controlPlane ? facts.securityGroups.controlPlane : facts.securityGroups.nodes;
    const groups = [...roleGroups];
    for (const [index, reference] of (spec.securityGroups ?? []).entries())
      groups.push(
        ...(await existing.securityGroups(ctx, session, facts, {
          reference,
          field: `spec.aws.securityGroups[${index}]`,
        })),
      );
    return {
      ...{ region: session.region, identity: aws.identityRef.name, account: session.account },
      ...{
        infrastructureID,
        clusterName: machine.clusterName,
        role: machine.controlPlane ? 'control-plane' : 'node',
      },
      ...{
        imageID: image.id,
        architecture: image.architecture,
        rootDevice: image.rootDevice,
        rootSizeGiB: image.rootSizeGiB,
      },
      ...{
        instanceType: offer.instanceType,
        subnetID: offer.subnetID,
        availabilityZone: offer.availabilityZone,
      },
      ...{ market: offer.market, maxPrice: offer.maxPrice, offer: String(offer.index) },
      securityGroupIDs: [...new Set(groups)],
    };
  }

  return {
    async plan(ctx, machine) {
      const { intent } = machine;
      const isOpen = intent?.choice !== undefined && !attempts.isRefused(machine, intent.clientToken);
      if (isOpen) return { state: 'planned', choice: intent.choice, refused: false };
      const planning = planningOf(machine);
      if (planning === undefined) return waitForCluster();
      const { region, identityRef } = planning.aws;
      const session = await sessions.open(ctx, {
        namespace: machine.namespace,
        identity: identityRef.name,
        region,
      });
      const facts = await factsFor(ctx, session, planning);
      const offers = await offersOf(ctx, session, { ...planning, facts }, existing);
      const offer = backOff.take(session, offers);
      if (!('index' in offer)) return shortage(offer);
      const choice = await choose(ctx, session, { ...planning, facts, offer });
      attempts.planned(machine);
      // An intent without a choice was never asked for: create needs one.
      return { state: 'planned', choice: encodeChoice(choice), refused: intent !== undefined };
    },

    async afterShortage(ctx, session, machine) {
      const planning = planningOf(machine);
      if (planning === undefined) return waitForCluster();
      const facts = await factsFor(ctx, session, planning);
      const offers = await offersOf(ctx, session, { ...planning, facts }, existing);
      const refused = backOff.refusals(session, offers);
      const deferred = shortage(refused);
      return refused.length < offers.length ? { ...deferred, pollMs: NEXT_OFFER_MS } : deferred;
    },
  };
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
  const reason = refused.some((one) => one.reason === Reason.CapacityUnavailable)
    ? Reason.CapacityUnavailable
    : Reason.QuotaExceeded;
  const pollMs = Math.max(Math.min(...refused.map(({ forMs }) => forMs)), NEXT_OFFER_MS);
  return { state: 'deferred', reason, message: shortageMessage(refused), pollMs };
}
