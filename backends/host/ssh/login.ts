// SPDX-License-Identifier: Apache-2.0
// The handshake and the login on a stream that already speaks SSH, with ssh2.
import type { Duplex } from 'node:stream';
import ssh2, {
  type AnyAuthMethod,
  type AuthenticationType,
  type AuthHandlerMiddleware,
  type Client,
  type KeyboardInteractiveAuthMethod,
} from 'ssh2';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import { canUseCertificates, certifiedKey } from './certificate.ts';
import type { Identity } from './credentials.ts';
import type { HostKeyCheck } from './host-keys.ts';
import { hostKeyLine } from './host-keys.ts';
import { unlessAborted } from './limit.ts';
import { oneLine, type Place, transient } from './naming.ts';

export interface LoginOptions {
  readonly place: Place;
  readonly user: string;
  readonly identity: Identity;
  readonly hostKeys: HostKeyCheck;
  /** How often the connection is asked whether it still lives; three unanswered questions end it. */
  readonly keepaliveMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/** A connection that has logged in. Somebody must listen to its `error` events. */
export interface LoggedIn {
  readonly client: Client;
  /** The key with which the other end proved who it is. */
  readonly hostKey: string;
}

/** What was seen on the way, from which a failure is explained. */
interface Course {
  offered?: Buffer;
  objection?: TerminalError;
  /** The other end takes login attempts. */
  authenticating: boolean;
  /** Methods that the other end would have taken. */
  allowed: readonly string[];
  banner: string;
}

/** Logs in. The stream is destroyed when it fails. TerminalError: HostKeyMismatch, HostKeyUnknown, CredentialsRefused, CredentialsInvalid. */
export async function login(stream: Duplex, options: LoginOptions): Promise<LoggedIn> {
  const client = new ssh2.Client();
  const course: Course = { authenticating: false, allowed: [], banner: '' };
  // Errors may come after this attempt has been given up: nobody else listens then.
  client.on('error', () => undefined);
  try {
    await unlessAborted(attempt(client, stream, options, course), options.signal);
  } catch (error) {
    stream.destroy();
    throw explain(error, options, course);
  }
  return { client, hostKey: hostKeyLine(course.offered ?? Buffer.alloc(0)) };
}

/** The key that the other end proves to have, `<type> <base64>`, without logging in. The stream is destroyed. */
export async function offeredHostKey(
  stream: Duplex,
  options: Pick<LoginOptions, 'place' | 'signal' | 'hostKeys'>,
): Promise<string> {
  const client = new ssh2.Client();
  const course: Course = { authenticating: false, allowed: [], banner: '' };
  client.on('error', () => undefined);
  const proven = new Promise<void>((resolve, reject) => {
    client.once('handshake', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(closed()));
  });
  const nothing = { user: 'nobody', identity: undefined, keepaliveMs: 0 };
  try {
    connect(client, stream, { ...options, ...nothing }, course);
    await unlessAborted(proven, options.signal);
  } catch (error) {
    throw transient(options.place, 'asking for its host key', error);
  } finally {
    stream.destroy();
  }
  return hostKeyLine(course.offered ?? Buffer.alloc(0));
}

function closed(): Error {
  return new Error('it closed the connection');
}

async function attempt(client: Client, stream: Duplex, options: LoginOptions, course: Course): Promise<void> {
  const ready = new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    client.once('error', reject);
    client.once('close', () => reject(closed()));
  });
  client.on('banner', (text) => (course.banner = oneLine(text)));
  connect(client, stream, options, course);
  await ready;
}

type Handshake = Pick<LoginOptions, 'user' | 'hostKeys' | 'keepaliveMs'> & { identity: Identity | undefined };

