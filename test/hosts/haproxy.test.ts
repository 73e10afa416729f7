// SPDX-License-Identifier: Apache-2.0
// The load balancer on real hosts: Debian's package, systemd, and connections that live through reloads.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { Agent, get } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyScript } from '../../backends/host/haproxy/apply-script.ts';
import { balance } from '../../backends/host/haproxy/balance.ts';
import { haproxyConfig } from '../../backends/host/haproxy/config.ts';
import { REMOVE_HAPROXY } from '../../backends/host/haproxy/removal.ts';
import { contextOf } from '../../backends/host/inventory.fixtures.ts';
import type { RemoteHost } from '../../backends/host/ssh/remote-host.ts';
import { ROUTER } from '../../hack/hosts/network.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { systemClock } from '../../runtime/clock.ts';

const ctx = contextOf(systemClock);
const PORT = 6443;
const owner = { token: '0123abcd', generation: 2 };

/** Answers its name to whoever asks, its readiness to the health check, and ticks for those who watch. */
interface ApiServer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  ready: boolean;
  /** Ends it, as a power cut does: every connection too. */
  kill(): void;
}

let world: HostWorld;
const apiServers: ApiServer[] = [];

beforeAll(async () => {
  world = await startHosts({ count: 2, plain: ['host-1', 'host-2'], behindBastion: [] });
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-test-'));
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
  ];
  execFileSync('openssl', [...request, '-subj', '/CN=kube-apiserver', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  const pair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  for (const [index, name] of ['a', 'b', 'c'].entries())
    apiServers.push(await startApiServer(name, 7001 + index, pair));
});

afterAll(async () => {
  for (const server of apiServers) server.kill();
  await world?.close();
});

function startApiServer(name: string, port: number, pair: { key: Buffer; cert: Buffer }): Promise<ApiServer> {
  const server: Server = createServer(pair, (request, response) => {
    if (request.url === '/readyz') return void response.writeHead(api.ready ? 200 : 500).end();
    response.writeHead(200);
    if (request.url !== '/watch') return void response.end(name);
    const ticking = setInterval(() => response.write('.'), 50);
    response.on('close', () => clearInterval(ticking));
  });
  const api: ApiServer = {
    name,
    port,
    address: ROUTER,
    ready: true,
    kill: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return new Promise((resolve) => server.listen(port, ROUTER, () => resolve(api)));
}

function members(...names: string[]) {
  return apiServers
    .filter(({ name }) => names.includes(name))
    .map(({ name, address, port }) => ({ name, address, port }));
}

/** Without SSH: what is tried is the script. `edit` changes what the host is. */
function remoteOf(
  host: TestHost,
  edit: (script: string) => string = (script) => script,
): RemoteHost & { runs: number } {
  const remote = {
    runs: 0,
    seenKeys: {},
    run: async (_ctx: unknown, script: string) => {
      remote.runs += 1;
      const { code, stdout, stderr } = await host.exec(['/bin/sh', '-c', edit(script)]);
      return { exitCode: code, stdout, stderr };
    },
  };
  return remote;
}

/** The name of who answers; rejects when nobody does. */
function ask(host: TestHost): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: host.address,
      port: PORT,
      rejectUnauthorized: false,
      agent: false,
      timeout: 5000,
    };
    const request = get(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject).on('timeout', () => request.destroy(new Error('no answer')));
  });
}

interface Watch {
  readonly ticks: () => number;
  readonly broken: () => boolean;
  end(): void;
}

function watch(host: TestHost): Promise<Watch> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ rejectUnauthorized: false });
    const options = { host: host.address, port: PORT, path: '/watch', agent };
    const request = get(options, (response: IncomingMessage) => {
      let ticks = 0;
      let broken = false;
      response.on('data', () => (ticks += 1));
      response.on('error', () => (broken = true)).on('close', () => (broken = true));
      resolve({ ticks: () => ticks, broken: () => broken, end: () => request.destroy() });
    });
    request.on('error', reject);
  });
}

const systemd = (script: string) => script;
const withoutSystemd = (script: string) => script.replaceAll('[ -d /run/systemd/system ]', 'false');

