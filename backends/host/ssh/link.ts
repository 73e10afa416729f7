// SPDX-License-Identifier: Apache-2.0
// One connection to one end, shared by all who need it, from the first try until it is closed: it is never opened a second time.
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { Clock } from '../../../runtime/clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { LoggedIn } from './login.ts';
import { unlessAborted } from './limit.ts';
import { oneLine, type Place } from './naming.ts';
import { Slots } from './slots.ts';

/** A connection and what it stands on. */
export interface Opened extends LoggedIn {
  readonly stream: Duplex;
  /** Gives back what the connection holds: its slot, its bastion. */
  release(): void;
}

export interface LinkOptions {
  readonly place: Place;
  readonly clock: Clock;
  /** Connects and logs in. The signal is aborted when nobody wants the connection any more. */
  readonly open: (signal: AbortSignal) => Promise<Opened>;
  /** An unused connection is closed after this time. */
  readonly idleMs: number;
  readonly maxSessions: number;
  /** Whether somebody waits for a connection, so that an unused one is closed at once. */
  readonly wanted: () => boolean;
  /** It is of no use any more. Called once. */
  readonly onEnd: (link: Link) => void;
}

export class Link {
  /** Of the host: 10 sessions are what sshd allows on one connection. */
  readonly sessions: Slots;
  private readonly options: LinkOptions;
  /** Aborted at the end, with the reason for people. */
  private readonly life = new AbortController();
  private readonly ready: Promise<Opened>;
  private opened: Opened | undefined;
  private users = 0;
  private retired = false;
  private readonly released = Promise.withResolvers<void>();
  private cancelIdle = () => {};

  constructor(options: LinkOptions) {
    this.options = options;
    this.sessions = new Slots({ total: options.maxSessions });
    this.ready = this.open();
    // Whoever uses the link awaits it; when nobody does any more, nobody has to hear of it.
    this.ready.catch(() => undefined);
  }

  get state(): 'connecting' | 'open' | 'ended' {
    if (this.life.signal.aborted) return 'ended';
    return this.opened === undefined ? 'connecting' : 'open';
  }

  /** New work may go to it. */
  get usable(): boolean {
    return this.state !== 'ended' && !this.retired;
  }

  /** Nobody uses it: closing it disturbs nobody. */
  get idle(): boolean {
    return this.state === 'open' && this.users === 0;
  }

  /** Aborted when the connection is gone. */
  get ended(): AbortSignal {
    return this.life.signal;
  }

  /** Resolves when it is ended and holds nothing any more. */
  get gone(): Promise<void> {
    return this.released.promise;
  }

  /** Keeps the connection until the function that is answered is called. */
  use(): () => void {
    this.users++;
    this.cancelIdle();
    let using = true;
    return () => {
      if (!using) return;
      using = false;
      this.users--;
      if (this.users === 0) this.unused();
    };
  }

  /** The connection, once it is there. Call {@link use} before. Rejects with the reason of either signal's abort, or of the failure. */
  async client(signal: AbortSignal): Promise<Client> {
    return (await unlessAborted(this.ready, signal)).client;
  }

  /** Serves those who have it, and is closed when they are done: what it was opened for has changed, or it may be stuck. */
  retire(): void {
    this.retired = true;
    if (this.users === 0) this.unused();
  }

  /** Ends it now; whatever runs on it fails with the reason. */
  end(reason: Error): void {
    if (this.life.signal.aborted) return;
    this.life.abort(reason);
    this.cancelIdle();
    this.options.onEnd(this);
    if (this.opened !== undefined) this.close(this.opened);
  }

  private async open(): Promise<Opened> {
    try {
      const opened = await this.options.open(this.life.signal);
      if (this.life.signal.aborted) {
        this.close(opened);
        throw this.life.signal.reason as Error;
      }
      this.opened = opened;
      const { place } = this.options;
      const broke = (error?: Error) => {
        if (this.state === 'ended') return;
        opened.stream.destroy();
        const why = error === undefined ? 'the other end closed the connection' : oneLine(error.message);
        this.end(new TransientError(`${place.name}: ${why}`));
      };
      opened.client.on('error', broke);
      opened.client.on('end', () => broke());
      opened.client.on('close', () => broke());
      opened.stream.on('close', () => broke());
      if (opened.stream.destroyed) broke();
      if (this.users === 0) this.unused();
      return opened;
    } catch (error) {
      this.end(error as Error);
      if (this.opened === undefined) this.released.resolve();
      throw error;
    }
  }

  private unused(): void {
    if (this.state === 'ended') return;
    const why = `${this.options.place.name}: the connection was not used any more`;
    const stop = () => this.end(new TransientError(why));
    if (this.state === 'connecting' || this.retired || this.options.wanted()) return stop();
    this.cancelIdle();
    this.cancelIdle = this.options.clock.schedule(stop, this.options.idleMs);
  }

  /** Says goodbye where the other end listens; one that hangs does not keep the socket. */
  private close(opened: Opened): void {
    opened.client.end();
    let done = false;
    const finish = () => {
      if (done) return;
      done = true;
      cancel();
      opened.stream.destroy();
      opened.release();
      this.released.resolve();
    };
    const cancel = this.options.clock.schedule(finish, GOODBYE_MS);
    opened.stream.once('close', finish);
    if (opened.stream.destroyed) finish();
  }
}

const GOODBYE_MS = 2_000;
