// SPDX-License-Identifier: Apache-2.0
// Counts the calls that pass on their way to the cloud. It changes nothing.
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CallCounter {
  /** `http://127.0.0.1:PORT`: what a program that is counted takes for the cloud. */
  readonly url: string;
  /** Calls by action up to now: `RunInstances` -> 5. A retry counts again. */
  calls(): ReadonlyMap<string, number>;
  /** How many were answered with an error, by action and code: `RunInstances 503` -> 1. */
  failures(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Forwards all to `upstream`, an `http://` URL. */
export async function countCalls(upstream: string): Promise<CallCounter> {
  const calls = new Map<string, number>();
  const failures = new Map<string, number>();
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, answer) => {
    void bodyOf(incoming).then((body) => {
      const action = actionOf(incoming, body);
      countIn(calls, action);
      const { method = 'POST', url = '/', headers } = incoming;
      const forwarded = request(new URL(url, upstream), { method, headers, agent }, (reply) => {
        const { statusCode = 502 } = reply;
        if (statusCode >= 400) countIn(failures, `${action} ${statusCode}`);
        answer.writeHead(statusCode, reply.headers);
        reply.pipe(answer);
      });
      forwarded.once('error', () => refuse(answer));
      forwarded.end(body);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: () => new Map(calls),
    failures: () => new Map(failures),
    async stop() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** The query protocol names it in the body, the JSON protocol in a header: `secretsmanager.CreateSecret`. */
export function actionOf({ headers }: Pick<IncomingMessage, 'headers'>, body: Buffer): string {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.split('.').at(-1) ?? target;
  return new URLSearchParams(body.toString('latin1')).get('Action') ?? 'unknown';
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function refuse(answer: ServerResponse): void {
  if (answer.headersSent) answer.destroy();
  else answer.writeHead(502).end();
}

function countIn(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
