// SPDX-License-Identifier: Apache-2.0
// In which account and region a machine is, and as whom we go there.
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { MachineFacts } from '../../backend.ts';
import { openCluster, openRecorded } from '../account.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { choiceOf } from './choice.ts';

/** Throws TerminalError(InvalidMachine) where it is missing. */
export function awsSpecOf({ spec }: MachineFacts): AWSMachineSpec {
  if (spec.aws !== undefined) return spec.aws;
  throw new TerminalError(Reason.InvalidMachine, 'The AWS backend needs spec.aws');
}

/**
 * Where the machine was asked for, else where its cluster is. Throws TerminalError(IdentityInvalid) when the identity is of another
 * account: what is there would not be found, and be made twice.
 */
export async function openSession(
  ctx: Ctx,
  sessions: AWSSessions,
  machine: MachineFacts,
): Promise<AWSSession> {
  const { namespace } = machine;
  const choice = choiceOf(machine.intent);
  const aws = machine.cluster?.aws;
  if (choice === undefined) {
    if (aws !== undefined) return openCluster(ctx, sessions, { namespace, aws });
    const message =
      'Neither a TSCluster nor the create intent says in which region, and as whom; restore the TSCluster';
    throw new TerminalError(Reason.InvalidMachine, message);
  }
  const { region, identity, account } = choice;
  const told = 'this machine was asked for in';
  return openRecorded(ctx, sessions, { namespace, identity, region, account, told }, aws?.identityRef.name);
}
