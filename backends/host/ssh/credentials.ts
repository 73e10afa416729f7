// SPDX-License-Identifier: Apache-2.0
// A credentials Secret, read once: keys with a passphrase cost a tenth of a second each time, and hundreds of hosts share one.
import { createHash } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { TerminalError } from '../../../runtime/errors.ts';
import type { SshCredentials } from '../../host-driver.ts';
import { type Certificate, readCertificate } from './certificate.ts';
import type { Place } from './naming.ts';
import { readPrivateKey } from './private-key.ts';

/** What one can log in with, in the order in which it is offered. */
export interface Identity {
  readonly key: ParsedKey | undefined;
  readonly certificate: Certificate | undefined;
  readonly password: string | undefined;
}

/** Reads credentials, and remembers what it has read lately. */
export interface CredentialReader {
  /** Throws TerminalError(CredentialsInvalid). */
  read(place: Place, credentials: SshCredentials): Identity;
}

const REMEMBERED = 64;

export function credentialReader(): CredentialReader {
  const known = new Map<string, Identity>();
  return {
    read(place, credentials) {
      const id = digest(credentials);
      const identity = known.get(id) ?? readIdentity(place, credentials);
      known.delete(id);
      known.set(id, identity);
      const [oldest] = known.keys();
      if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
      return identity;
    },
  };
}

/** Tells contents apart without keeping them. */
export function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64');
}

function readIdentity(place: Place, credentials: SshCredentials): Identity {
  const invalid = (problem: string) =>
    new TerminalError(
      'CredentialsInvalid',
      `${place.name}: the Secret of ${place.field}.credentialsRef ${problem}`,
    );
  const { privateKey, passphrase, password } = credentials;
  if (privateKey === undefined && password === undefined)
    throw invalid('has neither ssh-privatekey nor password');
  if (privateKey === undefined && credentials.certificate !== undefined)
    throw invalid('has ssh-certificate without its ssh-privatekey');
  if (privateKey === undefined) return { key: undefined, certificate: undefined, password };
  const key = readPrivateKey(privateKey, passphrase);
  if ('problem' in key) throw invalid(`has an ssh-privatekey that cannot be read: ${key.problem}`);
  if (credentials.certificate === undefined) return { key, certificate: undefined, password };
  const certificate = readCertificate(credentials.certificate);
  if (certificate === undefined)
    throw invalid(
      'has an ssh-certificate that is not an OpenSSH user certificate, as in id_ed25519-cert.pub',
    );
  if (!certificate.publicKey.equals(key.getPublicSSH()))
    throw invalid('has an ssh-certificate of another key than its ssh-privatekey');
  return { key, certificate, password };
}
