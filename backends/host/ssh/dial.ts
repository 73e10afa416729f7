// SPDX-License-Identifier: Apache-2.0
// A stream to an SSH port, directly or through a bastion, on which the other end has begun to speak.
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { TerminalError } from '../../../runtime/errors.ts';
import { unlessAborted } from './limit.ts';
import { type Place, transient } from './naming.ts';

export interface DialOptions {
  readonly place: Place;
  readonly target: { readonly address: string; readonly port: number };
  /** The bastion to go through. */
  readonly via?: { readonly place: Place; readonly client: Client };
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/**
 * Answers once there are bytes to read: SSH servers speak first, so a host that hangs is found out before it costs a handshake.
 * TerminalError(CredentialsRefused): the bastion does not let this user through.
 */
export async function dial(options: DialOptions): Promise<Duplex> {
  const stream =
    options.via === undefined ? await openSocket(options) : await openForward(options, options.via);
  try {
    await firstBytes(stream, options.signal);
  } catch (error) {
    stream.destroy();
    throw transient(options.place, 'waiting for its first bytes', error);
  }
  return stream;
}

async function openSocket({ place, target, signal }: DialOptions): Promise<Duplex> {
  const socket = connect({ host: target.address, port: target.port, noDelay: true });
  try {
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    await unlessAborted(connected, signal);
  } catch (error) {
    socket.destroy();
    throw transient(place, 'connecting', error);
  } finally {
    // Whoever uses the stream listens to its errors; between two listeners there must be one as well.
    socket.on('error', () => undefined);
  }
  return socket;
}

async function openForward(
  { place, target, signal }: DialOptions,
  via: NonNullable<DialOptions['via']>,
): Promise<Duplex> {
  let abandoned = false;
  try {
    const opened = new Promise<Duplex>((resolve, reject) => {
      via.client.forwardOut('127.0.0.1', 0, target.address, target.port, (error, channel) => {
        if (error !== undefined) return reject(error);
        if (abandoned) channel.destroy();
        channel.on('error', () => undefined);
        resolve(channel);
      });
    });
    return await unlessAborted(opened, signal);
  } catch (error) {
    abandoned = true;
    throw forwardError(error, place, via.place);
  }
}

/** RFC 4254, section 5.1. */
const PROHIBITED = 1;

function forwardError(error: unknown, place: Place, via: Place): Error {
  const { reason } = error as { reason?: unknown };
  if (reason !== PROHIBITED) return transient(place, `connecting through ${via.name}`, error);
  const message = `${place.name}: ${via.name} does not forward to it: allow its user that (AllowTcpForwarding, PermitOpen in its sshd_config)`;
  return new TerminalError('CredentialsRefused', message);
}

async function firstBytes(stream: Duplex, signal: AbortSignal): Promise<void> {
  let stop = () => {};
  const arrived = new Promise<void>((resolve, reject) => {
    const look = () => {
      if (stream.readableLength > 0) resolve();
    };
    const ended = () => reject(new Error('it closed the connection (when it has too many: MaxStartups)'));
    const handlers = { readable: look, end: ended, close: ended, error: reject };
    for (const [event, handler] of Object.entries(handlers)) stream.on(event, handler);
    stop = () => {
      for (const [event, handler] of Object.entries(handlers)) stream.off(event, handler);
    };
    // What happened before is not told again.
    if (stream.destroyed || stream.readableEnded) ended();
    look();
  });
  await unlessAborted(arrived, signal).finally(() => stop());
}
