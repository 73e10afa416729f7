// SPDX-License-Identifier: Apache-2.0
// Logging in with an OpenSSH certificate (PROTOCOL.certkeys). ssh2 has no support for it: it writes the name of the key's type into the
// signature as well, where servers expect the plain type. So the last packet of such a login is composed here.
import { sign as signWith } from 'node:crypto';
import type { Client, ParsedKey } from 'ssh2';
import { sshInteger, sshString, WireReader } from './wire.ts';

/** A certificate and what it says of itself. */
export interface Certificate {
  readonly blob: Buffer;
  /** Of the key that is certified, such as `ssh-ed25519`. */
  readonly plainType: string;
  /** The certified key, as it travels without a certificate. */
  readonly publicKey: Buffer;
  /** Seconds since 1970; the certificate is refused before and after. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
}

/** How many strings a public key of each type has after its name. */
const KEY_FIELDS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
};

const SUFFIX = '-cert-v01@openssh.com';
const USER_CERTIFICATE = 1;

/** Reads the line of a `…-cert.pub` file. `undefined` when it is not a user certificate of a known type. */
export function readCertificate(line: string): Certificate | undefined {
  const blob = Buffer.from(line.trim().split(/\s+/)[1] ?? '', 'base64');
  try {
    return decode(blob);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function decode(blob: Buffer): Certificate | undefined {
  const reader = new WireReader(blob);
  const type = reader.string().toString('latin1');
  const plainType = type.endsWith(SUFFIX) ? type.slice(0, -SUFFIX.length) : '';
  const fields = KEY_FIELDS[plainType];
  if (fields === undefined) return undefined;
  reader.string(); // A nonce.
  const key = Array.from({ length: fields }, () => sshString(reader.string()));
  reader.uint64(); // Its serial number.
  if (reader.uint32() !== USER_CERTIFICATE) return undefined;
  reader.string(); // Its name, for logs.
  reader.string(); // Users that it is good for.
  const validAfter = reader.uint64();
  const publicKey = Buffer.concat([sshString(plainType), ...key]);
  return { blob, plainType, publicKey, validAfter, validBefore: reader.uint64() };
}

/** How servers call the login with a certificate, and the signature in it. RSA signs with SHA-2 only. */
function algorithms(certificate: Certificate): { readonly login: string; readonly signature: string } {
  const signature = certificate.plainType === 'ssh-rsa' ? 'rsa-sha2-512' : certificate.plainType;
  return { login: `${signature}${SUFFIX}`, signature };
}

/** The part of ssh2 that writes packets: not public, so looked at before it is used. */
interface PacketWriter {
  readonly allocStart: number;
  alloc(size: number): Buffer;
  finalize(packet: Buffer): Buffer;
}

/** Whether this release of ssh2 can be made to log in with certificates. */
export function canUseCertificates(client: Client): boolean {
  return packetWriter(client) !== undefined;
}

function packetWriter(client: Client): PacketWriter | undefined {
  const { _protocol: protocol } = client as unknown as { _protocol?: { _packetRW?: { write?: unknown } } };
  const writer = protocol?._packetRW?.write as Partial<PacketWriter> | undefined;
  const usable =
    typeof writer?.alloc === 'function' &&
    typeof writer.finalize === 'function' &&
    typeof writer.allocStart === 'number';
  return usable ? (writer as PacketWriter) : undefined;
}

/**
 * A key for ssh2's `publickey` method that offers the certificate and signs with the private key. ssh2 asks for the signature and writes
 * the packet in one go: the packet that it finishes next is replaced by the right one.
 */
export function certifiedKey(client: Client, key: ParsedKey, certificate: Certificate): ParsedKey {
  const names = algorithms(certificate);
  const sign = (data: Buffer): Buffer => {
    const signature = signatureOf(key, names.signature, data);
    const writer = packetWriter(client);
    if (writer !== undefined) replaceNextPacket(writer, loginRequest(data, names.signature, signature));
    return signature;
  };
  const described = { type: { value: names.login }, getPublicSSH: { value: () => certificate.blob } };
  return Object.create(key, { ...described, sign: { value: sign } }) as ParsedKey;
}

/** What is signed is the session's id and the request up to the key (RFC 4252, section 7): the request and the signature. */
function loginRequest(signed: Buffer, algorithm: string, signature: Buffer): Buffer {
  const request = signed.subarray(4 + signed.readUInt32BE(0));
  return Buffer.concat([request, sshString(Buffer.concat([sshString(algorithm), sshString(signature)]))]);
}

function replaceNextPacket(writer: PacketWriter, payload: Buffer): void {
  const original = Object.getOwnPropertyDescriptor(writer, 'finalize');
  const finalize = writer.finalize.bind(writer);
  writer.finalize = () => {
    if (original === undefined) Reflect.deleteProperty(writer, 'finalize');
    else Object.defineProperty(writer, 'finalize', original);
    const packet = writer.alloc(payload.length);
    packet.set(payload, writer.allocStart);
    return finalize(packet);
  };
}

const HASHES: Readonly<Record<string, string>> = {
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

function signatureOf(key: ParsedKey, algorithm: string, data: Buffer): Buffer {
  const raw = signWith(HASHES[algorithm] ?? null, data, {
    key: key.getPrivatePEM(),
    dsaEncoding: 'ieee-p1363',
  });
  if (!algorithm.startsWith('ecdsa-')) return raw;
  const half = raw.length / 2;
  return Buffer.concat([sshInteger(raw.subarray(0, half)), sshInteger(raw.subarray(half))]);
}
