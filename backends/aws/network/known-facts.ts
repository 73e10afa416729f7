// SPDX-License-Identifier: Apache-2.0
// Facts of networks, looked up once for all machines of a cluster.
import type { AWSNetwork } from '../../../api/aws/cluster.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import { existingNetwork, type ExistingNetwork } from './existing.ts';
import { existingGroups } from './existing-groups.ts';
import type { ClusterAWS, NetworkFacts, NetworkReader, Subnet } from './facts.ts';
import { usableSubnets } from './managed.ts';
import { clusterFilter, securityGroupsBy, subnetsBy, together, vpcsBy } from './observation.ts';
import { isOf, type SeenSubnet } from './parts.ts';
import type { GroupRole, RoleGroups } from './rules.ts';
import { GROUP_ROLES } from './security-groups.ts';

const FRESH_MS = 60_000;

interface Known {
  readonly atMs: number;
  /** Another spec is another question. */
  readonly network: string;
  readonly facts: Promise<NetworkFacts>;
}

/** Facts that are kept; machines that ask at the same time share the calls. */
export function createNetworkReader(clock: Clock): NetworkReader {
  const known = new Map<string, Known>();
  return {
    async networkFacts(ctx, session, cluster, maxAgeMs = FRESH_MS) {
      const { infrastructureID, spec } = cluster;
      const network = JSON.stringify([session.account, session.region, spec.network]);
      const before = known.get(infrastructureID);
      if (before?.network === network && !hasPassed(clock, before.atMs, maxAgeMs)) return before.facts;
      const facts = lookUp(ctx, session, cluster);
      const entry = { atMs: clock.now().getTime(), network, facts };
      known.set(infrastructureID, entry);
      // What failed is asked again, by whoever comes next.
      facts.catch(() => known.get(infrastructureID) === entry && known.delete(infrastructureID));
      return facts;
    },
    forget: (infrastructureID) => void known.delete(infrastructureID),
  };
}

async function lookUp(ctx: Ctx, session: AWSSession, cluster: ClusterAWS): Promise<NetworkFacts> {
  const { network } = cluster.spec;
  const place =
    network.managed === undefined
      ? await existingNetwork(ctx, session, network)
      : await managedNetwork(ctx, session, cluster);
  const securityGroups = await groupsIn(ctx, session, { ...cluster, network, vpcID: place.vpcID });
  return { ...place, securityGroups };
}

async function managedNetwork(
  ctx: Ctx,
  session: AWSSession,
  { infrastructureID, spec }: ClusterAWS,
): Promise<ExistingNetwork> {
  const filters = clusterFilter(infrastructureID);
  const [vpcs, subnets] = await together([vpcsBy(ctx, session, filters), subnetsBy(ctx, session, filters)]);
  const own = subnets.filter((subnet) => isOf(subnet, infrastructureID));
  const usable = usableSubnets(own, spec.network.managed ?? {});
  // Two VPCs are settled by whoever makes the network; the one with subnets is the one that stays.
  const vpc = vpcs.find(({ id }) => usable.some(({ vpcID }) => vpcID === id));
  if (vpc === undefined) throw new TransientError('The network of the cluster is not made yet');
  return { vpcID: vpc.id, cidrBlocks: vpc.cidrBlocks, subnets: usable.map(toUsable) };
}

function toUsable({ id, availabilityZone, role, vpcID }: SeenSubnet): Subnet {
  return { id, availabilityZone, isPublic: role === 'public', vpcID };
}

async function groupsIn(
  ctx: Ctx,
  session: AWSSession,
  { infrastructureID, network, vpcID }: { infrastructureID: string; network: AWSNetwork; vpcID: string },
): Promise<RoleGroups> {
  const [given, made] = await together([
    existingGroups(ctx, session, network, vpcID),
    securityGroupsBy(ctx, session, clusterFilter(infrastructureID)),
  ]);
  const idsOf = (role: GroupRole) =>
    given[role] ?? made.filter((group) => group.role === GROUP_ROLES[role]).map(({ id }) => id);
  const groups = {
    controlPlane: idsOf('controlPlane'),
    nodes: idsOf('nodes'),
    loadBalancer: idsOf('loadBalancer'),
  };
  // Without one AWS would take the default group of the VPC.
  if (groups.controlPlane.length > 0 && groups.nodes.length > 0) return groups;
  throw new TransientError('The security groups of the cluster are not made yet');
}
