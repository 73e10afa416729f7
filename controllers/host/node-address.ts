// SPDX-License-Identifier: Apache-2.0
import { isIP, isIPv4 } from 'node:net';
import type { TSHost } from '../../api/tshost.ts';

/**
 * The address under which other machines of the cluster reach the host: that of its SSH settings where it is an IP address, else the
 * first that was measured, IPv4 before IPv6. `undefined` until the host has been looked at.
 */
export function nodeAddress({ spec, status }: TSHost): string | undefined {
  const { address } = spec.ssh;
  if (isIP(address) !== 0) return address;
  const measured = (status?.hardware?.nics ?? []).flatMap((nic) => nic.addresses).map(withoutPrefix);
  return measured.find((one) => isIPv4(one)) ?? measured[0];
}

/** `10.0.0.7/24` is `10.0.0.7`. */
function withoutPrefix(address: string): string {
  return address.split('/')[0] ?? address;
}

/** `host:port`, with IPv6 in brackets. */
export function hostPort(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
