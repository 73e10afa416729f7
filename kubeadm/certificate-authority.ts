// SPDX-License-Identifier: Apache-2.0
// New CAs and service account keys from keys that somebody else made (KB-31, KB-32).
import { createHash, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import type { EncryptionAlgorithm } from '../api/bootstrap/cluster-configuration.ts';
import type { KeyPair } from './certificates.ts';
import { publicKeyBits } from './der.ts';

/** An RSA or ECDSA key pair. */
export interface GeneratedKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Makes a key pair; it takes from a millisecond (ECDSA) to seconds (RSA-4096). */
export type GenerateKey = (algorithm: EncryptionAlgorithm) => Promise<GeneratedKey>;

/** What a new CA is made of. */
export interface NewCertificateAuthority {
  readonly key: GeneratedKey;
  readonly now: Date;
  /** 3650 when `undefined`. */
  readonly validityDays: number | undefined;
  /** 1 to 20 random bytes; the first bits are changed so that the number is positive and not zero. */
  readonly serial: Uint8Array;
}

const DEFAULT_VALIDITY_DAYS = 3650;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks of machines may be behind ours. */
const BACKDATED_MS = 5 * 60 * 1000;

/**
 * A self-signed CA named `kubernetes` that may sign leaf certificates only (KB-31). The signature is made in the thread pool. Certificate
 * and key are PEM, the key as PKCS#1 or SEC1.
 */
export async function newCertificateAuthority(options: NewCertificateAuthority): Promise<KeyPair> {
  const { privateKey } = options.key;
  const { hash, identifier } = signatureOf(privateKey);
  const toBeSigned = tbsCertificate(options, identifier);
  const signature = await signInThreadPool(hash, Buffer.from(der(toBeSigned), 'binary'), privateKey);
  const certificate = sequence(toBeSigned, identifier, bitString(signature.toString('binary')));
  return { certificate: pem('CERTIFICATE', der(certificate)), key: privateKeyPEM(privateKey) };
}

/** Keys for the tokens of service accounts: the public key takes the place of the certificate (KB-32). */
export function newServiceAccountKeyPair({ privateKey, publicKey }: GeneratedKey): KeyPair {
  const certificate = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { certificate, key: privateKeyPEM(privateKey) };
}

const signInThreadPool = promisify<string, Buffer, KeyObject, Buffer>(sign);

/** In the form that is older than PKCS#8, since the tools that read it are, too (KB-31). */
function privateKeyPEM(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
  return key.export({ type, format: 'pem' }).toString();
}

// What follows writes RFC 5280, section 4.1. node-forge has the DER, but neither ECDSA nor threads, so it does not sign.

type Asn1 = forge.asn1.Asn1;
const { Type, Class } = forge.asn1;

function tbsCertificate(options: NewCertificateAuthority, signatureAlgorithm: Asn1): Asn1 {
  const { key, now, validityDays = DEFAULT_VALIDITY_DAYS, serial } = options;
  const publicKey = key.publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(node(Type.SET, [sequence(oid('2.5.4.3'), node(Type.PRINTABLESTRING, 'kubernetes'))]));
  return sequence(
    tagged(0, [node(Type.INTEGER, '\x02')]), // version 3
    node(Type.INTEGER, positive(serial)),
    signatureAlgorithm,
    name,
    sequence(time(now.getTime() - BACKDATED_MS), time(now.getTime() + validityDays * DAY_MS)),
    name,
    forge.asn1.fromDer(publicKey.toString('binary')),
    tagged(3, [sequence(...extensions(publicKey))]),
  );
}

function extensions(publicKey: Buffer): Asn1[] {
  const keyUsage = node(Type.BITSTRING, '\x02\xa4'); // digitalSignature, keyEncipherment, keyCertSign; two bits unused
  const caWithoutIntermediates = sequence(node(Type.BOOLEAN, '\xff'), node(Type.INTEGER, '\x00'));
  return [
    extension('2.5.29.15', keyUsage, node(Type.BOOLEAN, '\xff')),
    extension('2.5.29.19', caWithoutIntermediates, node(Type.BOOLEAN, '\xff')),
    extension('2.5.29.14', node(Type.OCTETSTRING, keyIdentifier(publicKey))),
  ];
}

function extension(id: string, value: Asn1, ...critical: Asn1[]): Asn1 {
  return sequence(oid(id), ...critical, node(Type.OCTETSTRING, der(value)));
}

/** RFC 7093, section 2, method 1: the first 160 bits of the SHA-256 of the bits of the public key. */
function keyIdentifier(publicKey: Buffer): string {
  return createHash('sha256').update(publicKeyBits(publicKey)).digest().toString('binary', 0, 20);
}

interface Signature {
  readonly hash: string;
  readonly identifier: Asn1;
}

/** The algorithm that Go's library takes for the same key. */
function signatureOf(key: KeyObject): Signature {
  if (key.asymmetricKeyType === 'rsa')
    return { hash: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), node(Type.NULL, '')) };
  if (key.asymmetricKeyDetails?.namedCurve === 'secp384r1')
    return { hash: 'sha384', identifier: sequence(oid('1.2.840.10045.4.3.3')) };
  return { hash: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) };
}

/** The content of a DER INTEGER that is neither negative nor zero, and has no byte that it could do without. */
function positive(serial: Uint8Array): string {
  if (serial.length < 1 || serial.length > 20) throw new RangeError('a serial number has 1 to 20 bytes');
  const bytes = Buffer.from(serial);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('binary');
}

/** Until 2049 with two digits for the year, from 2050 on with four. */
function time(ms: number): Asn1 {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return Number(text.slice(0, 4)) < 2050
    ? node(Type.UTCTIME, text.slice(2))
    : node(Type.GENERALIZEDTIME, text);
}

function node(type: forge.asn1.Type, value: string | Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, type, Array.isArray(value), value);
}

function sequence(...members: Asn1[]): Asn1 {
  return node(Type.SEQUENCE, members);
}

function tagged(tag: number, members: Asn1[]): Asn1 {
  return forge.asn1.create(Class.CONTEXT_SPECIFIC, tag, true, members);
}

function oid(dotted: string): Asn1 {
  return node(Type.OID, forge.asn1.oidToDer(dotted).getBytes());
}

function bitString(bytes: string): Asn1 {
  return node(Type.BITSTRING, `\x00${bytes}`);
}

function der(element: Asn1): string {
  return forge.asn1.toDer(element).getBytes();
}

function pem(label: string, bytes: string): string {
  const lines =
    Buffer.from(bytes, 'binary')
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
