// SPDX-License-Identifier: Apache-2.0
// The few encodings of RFC 4251, section 5, that keys and signatures are made of.

/** A `string`: its length in four bytes, then the bytes. */
export function sshString(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A non-negative `mpint`: no leading zeros but the one that keeps it from being negative. */
export function sshInteger(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.alloc(0) : bytes.subarray(first);
  const negative = digits.length > 0 && (digits[0] ?? 0) >= 0x80;
  return sshString(negative ? Buffer.concat([Buffer.alloc(1), digits]) : digits);
}

/** Reads one value after the other. Throws RangeError where the bytes end too early. */
export class WireReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  string(): Buffer {
    const length = this.bytes.readUInt32BE(this.at);
    const end = this.at + 4 + length;
    if (end > this.bytes.length) throw new RangeError('the bytes end within a string');
    const value = this.bytes.subarray(this.at + 4, end);
    this.at = end;
    return value;
  }

  uint32(): number {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  uint64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64BE(this.at - 8);
  }
}
