// SPDX-License-Identifier: Apache-2.0
// CIDR blocks: compared as AWS keeps them, and carved for a VPC that we make.
import { isIPv4, isIPv6 } from 'node:net';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';

/** A block of addresses; `first` has no bit set behind the prefix. */
interface Block {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly prefix: number;
}

/** Equal for two texts of the same block: AWS drops host bits and writes IPv6 in its own way. */
export function blockKey(text: string): string {
  const block = parse(text);
  return block === undefined ? text : `${block.family}:${block.first.toString(16)}/${block.prefix}`;
}

/** Whether it is a block of IPv6 addresses. */
export function isIPv6Block(text: string): boolean {
  return text.includes(':');
}

/** Whether it is every address there is, of either family. */
export function isEverywhere(text: string): boolean {
  return parse(text)?.prefix === 0;
}

/** How many zones a VPC that we make has room for, over its whole life. */
export const MAX_ZONES = 6;

/** Bits of the largest and the smallest VPC that can be carved: a subnet of AWS has at most 28 bits. */
const VPC_PREFIX = { min: 16, max: 22 };

/** The blocks of one zone. */
export interface ZoneBlocks {
  readonly publicBlock: string;
  readonly privateBlock: string;
}

/**
 * The blocks of the `slot`-th zone (from 0). The VPC is cut in eight: the first eighth holds the public subnets, an eighth of it each;
 * the next six are the private subnets; the last stays free. So no zone ever moves when another one is added. TerminalError(NetworkInvalid)
 * where the VPC is too small or the slot does not exist.
 */
export function carve(vpcBlock: string, slot: number): ZoneBlocks {
  const vpc = requireCarvable(vpcBlock);
  if (slot >= MAX_ZONES)
    throw new TerminalError(
      Reason.NetworkInvalid,
      `The VPC has room for ${MAX_ZONES} zones, all of which are taken: take a zone off spec.aws.network.managed.availabilityZones`,
    );
  const privatePrefix = vpc.prefix + 3;
  const publicPrefix = vpc.prefix + 6;
  return {
    publicBlock: write(vpc.first + BigInt(slot) * size(publicPrefix), publicPrefix),
    privateBlock: write(vpc.first + BigInt(slot + 1) * size(privatePrefix), privatePrefix),
  };
}

/** The block as AWS keeps it; TerminalError(NetworkInvalid) where no subnets can be carved from it. */
export function carvable(vpcBlock: string): string {
  const { first, prefix } = requireCarvable(vpcBlock);
  return write(first, prefix);
}

function requireCarvable(text: string): Block {
  const block = parse(text);
  if (block?.family === 4 && block.prefix >= VPC_PREFIX.min && block.prefix <= VPC_PREFIX.max) return block;
  const message =
    `spec.aws.network.managed.cidrBlock ${text} cannot be cut into subnets: ` +
    `write an IPv4 block from /${VPC_PREFIX.min} to /${VPC_PREFIX.max}`;
  throw new TerminalError(Reason.NetworkInvalid, message);
}

function size(prefix: number): bigint {
  return 1n << BigInt(32 - prefix);
}

function write(first: bigint, prefix: number): string {
  const bytes = [24n, 16n, 8n, 0n].map((shift) => String((first >> shift) & 255n));
  return `${bytes.join('.')}/${prefix}`;
}

function parse(text: string): Block | undefined {
  const [address = '', length = ''] = text.split('/');
  const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined;
  if (family === undefined || !/^\d{1,3}$/.test(length)) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(length);
  if (prefix > bits) return undefined;
  const shift = BigInt(bits - prefix);
  const value = family === 4 ? valueOf4(address) : valueOf6(address);
  return { family, first: (value >> shift) << shift, prefix };
}

function valueOf4(address: string): bigint {
  return address.split('.').reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function valueOf6(address: string): bigint {
  const [head = '', tail] = address.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array<bigint>(8 - before.length - after.length).fill(0n);
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const value = valueOf4(group); // The last two groups may be written as IPv4.
    return [value >> 16n, value & 0xffffn];
  });
}
