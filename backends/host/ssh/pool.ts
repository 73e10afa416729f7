// SPDX-License-Identifier: Apache-2.0
// All SSH connections of a manager: shared by host and by bastion, bounded, closed when they are idle.
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { HostAccess, SshEndpoint } from '../../host-driver.ts';
import { credentialReader, digest } from './credentials.ts';
import { dial } from './dial.ts';
import { hostKeyCheck } from './host-keys.ts';
import { limit } from './limit.ts';
import { Link, type Opened } from './link.ts';
import { login } from './login.ts';
import { bastionPlace, behindBastion, hostPlace, type Place, transient } from './naming.ts';
import type { RemoteHost, RunOptions, RunResult } from './remote-host.ts';
import { runScript } from './session.ts';
import { type Lane, Slots } from './slots.ts';
import { TrustedKeys } from './trusted-keys.ts';

/** Times in milliseconds. */
export interface SshLimits {
  /** Connections at once, bastions among them. */
  readonly connections: number;
  /** Handshakes at once. */
  readonly handshakes: number;
  /** Scripts at once on one host; sshd allows 10. */
  readonly sessionsPerHost: number;
  /** For connecting and logging in together, without the wait for a slot. */
  readonly connectMs: number;
  /** For a script that says nothing else. */
  readonly runMs: number;
  readonly idleMs: number;
  readonly keepaliveMs: number;
}

export const DEFAULT_LIMITS: SshLimits = {
  connections: 200,
  handshakes: 16,
  sessionsPerHost: 6,
  connectMs: 15_000,
  runMs: 20_000,
  idleMs: 60_000,
  keepaliveMs: 10_000,
};

/** How much is open, for metrics. */
export interface SshStats {
  readonly connections: number;
  readonly connecting: number;
  /** Scripts that run. */
  readonly sessions: number;
  /** Who waits for a connection, a handshake or a session. */
  readonly waiting: number;
}

export interface SshPool {
  /** The host behind this access. Costs nothing: connections are made when a script is run, and shared by `access.key`. */
  host(access: HostAccess): RemoteHost;
  /** Closes what is open to a host, and forgets what was seen of it. */
  disconnect(key: string): void;
  stats(): SshStats;
  /** Ends everything; scripts that run fail with TransientError. Answers when all sockets are closed. */
  close(): Promise<void>;
}

export interface SshPoolOptions {
  readonly clock: Clock;
  /** What is absent is as in {@link DEFAULT_LIMITS}. */
  readonly limits?: Partial<SshLimits>;
}

export function createSshPool(options: SshPoolOptions): SshPool {
  return new Pool(options.clock, { ...DEFAULT_LIMITS, ...options.limits });
}

/** Something to be connected to. */
interface End {
  /** Tells ends apart: one connection is kept to each. */
  readonly id: string;
  /** Tells whose keys were trusted on first use. */
  readonly trustID: string;
  /** Changes with anything that matters for connecting. */
  readonly version: string;
  readonly place: Place;
  readonly endpoint: SshEndpoint;
  readonly bastion: SshEndpoint | undefined;
}

function hostEnd(access: HostAccess): End {
  const id = `host ${access.key}`;
  const version = digest(access);
  const place = hostPlace(access);
  return { id, trustID: id, version, place, endpoint: access, bastion: access.bastion };
}

/** Whoever reaches a bastion in the same way shares it. */
function bastionEnd(endpoint: SshEndpoint): End {
  const version = digest(endpoint);
  const place = bastionPlace(endpoint);
  return { id: `bastion ${version}`, trustID: place.name, version, place, endpoint, bastion: undefined };
}

class Pool implements SshPool {
  private readonly clock: Clock;
  private readonly limits: SshLimits;
  private readonly connections: Slots;
  private readonly handshakes: Slots;
  private readonly credentials = credentialReader();
  private readonly trusted = new TrustedKeys();
  /** The link that new work to an end goes to. */
  private readonly current = new Map<string, { readonly version: string; readonly link: Link }>();
  /** All that have not ended; what was used last is last. */
  private readonly links = new Set<Link>();
  /** Ends that could not be reached last time. */
  private readonly doubtful = new Set<string>();
  private closed = false;

  constructor(clock: Clock, limits: SshLimits) {
    this.clock = clock;
    this.limits = limits;
    this.connections = new Slots({ total: limits.connections });
    this.handshakes = new Slots({ total: limits.handshakes });
  }

  host(access: HostAccess): RemoteHost {
    const end = hostEnd(access);
    const seen = () => this.seenKeys(access);
    return {
      run: (ctx, script, options = {}) => this.run(end, { ctx, script, options }),
      get seenKeys() {
        return seen();
      },
    };
  }

  disconnect(key: string): void {
    const id = `host ${key}`;
    this.current.get(id)?.link.end(new TransientError(`host ${key}: the connection was closed on request`));
    this.doubtful.delete(id);
    this.trusted.forget(id);
  }

