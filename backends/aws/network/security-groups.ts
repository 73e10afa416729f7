// SPDX-License-Identifier: Apache-2.0
// Security groups by role: those of the spec, and those that we make, with their rules.
import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  RevokeSecurityGroupIngressCommand,
} from '@aws-sdk/client-ec2';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { isRefused } from '../session/session.ts';
import { existingGroups } from './existing-groups.ts';
import { together } from './observation.ts';
import { type SecurityGroup, toSecurityGroup } from './parts.ts';
import { changeOf, type Permission, toIpPermission } from './permissions.ts';
import { EGRESS_RULES, type GroupRole, ingressRules, type RoleGroups } from './rules.ts';
import { attempt, make, type Run, type Slot, tagSpecification } from './run.ts';

/** Values of the role tag. */
export const GROUP_ROLES: Record<GroupRole, string> = {
  controlPlane: 'control-plane',
  nodes: 'node',
  loadBalancer: 'load-balancer',
};

const DESCRIPTIONS: Record<GroupRole, string> = {
  controlPlane: 'Control plane machines',
  nodes: 'Machines that are not of the control plane',
  loadBalancer: 'Load balancer of the API servers',
};

/** Where groups are made. */
export interface GroupPlace {
  readonly vpcID: string;
  readonly cidrBlocks: readonly string[];
  /** Public addresses behind which machines of private subnets are. */
  readonly natAddresses: readonly string[];
}

/** Roles that a cluster has groups for: a load balancer of somebody else is theirs. */
export function groupRoles({ controlPlaneLoadBalancer }: TSClusterSpec): GroupRole[] {
  const isOurs = controlPlaneLoadBalancer?.type === 'NLB' && controlPlaneLoadBalancer.nlb?.name === undefined;
  return ['controlPlane', 'nodes', ...(isOurs ? (['loadBalancer'] as const) : [])];
}

/** Finds and makes all groups, then their rules; `undefined` while one is missing. */
export async function ensureGroups(run: Run, place: GroupPlace): Promise<RoleGroups | undefined> {
  const { spec } = run.cluster;
  const given = await existingGroups(run.ctx, run.session, run.aws.network, place.vpcID);
  const roles = groupRoles(spec).filter((role) => given[role] === undefined);
  const made = await together(roles.map((role) => ensureGroup(run, role, place.vpcID)));
  const present = made.filter((group) => group !== undefined);
  if (present.length < roles.length) return undefined;
  const idsOf = (role: GroupRole) =>
    given[role] ?? present.filter((group) => group.role === GROUP_ROLES[role]).map(({ id }) => id);
  const groups = {
    controlPlane: idsOf('controlPlane'),
    nodes: idsOf('nodes'),
    loadBalancer: idsOf('loadBalancer'),
  };
  const wanted = ingressRules({ ...place, spec, network: run.aws.network, groups });
  await together(
    roles.map((role, index) => {
      const group = present[index];
      return group === undefined ? undefined : ensureRules(run, group, wanted[role]);
    }),
  );
  return groups;
}

/** A name is unique in a VPC, so there is never a second one. */
function ensureGroup(run: Run, role: GroupRole, VpcId: string): Promise<SecurityGroup | undefined> {
  const slot: Slot<'securityGroups'> = { kind: 'securityGroups', role: GROUP_ROLES[role] };
  return make(run, slot, { doubles: false }, async () => {
    const GroupName = `ts-provider-${run.cluster.infrastructureID}-${slot.role}`;
    const TagSpecifications = tagSpecification(run, slot);
    const Description = `${DESCRIPTIONS[role]} of ${run.cluster.clusterName}`;
    const command = new CreateSecurityGroupCommand({ GroupName, VpcId, Description, TagSpecifications });
    const { GroupId } = await run.session.ec2(run.ctx, command);
    const group = toSecurityGroup({ GroupId, VpcId, GroupName });
    return { ...group, egress: EGRESS_RULES };
  });
}

/** Adds what is missing, and takes back what was ours and is not wanted any more. Rules of others stay. */
async function ensureRules(run: Run, group: SecurityGroup, wanted: readonly Permission[]): Promise<void> {
  const { add, revoke } = changeOf(wanted, group.ingress);
  const egress = changeOf(EGRESS_RULES, group.egress).add;
  if (add.length > 0) await authorize(run, group, add);
  if (revoke.length > 0) await revokeIngress(run, group, revoke);
  if (egress.length > 0) await authorizeEgress(run, group, egress);
}

/** All in one call; one by one where one of them is there already, which a look did not show yet. */
async function authorize(
  run: Run,
  { id: GroupId }: SecurityGroup,
  add: readonly Permission[],
): Promise<void> {
  const send = (permissions: readonly Permission[]) =>
    run.session.ec2(
      run.ctx,
      new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: permissions.map(toIpPermission) }),
    );
  await attempt(run, `rules of ${GroupId}`, async () => {
    try {
      await send(add);
    } catch (error) {
      if (!isRefused(error, 'InvalidPermission.Duplicate')) throw error;
      for (const one of add) await unlessRefused('InvalidPermission.Duplicate', () => send([one]));
    }
  });
}

async function authorizeEgress(
  run: Run,
  { id: GroupId }: SecurityGroup,
  add: readonly Permission[],
): Promise<void> {
  const IpPermissions = add.map(toIpPermission);
  const command = new AuthorizeSecurityGroupEgressCommand({ GroupId, IpPermissions });
  await attempt(run, `rules of ${GroupId}`, () =>
    unlessRefused('InvalidPermission.Duplicate', () => run.session.ec2(run.ctx, command)),
  );
}

/** One by one: AWS refuses all when one of them is gone. */
export async function revokeIngress(
  { ctx, session }: Run,
  { id: GroupId }: SecurityGroup,
  revoke: readonly Permission[],
): Promise<void> {
  const send = (permissions: readonly Permission[]) =>
    session.ec2(
      ctx,
      new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: permissions.map(toIpPermission) }),
    );
  try {
    await send(revoke);
  } catch (error) {
    if (isRefused(error, 'InvalidGroup.NotFound')) return;
    if (!isRefused(error, 'InvalidPermission.NotFound')) throw error;
    for (const one of revoke) await unlessRefused('InvalidPermission.NotFound', () => send([one]));
  }
}

async function unlessRefused(code: string, send: () => Promise<unknown>): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!isRefused(error, code)) throw error;
  }
}
