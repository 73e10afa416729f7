// SPDX-License-Identifier: Apache-2.0
// The sshd of a simulated host: a real SSH server, which misbehaves as its host is told to.
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import ssh2, { type AuthContext, type Connection, type ParsedKey, type ServerChannel } from 'ssh2';
import { READY } from '../../backends/host/ssh/remote-shell.ts';
import type { Behaviour } from './behaviour.ts';
import { newKey } from './key.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Addresses of one sshd, for whoever wants to reach it. */
export interface SshdAddress {
  readonly port: number;
  /** `<type> <base64>`, to be pinned. */
  readonly hostKey: string;
}

export interface Sshd extends SshdAddress {
  /** The host behaves like this from now on. */
  behave(change: Partial<Behaviour>): Promise<void>;
  /** Cuts all connections without a word. */
  drop(): void;
  close(): Promise<void>;
}

/** Serves a host on a port of 127.0.0.1. Whoever has the private half of `clientKey` is let in, with any user name. */
export async function startSshd(host: SimulatedHost, clientKey: ParsedKey): Promise<Sshd> {
  const key = newKey();
  const sockets = new Set<Socket>();
  const server = new ssh2.Server({ hostKeys: [key.private] }, (connection) =>
    serve(connection, host, clientKey),
  );
  const front = createServer((socket) => {
    accept(socket, host, sockets);
    if (host.behaviour.sshd !== 'serves') return;
    const inject = () => void (socket.destroyed || server.injectSocket(socket));
    later(inject, host.draw(host.behaviour.latencyMs));
  });
  const port = await listen(front, 0);
  const drop = () => sockets.forEach((socket) => socket.destroy());
  return {
    port,
    hostKey: key.public,
    drop,
    async behave(change) {
      const before = host.behaviour.sshd;
      const { sshd } = (host.behaviour = { ...host.behaviour, ...change });
      if (sshd === before) return;
      // What stood still stays still for those who were connected; they find out by themselves.
      if (sshd === 'hangs') sockets.forEach((socket) => socket.pause());
      else drop();
      if (sshd === 'refuses') await closed(front);
      else if (before === 'refuses') await listen(front, port);
    },
    async close() {
      drop();
      await closed(front);
    },
  };
}

function accept(socket: Socket, { record }: SimulatedHost, sockets: Set<Socket>): void {
  record.connections++;
  record.open++;
  sockets.add(socket);
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    record.open--;
    sockets.delete(socket);
  });
}

async function listen(server: NetServer, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

function closed(server: NetServer): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

function serve(connection: Connection, host: SimulatedHost, clientKey: ParsedKey): void {
  connection.on('error', () => undefined);
  connection.on('authentication', (attempt) => authenticate(attempt, host, clientKey));
  connection.on('session', (acceptSession) => {
    acceptSession().on('exec', (acceptCommand) => converse(acceptCommand(), connection, host));
  });
}

function authenticate(attempt: AuthContext, host: SimulatedHost, clientKey: ParsedKey): void {
  const isKnown =
    host.behaviour.login === 'accepts' &&
    attempt.method === 'publickey' &&
    attempt.key.data.equals(clientKey.getPublicSSH());
  const isProven = () =>
    attempt.method === 'publickey' &&
    (attempt.signature === undefined ||
      clientKey.verify(attempt.blob ?? Buffer.alloc(0), attempt.signature, attempt.hashAlgo) === true);
  if (isKnown && isProven()) attempt.accept();
  else attempt.reject(['publickey']);
}

/** One script: it comes as one line, once we have said that we are there. */
function converse(channel: ServerChannel, connection: Connection, host: SimulatedHost): void {
  channel.on('error', () => undefined);
  channel.write(`${READY}\n`);
  channel.stderr.write(`${READY}\n`);
  let line = '';
  let isWhole = false;
  channel.on('data', (chunk: Buffer) => {
    if (isWhole) return;
    line += chunk.toString('latin1');
    isWhole = line.includes('\n');
    if (isWhole) answer(scriptOf(line), { channel, connection, host });
  });
}

function scriptOf(line: string): string {
  const whole = Buffer.from(line.slice(0, line.indexOf('\n')), 'base64').toString();
  return whole.slice(whole.indexOf('\n') + 1);
}

interface Session {
  readonly channel: ServerChannel;
  readonly connection: Connection;
  readonly host: SimulatedHost;
}

function answer(script: string, { channel, connection, host }: Session): void {
  const { latencyMs, breaks, scripts } = host.behaviour;
  if (scripts === 'hang') return;
  const halfMs = host.draw(latencyMs) / 2;
  const fate = host.make.random();
  later(() => {
    if (fate < breaks / 2) return void connection.end();
    const { exitCode, stdout } = host.run(script);
    later(() => {
      if (fate < breaks) return void connection.end();
      if (!channel.writable) return;
      channel.write(stdout);
      channel.exit(exitCode);
      channel.end();
    }, halfMs);
  }, halfMs);
}

/** Nobody waits for a timer of ours at the end. */
function later(act: () => void, ms: number): void {
  setTimeout(act, ms).unref();
}
