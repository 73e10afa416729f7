// SPDX-License-Identifier: Apache-2.0
// Rules of security groups: one source each, compared with what AWS has.
import type { IpPermission } from '@aws-sdk/client-ec2';
import { blockKey, isIPv6Block } from './cidr.ts';

/** One rule: one protocol and range of ports, one source (or, going out, one destination). */
export interface Permission {
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all, or a number of IANA. */
  readonly protocol: string;
  /** Ports of tcp and udp, type and code of icmp; absent: all. */
  readonly ports?: readonly [from: number, to: number];
  readonly peer: Peer;
  readonly description: string;
}

/** Where traffic comes from or goes to. A prefix list is only ever somebody else's. */
export type Peer = { readonly cidr: string } | { readonly group: string } | { readonly prefixList: string };

/**
 * How a description of ours begins. The cloud controller manager of the cluster and people add rules to our groups, too:
 * only what begins like this is ever taken back.
 */
const MARK = 'ts-provider: ';

/** AWS takes at most this many characters, and few of them. */
const MAX_DESCRIPTION = 255;
const NOT_ALLOWED = /[^a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]/g;

/** A description that says that the rule is ours. */
export function ourDescription(text: string): string {
  return `${MARK}${text.replace(NOT_ALLOWED, '-')}`.slice(0, MAX_DESCRIPTION);
}

/** What AWS tells rules of one group and direction apart by: the description is no part of it. */
export function permissionKey({ protocol, ports, peer }: Permission): string {
  const source = 'cidr' in peer ? blockKey(peer.cidr) : 'group' in peer ? peer.group : peer.prefixList;
  return `${protocol} ${ports?.join('-') ?? ''} ${source}`;
}

/** What to add, and what of ours to take back, so that all `wanted` are there. */
export interface PermissionChange {
  readonly add: readonly Permission[];
  readonly revoke: readonly Permission[];
}

/** Compares; what is wanted twice is added once. */
export function changeOf(wanted: readonly Permission[], present: readonly Permission[]): PermissionChange {
  const wantedByKey = new Map(wanted.map((one) => [permissionKey(one), one]));
  const presentKeys = new Set(present.map(permissionKey));
  return {
    add: [...wantedByKey].filter(([key]) => !presentKeys.has(key)).map(([, one]) => one),
    revoke: present.filter((one) => one.description.startsWith(MARK) && !wantedByKey.has(permissionKey(one))),
  };
}

/** As the SDK wants it. */
export function toIpPermission({ protocol, ports, peer, description }: Permission): IpPermission {
  const text = description === '' ? {} : { Description: description };
  return {
    IpProtocol: protocol,
    ...(ports && { FromPort: ports[0], ToPort: ports[1] }),
    ...(!ports && protocol.startsWith('icmp') && { FromPort: -1, ToPort: -1 }),
    ...('group' in peer && { UserIdGroupPairs: [{ GroupId: peer.group, ...text }] }),
    ...('prefixList' in peer && { PrefixListIds: [{ PrefixListId: peer.prefixList, ...text }] }),
    ...('cidr' in peer && rangeOf(peer.cidr, text)),
  };
}

function rangeOf(cidr: string, text: { readonly Description?: string }): IpPermission {
  return isIPv6Block(cidr)
    ? { Ipv6Ranges: [{ CidrIpv6: cidr, ...text }] }
    : { IpRanges: [{ CidrIp: cidr, ...text }] };
}

/** From an answer of the SDK, one for each source. */
export function fromIpPermissions(permissions: readonly IpPermission[] = []): Permission[] {
  return permissions.flatMap((permission) => {
    const { IpProtocol: protocol = '-1', IpRanges = [], Ipv6Ranges = [] } = permission;
    const { UserIdGroupPairs = [], PrefixListIds = [] } = permission;
    const ports = portsOf(permission);
    const base = { protocol, ...(ports && { ports }) };
    return [
      ...IpRanges.map(({ CidrIp: cidr = '', Description: description = '' }) => ({
        ...base,
        peer: { cidr },
        description,
      })),
      ...Ipv6Ranges.map(({ CidrIpv6: cidr = '', Description: description = '' }) => ({
        ...base,
        peer: { cidr },
        description,
      })),
      ...UserIdGroupPairs.map(({ GroupId: group = '', Description: description = '' }) => ({
        ...base,
        peer: { group },
        description,
      })),
      ...PrefixListIds.map(({ PrefixListId: prefixList = '', Description: description = '' }) => ({
        ...base,
        peer: { prefixList },
        description,
      })),
    ];
  });
}

/** Only these protocols have ports, or a type and code; AWS fills in what it likes for the others. */
function portsOf({ IpProtocol = '-1', FromPort, ToPort }: IpPermission): [number, number] | undefined {
  if (!['tcp', 'udp', 'icmp', 'icmpv6'].includes(IpProtocol)) return undefined;
  if (FromPort === undefined || FromPort === -1) return undefined;
  return [FromPort, ToPort ?? FromPort];
}
