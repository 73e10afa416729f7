// SPDX-License-Identifier: Apache-2.0
// The network of a cluster on AWS: one that we make, or one that exists, with security groups of ours in it.
import { DescribeNatGatewaysCommand } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { Destroyed } from '../../backend.ts';
import type { ClusterFacts, ClusterNetwork, Ensured, FailureDomain } from '../../cluster-backend.ts';
import { openCluster } from '../account.ts';
import { requireOwn } from '../cluster-owner.ts';
import type { Rest } from '../rest.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { existingNetwork } from './existing.ts';
import type { NetworkReader } from './facts.ts';
import { createNetworkReader } from './known-facts.ts';
import { ensureManaged, requireUnmanaged, usableSubnets } from './managed.ts';
import { createNetworkMemory, type NetworkMemory } from './memory.ts';
import { lookAtParts } from './observation.ts';
import { isLiving, type Kind, KINDS, type Part, type PartsByKind, toNATGateway } from './parts.ts';
import { removeParts } from './removal.ts';
import { isRestricted } from './rules.ts';
import type { Run } from './run.ts';
import { ensureGroups } from './security-groups.ts';
import { repairTags } from './tag-repair.ts';

/** While something is being made. */
const PENDING_POLL_MS = 3_000;
/** What was changed outside is repaired after so long: one round of look-ups for each cluster, of about so many calls. */
const IDLE_POLL_MS = 600_000;
const IDLE_CALLS = 8;
/** A network that was just made is looked at again when AWS shows everything: only then is a double seen. */
const SETTLING_POLL_MS = 65_000;
/** Clusters that nobody has asked for since are gone. */
const MEMORY_MS = 86_400_000;

export interface AWSNetworkDeps {
  readonly sessions: AWSSessions;
  readonly rest: Rest;
  readonly clock: Clock;
  /** After so long a look shows everything that was made before it. Default: a minute. */
  readonly windowMs?: number;
}

interface Remembered {
  readonly memory: NetworkMemory;
  usedMs: number;
  /** It was as it shall be. */
  settled?: Settled | undefined;
}

type Answer = Ensured<{ readonly failureDomains: readonly FailureDomain[] }>;

interface Settled {
  /** For whom and for which spec. */
  readonly asked: string;
  readonly answer: Answer;
  /** Until then it is left alone. */
  readonly untilMs: number;
}

/** Networks on AWS. What it makes is found by its tags alone, so it goes on where another process was stopped. */
export function createAWSNetwork({
  sessions,
  rest,
  clock,
  windowMs,
}: AWSNetworkDeps): ClusterNetwork & NetworkReader {
  const reader = createNetworkReader(clock);
  const memories = new Map<string, Remembered>();
  const nowMs = () => clock.now().getTime();
  const open = (ctx: Ctx, cluster: Pick<ClusterFacts, 'namespace' | 'name' | 'spec'>) =>
    openCluster(ctx, sessions, { namespace: cluster.namespace, aws: requireAWS(cluster) });
  const recall = ({ infrastructureID }: ClusterFacts) =>
    recallOf(memories, infrastructureID, { clock, windowMs });
  const forget = (infrastructureID: string) => {
    reader.forget(infrastructureID);
    delete memories.get(infrastructureID)?.settled;
  };
  return {
    ...reader,
    forget,
    accountOf: async (ctx, cluster) => (await open(ctx, cluster)).account,
    async ensureNetwork(ctx, cluster) {
      const session = await open(ctx, cluster);
      const asked = JSON.stringify([session.account, cluster]);
      const remembered = recall(cluster);
      const { settled } = remembered;
      if (settled?.asked === asked && nowMs() < settled.untilMs)
        return { ...settled.answer, pollMs: settled.untilMs - nowMs() };
      delete remembered.settled;
      const run = await begin(ctx, session, cluster, remembered.memory);
      // Groups and subnets may be new ones.
      if (run.memory.hasFresh()) reader.forget(cluster.infrastructureID);
      const domains = await (run.aws.network.managed === undefined ? ensureExisting(run) : ensureOwn(run));
      const what = `network ${cluster.infrastructureID}`;
      const resting = { what, calls: IDLE_CALLS, atLeastMs: IDLE_POLL_MS };
      const answer = answerOf(run, domains, rest.after(session, resting));
      if (answer.state === 'ready' && answer.pollMs !== undefined)
        remembered.settled = { asked, answer, untilMs: nowMs() + answer.pollMs };
      return answer;
    },
    async removeNetwork(ctx, cluster): Promise<Destroyed> {
      const run = await begin(ctx, await open(ctx, cluster), cluster, recall(cluster).memory);
      forget(cluster.infrastructureID);
      return removeParts(run);
    },
  };
}

