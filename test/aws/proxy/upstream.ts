// SPDX-License-Identifier: Apache-2.0
// The way to moto: kept connections, streamed or buffered answers, and questions of the proxy's own.
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { type Answer, APIError, type APIRequest, codeOf } from './protocol.ts';
import { type Element, parseXML } from './xml.ts';

/** Whose world a question is about. */
export interface Caller {
  readonly accessKeyID: string;
  readonly region: string;
}

export interface Upstream {
  /** Sends a call and gives the answer as it begins. */
  open(request: Pick<APIRequest, 'method' | 'path' | 'headers' | 'body'>): Promise<IncomingMessage>;
  /** Sends a call and gives the whole answer. */
  send(request: Pick<APIRequest, 'method' | 'path' | 'headers' | 'body'>): Promise<Answer>;
  /** Asks moto itself, past every rule and count. Throws the APIError that it answers. */
  ask(caller: Caller, question: Question): Promise<Element>;
  /** The same for JSON services. */
  askJSON(caller: Caller, question: JSONQuestion): Promise<unknown>;
  close(): void;
}

export interface Question {
  readonly service: 'ec2' | 'elasticloadbalancing' | 'autoscaling';
  readonly action: string;
  readonly params?: Readonly<Record<string, string>>;
}

export interface JSONQuestion {
  readonly service: 'secretsmanager' | 'ssm';
  readonly action: string;
  readonly input: object;
}

const VERSIONS = {
  ec2: '2016-11-15',
  elasticloadbalancing: '2015-12-01',
  autoscaling: '2011-01-01',
} as const;
const TARGETS = { secretsmanager: 'secretsmanager', ssm: 'AmazonSSM' } as const;

/** `url` is moto's. */
export function upstream(url: string): Upstream {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { hostname, port } = new URL(url);
  const open: Upstream['open'] = ({ method, path, headers, body }) =>
    new Promise((resolve, reject) => {
      const own = { ...headers, host: `${hostname}:${port}`, 'content-length': String(body.length) };
      for (const name of ['connection', 'transfer-encoding', 'expect'])
        delete (own as Record<string, unknown>)[name];
      const sent = httpRequest({ agent, hostname, port, method, path, headers: own }, resolve);
      sent.once('error', reject);
      sent.end(body);
    });
  const send: Upstream['send'] = async (request) => bufferAnswer(await open(request));
  return {
    open,
    send,
    async ask(caller, { service, action, params = {} }) {
      const form = new URLSearchParams({ Action: action, Version: VERSIONS[service], ...params });
      const type = 'application/x-www-form-urlencoded';
      const answer = await send(ownCall(caller, service, type, form.toString()));
      return parseXML(requireResult(action, answer));
    },
    async askJSON(caller, { service, action, input }) {
      const call = ownCall(caller, service, 'application/x-amz-json-1.1', JSON.stringify(input));
      const headers = { ...call.headers, 'x-amz-target': `${TARGETS[service]}.${action}` };
      const answer = await send({ ...call, headers });
      return JSON.parse(requireResult(action, answer)) as unknown;
    },
    close: () => agent.destroy(),
  };
}

/** Moto reads account, region and service from the signature's scope, and does not check the signature. */
function ownCall(caller: Caller, service: string, type: string, body: string) {
  const scope = `${caller.accessKeyID}/20260101/${caller.region}/${service}/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
  const headers = { authorization, 'content-type': type };
  return { method: 'POST', path: '/', headers, body: Buffer.from(body) };
}

function requireResult(action: string, answer: Answer): string {
  const text = answer.body.toString('utf8');
  if (answer.status < 400) return text;
  const message = /<Message>([^<]*)/.exec(text)?.[1] ?? text.slice(0, 300);
  throw new APIError(answer.status, codeOf(answer), `${action}: ${message}`);
}

async function bufferAnswer(message: IncomingMessage): Promise<Answer> {
  const body = await readAll(message);
  return { status: message.statusCode ?? 500, headers: plainHeaders(message), body };
}

/** What may be passed on: not what belongs to one connection or to a body that may be rewritten. */
export function plainHeaders(message: IncomingMessage): Record<string, string> {
  const left = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date', 'server']);
  return Object.fromEntries(
    Object.entries(message.headers)
      .filter(([name, value]) => !left.has(name) && value !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value as string)]),
  );
}

/** The whole body of a message. */
export async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
