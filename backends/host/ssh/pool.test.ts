// SPDX-License-Identifier: Apache-2.0
// Connections: shared, bounded, closed when idle, given up when the other end misbehaves.
import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { HostAccess } from '../../host-driver.ts';
import {
  accessTo,
  newHostKey,
  PASSWORD,
  runCommand,
  startListener,
  startServer,
  testContext,
  type TestServerOptions,
  allowSlowMachines,
  eventually,
} from './fixtures.ts';
import { createSshPool, type SshLimits } from './pool.ts';

allowSlowMachines();

const ctx = testContext();
const NEVER = new Promise<never>(() => undefined);

async function serverWith(options?: TestServerOptions) {
  const server = await startServer(options);
  onTestFinished(() => server.close());
  return server;
}

async function listenerWith(onSocket: Parameters<typeof startListener>[0]) {
  const listener = await startListener(onSocket);
  onTestFinished(() => listener.close());
  return listener;
}

function poolWith(limits: Partial<SshLimits> = {}, clock = systemClock) {
  const pool = createSshPool({ clock, limits });
  onTestFinished(() => pool.close());
  return pool;
}

/** An access to a port where no SSH server may be. */
function accessToPort(port: number, changes: Partial<HostAccess> = {}): HostAccess {
  const hostKeys = [newHostKey().line];
  const where = { key: 'default/hung', address: '127.0.0.1', port, user: 'root' };
  return { ...where, credentials: { password: PASSWORD }, hostKeys, trustOnFirstUse: false, ...changes };
}

describe('the connection to a host', () => {
  it('is shared by all who need it, and never has more sessions than sshd allows', async () => {
    let open = 0;
    let most = 0;
    const server = await serverWith({
      onCommand(channel, command) {
        most = Math.max(most, ++open);
        channel.once('close', () => open--);
        runCommand(channel, command);
      },
    });
    const pool = poolWith({ sessionsPerHost: 3 });
    const runs = Array.from({ length: 12 }, (_, index) => {
      // Each has an access object of its own, as each reconcile has.
      return pool.host(accessTo(server)).run(ctx, `echo ${index}`);
    });
    const results = await Promise.all(runs);
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 12 }, (_, i) => `${i}`));
    expect(server.logins).toBe(1);
    expect(most).toBeLessThanOrEqual(3);
    expect(pool.stats()).toEqual({ connections: 1, connecting: 0, sessions: 0, waiting: 0 });
  });

  it('is closed when it was not used for a minute, and made anew when it is needed', async () => {
    const server = await serverWith();
    const clock = new FakeClock();
    const pool = poolWith({}, clock);
    const host = pool.host(accessTo(server));
    await host.run(ctx, 'true');
    await clock.advance(59_999);
    await host.run(ctx, 'true');
    await clock.advance(59_999);
    expect(pool.stats().connections).toBe(1);
    await clock.advance(1);
    expect(pool.stats().connections).toBe(0);
    await host.run(ctx, 'true');
    expect(server.logins).toBe(2);
  });

  it.each<[string, Partial<HostAccess>]>([
    ['credentials', { credentials: { password: PASSWORD, sudoPassword: 'x' } }],
    ['host keys', { hostKeys: [newHostKey().line] }],
    ['user', { user: 'admin', credentials: { password: 'wrong' } }],
  ])('is another one when %s change', async (_name, changes) => {
    const server = await serverWith();
    const pool = poolWith();
    await pool.host(accessTo(server)).run(ctx, 'true');
    const changed = accessTo(server, changes);
    await pool
      .host({ ...changed, hostKeys: [...changed.hostKeys, ...server.hostKeys] })
      .run(ctx, 'true')
      .catch(() => undefined);
    expect(server.connections).toHaveLength(2);
    await eventually(() => pool.stats().connections).toBeLessThan(2);
  });

  it('that breaks fails what runs, and the next run connects again', async () => {
    const server = await serverWith({ onCommand: () => undefined });
    const pool = poolWith();
    const host = pool.host(accessTo(server));
    const run = host.run(ctx, 'true');
    await eventually(() => server.commands.length).toBe(1);
    server.drop();
    await expect(run).rejects.toThrow(TransientError);
    const again = host.run(ctx, 'true');
    await eventually(() => server.logins).toBe(2);
    pool.disconnect('default/rack-a-07');
    await expect(again).rejects.toThrow('closed on request');
  });

  it('that dies without a word is found out by keepalive', async () => {
    const server = await serverWith({ onCommand: () => undefined });
    const pool = poolWith({ keepaliveMs: 200 });
    const relay = await relayTo(server.port);
    const run = pool.host(accessTo(server, { port: relay.port })).run(ctx, 'true');
    await eventually(() => server.commands.length).toBe(1);
    relay.freeze();
    await expect(run).rejects.toThrow(/Keepalive timeout/);
  });

  it('is closed with the pool, and what runs or waits fails', async () => {
    const server = await serverWith({ onCommand: () => undefined });
    const hung = await listenerWith(() => undefined);
    const pool = poolWith({ sessionsPerHost: 1 });
    const host = pool.host(accessTo(server));
    const runs = [
      host.run(ctx, 'true'),
      host.run(ctx, 'true'),
      pool.host(accessToPort(hung.port)).run(ctx, 'true'),
    ];
    const failed = Promise.all(runs.map((run) => expect(run).rejects.toThrow(TransientError)));
    await eventually(() => pool.stats()).toEqual({ connections: 1, connecting: 1, sessions: 1, waiting: 1 });
    await pool.close();
    await failed;
    expect(pool.stats()).toEqual({ connections: 0, connecting: 0, sessions: 0, waiting: 0 });
    await expect(host.run(ctx, 'true')).rejects.toThrow('are closed');
  });
});