  stats(): SshStats {
    const links = [...this.links];
    const sum = (count: (link: Link) => number) => links.reduce((total, link) => total + count(link), 0);
    return {
      connections: links.filter((link) => link.state === 'open').length,
      connecting: links.filter((link) => link.state === 'connecting').length,
      sessions: sum((link) => link.sessions.inUse),
      waiting: this.connections.waiting + this.handshakes.waiting + sum((link) => link.sessions.waiting),
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    const links = [...this.links];
    for (const link of links) link.end(new TransientError('All SSH connections are being closed'));
    await Promise.all(links.map((link) => link.gone));
  }

  private seenKeys(access: HostAccess): RemoteHost['seenKeys'] {
    const host = this.trusted.get(hostEnd(access));
    const bastion = access.bastion && this.trusted.get(bastionEnd(access.bastion));
    return { ...(host !== undefined && { host }), ...(bastion !== undefined && { bastion }) };
  }

  private async run(end: End, work: { ctx: Ctx; script: string; options: RunOptions }): Promise<RunResult> {
    const { ctx, script, options } = work;
    const link = this.linkTo(end);
    const done = link.use();
    const either = limit({ follows: [ctx.signal, link.ended] });
    try {
      const client = await link.client(ctx.signal);
      const release = await link.sessions.acquire(either.signal);
      const ms = options.timeoutMs ?? this.limits.runMs;
      const running = limit({ follows: [either.signal], deadline: { clock: this.clock, ms } });
      try {
        return await runScript(client, {
          place: end.place,
          user: end.endpoint.user,
          sudoPassword: end.endpoint.credentials.sudoPassword,
          script,
          input: options.input ?? '',
          // The one who waits gives up first, and says so better.
          seconds: Math.ceil(ms / 1000) + 2,
          maxOutputBytes: options.maxOutputBytes ?? 1024 * 1024,
          signal: running.signal,
        });
      } finally {
        // Its session may stay with sshd for as long as the script does.
        if (running.signal.aborted) link.retire();
        running.end();
        release();
      }
    } catch (error) {
      throw transient(end.place, 'waiting for a connection', error);
    } finally {
      either.end();
      done();
    }
  }

  private linkTo(end: End): Link {
    if (this.closed) throw new TransientError(`${end.place.name}: all SSH connections are closed`);
    const known = this.current.get(end.id);
    const usable = known?.version === end.version && known.link.usable;
    if (usable) this.links.delete(known.link);
    else known?.link.retire();
    const link = usable ? known.link : this.newLink(end);
    this.links.add(link);
    this.current.set(end.id, { version: end.version, link });
    return link;
  }

  private newLink(end: End): Link {
    return new Link({
      place: end.place,
      clock: this.clock,
      open: (signal) => this.open(end, signal),
      idleMs: this.limits.idleMs,
      maxSessions: this.limits.sessionsPerHost,
      wanted: () => this.connections.short,
      onEnd: (link) => {
        this.links.delete(link);
        if (this.current.get(end.id)?.link === link) this.current.delete(end.id);
      },
    });
  }

  private async open(end: End, signal: AbortSignal): Promise<Opened> {
    const releases: (() => void)[] = [];
    const release = () => releases.splice(0).forEach((each) => each());
    try {
      // The bastion first: nobody holds a connection while waiting for another one.
      const via =
        end.bastion === undefined ? undefined : await this.bastion(end, end.bastion, { signal, releases });
      const lane: Lane = this.doubtful.has(end.id) ? 'doubtful' : 'usual';
      releases.push(await this.connectionSlot(signal, lane));
      this.doubtful.add(end.id);
      const opened = await this.connect(end, { via, lane, signal });
      this.doubtful.delete(end.id);
      this.trusted.note(end, opened.hostKey);
      return { ...opened, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  private async bastion(
    end: End,
    bastion: SshEndpoint,
    { signal, releases }: { signal: AbortSignal; releases: (() => void)[] },
  ): Promise<{ place: Place; client: Opened['client'] }> {
    const { place } = bastionEnd(bastion);
    try {
      const link = this.linkTo(bastionEnd(bastion));
      releases.push(link.use());
      return { place, client: await link.client(signal) };
    } catch (error) {
      throw behindBastion(end.place, transient(place, 'connecting', error));
    }
  }

  /** A connection that nobody uses makes room. */
  private async connectionSlot(signal: AbortSignal, lane: Lane): Promise<() => void> {
    const slot = this.connections.acquire(signal, lane);
    if (this.connections.short) {
      const oldest = [...this.links].find((link) => link.idle);
      oldest?.end(new TransientError('the connection made room for another one'));
    }
    return await slot;
  }

  private async connect(
    end: End,
    how: { via: { place: Place; client: Opened['client'] } | undefined; lane: Lane; signal: AbortSignal },
  ): Promise<Omit<Opened, 'release'>> {
    const { place, endpoint } = end;
    const { connectMs, keepaliveMs } = this.limits;
    const identity = this.credentials.read(place, endpoint.credentials);
    const hostKeys = hostKeyCheck(place, this.trusted.accepted(end));
    const sinceMs = this.clock.now().getTime();
    const dialing = limit({ follows: [how.signal], deadline: { clock: this.clock, ms: connectMs } });
    const reach = { place, target: endpoint, signal: dialing.signal };
    const dialled = dial(how.via === undefined ? reach : { ...reach, via: how.via });
    const stream = await dialled.finally(() => dialing.end());
    const spentMs = this.clock.now().getTime() - sinceMs;
    const release = await this.handshakes.acquire(how.signal, how.lane).catch((error: unknown) => {
      stream.destroy();
      throw error;
    });
    const ms = Math.min(connectMs, Math.max(1, connectMs - spentMs));
    const shaking = limit({ follows: [how.signal], deadline: { clock: this.clock, ms } });
    const options = { place, user: endpoint.user, identity, hostKeys, keepaliveMs, signal: shaking.signal };
    return await login(stream, options)
      .then((loggedIn) => ({ ...loggedIn, stream }))
      .finally(() => {
        shaking.end();
        release();
      });
  }
}
