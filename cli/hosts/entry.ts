// SPDX-License-Identifier: Apache-2.0
import { UsageError } from '../manifests.ts';

/** One sshd as an input file describes it. */
export interface EndpointEntry {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Path of the private key. */
  readonly keyFile: string;
  /** Public host keys that the file already names. */
  readonly hostKeys: readonly string[];
}

/** One host as an input file describes it. */
export interface HostEntry extends EndpointEntry {
  /** A name that an object can have. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly failureDomain: string | undefined;
  /** Path of a file that holds the password for sudo. */
  readonly sudoPasswordFile: string | undefined;
  readonly bastion: EndpointEntry | undefined;
}

const OBJECT_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** A host name or an address as the name of an object: lower case, and nothing but letters, digits and dashes. */
export function objectName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  if (!OBJECT_NAME.test(name)) throw new UsageError(`"${text}" cannot become the name of a TSHost`);
  return name;
}

/** A TCP port as text or number; `where` is for the message. */
export function portOf(value: unknown, where: string): number {
  if (value === undefined || value === '' || value === null) return 22;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`${where} is not a TCP port between 1 and 65535`);
  }
  return port;
}

/** Names and addresses must be those of one host each. */
export function checkDistinct(entries: readonly HostEntry[]): void {
  const seen = new Map<string, string>();
  for (const { name, address, port } of entries) {
    const place = `${address}:${port}`;
    if (seen.has(name)) throw new UsageError(`two hosts are named ${name}: give each a name of its own`);
    const other = [...seen].find(([, where]) => where === place);
    if (other !== undefined) {
      throw new UsageError(`${name} and ${other[0]} have the same address ${place}: one host, one TSHost`);
    }
    seen.set(name, place);
  }
}
