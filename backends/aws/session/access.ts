// SPDX-License-Identifier: Apache-2.0
// One identity in one region: its credentials, its clients, its account, and the sessions that are made of them.
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { Client, SmithyResolvedConfiguration } from '@smithy/core/client';
import type { HttpHandlerOptions, MetadataBearer } from '@smithy/types';
import { Reason } from '../../../api/conditions.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { AWSIdentity } from '../../cloud-identities.ts';
import type { Caller, Calls } from './calls.ts';
import { type Clients, type Connection, createClients } from './clients.ts';
import { type Credentials, RenewedCredentials } from './credentials.ts';
import { credentialsSource } from './identity.ts';
import type { Service } from './limits.ts';
import { checkRegion, explainFailure } from './region.ts';
import type { AWSSession, Send } from './session.ts';
import { SharedWork } from './shared-work.ts';

/** Which identity, where. */
export interface Who {
  readonly identity: string;
  readonly region: string;
}

export interface AccessDeps {
  readonly clock: Clock;
  readonly calls: Calls;
  readonly connection: Connection;
}

/** What was refused is asked again after this, by whoever comes: not once for each machine. */
const REFUSED_MS = 60_000;
const OPEN_TIMEOUT_MS = 30_000;

/** A session, and how it fares. */
export interface KeptSession {
  readonly session: AWSSession;
  /** Its last call was refused because it may not make it, or AWS does not take its credentials. */
  readonly isDenied: boolean;
}

/** Everything that sessions of one identity in one region share. */
export class Access {
  /** {@link AWSIdentity.key}: another one needs another access. */
  readonly key: string;
  readonly #deps: AccessDeps;
  readonly #who: Who;
  readonly #credentials: Credentials;
  readonly #clients: Clients;
  readonly #opening: SharedWork<string>;
  /** By namespace. */
  readonly #sessions = new Map<string, KeptSession>();
  #account: string | undefined;
  #refused: { readonly error: TerminalError; readonly atMs: number } | undefined;

  constructor(deps: AccessDeps, who: Who, identity: AWSIdentity) {
    const { clock, calls, connection } = deps;
    this.key = identity.key;
    this.#deps = deps;
    this.#who = who;
    const source = credentialsSource({ connection, calls, clock, identity, who });
    this.#credentials = new RenewedCredentials(clock, source);
    this.#clients = createClients(connection, who.region, () => this.#credentials.current());
    this.#opening = new SharedWork({ clock, what: 'opening a session at AWS', timeoutMs: OPEN_TIMEOUT_MS });
  }

  sessions(): Iterable<KeptSession> {
    return this.#sessions.values();
  }

  /** Callers of one namespace share a session, and their turn in the budget. */
  async session(ctx: Ctx, namespace: string): Promise<AWSSession> {
    const known = this.#sessions.get(namespace);
    if (known !== undefined) return known.session;
    const account = await this.#accountOf(ctx);
    const made = keptSession(this.#deps.calls, this.#caller(account, namespace), this.#clients);
    this.#sessions.set(namespace, made);
    return made.session;
  }

  async #accountOf(ctx: Ctx): Promise<string> {
    if (this.#account !== undefined) return this.#account;
    if (this.#refused !== undefined && !hasPassed(this.#deps.clock, this.#refused.atMs, REFUSED_MS))
      throw this.#refused.error;
    return this.#opening.join(ctx, (own) => this.#open(own));
  }

  async #open(ctx: Ctx): Promise<string> {
    const { calls, connection, clock } = this.#deps;
    try {
      this.#account = await this.#ask(ctx);
      return this.#account;
    } catch (error) {
      const told = await explainFailure(ctx, { error, calls, connection, caller: this.#caller('', '') });
      if (told instanceof TerminalError) this.#refused = { error: told, atMs: clock.now().getTime() };
      throw told;
    }
  }

  async #ask(ctx: Ctx): Promise<string> {
    const { calls } = this.#deps;
    const { Account: account } = await calls.call(ctx, this.#caller('', ''), {
      service: 'sts',
      action: 'GetCallerIdentity',
      send: (options) => this.#clients.sts().send(new GetCallerIdentityCommand({}), options),
    });
    if (account === undefined) throw new TransientError('GetCallerIdentity: AWS has not told the account');
    await checkRegion(ctx, { calls, caller: this.#caller(account, ''), client: this.#clients.ec2() });
    return account;
  }

  /** The account is unknown until the first call has told it. */
  #caller(account: string, flow: string): Caller {
    const { identity, region } = this.#who;
    return { account, region, identity, flow, credentials: this.#credentials };
  }
}

function keptSession(calls: Calls, caller: Caller, clients: Clients): KeptSession {
  const { account, region } = caller;
  const kept = { isDenied: false };
  const heard: Pick<Calls, 'call'> = { call: (ctx, who, call) => noted(kept, calls.call(ctx, who, call)) };
  const session: AWSSession = {
    account,
    region,
    ec2: sender(heard, caller, 'ec2', clients.ec2),
    elb: sender(heard, caller, 'elasticloadbalancing', clients.elb),
    autoScaling: sender(heard, caller, 'autoscaling', clients.autoScaling),
    secrets: sender(heard, caller, 'secretsmanager', clients.secrets),
    parameters: sender(heard, caller, 'ssm', clients.parameters),
  };
  return Object.assign(kept, { session });
}

async function noted<T>(kept: { isDenied: boolean }, call: Promise<T>): Promise<T> {
  try {
    const answer = await call;
    kept.isDenied = false;
    return answer;
  } catch (error) {
    // Of a call without a definite answer nothing is learned.
    if (error instanceof TerminalError) kept.isDenied = error.reason === Reason.CloudAccessDenied;
    throw error;
  }
}

/** The calls of one client. */
function sender<In extends object, Out extends MetadataBearer>(
  calls: Pick<Calls, 'call'>,
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
