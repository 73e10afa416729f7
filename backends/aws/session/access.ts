// SPDX-License-Identifier: Apache-2.0
// One identity in one region: its credentials, its clients, its account, and the sessions that are made of them.
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { Client, SmithyResolvedConfiguration } from '@smithy/core/client';
import type { HttpHandlerOptions, MetadataBearer } from '@smithy/types';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { AWSIdentity } from '../../cloud-identities.ts';
import type { Caller, Calls } from './calls.ts';
import { type Clients, type Connection, createClients } from './clients.ts';
import { type Credentials, RenewedCredentials } from './credentials.ts';
import { Denials } from './denials.ts';
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

/** Everything that sessions of one identity in one region share. */
export class Access {
  /** {@link AWSIdentity.key}: another one needs another access. */
  readonly key: string;
  readonly denials: Denials;
  readonly #deps: AccessDeps;
  readonly #who: Who;
  readonly #credentials: Credentials;
  readonly #clients: Clients;
  readonly #opening: SharedWork<string>;
  /** By namespace. */
  readonly #sessions = new Map<string, AWSSession>();
  #account: string | undefined;
  #refused: { readonly error: TerminalError; readonly atMs: number } | undefined;

  constructor(deps: AccessDeps, who: Who, identity: AWSIdentity) {
    const { clock, calls, connection } = deps;
    this.key = identity.key;
    this.denials = new Denials(clock);
    this.#deps = deps;
    this.#who = who;
    const source = credentialsSource({ connection, calls, clock, identity, who });
    this.#credentials = new RenewedCredentials(clock, source);
    this.#clients = createClients(connection, who.region, () => this.#credentials.current());
    this.#opening = new SharedWork({ clock, what: 'opening a session at AWS', timeoutMs: OPEN_TIMEOUT_MS });
  }

  sessions(): Iterable<AWSSession> {
    return this.#sessions.values();
  }

  /** Callers of one namespace share a session, and their turn in the budget. */
  async session(ctx: Ctx, namespace: string): Promise<AWSSession> {
    const known = this.#sessions.get(namespace);
    if (known !== undefined) return known;
    const account = await this.#accountOf(ctx);
    const { calls } = this.#deps;
    const heard: Pick<Calls, 'call'> = {
      call: (own, who, call) => this.denials.note(call.action, calls.call(own, who, call)),
    };
    const made = sessionOf(heard, this.#caller(account, namespace), this.#clients);
    this.#sessions.set(namespace, made);
    return made;
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

function sessionOf(calls: Pick<Calls, 'call'>, caller: Caller, clients: Clients): AWSSession {
  const { account, region } = caller;
  return {
    account,
    region,
    ec2: sender(calls, caller, 'ec2', clients.ec2),
    elb: sender(calls, caller, 'elasticloadbalancing', clients.elb),
    autoScaling: sender(calls, caller, 'autoscaling', clients.autoScaling),
    secrets: sender(calls, caller, 'secretsmanager', clients.secrets),
    parameters: sender(calls, caller, 'ssm', clients.parameters),
    queues: sender(calls, caller, 'sqs', clients.queues),
  };
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
