// SPDX-License-Identifier: Apache-2.0
// The three dialects that AWS services speak here: EC2's own query form, the query form of the others, and JSON 1.1.
import type { IncomingHttpHeaders } from 'node:http';
import { escapeXML } from './xml.ts';

export type Dialect = 'ec2' | 'query' | 'json';

/** One call of the API, read from an HTTP request. */
export interface APIRequest {
  readonly dialect: Dialect;
  /** As in the scope of the signature: `ec2`, `elasticloadbalancing`, `autoscaling`, `sts`, `secretsmanager`, `ssm`. */
  readonly service: string;
  readonly action: string;
  readonly region: string;
  readonly accessKeyID: string;
  /** When it was signed, in milliseconds since 1970; absent for what needs no signature. */
  readonly signedAt?: number;
  /** Of the form, or the strings and numbers at the top of the JSON. */
  readonly params: URLSearchParams;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A buffered answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What the cloud answers in place of a result; the code is AWS' own. */
export class APIError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const CREDENTIAL = /Credential=([^/,\s]+)\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/;

interface HTTPRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** The call of an HTTP request, or `undefined` for what is not one (moto's own pages). */
export function parseRequest(http: HTTPRequest, body: Buffer): APIRequest | undefined {
  const { method = 'POST', url: path = '/', headers } = http;
  const { service, ...scope } = scopeOf(headers);
  const shared = { ...scope, ...signingTime(headers), method, path, headers, body };
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const action = target.split('.').at(-1) ?? '';
    return { ...shared, dialect: 'json', service, action, params: jsonParams(body) };
  }
  const params = formParams(path, body);
  const action = params.get('Action');
  if (action === null) return undefined;
  return { ...shared, dialect: service === 'ec2' ? 'ec2' : 'query', service, action, params };
}

function scopeOf(headers: IncomingHttpHeaders): { accessKeyID: string; region: string; service: string } {
  const scope = CREDENTIAL.exec(headers.authorization ?? '');
  // Only AssumeRoleWithWebIdentity and its like come without a signature.
  const [, accessKeyID = '', region = 'us-east-1', service = 'sts'] = scope ?? [];
  return { accessKeyID, region, service };
}

function formParams(path: string, body: Buffer): URLSearchParams {
  if (body.length > 0) return new URLSearchParams(body.toString('utf8'));
  return new URL(path, 'http://proxy').searchParams;
}

function jsonParams(body: Buffer): URLSearchParams {
  const params = new URLSearchParams();
  try {
    for (const [name, value] of Object.entries(JSON.parse(body.toString('utf8')) as object))
      if (typeof value === 'string' || typeof value === 'number') params.set(name, String(value));
  } catch {
    // Moto says what is wrong with it.
  }
  return params;
}

function signingTime(headers: IncomingHttpHeaders): { signedAt?: number } {
  const date = headers['x-amz-date'];
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(typeof date === 'string' ? date : '');
  if (parts === null) return {};
  const [year = 0, month = 1, ...others] = parts.slice(1).map(Number);
  return { signedAt: Date.UTC(year, month - 1, ...others) };
}

/** The same call with other parameters. Moto does not check signatures, so the old one may stay. */
export function withParams(request: APIRequest, params: URLSearchParams): APIRequest {
  return { ...request, params, method: 'POST', path: '/', body: Buffer.from(params.toString()) };
}

/** `InstanceId.1=a&InstanceId.2=b` -> `[a, b]`. */
export function listParam(params: URLSearchParams, name: string): string[] {
  const values: string[] = [];
  for (let index = 1; ; index++) {
    const value = params.get(`${name}.${index}`) ?? params.get(`${name}.member.${index}`);
    if (value === null) return values;
    values.push(value);
  }
}

let requests = 0;

/** The error as the service of the request would write it. */
export function errorAnswer(dialect: Dialect, error: APIError): Answer {
  const { status, code, message } = error;
  const id = `proxy-${++requests}`;
  if (dialect === 'json') {
    const body = JSON.stringify({ __type: code, message });
    return answerOf(status, 'application/x-amz-json-1.1', body, { 'x-amzn-errortype': code });
  }
  const inner = `<Code>${escapeXML(code)}</Code><Message>${escapeXML(message)}</Message>`;
  if (dialect === 'ec2') {
    const errors = `<Errors><Error>${inner}</Error></Errors><RequestID>${id}</RequestID>`;
    return answerOf(status, 'text/xml;charset=UTF-8', `<?xml version="1.0"?><Response>${errors}</Response>`);
  }
  const type = `<Type>${status < 500 ? 'Sender' : 'Receiver'}</Type>`;
  const body = `<ErrorResponse><Error>${type}${inner}</Error><RequestId>${id}</RequestId></ErrorResponse>`;
  return answerOf(status, 'text/xml', body);
}

/** An answer with a text body. */
export function answerOf(
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers: { 'content-type': type, ...headers }, body: Buffer.from(text) };
}

/** The error code of an answer, empty when it is none. */
export function codeOf(answer: Answer): string {
  if (answer.status < 400) return '';
  const text = answer.body.toString('utf8', 0, 4096);
  const code = /<Code>([^<]+)<\/Code>/.exec(text) ?? /"__type"\s*:\s*"(?:[^"]*#)?([^"]+)"/.exec(text);
  return code?.[1] ?? String(answer.status);
}
