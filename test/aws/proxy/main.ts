// SPDX-License-Identifier: Apache-2.0
// The proxy as a process of its own: `node test/aws/proxy/main.ts --upstream URL --port N --control-port M`. The control port speaks
// JSON: GET /calls, /counts, /snapshot, /options; PATCH /options; POST /faults with a fault; DELETE /faults, /calls; POST /reset;
// POST /<verb of outside.ts> with the list of its arguments.
import { createServer, type IncomingMessage } from 'node:http';
import { parseArgs } from 'node:util';
import type { Fault } from './faults.ts';
import { type Proxy, startProxy } from './server.ts';
import { readAll } from './upstream.ts';

type Handler = (proxy: Proxy, input: unknown) => unknown;

const HANDLERS: Readonly<Record<string, Handler>> = {
  'GET /calls': (proxy) => proxy.calls(),
  'DELETE /calls': (proxy) => proxy.clearCalls(),
  'GET /counts': (proxy) => proxy.counts(),
  'GET /options': (proxy) => proxy.options,
  'PATCH /options': (proxy, input) => Object.assign(proxy.options, input),
  'POST /faults': (proxy, input) => void proxy.faults.add(input as Fault),
  'DELETE /faults': (proxy) => proxy.faults.clear(),
  'GET /snapshot': (proxy) => proxy.snapshot(),
  'POST /reset': (proxy) => proxy.reset(),
};

const VERBS = [
  ...['scheduleEvent', 'stopOutside', 'terminateOutside', 'warnOfInterruption', 'interrupt', 'forget'],
  'setHealth',
];

async function control(proxy: Proxy, request: IncomingMessage): Promise<unknown> {
  const text = (await readAll(request)).toString('utf8');
  const input: unknown = text === '' ? undefined : JSON.parse(text);
  const path = request.url ?? '/';
  const handler = HANDLERS[`${request.method} ${path}`];
  if (handler !== undefined) return handler(proxy, input);
  const verb = path.slice(1);
  if (request.method !== 'POST' || !VERBS.includes(verb))
    throw new Error(`No such thing: ${request.method} ${path}`);
  const method = proxy[verb as keyof Proxy] as (...args: unknown[]) => unknown;
  return method(...(Array.isArray(input) ? (input as unknown[]) : [input]));
}

/** Serves the control port on loopback. */
async function serveControl(proxy: Proxy, port: number): Promise<void> {
  const server = createServer((request, response) => {
    Promise.resolve(control(proxy, request)).then(
      (result) =>
        response.writeHead(200).end(typeof result === 'string' ? result : JSON.stringify(result ?? null)),
      (error: unknown) => response.writeHead(400).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

const { values } = parseArgs({
  options: { upstream: { type: 'string' }, port: { type: 'string' }, 'control-port': { type: 'string' } },
});
if (values.upstream === undefined || values.port === undefined || values['control-port'] === undefined)
  throw new Error('usage: main.ts --upstream URL --port N --control-port M');
const proxy = await startProxy({ upstream: values.upstream, port: Number(values.port) });
await serveControl(proxy, Number(values['control-port']));
process.stdout.write(`${proxy.url}\n`);
