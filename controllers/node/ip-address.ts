// SPDX-License-Identifier: Apache-2.0
import { isIP } from 'node:net';

/** An IP address in the one form that two are compared in; `undefined` when it is none. An IPv4 address in IPv6 is that IPv4 address. */
export function canonicalIP(text: string): string | undefined {
  if (isIP(text) === 4) return text;
  // An address with a zone means something on one machine only.
  if (isIP(text) !== 6 || text.includes('%')) return undefined;
  const shortest = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(shortest);
  if (mapped === null) return shortest;
  const [high, low] = [parseInt(mapped[1]!, 16), parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** The address in a certificate: 4 or 16 bytes; `undefined` for anything else. */
export function ipFromBytes(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  return canonicalIP(bytes.toString('hex').match(/.{4}/g)!.join(':'));
}
