// SPDX-License-Identifier: Apache-2.0
// PEM texts as people bring them: what is broken is named, and never quoted, since it may be a key.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { InputError } from './input-error.ts';

/** One block of a PEM text. */
export interface PEMBlock {
  /** Between BEGIN and the dashes: `CERTIFICATE`, `RSA PRIVATE KEY` ... */
  readonly label: string;
  readonly der: Buffer;
  /** Whether a passphrase is needed to read it. */
  readonly encrypted: boolean;
}

/**
 * The blocks of `text` in their order; what stands between them is for people and is left out. As for Go's parser, which reads
 * the files on the machine, a block begins at the begin of a line. Throws InputError for `field` when a block is damaged or when
 * there is none. Go leaves a damaged block out without a word, and a CA that was cut off then fails on the machine.
 */
export function pemBlocks(text: string, field: string): PEMBlock[] {
  const blocks: PEMBlock[] = [];
  let open: OpenBlock | undefined;
  for (const line of text.split(/\r?\n/)) {
    const edge = edgeOf(line);
    if (edge === undefined) {
      open?.lines.push(line);
    } else if (edge.kind === (open === undefined ? 'BEGIN' : 'END')) {
      if (open !== undefined) blocks.push(closeBlock(open, edge.label, field));
      open = open === undefined ? { label: edge.label, lines: [] } : undefined;
    } else {
      throw new InputError(field, CUT_OFF);
    }
  }
  if (open !== undefined) throw new InputError(field, CUT_OFF);
  if (blocks.length === 0) throw new InputError(field, NOT_PEM);
  return blocks;
}

interface OpenBlock {
  readonly label: string;
  readonly lines: string[];
}

function edgeOf(line: string): { kind: string; label: string } | undefined {
  const [, kind, label] = /^-----(BEGIN|END) (.+)-----[ \t]*$/.exec(line) ?? [];
  return kind === undefined || label === undefined ? undefined : { kind, label };
}

const CUT_OFF = 'a PEM block begins but does not end, or the other way round: store the whole file';
const NOT_PEM = 'is not PEM text: it needs lines that begin with -----BEGIN and -----END';
const NOT_BASE64 = 'a PEM block holds something that is not base64: store the file again, unchanged';

/** Base64 without line ends, padded. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function closeBlock({ label, lines }: OpenBlock, endLabel: string, field: string): PEMBlock {
  if (label !== endLabel) throw new InputError(field, CUT_OFF);
  // Headers, which only encrypted keys have, end with an empty line.
  const headers = lines.filter((line) => line.includes(':'));
  const body = lines.filter((line) => !line.includes(':')).join('');
  const base64 = body.replaceAll(/[ \t]/g, '');
  if (!BASE64.test(base64) || base64.length % 4 !== 0) throw new InputError(field, NOT_BASE64);
  const encrypted = label.startsWith('ENCRYPTED') || headers.some((line) => line.includes('ENCRYPTED'));
  return { label, der: Buffer.from(base64, 'base64'), encrypted };
}

/** The certificates of a bundle, at least one; other blocks are left out, as kubeadm does. Throws InputError for `field`. */
export function certificatesIn(text: string, field: string): X509Certificate[] {
  const blocks = pemBlocks(text, field);
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE');
  if (certificates.length > 0) return certificates.map(({ der }) => readCertificate(der, field));
  const hasKey = blocks.some(({ label }) => label.endsWith('PRIVATE KEY'));
  throw new InputError(
    field,
    hasKey
      ? 'is a private key: the certificate belongs here, and the key in tls.key'
      : 'has no certificate: it needs a PEM block CERTIFICATE',
  );
}

function readCertificate(der: Buffer, field: string): X509Certificate {
  const certificate = parseCertificate(der, field);
  // OpenSSL reads on over what follows, Go does not.
  if (certificate.raw.length === der.length) return certificate;
  throw new InputError(field, 'a certificate has bytes after its end: store the file again, unchanged');
}

function parseCertificate(der: Buffer, field: string): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    // The key in it is parsed when it is asked for, and only then found to be damaged.
    void certificate.publicKey;
    return certificate;
  } catch (cause) {
    throw new InputError(field, 'a PEM block CERTIFICATE is not a certificate: store the file again', {
      cause,
    });
  }
}

/**
 * The first private key of a text: PKCS#1, SEC1 or PKCS#8. Blocks that are no keys, such as the parameters of a curve, are left out.
 * Throws InputError for `field`.
 */
export function privateKeyIn(text: string, field: string): KeyObject {
  const block = pemBlocks(text, field).find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined)
    throw new InputError(field, 'has no private key: it needs a PEM block that ends with PRIVATE KEY');
  if (block.encrypted)
    throw new InputError(
      field,
      'is encrypted, and nobody can be asked for the passphrase: store it decrypted',
    );
  const type = PRIVATE_KEY_TYPES[block.label];
  try {
    if (type === undefined) throw new Error('unknown kind of private key');
    return createPrivateKey({ key: block.der, format: 'der', type });
  } catch {
    // No cause: what a parser says of a key is not ours to repeat.
    throw new InputError(
      field,
      'is not a private key that can be read: store it again as PKCS#8, PKCS#1 or SEC1',
    );
  }
}

const PRIVATE_KEY_TYPES: Readonly<Record<string, 'pkcs1' | 'pkcs8' | 'sec1'>> = {
  'RSA PRIVATE KEY': 'pkcs1',
  'EC PRIVATE KEY': 'sec1',
  'PRIVATE KEY': 'pkcs8',
};

/**
 * The public keys of a text, at least one: blocks PUBLIC KEY and CERTIFICATE, which are what the API server reads. Throws InputError for
 * `field`.
 */
export function publicKeysIn(text: string, field: string): KeyObject[] {
  const keys = pemBlocks(text, field).flatMap(({ label, der }) => {
    if (label === 'CERTIFICATE') return [readCertificate(der, field).publicKey];
    return label === 'PUBLIC KEY' ? [readPublicKey(der, field)] : [];
  });
  if (keys.length > 0) return keys;
  throw new InputError(field, 'has no public key: it needs a PEM block PUBLIC KEY');
}

function readPublicKey(der: Buffer, field: string): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (cause) {
    const message = 'a PEM block PUBLIC KEY is not a public key: store the file again, unchanged';
    throw new InputError(field, message, { cause });
  }
}
