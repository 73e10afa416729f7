// SPDX-License-Identifier: Apache-2.0
// What an instance of EC2 reaches: its metadata service (version 2), and AWS, which looks at signatures before it answers.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignatureV4 } from '@smithy/signature-v4';

export interface InstanceServices {
  /** Both the metadata service and the endpoint of every service. */
  readonly url: string;
  /** `<action> <status>`, in order. */
  readonly calls: readonly string[];
  /** The next so many calls of AWS (of this action) are answered with this status. */
  fail(times: number, status: number, action?: string): void;
  stop(): Promise<void>;
}

const ROLE = { AccessKeyId: 'ASIAINSTANCE', SecretAccessKey: 'secret-of-the-role', Token: 'session-token' };

/** Starts them on loopback; calls that are signed as they shall be are passed on to `upstream`. */
export async function startInstanceServices(upstream: string): Promise<InstanceServices> {
  const calls: string[] = [];
  const tokens = new Set<string>();
  const failing = { times: 0, status: 503, action: '' };

  async function aws(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const [, action = ''] = String(request.headers['x-amz-target']).split('.');
    const answer = (status: number, text: string): void => {
      calls.push(`${action} ${status}`);
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(text);
    };
    if (action.startsWith(failing.action) && failing.times-- > 0)
      return answer(failing.status, '{"__type":"Failing"}');
    if (!(await isSigned(request, body))) return answer(403, '{"__type":"InvalidSignatureException"}');
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !['connection', 'content-length'].includes(name)),
    ) as Record<string, string>;
    const passed = await fetch(`${upstream}/`, { method: 'POST', body, headers });
    answer(passed.status, await passed.text());
  }

  function metadata(request: IncomingMessage, response: ServerResponse): void {
    const end = (status: number, text = ''): void => void response.writeHead(status).end(text);
    if (request.method === 'PUT') {
      const token = randomUUID();
      tokens.add(token);
      return end(200, token);
    }
    if (!tokens.has(String(request.headers['x-aws-ec2-metadata-token']))) return end(401);
    const path = request.url?.replace('/latest/meta-data/', '');
    if (path === 'services/domain') return end(200, 'amazonaws.com');
    if (path === 'iam/security-credentials/') return end(200, 'nodes');
    return path === 'iam/security-credentials/nodes' ? end(200, JSON.stringify(ROLE)) : end(404);
  }

  const server = createServer((request, response) => {
    if (request.url?.startsWith('/latest/') === true) metadata(request, response);
    else aws(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    fail: (times, status, action = '') => void Object.assign(failing, { times, status, action }),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Signs the same request with the SDK's own signer, and compares. */
async function isSigned(request: IncomingMessage, body: Buffer): Promise<boolean> {
  const authorization = String(request.headers.authorization);
  const [, region = '', service = ''] = /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//.exec(authorization) ?? [];
  const [, names = ''] = /SignedHeaders=([^,]+)/.exec(authorization) ?? [];
  const date = String(request.headers['x-amz-date']);
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: ROLE.AccessKeyId,
      secretAccessKey: ROLE.SecretAccessKey,
      sessionToken: ROLE.Token,
    },
    region,
    service,
    sha256: Sha256,
    applyChecksum: false,
  });
  const signed = await signer.sign(
    {
      method: 'POST',
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: '/',
      headers: Object.fromEntries(names.split(';').map((name) => [name, String(request.headers[name])])),
      body,
    },
    { signingDate: new Date(date.replace(/^(....)(..)(..T..)(..)(..)Z$/, '$1-$2-$3:$4:$5Z')) },
  );
  return signed.headers['authorization'] === authorization;
}

/** SHA-256 as the signer wants it. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {}
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(data);
}
