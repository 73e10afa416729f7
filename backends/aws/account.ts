// SPDX-License-Identifier: Apache-2.0
// In which account a cluster, a machine or a pool is. An identity can become that of another account: what was made would not be found
// there, and be made twice, or be taken for gone.
import type { AWSClusterSpec } from '../../api/aws/cluster.ts';
import { Reason } from '../../api/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { AWSSession, AWSSessions } from './session/session.ts';

type Opens = Pick<AWSSessions, 'open'>;

/** Where something is, and as whom it was made. */
export interface Home {
  readonly namespace: string;
  /** Name of the TSClusterIdentity. */
  readonly identity: string;
  readonly region: string;
  /** Twelve digits; `undefined` where an older version did not record it: then it is not compared. */
  readonly account: string | undefined;
  /** Ends with the account, for people, such as `this machine was asked for in`. */
  readonly told: string;
}

/**
 * A session where the cluster is. Throws TerminalError(IdentityInvalid) when the identity is of another account than
 * `spec.aws.accountID`, else as {@link AWSSessions.open}.
 */
export function openCluster(
  ctx: Ctx,
  sessions: Opens,
  { namespace, aws }: { readonly namespace: string; readonly aws: AWSClusterSpec },
): Promise<AWSSession> {
  const { identityRef, region, accountID: account } = aws;
  const told = 'spec.aws.accountID of the TSCluster is';
  return openIn(ctx, sessions, { namespace, identity: identityRef.name, region, account, told });
}

/**
 * A session for what was recorded. The cluster may name another identity meanwhile, `now`, and the recorded one be gone or moved: another
 * one of the same account will do. Throws as {@link openCluster}.
 */
export async function openRecorded(
  ctx: Ctx,
  sessions: Opens,
  home: Home,
  now: string | undefined,
): Promise<AWSSession> {
  try {
    return await openIn(ctx, sessions, home);
  } catch (error) {
    if (!(error instanceof TerminalError) || now === undefined || now === home.identity) throw error;
    return openIn(ctx, sessions, { ...home, identity: now });
  }
}

async function openIn(ctx: Ctx, sessions: Opens, home: Home): Promise<AWSSession> {
  const { namespace, identity, region, account, told } = home;
  const session = await sessions.open(ctx, { namespace, identity, region });
  if (account === undefined || session.account === account) return session;
  throw new TerminalError(
    Reason.IdentityInvalid,
    `TSClusterIdentity ${identity} is of account ${session.account}, and ${told} ${account}: nothing is made, changed or deleted. ` +
      `Give the identity credentials of ${account}, or name one that has them in spec.aws.identityRef of the TSCluster`,
  );
}
