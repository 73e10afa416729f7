// SPDX-License-Identifier: Apache-2.0
// The Secrets with which hosts are reached: read as seldom as can be, since hundreds of hosts may share one.
import type { Secret } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { SecretKind } from '../../api/kinds.ts';
import { MOVE_LABEL } from '../../api/labels.ts';
import type { SshCredentials } from '../../backends/host-driver.ts';
import type { Client } from '../../runtime/client.ts';
import { type Clock, hasPassed } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';

/** A host whose job runs is asked every second: its Secret is not. */
const FRESH_MS = 30_000;

/** Keys should not stay in memory for nothing. */
const FORGET_MS = 30 * 60_000;

/** The keys of a credentials Secret. */
const KEYS = {
  privateKey: 'ssh-privatekey',
  passphrase: 'passphrase',
  certificate: 'ssh-certificate',
  password: 'password',
  sudoPassword: 'sudo-password',
} as const satisfies Record<keyof SshCredentials, string>;

const ABSENT = `does not exist; make it with the key ${KEYS.privateKey}, and with the label ${MOVE_LABEL} that takes it along on a move`;

/** Reads credentials. Never logs them. */
export interface CredentialsReader {
  /**
   * What is in the Secret, at most 30 s old. Throws TerminalError(CredentialsMissing) that names the Secret and the key. The Secret
   * is a person's: it is only read, and its label takes it along on a move (CTL-M2).
   */
  read(ctx: Ctx, secret: ObjectName): Promise<SshCredentials>;
}

/** Nothing is read before the first question. */
export function createCredentialsReader(deps: {
  readonly client: Client;
  readonly clock: Clock;
}): CredentialsReader {
  const { client, clock } = deps;
  const entries = new Map<string, { readonly secret: Secret; readonly readMs: number }>();
  const inTurn = turnTaking();

  return {
    read: (ctx, name) =>
      inTurn(keyOf(name), async () => {
        for (const [key, { readMs }] of entries) if (hasPassed(clock, readMs, FORGET_MS)) entries.delete(key);
        return credentialsOf(await current(ctx, name));
      }),
  };

  async function current(ctx: Ctx, name: ObjectName): Promise<Secret> {
    const known = entries.get(keyOf(name));
    if (known !== undefined && !hasPassed(clock, known.readMs, FRESH_MS)) return known.secret;
    entries.delete(keyOf(name));
    const secret = await client.get(SecretKind, name, ctx.signal);
    if (secret === undefined) throw missing(name, ABSENT);
    entries.set(keyOf(name), { secret, readMs: clock.now().getTime() });
    return secret;
  }
}

function credentialsOf(secret: Secret): SshCredentials {
  const found = Object.entries(KEYS).flatMap(([field, key]) => {
    const text = Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
    return text === '' ? [] : [[field, text] as const];
  });
  const credentials: SshCredentials = Object.fromEntries(found);
  if (credentials.privateKey === undefined && credentials.password === undefined) {
    throw missing(
      nameOf(secret),
      `has neither ${KEYS.privateKey} nor ${KEYS.password}; add one of these keys`,
    );
  }
  return credentials;
}

function missing(secret: ObjectName, what: string): TerminalError {
  return new TerminalError(Reason.CredentialsMissing, `Secret ${keyOf(secret)} ${what}`);
}

/** Work with the same key is done one after the other: hosts that share a Secret cost one read. */
function turnTaking() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work);
    // Who comes next waits for the end, however it ends.
    const ended = mine.catch(() => {});
    last.set(key, ended);
    try {
      return await mine;
    } finally {
      if (last.get(key) === ended) last.delete(key);
    }
  };
}
