// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: an SSH server in this process that runs commands for real and misbehaves on demand.
import { spawn } from 'node:child_process';
import {
  createServer,
  connect as connectSocket,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import ssh2, { type AuthContext, type Connection, type ServerChannel } from 'ssh2';
import { expect, vi } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { HostAccess } from '../../host-driver.ts';

const { Server, utils } = ssh2;

const silent: Ctx['log'] = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A context on the machine's clock. */
export function testContext(signal: AbortSignal = new AbortController().signal): Ctx {
  return { signal, log: silent, clock: systemClock };
}

/** Tests here wait for real sockets and processes, on machines that may be busy: for events, never for times. */
export function allowSlowMachines(): void {
  vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
}

/** Looks again until what follows holds. */
export function eventually<T>(look: () => T) {
  return expect.poll(look, { timeout: 30_000, interval: 5 });
}

export const PASSWORD = 'canary-password-3f9a';

export interface TestServerOptions {
  /** Any when absent. */
  readonly port?: number;
  /** Host keys in private form; a fresh Ed25519 key when absent. */
  readonly hostKeys?: readonly string[];
  /** Answers a login; anybody with {@link PASSWORD} or any key is let in when absent. */
  readonly onLogin?: (attempt: AuthContext) => void;
  /** Shown before the login. */
  readonly banner?: string;
  /** Takes a command away from the shell. */
  readonly onCommand?: (channel: ServerChannel, command: string) => void;
  /** Added before PATH, for programs of the test's own. */
  readonly programs?: string;
  /** Forwards TCP connections, as a bastion does. */
  readonly forwards?: boolean;
}

/** An SSH server on 127.0.0.1. */
export interface TestServer {
  readonly port: number;
  /** `<type> <base64>` each. */
  readonly hostKeys: readonly string[];
  readonly connections: readonly Connection[];
  /** Logins that were let in so far. */
  readonly logins: number;
  /** Command lines so far. */
  readonly commands: readonly string[];
  /** Drops all connections without a word. */
  drop(): void;
  close(): Promise<void>;
}

/** A private host key, and how it is pinned. */
export function newHostKey(type: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519') {
  let made = newKeyPair(type);
  // ssh2 cannot read one of some 250 Ed25519 keys that it makes itself.
  while (utils.parseKey(made.private) instanceof Error) made = newKeyPair(type);
  return { privateKey: made.private, line: made.public.split(' ').slice(0, 2).join(' ') };
}

function newKeyPair(type: 'ed25519' | 'ecdsa' | 'rsa') {
  if (type === 'ed25519') return utils.generateKeyPairSync('ed25519');
  return utils.generateKeyPairSync(type, { bits: type === 'rsa' ? 2048 : 256 });
}

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const privateKeys = options.hostKeys ?? [newHostKey().privateKey];
  const sockets = new Set<Socket>();
  const connections: Connection[] = [];
  const commands: string[] = [];
  let logins = 0;
  const server = new Server(
    { hostKeys: [...privateKeys], ...(options.banner !== undefined && { banner: options.banner }) },
    (connection) => {
      connections.push(connection);
      connection.on('error', () => undefined);
      connection.on('authentication', options.onLogin ?? usualLogin);
      connection.on('ready', () => {
        logins++;
        serve(connection, options, commands);
      });
    },
  );
  // A listener of our own, so that sockets can be dropped.
  const front = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });
  const port = await listen(front, options.port);
  return {
    port,
    hostKeys: privateKeys.map(publicLine),
    connections,
    get logins() {
      return logins;
    },
    commands,
    drop: () => sockets.forEach((socket) => socket.destroy()),
    async close() {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => front.close(resolve));
    },
  };
}

function publicLine(privateKey: string): string {
  const key = utils.parseKey(privateKey);
  if (key instanceof Error) throw key;
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}

function usualLogin(attempt: AuthContext): void {
  const right =
    attempt.method === 'publickey' || (attempt.method === 'password' && attempt.password === PASSWORD);
  if (right) attempt.accept();
  else attempt.reject(['publickey', 'password']);
}

function serve(connection: Connection, options: TestServerOptions, commands: string[]): void {
  connection.on('session', (accept) => {
    accept().on('exec', (acceptCommand, _reject, { command }) => {
      commands.push(command);
      const channel = acceptCommand();
      if (options.onCommand === undefined) runCommand(channel, command, options.programs);
      else options.onCommand(channel, command);
    });
  });
  if (options.forwards !== true) return;
  connection.on('tcpip', (accept, reject, info) => {
    const socket = connectSocket(info.destPort, info.destIP);
    socket.once('error', reject);
    socket.once('connect', () => {
      const channel = accept();
      channel.on('error', () => undefined);
      channel.on('close', () => socket.destroy());
      socket.on('close', () => channel.close());
      socket.pipe(channel).pipe(socket);
    });
  });
}

/** Runs a command line as sshd would. */
export function runCommand(channel: ServerChannel, command: string, programs?: string): void {
  const PATH = [programs, '/usr/local/bin:/usr/bin:/bin'].filter(Boolean).join(':');
  const child = spawn('/bin/sh', ['-c', command], { env: { PATH } });
  child.stdin.on('error', () => undefined);
  channel.pipe(child.stdin);
  child.stdout.on('data', (chunk: Buffer) => channel.write(chunk));
  child.stderr.on('data', (chunk: Buffer) => channel.stderr.write(chunk));
  child.on('close', (code, signal) => {
    channel.exit((code ?? signal) as number);
    channel.end();
  });
}

/** A listener that takes connections and does with them what the test says. */
export async function startListener(onSocket: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  const port = await listen(server);
  const close = async () => {
    sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, sockets, close };
}

async function listen(server: NetServer, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** How to log in to a test server as root with the password. */
export function accessTo(server: TestServer, changes: Partial<HostAccess> = {}): HostAccess {
  return {
    key: 'default/rack-a-07',
    address: '127.0.0.1',
    port: server.port,
    user: 'root',
    credentials: { password: PASSWORD },
    hostKeys: server.hostKeys,
    trustOnFirstUse: false,
    ...changes,
  };
}
