// SPDX-License-Identifier: Apache-2.0
// Opens sessions and keeps them: credentials, clients and the account of one identity in one region.
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { Client, SmithyResolvedConfiguration } from '@smithy/core/client';
import type { HttpHandlerOptions, MetadataBearer } from '@smithy/types';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import type { AWSIdentity, CloudIdentities } from '../../cloud-identities.ts';
import { type Caller, type Calls, createCalls } from './caller.ts';
import { type Clients, createClients, createConnection } from './clients.ts';
import { createCredentials, type Credentials, untilAborted } from './credentials.ts';
import { credentialsSource } from './identity.ts';
import type { Service } from './limits.ts';
import { checkRegion, explainFailure } from './region.ts';
import type { AWSSession, AWSSessions, Send } from './session.ts';

export interface AWSSessionsDeps {
  readonly identities: CloudIdentities;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Replaces the endpoints of all services and regions. */
  readonly endpoint?: string;
  /** 0 to 1; spreads who was held back. */
  readonly random?: () => number;
}

/** Who is meant by a session. */
type Who = Parameters<AWSSessions['open']>[1];

/** What all sessions of one identity in one region share. */
interface Access {
  readonly key: string;
  readonly who: Who;
  readonly credentials: Credentials;
  readonly clients: Clients;
  /** By namespace. */
  readonly sessions: Map<string, AWSSession>;
  account: Promise<string> | undefined;
  refused: { readonly error: TerminalError; readonly atMs: number } | undefined;
  usedMs: number;
}

/** A session that cannot be opened is tried again after this, by whoever asks: not once for each machine. */
const REFUSED_MS = 60_000;
const FORGET_MS = 3_600_000;
const OPEN_TIMEOUT_MS = 30_000;

/** Nothing is asked before the first `open`. */
export function createAWSSessions(deps: AWSSessionsDeps): AWSSessions {
  const { clock, identities } = deps;
  const connection = createConnection(deps.endpoint);
  const calls = createCalls({ clock, metrics: deps.metrics, random: deps.random ?? Math.random });
  /** By identity and region. */
  const accesses = new Map<string, Access>();
  const nowMs = (): number => clock.now().getTime();

  return {
    async open(ctx, who) {
      const identity = await identities.aws(ctx, { namespace: who.namespace, name: who.identity });
      const access = accessOf(identity, who);
      access.usedMs = nowMs();
      const known = access.sessions.get(who.namespace);
      if (known !== undefined) return known;
      const account = await accountOf(ctx, access);
      const session = sessionOf(calls, { ...callerOf(access, account), flow: who.namespace }, access.clients);
      access.sessions.set(who.namespace, session);
      return session;
    },
    all() {
      const found = new Map<string, AWSSession>();
      const byUse = [...accesses.values()].sort((a, b) => a.usedMs - b.usedMs);
      for (const { sessions } of byUse) {
        for (const session of sessions.values()) found.set(`${session.account} ${session.region}`, session);
      }
      return [...found.values()];
    },
    close() {
      accesses.clear();
      connection.close();
    },
  };

  /** Credentials that have changed make a new one. */
  function accessOf(identity: AWSIdentity, who: Who): Access {
    const name = `${who.identity} ${who.region}`;
    const known = accesses.get(name);
    if (known?.key === identity.key) return known;
    for (const [other, { usedMs }] of accesses)
      if (hasPassed(clock, usedMs, FORGET_MS)) accesses.delete(other);
    const credentials = createCredentials(
      clock,
      credentialsSource({ connection, calls, clock, identity, who }),
    );
    const clients = createClients(connection, who.region, () => credentials.current());
    const access: Access = {
      ...{ key: identity.key, who, credentials, clients, sessions: new Map() },
      ...{ account: undefined, refused: undefined, usedMs: nowMs() },
    };
    accesses.set(name, access);
    return access;
  }

  /** One question for all who open at once; a failure is not kept, unless it is a definite one. */
  async function accountOf(ctx: Ctx, access: Access): Promise<string> {
    const { refused } = access;
    if (refused !== undefined && !hasPassed(clock, refused.atMs, REFUSED_MS)) throw refused.error;
    access.account ??= askedFor(ctx, access);
    return untilAborted(ctx, access.account);
  }

  async function askedFor(ctx: Ctx, access: Access): Promise<string> {
    const abort = new AbortController();
    const late = new TransientError(`no answer from AWS within ${OPEN_TIMEOUT_MS / 1_000} s`);
    const cancel = clock.schedule(() => abort.abort(late), OPEN_TIMEOUT_MS);
    const own = { ...ctx, signal: abort.signal };
    try {
      return await ask(own, access);
    } catch (error) {
      access.account = undefined;
      const told = await explainFailure(own, { error, calls, connection, caller: callerOf(access, '') });
      if (told instanceof TerminalError) access.refused = { error: told, atMs: nowMs() };
      throw told;
    } finally {
      cancel();
    }
  }

  async function ask(ctx: Ctx, access: Access): Promise<string> {
    const caller = callerOf(access, '');
    const { Account: account } = await calls.call(ctx, caller, {
      service: 'sts',
      action: 'GetCallerIdentity',
      send: (options) => access.clients.sts().send(new GetCallerIdentityCommand({}), options),
    });
    if (account === undefined) throw new TransientError('GetCallerIdentity: AWS has not told the account');
    await checkRegion(ctx, { calls, caller: { ...caller, account }, client: access.clients.ec2() });
    return account;
  }
}

/** Of which account it is, is learned by the first call. */
function callerOf({ who, credentials }: Access, account: string): Caller {
  return { account, region: who.region, identity: who.identity, flow: who.namespace, credentials };
}

function sessionOf(calls: Calls, caller: Caller, clients: Clients): AWSSession {
  const { account, region } = caller;
  return {
    account,
    region,
    ec2: sender(calls, caller, 'ec2', clients.ec2),
    elb: sender(calls, caller, 'elasticloadbalancing', clients.elb),
    autoScaling: sender(calls, caller, 'autoscaling', clients.autoScaling),
    secrets: sender(calls, caller, 'secretsmanager', clients.secrets),
    parameters: sender(calls, caller, 'ssm', clients.parameters),
  };
}

/** The calls of one client. */
function sender<In extends object, Out extends MetadataBearer>(
  calls: Calls,
  caller: Caller,
  service: Service,
  client: () => Pick<
    Client<HttpHandlerOptions, In, Out, SmithyResolvedConfiguration<HttpHandlerOptions>>,
    'send'
  >,
): Send<In, Out, HttpHandlerOptions> {
  return (ctx, command) =>
    calls.call(ctx, caller, {
      service,
      action: command.constructor.name.replace(/Command$/, ''),
      send: (options) => client().send(command, options),
    });
}
