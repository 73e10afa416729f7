// SPDX-License-Identifier: Apache-2.0
// The Secrets with which hosts are reached.
import type { Secret } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { MOVE_LABEL } from '../../api/labels.ts';
import type { SshCredentials } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { type SecretReader, textOf } from './secrets.ts';

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

/** Reads through `secrets`. */
export function createCredentialsReader(secrets: SecretReader): CredentialsReader {
  return {
    async read(ctx, name) {
      const secret = await secrets.get(ctx, name);
      if (secret === undefined) throw missing(name, ABSENT);
      return credentialsOf(secret);
    },
  };
}

function credentialsOf(secret: Secret): SshCredentials {
  const found = Object.entries(KEYS).flatMap(([field, key]) => {
    const text = textOf(secret, key);
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
