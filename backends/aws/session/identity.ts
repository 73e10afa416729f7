// SPDX-License-Identifier: Apache-2.0
// From a TSClusterIdentity to credentials: where they begin, and the roles that are assumed from there.
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import type { AWSRole } from '../../../api/tsclusteridentity.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { AWSIdentity } from '../../cloud-identities.ts';
import type { Calls } from './calls.ts';
import { type Connection, createClients } from './clients.ts';
import { type CredentialsSource, fixedCredentials, type Lease } from './credentials.ts';

export interface IdentitySource {
  readonly connection: Connection;
  readonly calls: Calls;
  readonly clock: Clock;
  readonly identity: AWSIdentity;
  readonly who: { readonly identity: string; readonly region: string };
}

const SESSION_NAME = 'ts-provider';
const SESSION_SECONDS = 3_600;

/** Credentials of the identity. Each role is assumed with those of the one before it, at the STS of the region. */
export function credentialsSource(options: IdentitySource): CredentialsSource {
  const base = baseSource(options);
  return async (ctx, refresh) => {
    let lease = await base(ctx, refresh);
    for (const role of options.identity.roles)
      lease = await assume(ctx, options, { by: lease, role, refresh });
    return lease;
  };
}

function baseSource({ identity: { source }, connection, clock, who }: IdentitySource): CredentialsSource {
  if (source.kind === 'static') {
    const { accessKeyID: accessKeyId, secretAccessKey, sessionToken } = source;
    const identity = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
    return async () => ({ identity });
  }
  const chain = fromNodeProviderChain({
    clientConfig: {
      region: who.region,
      ...(connection.endpoint !== undefined && { endpoint: connection.endpoint }),
    },
  });
  return async (_ctx, refresh) => {
    try {
      const identity = await chain({ forceRefresh: refresh });
      const { expiration } = identity;
      if (expiration === undefined) return { identity };
      return { identity, lifeMs: Math.max(0, expiration.getTime() - clock.now().getTime()) };
    } catch (error) {
      throw noCredentials(error, who.identity);
    }
  };
}

/** What the chain says names what it has tried, and may name files: only whether it found nothing is passed on. */
function noCredentials(error: unknown, identity: string): Error {
  const { name = 'unknown error' } = error as { name?: string };
  if (name !== 'CredentialsProviderError')
    return new TransientError(`the credentials of the manager for AWS could not be obtained (${name})`);
  return new TerminalError(
    Reason.CloudAccessDenied,
    `TSClusterIdentity "${identity}" uses the credentials of the manager, and the manager has none for AWS; ` +
      'give its service account or its instance a role, or make an identity with source: Secret',
  );
}

interface Step {
  readonly by: Lease;
  readonly role: AWSRole;
  /** Other credentials of the chain were refused just now. */
  readonly refresh: boolean;
}

async function assume(ctx: Ctx, options: IdentitySource, { by, role, refresh }: Step): Promise<Lease> {
  const { connection, calls, who } = options;
  const seconds = role.durationSeconds ?? SESSION_SECONDS;
  const input = {
    RoleArn: role.arn,
    RoleSessionName: role.sessionName ?? SESSION_NAME,
    DurationSeconds: seconds,
    ...(role.externalID !== undefined && { ExternalId: role.externalID }),
  };
  const sts = createClients(connection, who.region, () => by.identity).sts();
  const caller = {
    ...{ account: '', region: who.region, identity: who.identity, flow: '' },
    credentials: fixedCredentials(by.identity, refresh),
  };
  const { Credentials: made } = await calls.call(ctx, caller, {
    service: 'sts',
    action: 'AssumeRole',
    send: (sending) => sts.send(new AssumeRoleCommand(input), sending),
  });
  if (
    made?.AccessKeyId === undefined ||
    made.SecretAccessKey === undefined ||
    made.SessionToken === undefined
  )
    throw new TransientError('AssumeRole: AWS has given no credentials');
  return {
    identity: {
      ...{ accessKeyId: made.AccessKeyId, secretAccessKey: made.SecretAccessKey },
      sessionToken: made.SessionToken,
    },
    lifeMs: seconds * 1_000,
  };
}