async function begin(
  ctx: Ctx,
  session: AWSSession,
  cluster: ClusterFacts,
  memory: NetworkMemory,
): Promise<Run> {
  const seen = memory.complete(await lookAtParts(ctx, session, cluster.infrastructureID));
  requireOwn(cluster, ownedParts(seen));
  const waiting = { waits: new Set<string>(), waitsOfMachines: new Set<string>() };
  const postponed = new Map<string, number>();
  return { ctx, session, cluster, aws: requireAWS(cluster), memory, seen, ...waiting, postponed };
}

function ownedParts(seen: PartsByKind) {
  return (Object.keys(seen) as Kind[]).flatMap((kind) =>
    seen[kind].map(({ id, tags }: Part) => ({ what: `The ${KINDS[kind].noun} ${id}`, tags })),
  );
}

function requireAWS({ namespace, name, spec }: Pick<ClusterFacts, 'namespace' | 'name' | 'spec'>) {
  if (spec.aws !== undefined) return spec.aws;
  throw new TerminalError(Reason.NetworkInvalid, `TSCluster ${namespace}/${name} has no spec.aws: set it`);
}

function recallOf(
  memories: Map<string, Remembered>,
  infrastructureID: string,
  { clock, windowMs }: { readonly clock: Clock; readonly windowMs: number | undefined },
): Remembered {
  const usedMs = clock.now().getTime();
  const known = memories.get(infrastructureID);
  if (known !== undefined) {
    known.usedMs = usedMs;
    return known;
  }
  for (const [id, other] of memories) if (usedMs - other.usedMs > MEMORY_MS) memories.delete(id);
  const remembered = { memory: createNetworkMemory(clock, windowMs), usedMs };
  memories.set(infrastructureID, remembered);
  return remembered;
}

function answerOf(run: Run, zones: readonly string[], idleMs: number): Answer {
  const { waits, waitsOfMachines, postponed, memory } = run;
  const all = [...waits, ...waitsOfMachines, ...postponed.keys()];
  if (all.length > 0) {
    const pollMs = all.length > postponed.size ? PENDING_POLL_MS : Math.min(...postponed.values());
    const message = `The network is being made: ${all.join('; ')}`;
    // One that is made before AWS shows every subnet would cover fewer zones.
    const takesLoadBalancer = waits.size === 0 && memory.isShown();
    return {
      ...{ state: 'pending', reason: Reason.NetworkCreating, message, pollMs },
      takesLoadBalancer,
    };
  }
  const failureDomains = [...new Set(zones)].sort().map((name) => ({ name, controlPlane: true }));
  return { state: 'ready', failureDomains, pollMs: memory.hasFresh() ? SETTLING_POLL_MS : idleMs };
}

/** Zones of the usable subnets. */
async function ensureOwn(run: Run): Promise<string[]> {
  const managed = run.aws.network.managed ?? {};
  await ensureManaged(run, managed);
  return usableSubnets(run.seen.subnets, managed).map(({ availabilityZone }) => availabilityZone);
}

async function ensureExisting(run: Run): Promise<string[]> {
  requireUnmanaged(run.seen);
  const { vpcID, cidrBlocks, subnets } = await existingNetwork(run.ctx, run.session, run.aws.network);
  const natAddresses = isRestricted(run.cluster.spec) ? await natAddressesIn(run, vpcID) : [];
  await ensureGroups(run, { vpcID, cidrBlocks, natAddresses });
  await repairTags(run);
  return subnets.map(({ availabilityZone }) => availabilityZone);
}

/** Machines of private subnets call an API server that not everybody may call from these. */
async function natAddressesIn({ ctx, session }: Run, vpcID: string): Promise<string[]> {
  const command = new DescribeNatGatewaysCommand({ Filter: [{ Name: 'vpc-id', Values: [vpcID] }] });
  const { NatGateways = [] } = await session.ec2(ctx, command);
  return NatGateways.map(toNATGateway)
    .filter(isLiving)
    .flatMap(({ publicAddresses }) => publicAddresses);
}
