// SPDX-License-Identifier: Apache-2.0
// Just enough DER (X.690) to read a certificate request. What DER forbids is refused: two readers must not see two requests in one.

/** One element. `raw` is the whole of it, `content` what is in it. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  readonly raw: Buffer;
}

/** Tags that requests are made of. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  sequence: 0x30,
  set: 0x31,
  /** `[0]`, constructed. */
  context0: 0xa0,
} as const;

const LONG_TAG = 0x1f;
/** Lengths are read up to 24 bits: no request is longer. */
const MAX_LENGTH_BYTES = 3;

/** The one element that `bytes` are. Throws where they are not exactly one. */
export function readElement(bytes: Buffer): DerElement {
  const element = elementAt(bytes, 0);
  if (element.raw.length !== bytes.length) throw new Error('bytes follow its end');
  return element;
}

/** The elements in `element`, which has to have the given tag. */
export function membersOf(element: DerElement | undefined, tag: number): DerElement[] {
  const content = contentOf(element, tag);
  const members: DerElement[] = [];
  for (let offset = 0; offset < content.length; offset += members.at(-1)!.raw.length) {
    members.push(elementAt(content, offset));
  }
  return members;
}

/** The bytes in `element`, which has to have the given tag. */
export function contentOf(element: DerElement | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new Error('it is not built as it should be');
  return element.content;
}

function elementAt(bytes: Buffer, offset: number): DerElement {
  const tag = byteAt(bytes, offset);
  if ((tag & LONG_TAG) === LONG_TAG) throw new Error('a tag is not one of a request');
  const { length, begin } = lengthAt(bytes, offset + 1);
  const end = begin + length;
  if (end > bytes.length) throw new Error('it is cut off');
  return { tag, content: bytes.subarray(begin, end), raw: bytes.subarray(offset, end) };
}

/** DER allows the shortest form of a length only. */
function lengthAt(bytes: Buffer, offset: number): { length: number; begin: number } {
  const first = byteAt(bytes, offset);
  if (first < 0x80) return { length: first, begin: offset + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > MAX_LENGTH_BYTES) throw new Error('a length is not one of a request');
  const begin = offset + 1 + count;
  if (begin > bytes.length) throw new Error('it is cut off');
  const length = bytes.readUIntBE(offset + 1, count);
  const shortest = length < 0x80 ? 0 : Math.ceil(length.toString(16).length / 2);
  if (shortest !== count) throw new Error('a length is not in its shortest form');
  return { length, begin };
}

function byteAt(bytes: Buffer, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw new Error('it is cut off');
  return byte;
}
