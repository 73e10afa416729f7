// SPDX-License-Identifier: Apache-2.0
// Reads a PKCS#10 certificate request (RFC 2986). It comes from another machine: what a kubelet would not send is refused, not skipped.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { contentOf, type DerElement, membersOf, readElement, Tag } from './der.ts';
import { ipFromBytes } from './ip-address.ts';

/** What a request asks for. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly organization: string;
  /** As they were sent; visible ASCII only. */
  readonly dnsNames: readonly string[];
  /** Canonical. */
  readonly ipAddresses: readonly string[];
}

/** Object identifiers, as the bytes in a request. */
const Oid = {
  commonName: '550403',
  organization: '55040a',
  extensionRequest: '2a864886f70d01090e',
  subjectAltName: '551d11',
} as const;

interface SignatureAlgorithm {
  readonly keyType: 'rsa' | 'ec';
  readonly hash: string;
}

const SIGNATURES: Readonly<Record<string, SignatureAlgorithm>> = {
  '2a8648ce3d040302': { keyType: 'ec', hash: 'sha256' },
  '2a8648ce3d040303': { keyType: 'ec', hash: 'sha384' },
  '2a8648ce3d040304': { keyType: 'ec', hash: 'sha512' },
  '2a864886f70d01010b': { keyType: 'rsa', hash: 'sha256' },
  '2a864886f70d01010c': { keyType: 'rsa', hash: 'sha384' },
  '2a864886f70d01010d': { keyType: 'rsa', hash: 'sha512' },
};

const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];
const MIN_RSA_BITS = 2048;
const PEM =
  /^-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/;
const GeneralName = { dns: 0x82, ip: 0x87 } as const;

/**
 * Reads `spec.request` of a CertificateSigningRequest, PEM in base64, and verifies that whoever made it has the private key. Throws an
 * Error whose message says what is wrong with "it"; nothing of the request is in the message.
 */
export function readCertificateRequest(request: string): CertificateRequest {
  const [info, algorithm, signature, ...rest] = membersOf(readElement(derOf(request)), Tag.sequence);
  if (info === undefined || rest.length > 0) throw new Error('it is not built as it should be');
  const [version, subject, publicKey, attributes, ...more] = membersOf(info, Tag.sequence);
  if (contentOf(version, Tag.integer).toString('hex') !== '00' || more.length > 0)
    throw new Error('it is of an unknown version');
  contentOf(publicKey, Tag.sequence);
  verifySignature({ info, publicKey: publicKey!.raw, algorithm, signature });
  return { ...readSubject(subject), ...readNames(attributes) };
}

function derOf(request: string): Buffer {
  const base64 = PEM.exec(Buffer.from(request, 'base64').toString('latin1'))?.[1]?.replace(/\r?\n/g, '');
  const der = Buffer.from(base64 ?? '', 'base64');
  // Node's decoder forgives what others do not.
  if (base64 === undefined || der.toString('base64') !== base64)
    throw new Error('it is not one PEM block of type CERTIFICATE REQUEST');
  return der;
}

function verifySignature(request: {
  readonly info: DerElement;
  readonly publicKey: Buffer;
  readonly algorithm: DerElement | undefined;
  readonly signature: DerElement | undefined;
}): void {
  const [oid] = membersOf(request.algorithm, Tag.sequence);
  const how = SIGNATURES[contentOf(oid, Tag.objectIdentifier).toString('hex')];
  if (how === undefined) throw new Error('it is signed in a way that no kubelet uses');
  const key = readPublicKey(request.publicKey);
  if (key.asymmetricKeyType !== how.keyType || !isStrong(key))
    throw new Error('its key is of a kind that no kubelet uses');
  const [unusedBits, signature] = splitFirst(contentOf(request.signature, Tag.bitString));
  if (unusedBits !== 0 || !verify(how.hash, request.info.raw, key, signature))
    throw new Error('its signature is wrong');
}

function readPublicKey(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    throw new Error('its key cannot be read');
  }
}

function isStrong({ asymmetricKeyDetails: details }: KeyObject): boolean {
  if (details?.namedCurve !== undefined) return CURVES.includes(details.namedCurve);
  return (details?.modulusLength ?? 0) >= MIN_RSA_BITS;
}

function splitFirst(bytes: Buffer): [number | undefined, Buffer] {
  return [bytes[0], bytes.subarray(1)];
}

/** Exactly one common name and one organization. */
function readSubject(subject: DerElement | undefined): { commonName: string; organization: string } {
  const parts = membersOf(subject, Tag.sequence)
    .flatMap((relative) => membersOf(relative, Tag.set))
    .map((part) => membersOf(part, Tag.sequence));
  const values = new Map(
    parts.map(([oid, value]) => [contentOf(oid, Tag.objectIdentifier).toString('hex'), text(value)]),
  );
  const [commonName, organization] = [values.get(Oid.commonName), values.get(Oid.organization)];
  if (parts.length !== 2 || commonName === undefined || organization === undefined)
    throw new Error('its subject is not one common name and one organization');
  return { commonName, organization };
}

function text(value: DerElement | undefined): string {
  const tag = value?.tag === Tag.printableString ? Tag.printableString : Tag.utf8String;
  return contentOf(value, tag).toString('utf8');
}

/** From the one attribute that a kubelet sends: a request for one extension, the subject's other names. */
function readNames(attributes: DerElement | undefined): { dnsNames: string[]; ipAddresses: string[] } {
  const [attribute, ...others] = attributes === undefined ? [] : membersOf(attributes, Tag.context0);
  if (attribute === undefined) return { dnsNames: [], ipAddresses: [] };
  const [oid, values] = membersOf(attribute, Tag.sequence);
  if (others.length > 0 || contentOf(oid, Tag.objectIdentifier).toString('hex') !== Oid.extensionRequest)
    throw new Error('it has an attribute that no kubelet sends');
  const [list, ...moreLists] = membersOf(values, Tag.set);
  const [extension, ...moreExtensions] = membersOf(list, Tag.sequence);
  if (moreLists.length + moreExtensions.length > 0)
    throw new Error('it asks for more extensions than subjectAltName');
  const names = namesIn(extension);
  const dnsNames = names.filter(({ tag }) => tag === GeneralName.dns).map(dnsName);
  const ipAddresses = names.filter(({ tag }) => tag === GeneralName.ip).map(ipAddress);
  if (dnsNames.length + ipAddresses.length < names.length)
    throw new Error('it asks for a name that is neither a DNS name nor an IP address');
  return { dnsNames, ipAddresses };
}

function namesIn(extension: DerElement | undefined): DerElement[] {
  const members = membersOf(extension, Tag.sequence);
  const [oid, ...rest] = members;
  if (contentOf(oid, Tag.objectIdentifier).toString('hex') !== Oid.subjectAltName)
    throw new Error('it asks for an extension other than subjectAltName');
  // Between the two there may be the word "critical".
  const value = rest[0]?.tag === Tag.boolean ? rest[1] : rest[0];
  if (value !== rest.at(-1)) throw new Error('it is not built as it should be');
  return membersOf(readElement(contentOf(value, Tag.octetString)), Tag.sequence);
}

function dnsName({ content }: DerElement): string {
  const name = content.toString('latin1');
  if (!/^[\x21-\x7e]{1,253}$/.test(name)) throw new Error('it asks for a DNS name that is none');
  return name;
}

function ipAddress({ content }: DerElement): string {
  const address = ipFromBytes(content);
  if (address === undefined) throw new Error('it asks for an IP address that is none');
  return address;
}