function connect(client: Client, stream: Duplex, options: Handshake, course: Course): void {
  client.connect({
    sock: stream,
    username: options.user,
    // Deadlines are the caller's, for all of it.
    readyTimeout: 0,
    keepaliveInterval: options.keepaliveMs,
    keepaliveCountMax: 3,
    algorithms: { serverHostKey: options.hostKeys.algorithms },
    hostVerifier: (blob: Buffer) => {
      course.offered = Buffer.from(blob);
      const objection = options.hostKeys.objection(course.offered);
      if (objection !== undefined) course.objection = objection;
      return objection === undefined;
    },
    authHandler: authHandler(client, options, course),
  });
}

/** Offers one method after the other, of those that the other end takes. */
function authHandler(client: Client, options: Handshake, course: Course): AuthHandlerMiddleware {
  let methods: AnyAuthMethod[] | undefined;
  return (left: AuthenticationType[] | null, _partial, next) => {
    // Only now: a certificate needs the protocol that connect() makes.
    methods ??= authMethods(client, options.user, options.identity);
    course.authenticating = true;
    if (left !== null) course.allowed = left;
    const index = methods.findIndex((each) => left === null || left.includes(each.type));
    const [method] = index < 0 ? [] : methods.splice(0, index + 1).slice(-1);
    // `false` ends the attempt; its place in the types was forgotten.
    next(method ?? (false as unknown as AuthenticationType));
  };
}

function authMethods(client: Client, username: string, identity: Identity | undefined): AnyAuthMethod[] {
  if (identity === undefined) return [];
  const { key, certificate, password } = identity;
  const methods: AnyAuthMethod[] = [{ type: 'none', username }];
  if (key !== undefined && certificate !== undefined && canUseCertificates(client))
    methods.push({ type: 'publickey', username, key: certifiedKey(client, key, certificate) });
  if (key !== undefined) methods.push({ type: 'publickey', username, key });
  if (password !== undefined)
    methods.push({ type: 'password', username, password }, typedPassword(username, password));
  return methods;
}

/** Servers that ask through PAM take a password only this way. One question is answered, once: others are about something else. */
function typedPassword(username: string, password: string): KeyboardInteractiveAuthMethod {
  let asked = false;
  return {
    type: 'keyboard-interactive',
    username,
    prompt(...question) {
      const [, , , prompts, finish] = question;
      const [prompt] = prompts;
      const answer = !asked && prompts.length === 1 && prompt?.echo !== true ? password : '';
      asked ||= prompts.length > 0;
      finish(prompts.map(() => answer));
    },
  };
}

function explain(error: unknown, options: LoginOptions, course: Course): Error {
  if (course.objection !== undefined) return course.objection;
  if (course.authenticating && isRefusal(error)) return refused(options, course);
  return transient(options.place, course.authenticating ? 'logging in' : 'shaking hands', error);
}

/** All methods were tried, or the other end had enough of us (RFC 4253 codes 2, as OpenSSH says it, and 14). */
function isRefusal(error: unknown): boolean {
  const { level, code, message } = error as { level?: string; code?: unknown; message?: string };
  if (level === 'client-authentication' || code === 14) return true;
  return code === 2 && /authentication/i.test(message ?? '');
}

/** PAM's words on a host that starts or stops: nobody but root may log in for a moment. */
const MOMENTARY = /booting up|not permitted to log in yet|going down/i;

function refused(options: LoginOptions, course: Course): Error {
  const { place, user } = options;
  if (MOMENTARY.test(course.banner)) return new TransientError(`${place.name}: ${course.banner}`);
  const taken = course.allowed.length > 0 ? course.allowed.join(', ') : 'nothing';
  const message = `${place.name} refused the login of user ${user} (it takes ${taken}; offered: ${offered(options.identity)}): see that the user exists there and knows the key, or change ${place.field}.user or the Secret of ${place.field}.credentialsRef`;
  return new TerminalError('CredentialsRefused', message);
}

function offered(identity: Identity): string {
  const { certificate } = identity;
  const until = certificate && new Date(Math.min(Number(certificate.validBefore) * 1000, 8.64e15));
  const names = [
    until && `certificate valid until ${until.toISOString()}`,
    identity.key && `${identity.key.type} key`,
    identity.password !== undefined && 'password',
  ];
  return names.filter(Boolean).join(', ');
}
