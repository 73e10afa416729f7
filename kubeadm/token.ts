// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens: `<id>.<secret>`, kept as a Secret of the workload cluster whose name holds the id (KB-21, KB-22, KB-24).
import type { Secret } from '../api/cluster-api.ts';
import { InputError } from './input-error.ts';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 6;
const SECRET_LENGTH = 16;
const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

/** Bytes from here on are thrown away: counting them in would make the first letters of the alphabet more frequent. */
const UNBIASED = 256 - (256 % ALPHABET.length);

/** A new token; every one is as likely as every other when `randomBytes` is uniform. */
export function newToken(randomBytes: (n: number) => Uint8Array): string {
  let letters = '';
  while (letters.length < ID_LENGTH + SECRET_LENGTH) {
    const missing = ID_LENGTH + SECRET_LENGTH - letters.length;
    for (const byte of randomBytes(missing)) {
      if (byte < UNBIASED) letters += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return `${letters.slice(0, ID_LENGTH)}.${letters.slice(ID_LENGTH)}`;
}

/** Whether `text` has the form of a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Name of the token's Secret, in namespace kube-system. Throws InputError for what is no token. */
export function tokenSecretName(token: string): string {
  return `bootstrap-token-${partsOf(token).id}`;
}

function partsOf(token: string): { id: string; secret: string } {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  if (id !== undefined && secret !== undefined) return { id, secret };
  throw new InputError(
    'spec.joinConfiguration.discovery.bootstrapToken.token',
    'is not a bootstrap token: it has six, a dot, and sixteen of a-z and 0-9. Remove it, and one is made',
  );
}

/** When a token is looked at, and how long it is to live after that. */
export interface TokenLife {
  readonly now: Date;
  readonly ttlMs: number;
}

/** The Secret that makes the workload cluster accept the token for `ttlMs` (KB-21). Throws InputError for what is no token. */
export function tokenSecret(token: string, life: TokenLife): Secret {
  const { id, secret } = partsOf(token);
  const data: Record<string, string> = {
    'token-id': id,
    'token-secret': secret,
    expiration: expirationFrom(life),
    'usage-bootstrap-signing': 'true',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    description: 'Made by ts-provider for machines that Cluster API lets join.',
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: 'kube-system', name: tokenSecretName(token) },
    type: 'bootstrap.kubernetes.io/token',
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, toBase64(value)])),
  };
}

/** Whether a token that machines still wait for lives long enough; `expiration`, RFC 3339 in UTC, is what it gets otherwise. */
export type TokenState = { kind: 'fresh' } | { kind: 'extend'; expiration: string };

/**
 * Fresh while more than 5/6 of its life is left, so that a look every third of it may fail once (KB-22). One that never expires
 * gets an expiration. Throws InputError when the expiration cannot be read or the Secret has no token.
 */
export function tokenState(secret: Secret, life: TokenLife): TokenState {
  const expiration = expirationOf(secret);
  const freshFrom = life.now.getTime() + (life.ttlMs * 5) / 6;
  if (expiration !== undefined && expiration > freshFrom) return { kind: 'fresh' };
  return { kind: 'extend', expiration: expirationFrom(life) };
}

/**
 * Whether a MachinePool, all of whose Nodes have joined, is to get another token: less than half of its life is left (KB-24), or it
 * never expires. Throws InputError as {@link tokenState} does.
 */
export function tokenNeedsRotation(secret: Secret, life: TokenLife): boolean {
  const expiration = expirationOf(secret);
  return expiration === undefined || expiration < life.now.getTime() + life.ttlMs / 2;
}

function expirationFrom({ now, ttlMs }: TokenLife): string {
  // As Go prints it: no fraction.
  return new Date(now.getTime() + ttlMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** In milliseconds since the epoch; `undefined` when the token has none. */
function expirationOf({ metadata, data }: Secret): number | undefined {
  const field = (key: string) => `Secret kube-system/${metadata.name} data["${key}"]`;
  if (!data?.['token-secret'])
    throw new InputError(field('token-secret'), 'is missing: delete the Secret in the workload cluster');
  const text = Buffer.from(data['expiration'] ?? '', 'base64').toString('utf8');
  if (text === '') return undefined;
  const time = parseTime(text);
  if (time !== undefined) return time;
  const message = 'is not a time such as 2030-01-02T15:04:05Z: remove this key in the workload cluster';
  throw new InputError(field('expiration'), message);
}

const RFC3339 = /^\d{4}-\d\d-(\d\d)T([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function parseTime(text: string): number | undefined {
  const [, day] = RFC3339.exec(text) ?? [];
  const time = Date.parse(text);
  if (day === undefined || Number.isNaN(time)) return undefined;
  // JavaScript takes 30 February for 1 March, Go refuses it.
  const localDay = new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate();
  return localDay === Number(day) ? time : undefined;
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
