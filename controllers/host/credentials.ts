// SPDX-License-Identifier: Apache-2.0
// The Secrets with which hosts are reached: read as seldom as can be, since hundreds of hosts may share one.
import type { Secret } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { SecretKind, TSHostKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { SshCredentials } from '../../backends/host-driver.ts';
import { isDeleting } from '../../contract/served.ts';
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

/** Reads credentials. Never logs them. */
export interface CredentialsReader {
  /**
   * What is in the Secret, at most 30 s old. The host becomes one of its owners, so that a move takes the Secret along (CTL-M2).
   * Throws TerminalError(CredentialsMissing) that names the Secret and the key.
   */
  read(ctx: Ctx, host: TSHost, secret: ObjectName): Promise<SshCredentials>;
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
    read: (ctx, host, name) =>
      inTurn(keyOf(name), async () => {
        for (const [key, { readMs }] of entries) if (hasPassed(clock, readMs, FORGET_MS)) entries.delete(key);
        return credentialsOf(await owned(ctx, host, await current(ctx, name)));
      }),
  };

  async function current(ctx: Ctx, name: ObjectName): Promise<Secret> {
    const known = entries.get(keyOf(name));
    if (known !== undefined && !hasPassed(clock, known.readMs, FRESH_MS)) return known.secret;
    entries.delete(keyOf(name));
    const secret = await client.get(SecretKind, name, ctx.signal);
    if (secret === undefined) throw missing(name, `does not exist; make it with the key ${KEYS.privateKey}`);
    return remember(secret);
  }

  /** One write for each host, guarded by what was read. */
  async function owned(ctx: Ctx, host: TSHost, secret: Secret): Promise<Secret> {
    const ownerReferences = withOwner(secret, host);
    if (ownerReferences === undefined) return secret;
    const { resourceVersion } = secret.metadata;
    const body = { metadata: { resourceVersion, ownerReferences } };
    // What is known of it is old, whether the write succeeds or not.
    entries.delete(keyOf(nameOf(secret)));
    return remember(await client.patch(SecretKind, nameOf(secret), body, { signal: ctx.signal }));
  }

  function remember(secret: Secret): Secret {
    entries.set(keyOf(nameOf(secret)), { secret, readMs: clock.now().getTime() });
    return secret;
  }
}

/** The owners with the host among them; `undefined` when it is. Not as controller: it goes with the last host that names it. */
function withOwner(secret: Secret, host: TSHost): Secret['metadata']['ownerReferences'] | undefined {
  const { uid, name } = host.metadata;
  const owners = secret.metadata.ownerReferences ?? [];
  if (uid === undefined || isDeleting(host) || owners.some((owner) => owner.uid === uid)) return undefined;
  const mine = { apiVersion: TSHostKind.apiVersion, kind: TSHostKind.kind, name, uid };
  // A namesake of another uid is what the host was before it was made anew.
  return [...owners.filter((owner) => owner.kind !== mine.kind || owner.name !== name), mine];
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

/** Work with the same key is done one after the other: writes to a Secret that hosts share would only refuse each other. */
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
