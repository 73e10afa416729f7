// SPDX-License-Identifier: Apache-2.0
// The way of one call: read, faults, rules, moto, answer, count.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Accounts } from './accounts.ts';
import type { Behaviour } from './behaviour.ts';
import type { CallLog } from './calls.ts';
import { faultError, type FaultKind, type Faults, skewError } from './faults.ts';
import { type Answer, APIError, type APIRequest, codeOf, errorAnswer, parseRequest } from './protocol.ts';
import type { Exchange, Next, Rule } from './rule.ts';
import { plainHeaders, readAll, type Upstream } from './upstream.ts';

/** Everything that calls meet on their way. */
export interface World {
  readonly upstream: Upstream;
  readonly log: CallLog;
  readonly faults: Faults;
  readonly behaviour: Behaviour;
  readonly accounts: Accounts;
  /** Outermost first. */
  readonly rules: readonly Rule[];
  now(): number;
}

/** What became of a call; status 0 when the connection was cut. */
interface Outcome {
  readonly status: number;
  readonly code: string;
}

/** Answers one HTTP request. */
export async function serve(world: World, http: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readAll(http);
  const request = parseRequest(http, body);
  if (request === undefined) {
    const { method = 'GET', url: path = '/', headers } = http;
    return void (await stream(world, { method, path, headers, body }, response));
  }
  const at = world.now();
  const start = performance.now();
  const { service, action, accessKeyID } = request;
  const outcome = await answerCall(world, request, response).catch(async (error: unknown) => {
    const said = error instanceof APIError ? error : broken(error);
    const answer = errorAnswer(request.dialect, said);
    await write(world, answer, response);
    return { status: said.status, code: said.code };
  });
  world.log.add({ at, service, action, accessKeyID, ...outcome, tookMs: performance.now() - start });
}

/** Moto is gone, or a rule is wrong: the test should fail with a message that says so. */
function broken(error: unknown): APIError {
  return new APIError(
    502,
    'ProxyError',
    error instanceof Error ? (error.stack ?? error.message) : String(error),
  );
}

async function answerCall(world: World, request: APIRequest, response: ServerResponse): Promise<Outcome> {
  const faults = world.faults.take(request);
  await waitFor(faults, 'request');
  if (faults.some(({ kind }) => kind === 'lostRequest')) return cut(response);
  for (const fault of faults) {
    const error = faultError(fault, request.dialect);
    if (error !== undefined) throw error;
  }
  const skewed = skewError(request, Date.now() + world.behaviour.clockSkewMs);
  if (skewed !== undefined) throw skewed;
  const exchange = exchangeOf(world, request);
  const rules = rulesFor(world, exchange);
  // Whatever hits the answer needs it whole.
  if (rules.length === 0 && faults.length === 0) return stream(world, request, response);
  const answer = await chain(world, exchange, rules)(request).catch(asAnswer(request));
  await waitFor(faults, 'answer');
  if (faults.some(({ kind }) => kind === 'lostResponse')) return cut(response);
  return write(world, answer, response);
}

/** A refusal is an answer, that faults may still hit. */
function asAnswer(request: APIRequest): (error: unknown) => Answer {
  return (error) => {
    if (error instanceof APIError) return errorAnswer(request.dialect, error);
    throw error;
  };
}

async function waitFor(faults: readonly FaultKind[], before: 'request' | 'answer'): Promise<void> {
  for (const fault of faults)
    if (fault.kind === 'slow' && (fault.before ?? 'request') === before) await delay(fault.delayMs);
}

function cut(response: ServerResponse): Outcome {
  response.socket?.resetAndDestroy();
  return { status: 0, code: '' };
}

function exchangeOf(world: World, request: APIRequest): Exchange {
  const { accessKeyID, region } = request;
  return {
    request,
    account: world.accounts.of(accessKeyID),
    behaviour: world.behaviour,
    now: world.now,
    ask: (question) => world.upstream.ask({ accessKeyID, region }, question),
  };
}

function rulesFor(world: World, exchange: Exchange): Rule[] {
  const { service, action } = exchange.request;
  return world.rules
    .filter(({ actions }) => actions.includes(`${service}.${action}`))
    .filter((rule) => rule.applies?.(exchange) ?? true);
}

function chain(world: World, exchange: Exchange, rules: readonly Rule[]): Next {
  const last: Next = (request) => world.upstream.send(request);
  return rules.reduceRight<Next>(
    (next, rule) => (request) => rule.handle({ ...exchange, request }, next),
    last,
  );
}

type Sendable = Pick<APIRequest, 'method' | 'path' | 'headers' | 'body'>;

async function stream(world: World, request: Sendable, response: ServerResponse): Promise<Outcome> {
  const answer = await world.upstream.open(request);
  const status = answer.statusCode ?? 502;
  const headers = plainHeaders(answer);
  // Errors are read for their code; they are small.
  if (status >= 400) return write(world, { status, headers, body: await readAll(answer) }, response);
  response.writeHead(status, { ...headers, ...date(world) });
  await pipeline(answer, response).catch(() => undefined); // The client may leave in between.
  return { status, code: '' };
}

async function write(world: World, answer: Answer, response: ServerResponse): Promise<Outcome> {
  const length = { 'content-length': String(answer.body.length) };
  response.writeHead(answer.status, { ...answer.headers, ...length, ...date(world) });
  response.end(answer.body);
  return { status: answer.status, code: codeOf(answer) };
}

/** By this an SDK corrects its clock. */
function date({ behaviour }: World): { date: string } {
  return { date: new Date(Date.now() + behaviour.clockSkewMs).toUTCString() };
}