describe.each([
  { name: 'with systemd', index: 0, edit: systemd },
  { name: 'without systemd', index: 1, edit: withoutSystemd },
])('HAProxy on a host $name', ({ index, edit }) => {
  const host = () => world.hosts[index]!;
  const apply = (...names: string[]) =>
    balance(ctx, remoteOf(host(), edit), { port: PORT, members: members(...names), owner });
  const workers = async () => (await host().exec(['pgrep', '-x', 'haproxy'])).stdout;
  const config = async () => (await host().exec(['cat', '/etc/haproxy/haproxy.cfg'])).stdout;

  it('is installed, listens, and has nobody to answer yet', async () => {
    // Systemd is there all the same: it keeps its hands off.
    if (index === 1) await host().exec(['systemctl', 'mask', 'haproxy']);
    const began = Date.now();
    expect(await apply()).toMatch(/^[0-9a-f]{16}$/);
    console.log(`installed and applied in ${Date.now() - began} ms`);
    expect(await config()).toBe(haproxyConfig({ port: PORT, members: [] }));
    await expect(ask(host())).rejects.toThrow();
  });

  it('serves a member, and does nothing the second time', async () => {
    await apply('a');
    expect(await ask(host())).toBe('a');
    const [before, remote] = [await workers(), remoteOf(host(), edit)];
    const began = Date.now();
    await balance(ctx, remote, { port: PORT, members: members('a'), owner });
    console.log(`nothing to do: ${Date.now() - began} ms`);
    expect(remote.runs).toBe(1);
    expect(await workers()).toBe(before);
  });

  it('takes members in and out without breaking a connection', async () => {
    const long = await watch(host());
    const asked = { answered: 0, failed: 0 };
    let polling = true;
    const poller = (async () => {
      while (polling) {
        await ask(host()).then(
          () => (asked.answered += 1),
          () => (asked.failed += 1),
        );
        await sleep(5);
      }
    })();
    for (const names of [['a', 'b'], ['a', 'b', 'c'], ['a', 'c'], ['a']]) {
      await apply(...names);
      await sleep(500);
    }
    polling = false;
    await poller;
    const ticks = long.ticks();
    await sleep(500);
    console.log(`${asked.answered} requests answered over 4 reloads`);
    expect(asked.failed).toBe(0);
    expect(asked.answered).toBeGreaterThan(100);
    expect(long.broken()).toBe(false);
    expect(long.ticks()).toBeGreaterThan(ticks);
    long.end();
  });

  it('sends nothing to a member that is not ready, and ends what it had', async () => {
    await apply('b', 'c');
    const [b] = apiServers.filter(({ name }) => name === 'b');
    b!.ready = false;
    await expect.poll(async () => answers(20), { timeout: 20_000, interval: 500 }).toEqual(['c']);
    b!.ready = true;
    await expect.poll(async () => answers(20), { timeout: 20_000, interval: 500 }).toEqual(['b', 'c']);
  });

  async function answers(times: number): Promise<string[]> {
    const all = new Set<string>();
    for (let i = 0; i < times; i++) all.add(await ask(host()));
    return [...all].sort();
  }

  it('keeps serving when a configuration is refused', async () => {
    const text = `${haproxyConfig({ port: PORT, members: [] })}    frobnicate yes\n`;
    const { stdout } = await remoteOf(host(), edit).run(
      ctx,
      applyScript({ text, hash: 'x', port: PORT, owner }),
    );
    expect(stdout).toMatch(/^ts-provider: refused .*frobnicate/);
    expect(await config()).toBe(haproxyConfig({ port: PORT, members: members('b', 'c') }));
    expect(['b', 'c']).toContain(await ask(host()));
  });

  it('keeps serving when another program has the port', async () => {
    const remote = remoteOf(host(), edit);
    const began = Date.now();
    const call = balance(ctx, remote, { port: 22, members: members('a'), owner });
    await expect(call).rejects.toMatchObject({ reason: 'LoadBalancerFailed' });
    console.log(`a port that is taken: ${Date.now() - began} ms`);
    expect(await config()).toBe(haproxyConfig({ port: PORT, members: members('b', 'c') }));
    expect(['b', 'c']).toContain(await ask(host()));
    await apply('b', 'c');
    expect(['b', 'c']).toContain(await ask(host()));
  });

  it('comes back when somebody has ended it', async () => {
    await host().exec(['systemctl', 'stop', 'haproxy']);
    await host().exec(['pkill', '-x', 'haproxy']);
    await expect.poll(workers).toBe('');
    await apply('a');
    expect(await ask(host())).toBe('a');
  });

  it('belongs to one owner', async () => {
    const other = { token: 'fedcba98', generation: 3 };
    const call = balance(ctx, remoteOf(host(), edit), { port: PORT, members: [], owner: other });
    await expect(call).rejects.toMatchObject({
      reason: 'HostClaimedElsewhere',
      message: expect.stringContaining('0123abcd 2') as string,
    });
    expect(await ask(host())).toBe('a');
  });

  it('goes away without a trace, twice', async () => {
    for (let time = 0; time < 2; time++) {
      const { exitCode, stdout, stderr } = await remoteOf(host(), edit).run(ctx, REMOVE_HAPROXY);
      expect(exitCode, stdout + stderr).toBe(0);
    }
    await host().exec(['rm', '-rf', '/var/lib/ts-provider']);
    await host().exec(['systemctl', 'unmask', 'haproxy']);
    expect(await workers()).toBe('');
    // Programs that add and remove users keep a copy of what was before, and a lock.
    const ofUserAdd = /^changed file \/etc\/(passwd|shadow|group|gshadow)-$|^file \/run\/adduser$/;
    expect((await host().traces()).filter((line) => !ofUserAdd.test(line))).toEqual([]);
  });
});
