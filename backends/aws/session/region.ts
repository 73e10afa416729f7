// SPDX-License-Identifier: Apache-2.0
// Whether a region exists, and is enabled in the account.
import { DescribeRegionsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { Caller, Calls } from './calls.ts';
import { type Connection, createClients } from './clients.ts';
import { fixedCredentials } from './credentials.ts';
import { NotSentError } from './reach.ts';
import { isRefused } from './session.ts';

interface Asked {
  readonly calls: Calls;
  readonly caller: Caller;
  /** Of the region, or of another one of the partition. */
  readonly client: EC2Client;
}

/** Throws TerminalError(RegionInvalid). Who may not ask is taken at their word: STS has answered in the region. */
export async function checkRegion(ctx: Ctx, asked: Asked, region = asked.caller.region): Promise<void> {
  const status = await optInStatus(ctx, asked, region);
  if (status === undefined) throw invalid(region, 'AWS has no region of this name');
  if (status === 'not-opted-in')
    throw invalid(region, 'the region is not enabled in the account', 'enable it there');
}

async function optInStatus(
  ctx: Ctx,
  { calls, caller, client }: Asked,
  region: string,
): Promise<string | undefined> {
  try {
    const answer = await calls.call(ctx, caller, {
      service: 'ec2',
      action: 'DescribeRegions',
      send: (options) =>
        client.send(new DescribeRegionsCommand({ AllRegions: true, RegionNames: [region] }), options),
    });
    const found = answer.Regions?.find(({ RegionName: name }) => name === region);
    return found && (found.OptInStatus ?? 'opt-in-not-required');
  } catch (error) {
    if (isRefused(error, 'InvalidParameterValue')) return undefined;
    if (isRefused(error, 'UnauthorizedOperation')) return 'unknown';
    throw error;
  }
}

/**
 * A region that does not exist looks like a name server that does not know it, and one that is not enabled like credentials that AWS does
 * not know. Gives the error that says so, or `error`.
 */
export async function explainFailure(
  ctx: Ctx,
  options: {
    readonly error: unknown;
    readonly calls: Calls;
    readonly connection: Connection;
    readonly caller: Caller;
  },
): Promise<unknown> {
  const { error, calls, connection, caller } = options;
  const { region, credentials } = caller;
  // It is nothing new, and was explained before.
  if (error instanceof NotSentError) return error;
  if (error instanceof TransientError && codeOf(error.cause) === 'ENOTFOUND')
    return invalid(region, 'the name servers know no endpoint of AWS in this region');
  const home = homeOf(region);
  if (home === region || (error instanceof TerminalError && error.reason === Reason.RegionInvalid))
    return error;
  try {
    // AWS tells of all regions in each one that is enabled, and these always are.
    await credentials.get(ctx);
    const identity = credentials.current();
    const client = createClients(connection, home, () => identity).ec2();
    // What the other region says of the credentials is no news of this one.
    const there = { ...caller, region: home, credentials: fixedCredentials(identity, true) };
    await checkRegion(ctx, { calls, caller: there, client }, region);
  } catch (told) {
    if (told instanceof TerminalError && told.reason === Reason.RegionInvalid) return told;
  }
  return error;
}

function codeOf(cause: unknown): unknown {
  return (cause as { code?: unknown } | undefined)?.code;
}

/** A region of the same partition that every account has. */
function homeOf(region: string): string {
  if (region.startsWith('cn-')) return 'cn-north-1';
  return region.startsWith('us-gov-') ? 'us-gov-west-1' : 'us-east-1';
}

function invalid(region: string, what: string, way = 'correct it'): TerminalError {
  return new TerminalError(Reason.RegionInvalid, `spec.aws.region "${region}": ${what}; ${way}`);
}
