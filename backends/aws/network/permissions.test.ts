// SPDX-License-Identifier: Apache-2.0
import type { IpPermission } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import {
  changeOf,
  fromIpPermissions,
  ourDescription,
  type Permission,
  permissionKey,
  toIpPermission,
} from './permissions.ts';

const ssh: Permission = {
  protocol: 'tcp',
  ports: [22, 22],
  peer: { cidr: '10.0.0.0/16' },
  description: ourDescription('ssh'),
};

describe('descriptions', () => {
  it('keep what AWS takes, and no more', () => {
    expect(ourDescription('Größe: "5" <b>')).toBe('ts-provider: Gr--e: -5- -b-');
    expect(ourDescription('x'.repeat(300))).toHaveLength(255);
  });
});

describe('changeOf', () => {
  it('adds what is missing, once', () => {
    expect(changeOf([ssh, ssh], [])).toEqual({ add: [ssh], revoke: [] });
  });

  it('has nothing to do for the same block in other words, whoever added it', () => {
    const foreign = { ...ssh, peer: { cidr: '10.0.7.7/16' }, description: 'by hand' };
    expect(changeOf([ssh], [foreign])).toEqual({ add: [], revoke: [] });
  });

  it('takes back what was ours, and nothing of others', () => {
    const old = { ...ssh, ports: [23, 23] as const };
    const foreign = { ...ssh, ports: [80, 80] as const, description: 'kubernetes.io/rule/nlb/client=a1' };
    expect(changeOf([ssh], [ssh, old, foreign])).toEqual({ add: [], revoke: [old] });
  });
});

describe('the form of the SDK', () => {
  it.each<[string, Permission]>([
    ['a block', ssh],
    ['a block of IPv6', { ...ssh, peer: { cidr: '2001:db8::/32' } }],
    ['a group', { ...ssh, peer: { group: 'sg-1' } }],
    ['a prefix list', { ...ssh, peer: { prefixList: 'pl-1' } }],
    ['everything', { protocol: '-1', peer: { group: 'sg-1' }, description: '' }],
    ['a protocol without ports', { protocol: '4', peer: { group: 'sg-1' }, description: '' }],
    ['ICMP', { protocol: 'icmp', peer: { cidr: '0.0.0.0/0' }, description: '' }],
  ])('%s goes there and back', (_what, permission) => {
    expect(fromIpPermissions([toIpPermission(permission)])).toEqual([permission]);
  });

  it('one permission with many sources is many rules', () => {
    const permission: IpPermission = {
      IpProtocol: 'tcp',
      FromPort: 1,
      ToPort: 2,
      IpRanges: [{ CidrIp: '10.0.0.0/8' }, { CidrIp: '11.0.0.0/8' }],
      UserIdGroupPairs: [{ GroupId: 'sg-1' }],
    };
    const keys = fromIpPermissions([permission]).map(permissionKey);
    expect(new Set(keys).size).toBe(3);
  });

  it('ports of a protocol that has none do not make another rule', () => {
    const [read] = fromIpPermissions([
      { IpProtocol: '50', FromPort: 0, ToPort: 0, UserIdGroupPairs: [{ GroupId: 'sg-1' }] },
    ]);
    const wanted: Permission = { protocol: '50', peer: { group: 'sg-1' }, description: '' };
    expect(read && permissionKey(read)).toBe(permissionKey(wanted));
  });
});
