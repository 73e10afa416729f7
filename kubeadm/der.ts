// SPDX-License-Identifier: Apache-2.0
// Reads elements out of DER that a parser has already accepted, byte for byte: a key that is parsed and written again may come
// out in another form.

/** Where the content of a DER element begins, and where the element ends. */
export interface DERElement {
  readonly content: number;
  readonly end: number;
}

/** The element that begins at `start`. Throws RangeError when it does not fit into `der`. */
export function elementAt(der: Buffer, start: number): DERElement {
  const length = der.readUInt8(start + 1);
  if (length < 0x80) return { content: start + 2, end: start + 2 + length };
  const bytes = length & 0x7f;
  const content = start + 2 + bytes;
  return { content, end: content + der.readUIntBE(start + 2, bytes) };
}

/** Tag of `version`, which certificates of version 1 leave out. */
const VERSION_TAG = 0xa0;

/** SubjectPublicKeyInfo of a certificate (RFC 5280, section 4.1). */
export function subjectPublicKeyInfo(certificate: Buffer): Buffer {
  const toBeSigned = elementAt(certificate, elementAt(certificate, 0).content);
  const version = elementAt(certificate, toBeSigned.content);
  let at = certificate[toBeSigned.content] === VERSION_TAG ? version.end : toBeSigned.content;
  for (const _ of ['serialNumber', 'signature', 'issuer', 'validity', 'subject'])
    at = elementAt(certificate, at).end;
  return certificate.subarray(at, elementAt(certificate, at).end);
}

/** The bits of the key in a SubjectPublicKeyInfo. */
export function publicKeyBits(info: Buffer): Buffer {
  const algorithm = elementAt(info, elementAt(info, 0).content);
  const bits = elementAt(info, algorithm.end);
  // The first byte counts the bits that are not used, of which a key has none.
  return info.subarray(bits.content + 1, bits.end);
}
