// SPDX-License-Identifier: Apache-2.0
// Private keys in the forms in which people have them.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import ssh2, { type ParsedKey } from 'ssh2';
import { sshString } from './wire.ts';

// Node finds one name only in this CommonJS module, `Client`.
const { utils } = ssh2;

/** Why a private key could not be read: a sentence for people without anything of the key. */
export interface UnreadableKey {
  readonly problem: string;
}

/** Reads OpenSSH's own format, PEM (PKCS #1, SEC 1) and PKCS #8; RSA, ECDSA and Ed25519. */
export function readPrivateKey(text: string, passphrase: string | undefined): ParsedKey | UnreadableKey {
  const parsed = /-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/.test(text)
    ? fromPkcs8(text, passphrase)
    : first(utils.parseKey(`${text.trim()}\n`, passphrase));
  if (parsed instanceof Error) return { problem: problemOf(parsed, passphrase) };
  if (!parsed.isPrivateKey()) return { problem: 'it is a public key; the private one is needed' };
  return parsed;
}

/** ssh2 answers a list for some formats, other than its types say. */
function first(parsed: ParsedKey | Error | ParsedKey[]): ParsedKey | Error {
  if (!Array.isArray(parsed)) return parsed;
  return parsed[0] ?? new Error('no key in it');
}

function problemOf(error: Error, passphrase: string | undefined): string {
  const encrypted = /passphrase|decrypt|integrity|bad password/i.test(error.message);
  if (encrypted && passphrase === undefined) return 'it is encrypted and there is no passphrase';
  if (encrypted) return 'the passphrase does not open it';
  return 'its format is not known; OpenSSH and PEM are (RSA, ECDSA, Ed25519)';
}

/** ssh2 does not know PKCS #8, Node does. */
function fromPkcs8(text: string, passphrase: string | undefined): ParsedKey | Error {
  try {
    const key = createPrivateKey({
      key: text,
      format: 'pem',
      ...(passphrase !== undefined && { passphrase }),
    });
    return first(utils.parseKey(rewritten(key)));
  } catch (error) {
    const { code } = error as { code?: string };
    return new Error(code === 'ERR_MISSING_PASSPHRASE' ? 'no passphrase' : `cannot decrypt: ${code}`);
  }
}

function rewritten(key: KeyObject): string {
  const type = key.asymmetricKeyType;
  if (type === 'rsa') return key.export({ format: 'pem', type: 'pkcs1' }).toString();
  if (type === 'ec') return key.export({ format: 'pem', type: 'sec1' }).toString();
  if (type === 'ed25519') return openSshEd25519(key);
  throw new Error('unknown type of key');
}

/** OpenSSH's format (PROTOCOL.key), without encryption: the only one that holds Ed25519. */
function openSshEd25519(key: KeyObject): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const publicKey = Buffer.from(x, 'base64url');
  const publicBlob = Buffer.concat([sshString('ssh-ed25519'), sshString(publicKey)]);
  // Two equal check numbers, public and private half, an empty comment, then 1, 2, 3 … up to a multiple of 8.
  const privateHalf = sshString(Buffer.concat([Buffer.from(d, 'base64url'), publicKey]));
  const section = Buffer.concat([Buffer.alloc(8), publicBlob, privateHalf, sshString('')]);
  const padding = Buffer.from(Array.from({ length: -section.length & 7 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[sshString('none'), sshString('none'), sshString('')],
    Buffer.from([0, 0, 0, 1]),
    sshString(publicBlob),
    sshString(Buffer.concat([section, padding])),
  ]);
  const base64 = body.toString('base64').replace(/.{70}/g, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----`;
}
