// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** Named checks; a check that answers false or throws fails. They run on every request: no I/O. */
export type Checks = Readonly<Record<string, () => boolean>>;

export interface HealthServerOptions {
  /** `host:port`, `:port` for all addresses, `[v6]:port`; port 0 takes a free one. '' or '0': no server. */
  readonly address: string;
  /** For `/healthz`: what only a restart heals. */
  readonly live?: Checks;
  /** For `/readyz`: caches are synced. Not leadership: a standby is ready to take over. */
  readonly ready?: Checks;
  /** For `/metrics`; the path does not exist when absent. */
  readonly metrics?: Metrics;
}

/** One small HTTP server for probes and scrapes. */
export interface HealthServer {
  /** Listens. Rejects when the address is taken or wrong. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Where it listens; `undefined` before the start and when there is no server. */
  address(): AddressInfo | undefined;
}

/** Serves `/healthz`, `/readyz` and `/metrics`: 200 or 503; `?verbose` lists the checks that pass, too. */
export function createHealthServer(options: HealthServerOptions): HealthServer {
  const where = parseAddress(options.address);
  let server: Server | undefined;
  return {
    async start() {
      if (where === undefined) return;
      server = createServer((request, response) => {
        answer(options, request, response).catch((error: unknown) => {
          send(response, 500, `${errorMessage(error)}\n`);
        });
      });
      // A scraper keeps its connection and must not delay the stop; nobody sends bodies here.
      server.requestTimeout = 10_000;
      await listen(server, where);
    },
    async stop() {
      const stopping = server;
      server = undefined;
      if (stopping === undefined) return;
      const closed = new Promise((resolve) => stopping.close(resolve));
      stopping.closeAllConnections();
      await closed;
    },
    address: () => (server?.address() ?? undefined) as AddressInfo | undefined,
  };
}

interface Where {
  readonly host: string | undefined;
  readonly port: number;
}

function parseAddress(address: string): Where | undefined {
  if (address === '' || address === '0') return undefined;
  const [, v6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(digits);
  // Without a match the port is not a number.
  if (!(port <= 65_535)) {
    throw new Error(`"${address}" is no address to listen on: write host:port, :port, or 0 for none`);
  }
  const host = v6 ?? name;
  return { host: host === '' ? undefined : host, port };
}

function listen(server: Server, where: Where): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: where.port, host: where.host }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer(
  options: HealthServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n');
  switch (url.pathname) {
    case '/healthz':
      return report(response, options.live ?? {}, url.searchParams.has('verbose'));
    case '/readyz':
      return report(response, options.ready ?? {}, url.searchParams.has('verbose'));
    case '/metrics':
      if (options.metrics === undefined) break;
      return send(response, 200, await options.metrics.metrics(), options.metrics.contentType);
  }
  send(response, 404, 'not found\n');
}

function report(response: ServerResponse, checks: Checks, verbose: boolean): void {
  const results = Object.entries(checks).map(([name, check]) => ({ name, ok: passes(check) }));
  const ok = results.every((result) => result.ok);
  const listed = results.filter((result) => verbose || !result.ok);
  const lines = listed.map((result) => (result.ok ? `[+]${result.name} ok\n` : `[-]${result.name} failed\n`));
  send(response, ok ? 200 : 503, `${lines.join('')}${ok ? 'ok' : 'not ok'}\n`);
}

function passes(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    // What exactly is wrong is in the log of whoever knows; a probe only needs the name.
    return false;
  }
}

function send(
  response: ServerResponse,
  code: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(code, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}
