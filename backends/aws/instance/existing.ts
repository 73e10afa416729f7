// SPDX-License-Identifier: Apache-2.0
// Subnets and security groups that a machine names: by id or filters, in the VPC of its cluster.
import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, type Filter } from '@aws-sdk/client-ec2';
import type { ResourceReference } from '../../../api/aws/filters.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { NetworkFacts, Subnet } from '../network/facts.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { createAnswerCache } from './answer-cache.ts';

const KEEP_MS = 5 * 60_000;

/** A reference, and the field of the spec that has it. */
export interface Reference {
  readonly reference: ResourceReference;
  readonly field: string;
}

type Place = Pick<Subnet, 'id' | 'availabilityZone' | 'vpcID'>;

/** Answers are kept for 5 minutes. */
export interface ExistingResources {
  /** Sorted by id. Throws TerminalError(SubnetInvalid) when there is none, or it is in another VPC than the cluster. */
  subnets(ctx: Ctx, session: AWSSession, facts: NetworkFacts, asked: Reference): Promise<readonly Place[]>;
  /** Ids, sorted. Throws TerminalError(SecurityGroupInvalid) when there is none. */
  securityGroups(
    ctx: Ctx,
    session: AWSSession,
    facts: NetworkFacts,
    asked: Reference,
  ): Promise<readonly string[]>;
}

export function createExistingResources(clock: Clock): ExistingResources {
  const subnets = createAnswerCache<readonly Place[]>(clock, KEEP_MS);
  const groups = createAnswerCache<readonly string[]>(clock, KEEP_MS);
  const keyOf = (session: AWSSession, vpcID: string, asked: Reference) =>
    `${session.account} ${session.region} ${vpcID} ${JSON.stringify(asked)}`;
  return {
    async subnets(ctx, session, facts, asked) {
      const known = facts.subnets.find(({ id }) => id === asked.reference.id);
      if (known !== undefined) return [known];
      return subnets.get(ctx, keyOf(session, facts.vpcID, asked), (asking) =>
        findSubnets(asking, session, facts.vpcID, asked),
      );
    },
    async securityGroups(ctx, session, facts, asked) {
      const { id } = asked.reference;
      // EC2 refuses a group of another VPC by itself, and names it.
      if (id !== undefined) return [id];
      return groups.get(ctx, keyOf(session, facts.vpcID, asked), (asking) =>
        findGroups(asking, session, facts.vpcID, asked),
      );
    },
  };
}

async function findSubnets(ctx: Ctx, session: AWSSession, vpcID: string, asked: Reference): Promise<Place[]> {
  const { reference, field } = asked;
  const byFilters = { Filters: inVPC(reference, vpcID) };
  const query = reference.id === undefined ? byFilters : { SubnetIds: [reference.id] };
  const found = await session
    .ec2(ctx, new DescribeSubnetsCommand(query))
    .then(({ Subnets = [] }) => Subnets)
    .catch((error: unknown) => {
      if (isRefused(error, 'InvalidSubnetID.')) return [];
      throw error;
    });
  const [first] = found;
  if (first === undefined) {
    const what =
      reference.id === undefined
        ? `VPC ${vpcID} has no subnet that matches the filters`
        : `region ${session.region} has no subnet ${reference.id}`;
    throw new TerminalError(
      Reason.SubnetInvalid,
      `${field}: ${what}; name one of the subnets of the cluster`,
    );
  }
  if (first.VpcId !== vpcID) {
    const message = `${field}: subnet ${first.SubnetId} is in VPC ${first.VpcId}, the cluster is in VPC ${vpcID}`;
    throw new TerminalError(Reason.SubnetInvalid, `${message}; name a subnet of the VPC of the cluster`);
  }
  return found
    .map(({ SubnetId = '', AvailabilityZone = '' }) => ({
      id: SubnetId,
      availabilityZone: AvailabilityZone,
      vpcID,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function findGroups(ctx: Ctx, session: AWSSession, vpcID: string, asked: Reference): Promise<string[]> {
  const command = new DescribeSecurityGroupsCommand({ Filters: inVPC(asked.reference, vpcID) });
  const { SecurityGroups = [] } = await session.ec2(ctx, command);
  if (SecurityGroups.length > 0) return SecurityGroups.map(({ GroupId = '' }) => GroupId).sort();
  const message = `${asked.field}: VPC ${vpcID} has no security group that matches the filters`;
  throw new TerminalError(Reason.SecurityGroupInvalid, `${message}; mend them`);
}

function inVPC({ filters = [] }: ResourceReference, vpcID: string): Filter[] {
  const asked = filters.map(({ name, values }) => ({ Name: name, Values: [...values] }));
  return [...asked, { Name: 'vpc-id', Values: [vpcID] }];
}
