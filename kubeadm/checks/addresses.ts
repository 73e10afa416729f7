// SPDX-License-Identifier: Apache-2.0
// Names and addresses as kubeadm reads them, which is how Go does.
import { isIPv4, isIPv6 } from 'node:net';

const LABEL = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_DNS_NAME = 253;
const MAX_PORT = 65_535;

/** A DNS name in lower case (RFC 1123). */
export function isDNSName(text: string): boolean {
  return text.length <= MAX_DNS_NAME && DNS_NAME.test(text);
}

/** A DNS name whose first label is `*`. */
export function isWildcardName(text: string): boolean {
  return text.length <= MAX_DNS_NAME && text.startsWith('*.') && DNS_NAME.test(text.slice(2));
}

/** Leading zeros are allowed, a zone is not. */
export function isIPAddress(text: string): boolean {
  const plain = text.replace(/(^|[:.])0+(?=[0-9a-fA-F])/g, '$1');
  return isIPv4(plain) || (isIPv6(plain) && !plain.includes('%'));
}

/** Decimal digits, 1 to 65535. */
export function isPort(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_PORT;
}

/** A range of addresses. */
export interface CIDR {
  readonly family: 'IPv4' | 'IPv6';
  readonly prefix: number;
  /** Length of an address. */
  readonly bits: 32 | 128;
}

/** The range; undefined when the text is none. */
export function parseCIDR(text: string): CIDR | undefined {
  const [, address = '', digits = ''] = /^([^/]*)\/(\d{1,9})$/.exec(text.trim()) ?? [];
  if (!isIPAddress(address)) return undefined;
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  const bits = family === 'IPv6' ? 128 : 32;
  return Number(digits) <= bits ? { family, prefix: Number(digits), bits } : undefined;
}

/** `host:port`, an IPv6 address in brackets; either part may be empty. undefined when there is no port, or the text is ambiguous. */
export function splitHostPort(text: string): { host: string; port: string } | undefined {
  const parts = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text);
  if (parts === null) return undefined;
  const [, bracketed, plain = '', port = ''] = parts;
  return { host: bracketed ?? plain, port };
}
