// SPDX-License-Identifier: Apache-2.0
// Simulated hosts are told what to do, and asked what happened, over HTTP on 127.0.0.1.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Behaviour } from './behaviour.ts';
import type { SshHosts } from './hosts.ts';

/** Body of POST /behave: some hosts by their places, or all. */
export interface BehaveRequest {
  readonly change: Partial<Behaviour>;
  readonly places?: readonly number[];
}

/** Serves POST /behave and GET /records; answers the URL. */
export async function startControl(hosts: SshHosts): Promise<string> {
  const server = createServer((request, response) => {
    answer(hosts, request, response).catch((error: unknown) => {
      response.writeHead(400).end(String(error));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(hosts: SshHosts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET' && request.url === '/records') {
    response.end(JSON.stringify(hosts.records()));
    return;
  }
  if (request.method !== 'POST' || request.url !== '/behave') throw new Error('no such request');
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { change, places } = JSON.parse(Buffer.concat(chunks).toString()) as BehaveRequest;
  await hosts.behave(change, places);
  response.end();
}
