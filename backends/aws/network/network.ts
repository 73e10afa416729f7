// SPDX-License-Identifier: Apache-2.0
// The network of a cluster on AWS: one that we make, or one that exists, with security groups of ours in it.
import { DescribeNatGatewaysCommand } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { Destroyed } from '../../backend.ts';
import type { ClusterFacts, ClusterNetwork, Ensured, FailureDomain } from '../../cluster-backend.ts';
import { requireOwn } from '../cluster-owner.ts';
import type { AWSSessions } from '../session/session.ts';
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
/** What was changed outside is repaired after so long: one round of look-ups for each cluster. */
const IDLE_POLL_MS = 600_000;
/** A network that was just made is looked at again when AWS shows everything: only then is a double seen. */
const SETTLING_POLL_MS = 65_000;
/** Clusters that nobody has asked for since are gone. */
const MEMORY_MS = 86_400_000;

export interface AWSNetworkDeps {
  readonly sessions: AWSSessions;
  readonly clock: Clock;
  /** After so long a look shows everything that was made before it. Default: a minute. */
  readonly windowMs?: number;
}

interface Remembered {
  readonly memory: NetworkMemory;
  usedMs: number;
}

/** Networks on AWS. What it makes is found by its tags alone, so it goes on where another process was stopped. */
export function createAWSNetwork({
  sessions,
  clock,
  windowMs,
}: AWSNetworkDeps): ClusterNetwork & NetworkReader {
  const reader = createNetworkReader(clock);
  const memories = new Map<string, Remembered>();
  const begin = async (ctx: Ctx, cluster: ClusterFacts): Promise<Run> => {
    const aws = requireAWS(cluster);
    const { namespace, infrastructureID } = cluster;
    const who = { namespace, identity: aws.identityRef.name, region: aws.region };
    const memory = memoryOf(memories, infrastructureID, { clock, windowMs });
    const session = await sessions.open(ctx, who);
    const seen = memory.complete(await lookAtParts(ctx, session, infrastructureID));
    requireOwn(cluster, ownedParts(seen));
    return { ctx, session, cluster, aws, memory, seen, waits: new Set(), waitsOfMachines: new Set() };
  };
  return {
    ...reader,
    async ensureNetwork(ctx, cluster) {
      const run = await begin(ctx, cluster);
      // Groups and subnets may be new ones.
      if (run.memory.hasFresh()) reader.forget(cluster.infrastructureID);
      const domains = await (run.aws.network.managed === undefined ? ensureExisting(run) : ensureOwn(run));
      return answer(run, domains);
    },
    async removeNetwork(ctx, cluster): Promise<Destroyed> {
      const run = await begin(ctx, cluster);
      reader.forget(cluster.infrastructureID);
      return removeParts(run);
    },
  };
}

function ownedParts(seen: PartsByKind) {
  return (Object.keys(seen) as Kind[]).flatMap((kind) =>
    seen[kind].map(({ id, tags }: Part) => ({ what: `The ${KINDS[kind].noun} ${id}`, tags })),
  );
}

function requireAWS({ namespace, name, spec }: ClusterFacts) {
  if (spec.aws !== undefined) return spec.aws;
  throw new TerminalError(Reason.NetworkInvalid, `TSCluster ${namespace}/${name} has no spec.aws: set it`);
}

function memoryOf(
  memories: Map<string, Remembered>,
  infrastructureID: string,
  { clock, windowMs }: { readonly clock: Clock; readonly windowMs: number | undefined },
): NetworkMemory {
  const usedMs = clock.now().getTime();
  const known = memories.get(infrastructureID);
  if (known !== undefined) {
    known.usedMs = usedMs;
    return known.memory;
  }
  for (const [id, other] of memories) if (usedMs - other.usedMs > MEMORY_MS) memories.delete(id);
  const memory = createNetworkMemory(clock, windowMs);
  memories.set(infrastructureID, { memory, usedMs });
  return memory;
}

function answer(
  { waits, waitsOfMachines, memory }: Run,
  zones: readonly string[],
): Ensured<{ readonly failureDomains: readonly FailureDomain[] }> {
  const all = [...waits, ...waitsOfMachines];
  if (all.length > 0) {
    const message = `The network is being made: ${all.join('; ')}`;
    // One that is made before AWS shows every subnet would cover fewer zones.
    const takesLoadBalancer = waits.size === 0 && memory.isShown();
    return {
      ...{ state: 'pending', reason: Reason.NetworkCreating, message, pollMs: PENDING_POLL_MS },
      takesLoadBalancer,
    };
  }
  const failureDomains = [...new Set(zones)].sort().map((name) => ({ name, controlPlane: true }));
  return { state: 'ready', failureDomains, pollMs: memory.hasFresh() ? SETTLING_POLL_MS : IDLE_POLL_MS };
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
