// SPDX-License-Identifier: Apache-2.0
// Security groups that the spec names. They are looked up, and never changed.
import type { ResourceReference } from '../../../api/aws/filters.ts';
import type { AWSNetwork } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import { toFilters } from './existing.ts';
import { securityGroupsBy, together } from './observation.ts';
import type { SecurityGroup } from './parts.ts';
import type { GroupRole } from './rules.ts';

/** Ids of the groups that the spec gives a role. TerminalError(SecurityGroupInvalid) names the field. */
export async function existingGroups(
  ctx: Ctx,
  session: AWSSession,
  { securityGroups = {} }: AWSNetwork,
  vpcID: string,
): Promise<Partial<Record<GroupRole, readonly string[]>>> {
  const roles = (['controlPlane', 'nodes', 'loadBalancer'] as const).filter(
    (role) => securityGroups[role] !== undefined,
  );
  const found = await together(
    roles.map((role) =>
      groupsOf(ctx, session, {
        references: securityGroups[role] ?? [],
        vpcID,
        field: `spec.aws.network.securityGroups.${role}`,
      }),
    ),
  );
  return Object.fromEntries(roles.map((role, index) => [role, found[index]]));
}

interface Wanted {
  readonly references: readonly ResourceReference[];
  readonly vpcID: string;
  /** For messages. */
  readonly field: string;
}

/** Ids of all groups that are referred to, each once. One call for all that are given by id. */
async function groupsOf(
  ctx: Ctx,
  session: AWSSession,
  { references, vpcID, field }: Wanted,
): Promise<string[]> {
  const ids = references.flatMap(({ id }) => id ?? []);
  const byID =
    ids.length === 0 ? [] : await securityGroupsBy(ctx, session, [{ Name: 'group-id', Values: ids }]);
  const found = references.map(async (reference, index) => {
    const where = `${field}[${index}]`;
    if (reference.id !== undefined) return [requireGroup(byID, reference.id, { vpcID, where })];
    const inVPC = [...toFilters(reference), { Name: 'vpc-id', Values: [vpcID] }];
    const groups = await securityGroupsBy(ctx, session, inVPC);
    if (groups.length > 0) return groups.map(({ id }) => id);
    throw invalid(`${where}: no security group of ${vpcID} matches the filters`);
  });
  return [...new Set((await together(found)).flat())];
}

function requireGroup(
  groups: readonly SecurityGroup[],
  id: string,
  { vpcID, where }: { readonly vpcID: string; readonly where: string },
): string {
  const group = groups.find((one) => one.id === id);
  if (group === undefined) throw invalid(`${where}: there is no security group ${id}`);
  if (group.vpcID === vpcID) return id;
  throw invalid(`${where}: the security group ${id} is of ${group.vpcID}, and the cluster is in ${vpcID}`);
}

function invalid(message: string): TerminalError {
  return new TerminalError(Reason.SecurityGroupInvalid, message);
}
