// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createHealthServer, type HealthServer, type HealthServerOptions } from './health.ts';
import { counter, createMetrics } from './metrics.ts';

const servers: HealthServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function serve(options: Partial<HealthServerOptions> = {}) {
  const server = createHealthServer({ address: '127.0.0.1:0', ...options });
  servers.push(server);
  await server.start();
  const port = server.address()?.port ?? 0;
  return {
    server,
    port,
    get: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init),
  };
}

describe('probes', () => {
  it('follow their checks and name those that fail', async () => {
    let synced = false;
    const { get } = await serve({
      ready: {
        informers: () => synced,
        database: () => true,
        cloud: () => {
          throw new Error('secret detail');
        },
      },
    });
    expect((await get('/healthz')).status).toBe(200);
    const notReady = await get('/readyz');
    expect([notReady.status, await notReady.text()]).toEqual([
      503,
      '[-]informers failed\n[-]cloud failed\nnot ok\n',
    ]);
    synced = true;
    expect(await (await get('/readyz?verbose')).text()).toBe(
      '[+]informers ok\n[+]database ok\n[-]cloud failed\nnot ok\n',
    );
  });

  it('say ok and no more when all is well', async () => {
    const { get } = await serve({ ready: { informers: () => true }, live: { loop: () => true } });
    for (const path of ['/readyz', '/healthz']) expect(await (await get(path)).text()).toBe('ok\n');
  });

  it('fail on /healthz for a check of life', async () => {
    const { get } = await serve({ live: { loop: () => false } });
    expect((await get('/healthz')).status).toBe(503);
  });
});

describe('metrics', () => {
  it('are served in the text format, those of the process included', async () => {
    const metrics = createMetrics({ process: true });
    counter(metrics, { name: 'things_total', help: 'Things.' }).inc(3);
    const { get } = await serve({ metrics });
    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const text = await answer.text();
    expect(text).toContain('things_total 3');
    expect(text).toMatch(/process_resident_memory_bytes \d+/);
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
  });

  it('are not there when no registry was given', async () => {
    const { get } = await serve();
    expect((await get('/metrics')).status).toBe(404);
  });
});

describe('requests', () => {
  it.each([
    ['/', 'GET', 404],
    ['/healthz/x', 'GET', 404],
    ['/healthz', 'POST', 405],
    ['/healthz', 'HEAD', 200],
  ])('%s %s is answered with %d', async (path, method, status) => {
    const { get } = await serve();
    expect((await get(path, { method })).status).toBe(status);
  });

  it('that are malformed hurt nobody', async () => {
    const { port, get } = await serve();
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.end('GET // HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n'),
      );
      socket.on('close', () => resolve()).resume();
    });
    expect((await get('/healthz')).status).toBe(200);
  });
});

describe('address', () => {
  it.each(['', '0'])('"%s" means no server', async (address) => {
    const { server } = await serve({ address });
    expect(server.address()).toBeUndefined();
  });

  it.each([':0', 'localhost:0', '[::1]:0'])('%s is listened on', async (address) => {
    const { server } = await serve({ address });
    expect(server.address()?.port).toBeGreaterThan(0);
  });

  it.each(['8080', 'localhost', '1.2.3.4:99999', ':x', 'http://x:1'])(
    '%s is refused with a way out',
    (address) => {
      expect(() => createHealthServer({ address })).toThrow(/write host:port, :port, or 0 for none/);
    },
  );

  it('that is taken rejects the start', async () => {
    const { port } = await serve();
    await expect(createHealthServer({ address: `127.0.0.1:${port}` }).start()).rejects.toThrow(/EADDRINUSE/);
  });
});

it('stops although a client keeps its connection open', async () => {
  const { server, port } = await serve();
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await server.stop();
  await closed;
});
