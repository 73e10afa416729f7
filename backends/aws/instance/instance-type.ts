// SPDX-License-Identifier: Apache-2.0
import { DescribeInstanceTypesCommand, type InstanceTypeInfo } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { createAnswerCache } from './answer-cache.ts';

/** A type does not change; a day bounds what a wrong answer does. */
const KEEP_MS = 24 * 3_600_000;

/** What EC2 says of instance types. */
export interface InstanceTypes {
  /** Throws TerminalError(InvalidMachine) for a type that the region does not have; `field` says who asks for it. */
  describe(
    ctx: Ctx,
    session: AWSSession,
    type: { readonly name: string; readonly field: string },
  ): Promise<InstanceTypeInfo>;
}

/** Asks once a day for each account and type. */
export function createInstanceTypes(clock: Clock): InstanceTypes {
  const cache = createAnswerCache<InstanceTypeInfo>(clock, KEEP_MS);
  return {
    describe: (ctx, session, { name, field }) =>
      cache.get(ctx, `${session.account} ${session.region} ${name}`, async (asking) => {
        const info = await ask(asking, session, name);
        if (info !== undefined) return info;
        const message = `${field}: region ${session.region} has no instance type ${name}; take one that "aws ec2 describe-instance-types" lists`;
        throw new TerminalError(Reason.InvalidMachine, message);
      }),
  };
}

async function ask(ctx: Ctx, session: AWSSession, name: string): Promise<InstanceTypeInfo | undefined> {
  const command = new DescribeInstanceTypesCommand({ InstanceTypes: [name as never] });
  try {
    return (await session.ec2(ctx, command)).InstanceTypes?.[0];
  } catch (error) {
    if (isRefused(error, 'InvalidInstanceType', 'InvalidInstanceType.', 'InvalidParameterValue'))
      return undefined;
    throw error;
  }
}

/** Architectures of its images, the usual one first: `x86_64`, `arm64`. */
export function architecturesOf(info: InstanceTypeInfo): string[] {
  const all: readonly string[] = info.ProcessorInfo?.SupportedArchitectures ?? [];
  return ['x86_64', 'arm64'].filter((one) => all.includes(one));
}
