// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { kubeConfigFromString, type KubeConfigSource } from './kube-config.ts';

/** A request as a test looks at it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** Answers one request; may keep `response` and go on later. */
export type Answer = (request: SeenRequest, response: ServerResponse) => void;

/** A server for tests that answers what it is told, so that it can fail in ways in which a real one does not on demand. */
export interface FakeApiServer {
  readonly kubeConfig: KubeConfigSource;
  readonly requests: SeenRequest[];
  /** Connections made so far. */
  readonly connections: () => number;
  answer(how: Answer): void;
  close(): Promise<void>;
}

/** Listens on a free port of the loopback. Answers 500 until told otherwise. */
export async function startFakeApiServer(): Promise<FakeApiServer> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let answer: Answer = (_request, response) => sendStatus(response, 500, 'InternalError');

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://localhost');
      const text = Buffer.concat(chunks).toString('utf8');
      const seen: SeenRequest = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body: text === '' ? undefined : JSON.parse(text),
      };
      requests.push(seen);
      answer(seen, response);
    });
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    kubeConfig: kubeConfigFromString(
      kubeConfigText({ server: `http://127.0.0.1:${port}`, token: 'a-token' }),
    ),
    requests,
    connections: () => connections,
    answer(how) {
      answer = how;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A kubeconfig with one of each; `user` replaces the token. */
export function kubeConfigText(with_: {
  server: string;
  token?: string;
  user?: object;
  cluster?: object;
}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server: with_.server, 'insecure-skip-tls-verify': true, ...with_.cluster } },
    ],
    users: [{ name: 'u', user: with_.user ?? { token: with_.token ?? 'a-token' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

/** A whole JSON answer. */
export function sendJson(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A `Status` answer about an object. */
export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  const message = `the message of ${reason}`;
  sendJson(
    response,
    code,
    { kind: 'Status', code, reason, message, details: { name: 'a', kind: 'things' } },
    headers,
  );
}

/** One event of a watch, or half of it. */
export function watchLine(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}