/** A TCP relay that can stop to carry anything while both ends stay open. */
async function relayTo(port: number) {
  const { connect } = await import('node:net');
  const all: { pause(): unknown; unpipe(): unknown }[] = [];
  const listener = await listenerWith((socket) => {
    const far = connect(port, '127.0.0.1');
    far.on('error', () => undefined);
    socket.pipe(far).pipe(socket);
    socket.on('close', () => far.destroy());
    all.push(socket, far);
  });
  const freeze = () => all.forEach((each) => [each.unpipe(), each.pause()]);
  return { port: listener.port, freeze };
}

describe('a host that misbehaves', () => {
  // On a busy machine the deadline may pass earlier on the way.
  const HUNG = /(connecting|first bytes|shaking hands): it took longer than 0\.\d+ s$/;
  const IDENT = 'SSH-2.0-Slow_1\r\n';

  it.each<[string, (socket: { write(text: string): unknown; end(): unknown }) => unknown, RegExp]>([
    ['says nothing', () => undefined, HUNG],
    ['hangs in the handshake', (socket) => socket.write(IDENT), HUNG],
    ['hangs up at once', (socket) => socket.end(), /it closed the connection \(when it has too many/],
    ['hangs up in the handshake', (socket) => [socket.write(IDENT), socket.end()], /shaking hands: /],
    [
      'speaks another protocol',
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /shaking hands: /,
    ],
  ])('and %s is given up, with its name', async (_name, behave, message) => {
    const listener = await listenerWith(behave);
    const pool = poolWith({ connectMs: 300 });
    const run = pool.host(accessToPort(listener.port)).run(ctx, 'true');
    await expect(run).rejects.toThrow(TransientError);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toThrow(/^host default\/hung \(127\.0\.0\.1:\d+\), while /);
    expect(pool.stats()).toEqual({ connections: 0, connecting: 0, sessions: 0, waiting: 0 });
  });

  it('and is not there is told apart', async () => {
    const listener = await listenerWith(() => undefined);
    await listener.close();
    const pool = poolWith();
    const run = pool.host(accessToPort(listener.port)).run(ctx, 'true');
    await expect(run).rejects.toThrow(/connecting: nothing listens on that port \(ECONNREFUSED\)$/);
    const named = pool.host(accessToPort(22, { key: 'default/named', address: 'no-such-host.invalid' }));
    await expect(named.run(ctx, 'true')).rejects.toThrow(/connecting: its name .*resolve/);
  });

  it('and does not end a script loses its session, and the connection is not used again', async () => {
    const server = await serverWith({ onCommand: (channel, command) => runCommand(channel, command) });
    const pool = poolWith();
    const host = pool.host(accessTo(server));
    const slow = host.run(ctx, 'echo begun; read -r never </dev/tty || sleep 5', { timeoutMs: 100 });
    await expect(slow).rejects.toThrow(/running a script: it took longer than 0.1 s$/);
    await host.run(ctx, 'true');
    expect(server.logins).toBe(2);
    await eventually(() => pool.stats().connections).toBe(1);
  });

  it('and opens no session is given up as well', async () => {
    const server = await serverWith({ onCommand: () => undefined });
    const pool = poolWith();
    const run = pool.host(accessTo(server)).run(ctx, 'true', { timeoutMs: 60 });
    await expect(run).rejects.toThrow(TransientError);
  });

  it('and hangs up within a script leaves open whether it ended', async () => {
    const server = await serverWith({
      onCommand(channel, command) {
        runCommand(channel, command);
        channel.on('data', () => channel.close());
      },
    });
    const run = poolWith().host(accessTo(server)).run(ctx, 'sleep 1');
    await expect(run).rejects.toThrow('the connection broke; whether the script ended is not known');
  });

  it('ends when its caller ends', async () => {
    const listener = await listenerWith(() => undefined);
    const pool = poolWith();
    const caller = new AbortController();
    const run = pool.host(accessToPort(listener.port)).run(testContext(caller.signal), 'true');
    await eventually(() => listener.sockets.size).toBe(1);
    caller.abort();
    await expect(run).rejects.toThrow('the call was ended');
    // Nobody else waits for it: the attempt is over too.
    await eventually(() => pool.stats().connecting).toBe(0);
  });
});

describe('many hosts', () => {
  const named = (index: number) => ({ key: `default/host-${index}` });

  it('share a bounded number of connections: unused ones make room', async () => {
    const server = await serverWith();
    const pool = poolWith({ connections: 2 });
    const runs = Array.from({ length: 6 }, (_, index) =>
      pool.host(accessTo(server, named(index))).run(ctx, 'echo ok'),
    );
    let most = 0;
    const results = await Promise.all(
      runs.map(async (run) => {
        const result = await run;
        most = Math.max(most, pool.stats().connections);
        return result;
      }),
    );
    expect(results.every(({ stdout }) => stdout === 'ok\n')).toBe(true);
    expect(most).toBeLessThanOrEqual(2);
    expect(server.logins).toBe(6);
  });

  it('are not delayed by those that hung before', async () => {
    const server = await serverWith();
    const listener = await listenerWith((socket) => socket.write('SSH-2.0-Slow_1\r\n'));
    const clock = new FakeClock();
    const pool = poolWith({ connections: 8, handshakes: 4 }, clock);
    const hung = Array.from({ length: 8 }, (_, index) =>
      accessToPort(listener.port, { key: `default/hung-${index}` }),
    );
    const tryAll = () =>
      hung.map((access) =>
        pool
          .host(access)
          .run(ctx, 'true')
          .catch((error: unknown) => error),
      );
    // Unknown hosts hold all handshakes, each for its deadline.
    const first = Promise.all(tryAll());
    await eventually(() => pool.stats().connecting).toBe(8);
    await eventually(() => pool.stats().waiting).toBe(4);
    for (let round = 0; round < 2; round++) await clock.advance(15_000).then(() => clock.settle());
    expect((await first).every((error) => error instanceof TransientError)).toBe(true);
    // The second time they have a quarter of them.
    const second = Promise.race([NEVER, ...tryAll()]);
    await eventually(() => pool.stats().waiting).toBeGreaterThan(0);
    const healthy = Array.from({ length: 6 }, (_, index) =>
      pool.host(accessTo(server, named(index))).run(ctx, 'echo ok'),
    );
    const results = await Promise.all(healthy);
    expect(results.map(({ stdout }) => stdout)).toEqual(Array(6).fill('ok\n'));
    await pool.close();
    await second;
  });
});

describe('through a bastion', () => {
  const door = (bastion: { port: number; hostKeys: readonly string[] }): HostAccess['bastion'] => {
    const credentials = { password: PASSWORD };
    const where = { address: '127.0.0.1', port: bastion.port, user: 'admin', credentials };
    return { ...where, hostKeys: bastion.hostKeys, trustOnFirstUse: false };
  };

  it('hosts share its connection, and each keeps credentials and keys of its own', async () => {
    const bastion = await serverWith({ forwards: true });
    const host = await serverWith({
      onLogin: (attempt) =>
        attempt.method === 'password' && attempt.password === 'own'
          ? attempt.accept()
          : attempt.reject(['password']),
    });
    const pool = poolWith();
    const runs = ['a', 'b', 'c'].map((name) => {
      const changes = { key: `default/${name}`, credentials: { password: 'own' }, bastion: door(bastion) };
      return pool.host(accessTo(host, changes as Partial<HostAccess>)).run(ctx, `echo ${name}`);
    });
    expect((await Promise.all(runs)).map(({ stdout }) => stdout)).toEqual(['a\n', 'b\n', 'c\n']);
    expect(bastion.logins).toBe(1);
    expect(host.logins).toBe(3);
    expect(pool.stats().connections).toBe(4);
  });

  it('errors say which of both it is', async () => {
    const bastion = await serverWith({ forwards: true });
    const closed = await serverWith();
    const host = await serverWith();
    const pool = poolWith();
    const fails = (name: string, access: HostAccess) =>
      expect(pool.host({ ...access, key: `default/${name}` }).run(ctx, 'true')).rejects;
    const through = (at: { port: number; hostKeys: readonly string[] }) =>
      accessTo(host, { bastion: door(at) } as Partial<HostAccess>);
    const listener = await listenerWith(() => undefined);
    await listener.close();

    await fails('down', through({ port: listener.port, hostKeys: bastion.hostKeys })).toThrow(
      /^host default\/down \(127\.0\.0\.1:\d+\): bastion 127\.0\.0\.1:\d+, while connecting: nothing listens/,
    );
    await fails('other', through({ port: bastion.port, hostKeys: [newHostKey().line] })).toMatchObject({
      reason: 'HostKeyMismatch',
      message: expect.stringMatching(
        /^host default\/other .*: bastion .* spec\.ssh\.bastion\.hostKeys$/,
      ) as string,
    });
    await fails('forbidden', through(closed)).toMatchObject({
      reason: 'CredentialsRefused',
      message: expect.stringContaining('AllowTcpForwarding') as string,
    });
    await fails('gone', { ...through(bastion), port: listener.port }).toThrow(/connecting through bastion/);
    expect(pool.stats().connecting).toBe(0);
  });

  it('a bastion that breaks breaks what runs behind it, and is reached anew', async () => {
    const bastion = await serverWith({ forwards: true });
    const host = await serverWith({ onCommand: () => undefined });
    const pool = poolWith();
    const remote = pool.host(accessTo(host, { bastion: door(bastion) } as Partial<HostAccess>));
    const run = remote.run(ctx, 'true');
    await eventually(() => host.commands.length).toBe(1);
    bastion.drop();
    await expect(run).rejects.toThrow(TransientError);
    const again = remote.run(ctx, 'true', { timeoutMs: 300 });
    await eventually(() => host.logins).toBe(2);
    await expect(again).rejects.toThrow(TransientError);
    expect(bastion.logins).toBe(2);
  });
});
